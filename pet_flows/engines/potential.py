"""A potential ready to evaluate; one copy of the weights per process."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.heap import keep_freed
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.raw import RawModel
from pet_flows.engines.whole import WholeRaw
from pet_flows.errors import PetFlowsError
from pet_flows.models.family import family_of
from pet_flows.models.load import load_model, pick_device, refuse_other_frames
from pet_flows.models.resolve import ResolvedPotential, resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.spec import parse_spec
from pet_flows.symmetrization.strategies import parse_strategy
from pet_flows.symmetrization.strategy import Bound


class Potential:
    """A loaded model with its symmetrization.

    Made by :func:`get_potential`; holds nothing that depends on a structure.

    Parameters
    ----------
    resolved
        Which potential it is.
    raw
        Its model.
    chunk_atoms
        Most atoms in one model call; by default as the device likes it.
    """

    def __init__(self, resolved: ResolvedPotential, raw: RawModel, chunk_atoms: int | None = None):
        self.resolved = resolved
        self.raw = raw
        self._chunk_atoms = chunk_atoms
        kind = parse_spec(self.spec.symmetrization).kind
        if isinstance(raw, WholeRaw):
            if kind == "ecse":
                raise PetFlowsError(
                    f"{resolved.name} gives no energies by atom, which ecse needs: use crystal or "
                    "none."
                )
            if kind == "crystal":
                raw = self.raw = raw.with_torque()
        strategy = parse_strategy(self.spec.symmetrization).configure(raw.cutoff, raw.n_layers)
        self.evaluator = Evaluator(raw, strategy, chunk_atoms)

    @property
    def spec(self) -> PotentialSpec:
        """Its model, symmetrization, dtype and device in JSON."""
        return self.resolved.spec

    @property
    def functional(self) -> str | None:
        """Exchange-correlation functional of the training data, if known."""
        return self.resolved.functional

    @property
    def takes(self) -> tuple[str, ...]:
        """Inputs of the model besides atoms: ``charge`` and ``spin_multiplicity``, or none."""
        return self.raw.takes if isinstance(self.raw, MetatomicRaw) else ()

    @property
    def cutoff(self) -> float:
        """Å."""
        return self.raw.cutoff

    @property
    def reach(self) -> float:
        """Å; the energy of an atom depends on nothing farther from it."""
        return self.raw.cutoff * self.raw.n_layers

    @property
    def device(self) -> torch.device:
        """Where the model is evaluated."""
        return self.raw.device

    @property
    def elements(self) -> frozenset[int]:
        """Atomic numbers the model knows."""
        return self.raw.atomic_types

    def bind(
        self,
        atoms: Atoms,
        inherited: dict[str, Any] | None = None,
        group: SpaceGroup | None = None,
    ) -> Bound:
        """See :meth:`pet_flows.engines.evaluator.Evaluator.bind`."""
        return self.evaluator.bind(atoms, inherited, group)

    def with_(
        self,
        *,
        symmetrization: str | None = None,
        dtype: str | None = None,
        device: str | None = None,
    ) -> Potential:
        """The same weights with another symmetrization, dtype or device."""
        changed = self.resolved.with_(symmetrization=symmetrization, dtype=dtype, device=device)
        same = changed == self.resolved
        return self if same else get_potential(changed, chunk_atoms=self._chunk_atoms)


def get_potential(
    potential: ResolvedPotential | PotentialSpec | str,
    *,
    trust: bool = False,
    chunk_atoms: int | None = None,
) -> Potential:
    """Potential ready to evaluate, from the process-wide cache.

    Parameters
    ----------
    potential
        What :func:`pet_flows.models.resolve.resolve` gave, a spec, or a model name.
    trust
        The user vouches for the file: a pickled checkpoint may be opened.
    chunk_atoms
        Most atoms, copies included, in one model call; by default as the device likes it. Results
        do not depend on it, nor does the digest.

    Raises
    ------
    PetFlowsError
        The model cannot be found, opened or used, or the symmetrization is unknown.
    """
    if chunk_atoms is not None and chunk_atoms < 1:
        raise PetFlowsError(f"chunk_atoms must be at least 1 (got {chunk_atoms}).")
    return _potential(resolve(potential, trust=trust), chunk_atoms)


@lru_cache(maxsize=16)
def _potential(resolved: ResolvedPotential, chunk_atoms: int | None) -> Potential:
    raw = _raw(resolved.with_(symmetrization="none"))
    if family_of(resolved.spec.model) is None:
        refuse_other_frames(resolved, load_model(resolved))
    return Potential(resolved, raw, chunk_atoms)


@lru_cache(maxsize=4)
def _raw(resolved: ResolvedPotential) -> RawModel:
    keep_freed()
    family = family_of(resolved.spec.model)
    if family is not None:
        return family[0].load(resolved, pick_device(resolved.spec.device))
    model = load_model(resolved)
    variant = resolved.spec.variant
    fast = PETRaw.supports(model, variant)
    return PETRaw(model, variant) if fast else MetatomicRaw(model, variant)
