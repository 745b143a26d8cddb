"""A potential made of an ASE calculator: fast forces for tests of everything but the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.errors import StructureError
from pet_flows.symmetrization.fixed import Fixed


class AseEvaluator:
    """Evaluates with ASE; counts calls, and fails where it is told to."""

    chunk_atoms = 500
    raw = SimpleNamespace(general=None)

    def __init__(self, calculator: Callable[[], Calculator] = EMT):
        self.calculator = calculator
        self.calls = 0
        self.evaluated = 0
        self.refuse: Callable[[System], bool] = lambda system: False

    def refuse_too_large(self, atoms: Atoms) -> None:
        """Nothing: ASE's calculators need little memory."""

    def evaluate(self, systems: Sequence[System], forces: bool = True) -> list[Evaluation]:
        self.calls += 1
        found = []
        for system in systems:
            if self.refuse(system):
                raise StructureError("not_finite", "refused by the test")
            self.evaluated += 1
            system.bound.plan(torch.from_numpy(system.positions), torch.from_numpy(system.cell))
            atoms = Atoms(
                numbers=system.numbers, positions=system.positions, cell=system.cell, pbc=system.pbc
            )
            atoms.calc = self.calculator()
            found.append(
                Evaluation(
                    system=system,
                    energy=float(atoms.get_potential_energy()),
                    energies=np.array(atoms.get_potential_energies()),
                    forces=atoms.get_forces(),
                    stress=atoms.get_stress(voigt=False) if atoms.pbc.all() else None,
                    n_evaluations=1,
                    energy_spread=None,
                    force_spread=None,
                )
            )
        return found


class AsePotential:
    """What the properties use of a :class:`pet_flows.engines.potential.Potential`."""

    elements = frozenset({13, 28, 29, 46, 47, 78, 79})
    cutoff = reach = 6.0
    takes = ()
    device = torch.device("cpu")

    def __init__(self, calculator: Callable[[], Calculator] = EMT):
        self.evaluator = AseEvaluator(calculator)
        self.spec = SimpleNamespace(dtype="float64", symmetrization="none", digest="0" * 16)

    def bind(
        self, atoms: Atoms, inherited: dict | None = None, group: SpaceGroup | None = None
    ) -> Fixed:
        return Fixed(torch.eye(3, dtype=torch.float64)[None], len(atoms))

    def with_(self, **changes: object) -> AsePotential:
        return self
