"""ASE calculator of a symmetrized potential."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.geometry.electrons import described, told
from pet_flows.models.resolve import ResolvedPotential
from pet_flows.models.spec import PotentialSpec


class SymmetrizedCalculator(Calculator):
    """Energy, forces and stress of a potential, for ASE and everything built on it.

    Parameters
    ----------
    potential
        A loaded potential, a spec, or a model name such as ``"pet-mvl"``.
    symmetrization, dtype, device
        Override those of the potential.
    inherited
        ``Bound.as_dict()`` of the crystal these structures derive from; without it the crystal
        reference is found once, for the first structure, and kept as long as the same lattice
        is moved (same atoms in the same order); :meth:`reset` forgets it.
    trust
        Open a pickled checkpoint of unknown hash.
    """

    implemented_properties = [  # noqa: RUF012  ASE's own way
        "energy", "free_energy", "energies", "forces", "stress",
    ]  # fmt: skip

    def __init__(
        self,
        potential: Potential | ResolvedPotential | PotentialSpec | str = "pet-mvl",
        *,
        symmetrization: str | None = None,
        dtype: str | None = None,
        device: str | None = None,
        inherited: dict[str, Any] | None = None,
        trust: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if not isinstance(potential, Potential):
            potential = get_potential(potential, trust=trust)
        self.potential = potential.with_(symmetrization=symmetrization, dtype=dtype, device=device)
        self._inherited = inherited
        self._bound: tuple[Any, Any] | None = None

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What changed since the last calculation; another charge or spin is a change too."""
        changed: list[str] = super().check_state(atoms, tol)
        if not changed and self.atoms is not None and told(atoms.info) != told(self.atoms.info):
            changed = ["initial_charges"]
        return changed

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``results`` with fresh arrays (eV, eV/Å, eV/Å³)."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        if ignored := set(told(self.atoms.info)) - set(self.potential.takes):
            warnings.warn(
                f"The model takes no {' and no '.join(sorted(ignored))}: what the structure says "
                f"of it ({described(told(self.atoms.info))}) is not part of the calculation.",
                stacklevel=2,
            )
        evaluation = self._evaluate(self.atoms)
        self.results = {
            "energy": evaluation.energy,
            "free_energy": evaluation.energy,
            "energies": evaluation.energies,
            "forces": evaluation.forces,
            "n_evaluations": evaluation.n_evaluations,
            "energy_spread": evaluation.energy_spread,
            "force_spread": evaluation.force_spread,
        }
        if evaluation.stress is not None:
            self.results["stress"] = full_3x3_to_voigt_6_stress(evaluation.stress)

    def reset(self) -> None:
        """Forget results and the crystal reference."""
        super().reset()
        self._bound = None

    def __deepcopy__(self, memo: dict[int, Any]) -> SymmetrizedCalculator:
        """Copy for another image of a band; all copies evaluate with the same weights."""
        memo[id(self.potential)] = self.potential
        copy = type(self).__new__(type(self))
        memo[id(self)] = copy
        copy.__dict__.update({name: deepcopy(value, memo) for name, value in vars(self).items()})
        return copy

    def covariant(
        self, output: str, atoms: Atoms | None = None, per_atom: bool = True
    ) -> np.ndarray:
        """Another output of the model, a vector or tensor by atom or of the structure.

        Parameters
        ----------
        output
            Such as ``non_conservative_forces`` or ``non_conservative_stress``.
        atoms
            The structure; the one last calculated if left out.
        per_atom
            Values ``(N, 3, ...)`` of the atoms, or ``(3, ...)`` of the whole structure.
            See :func:`pet_flows.engines.covariant.covariant`.
        """
        from pet_flows.engines.covariant import covariant

        chosen = atoms if atoms is not None else self.atoms
        if chosen is None:
            raise PetFlowsError("There is no structure yet: give the atoms.")
        evaluator = self.potential.evaluator
        return self._with_binding(
            chosen, lambda system: covariant(evaluator, [system], output, per_atom)[0]
        )

    def _evaluate(self, atoms: Atoms) -> Evaluation:
        evaluator = self.potential.evaluator
        return self._with_binding(atoms, lambda system: evaluator.evaluate([system])[0])

    def _with_binding[T](self, atoms: Atoms, evaluate: Callable[[System], T]) -> T:
        """Evaluate with the binding of the crystal being moved, a new one for another crystal."""
        key = (tuple(atoms.numbers), tuple(atoms.pbc))
        if self._bound is not None and self._bound[0] == key:
            try:
                return evaluate(System.of(atoms, self._bound[1]))
            except StructureError as error:
                if error.reason != "symmetrization_refused":
                    raise
                warnings.warn(
                    "The cell has left the range of its crystal reference, and got a new one: do "
                    "not compare energies before with energies after.",
                    stacklevel=5,
                )
        self._bound = (key, self.potential.bind(atoms, self._inherited))
        return evaluate(System.of(atoms, self._bound[1]))
