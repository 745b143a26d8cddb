"""An ASE calculator in the place of a potential: properties compute with it as with a model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.fixed import Fixed

#: structure → what makes new calculators for it
Prepare = Callable[[Atoms], Callable[[], Calculator]]

#: Å; atoms nearer than this hold each other, so that a slab is known from a crystal
_NEIGHBOURS = 6.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Prepared(Fixed):
    """A structure with the calculators for all geometries of it."""

    new: Callable[[], Calculator] | None = None


class _Evaluator:
    """Evaluates one structure after the other; each gets a calculator of its own."""

    #: one structure in flight is as good as several
    chunk_atoms = 1

    def __init__(self, name: str):
        self.name = name

    def refuse_too_large(self, atoms: Atoms) -> None:
        """Nothing: how much memory a code needs is not known here."""

    def evaluate(self, systems: Sequence[System], forces: bool = True) -> list[Evaluation]:
        """As :meth:`pet_flows.engines.evaluator.Evaluator.evaluate`.

        Raises
        ------
        StructureError
            ``model_error``: the code ended without a result; ``not_finite``.
        """
        return [self._evaluate(system, forces) for system in systems]

    def _evaluate(self, system: System, forces: bool) -> Evaluation:
        atoms, prepared = system.atoms, system.bound
        assert isinstance(prepared, _Prepared)
        assert prepared.new is not None
        pull, stress = np.zeros((len(atoms), 3)), None
        try:
            atoms.calc = prepared.new()
            energy = float(atoms.get_potential_energy())
            if forces:
                pull = np.array(atoms.get_forces())
                stress = np.array(atoms.get_stress(voigt=False)) if atoms.pbc.all() else None
        except MemoryError:
            raise
        except Exception as error:  # codes of others raise anything
            logger.error("%s ended without a result", self.name, exc_info=error)
            said = str(error).strip().splitlines() or [type(error).__name__]
            raise StructureError(
                "model_error",
                f"{self.name} ended without a result ({said[0][:300].rstrip('.')}); read its log, "
                "and change its settings.",
            ) from error
        if not all(np.isfinite(v).all() for v in (energy, pull, 0.0 if stress is None else stress)):
            raise StructureError(
                "not_finite", f"{self.name} gave a number that is not finite; read its log."
            )
        return Evaluation(
            system=system,
            energy=energy,
            energies=np.full(len(atoms), energy / len(atoms)),
            forces=pull,
            stress=stress,
            n_evaluations=1,
            energy_spread=None,
            force_spread=None,
        )


class _CalculatorPotential:
    """What properties use of a :class:`~pet_flows.engines.potential.Potential`."""

    cutoff = _NEIGHBOURS
    #: Å; how far atoms of a metal feel each other in DFT has no end: nothing is said of it
    reach = 0.0

    def __init__(self, name: str, prepare: Prepare, elements: Collection[int]):
        self.prepare = prepare
        self.elements = frozenset(elements)
        self.evaluator = _Evaluator(name)
        self.spec = PotentialSpec(model=name, symmetrization="none", device="cpu")

    def bind(
        self,
        atoms: Atoms,
        inherited: dict[str, Any] | None = None,
        group: SpaceGroup | None = None,
    ) -> Fixed:
        """Prepare calculators; nothing is inherited."""
        one = torch.eye(3, dtype=torch.float64)[None]
        return _Prepared(one, len(atoms), new=self.prepare(atoms))

    def with_(self, **changes: Any) -> _CalculatorPotential:
        """Itself: DFT is invariant under rotations, and float64."""
        return self


def calculator_potential(
    name: str, prepare: Prepare, elements: Collection[int] = range(1, 87)
) -> Potential:
    """Give a potential that evaluates with calculators of ASE.

    Parameters
    ----------
    name
        Of the code, for sentences.
    prepare
        Structure → function that makes a new calculator for it and for geometries near it.
    elements
        Atomic numbers that the code knows.

    Returns
    -------
    Potential
        Not the class, but all that properties use of it.
    """
    return cast(Potential, _CalculatorPotential(name, prepare, elements))
