"""Which potential is meant: a spec with its weights found, once for all who need to know."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.models.catalogue import ModelFile, card_of_variant, find
from pet_flows.models.family import family_of
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.spec import canonical_spec


@dataclass(frozen=True)
class ResolvedPotential:
    """A potential whose weights are found, not yet opened.

    Made by :func:`resolve` where a user names a potential; handed on from there, so that no file is
    looked for or hashed a second time.
    """

    spec: PotentialSpec
    """with the hash of the weights, the one spelling of the symmetrization, an absolute path"""
    file: ModelFile

    @property
    def digest(self) -> str:
        """Of weights, symmetrization and dtype."""
        return self.spec.digest

    @property
    def name(self) -> str:
        """Of the model; of a file its name without the ending."""
        return self.file.name

    @property
    def card(self) -> dict[str, Any]:
        """What is known of the model, such as ``functional``, ``elements``, ``training_phases``."""
        return card_of_variant(self.file.card, self.spec.variant)

    @property
    def functional(self) -> str | None:
        """Exchange-correlation functional of the training data, if known."""
        return self.card.get("functional")

    @property
    def run_type(self) -> str | None:
        """Kind of the calculations in the training data, in the Materials Project's terms."""
        return self.card.get("run_type")

    def as_record(self) -> dict[str, Any]:
        """What a record says of its potential."""
        return {
            "digest": self.digest,
            "name": self.name,
            "sha256": self.file.sha256,
            "symmetrization": self.spec.symmetrization,
            "dtype": self.spec.dtype,
            "variant": self.spec.variant,
            "model": None if family_of(self.spec.model) is None else self.spec.model,
            "functional": self.functional,
            "run_type": self.run_type,
        }

    def with_(
        self,
        *,
        symmetrization: str | None = None,
        dtype: str | None = None,
        device: str | None = None,
    ) -> ResolvedPotential:
        """The same weights with another symmetrization, dtype or device.

        Raises
        ------
        PetFlowsError
            One of them is unknown.
        """
        wanted = {"symmetrization": symmetrization, "dtype": dtype, "device": device}
        changes = {key: value for key, value in wanted.items() if value is not None}
        return ResolvedPotential(_canonical(self.spec.with_(**changes)), self.file)


def resolve(
    potential: ResolvedPotential | PotentialSpec | str, *, trust: bool = False
) -> ResolvedPotential:
    """Find the weights of a potential without opening them; no torch here.

    Parameters
    ----------
    potential
        Spec or model name; what is resolved is given back as it is.
    trust
        The user vouches for the file: a pickled checkpoint may be opened.

    Raises
    ------
    PetFlowsError
        As :func:`pet_flows.models.catalogue.find`; or the symmetrization or device is unknown.
    """
    if isinstance(potential, ResolvedPotential):
        return potential
    spec = PotentialSpec(model=potential) if isinstance(potential, str) else potential
    spec = _canonical(spec)
    file = find(spec.model, spec.sha256, trust)
    model = file.model or spec.model
    return ResolvedPotential(spec.with_(sha256=file.sha256, model=model), file)


def _canonical(spec: PotentialSpec) -> PotentialSpec:
    """The spec in the one spelling by which potentials are told apart."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", spec.device):
        raise PetFlowsError(f"device must be auto, cpu, cuda or cuda:N (got {spec.device!r}).")
    return spec.with_(symmetrization=canonical_spec(spec.symmetrization))
