"""PotentialSpec → a potential ready to evaluate; one copy of the weights per process."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from ase import Atoms

from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.raw import RawModel
from pet_flows.engines.resolve import resolve
from pet_flows.models.catalogue import find
from pet_flows.models.load import load_model
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.parse import parse_strategy
from pet_flows.symmetrization.strategy import Bound


class Potential:
    """A loaded model with its symmetrization.

    Made by :func:`get_potential`; holds nothing that depends on a structure.
    """

    def __init__(self, spec: PotentialSpec, raw: RawModel, functional: str | None):
        self.spec = spec
        self.raw = raw
        self.functional = functional
        strategy = parse_strategy(spec.symmetrization).configure(raw.cutoff, raw.n_layers)
        self.evaluator = Evaluator(raw, strategy)

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

    def bind(self, atoms: Atoms, inherited: dict[str, Any] | None = None) -> Bound:
        """See :meth:`pet_flows.engines.evaluator.Evaluator.bind`."""
        return self.evaluator.bind(atoms, inherited)

    def with_(self, **changes: Any) -> Potential:
        """The same weights with another symmetrization, dtype or device."""
        return get_potential(self.spec.with_(**changes))


def get_potential(spec: PotentialSpec | str, trust: bool = False) -> Potential:
    """Potential of a spec or of a model name, from the process-wide cache.

    Raises
    ------
    PetFlowsError
        The model cannot be found, opened or used, or the symmetrization is unknown.
    """
    if isinstance(spec, str):
        spec = PotentialSpec(model=spec)
    if spec.sha256 is None or trust:
        spec = resolve(spec, trust)
    return _potential(spec)


@lru_cache(maxsize=16)
def _potential(spec: PotentialSpec) -> Potential:
    raw = _raw(spec.with_(symmetrization="none"))
    return Potential(spec, raw, find(spec.model, spec.sha256).functional)


@lru_cache(maxsize=4)
def _raw(spec: PotentialSpec) -> RawModel:
    model = load_model(spec)
    return PETRaw(model) if PETRaw.supports(model) else MetatomicRaw(model)
