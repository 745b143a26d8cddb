"""PotentialSpec: which potential, as a few JSON values."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from pet_flows.models.family import default_symmetrization
from pet_flows.validate import validated

Dtype = Literal["float32", "float64"]


class PotentialSpec(BaseModel):
    """A model with its symmetrization, dtype and device; with the hash of its weights.

    A spec is *resolved* once ``sha256`` is known (:func:`pet_flows.models.resolve.resolve`).
    Two specs with the same hash, variant, symmetrization and dtype are the same potential, wherever
    the file lies and whatever device runs it.

    Examples
    --------
    >>> PotentialSpec(model="pet-mvl").symmetrization
    'crystal'
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "pet-mvl"
    """bundled name, upet name, path of a .ckpt or .pt, or ``family:which``"""
    sha256: str | None = None
    """of the weights file"""
    variant: str | None = None
    """which of the levels of theory that the model knows, such as ``pbesol``"""
    symmetrization: str = "crystal"
    """strategy string; of families of equivariant models ``none`` where it is not given"""
    dtype: Dtype = "float64"
    device: str = "auto"
    """auto, cpu, cuda or cuda:N; not part of the digest"""

    @model_validator(mode="before")
    @classmethod
    def _symmetrization_of_its_family(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("symmetrization") is not None:
            return given
        given = {name: value for name, value in given.items() if name != "symmetrization"}
        model = given.get("model")
        own = default_symmetrization(model) if isinstance(model, str) else None
        return given if own is None else {**given, "symmetrization": own}

    @property
    def digest(self) -> str:
        """Hex digest of (sha256, symmetrization, dtype), and of the variant where there is one.

        Raises
        ------
        ValueError
            The spec is not resolved.
        """
        if self.sha256 is None:
            raise ValueError(f"PotentialSpec of {self.model!r} has no sha256 yet: resolve it first")
        parts = [self.sha256, self.symmetrization, self.dtype]
        content = json.dumps(parts if self.variant is None else [*parts, self.variant])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def with_(self, **changes: Any) -> PotentialSpec:
        """Copy with some fields changed.

        Raises
        ------
        PetFlowsError
            Names the field, how it must be, and what it was.
        """
        values = {**self.model_dump(), **changes}
        return validated(PotentialSpec, values, lambda place: "potential: ")

    def as_dict(self) -> dict[str, Any]:
        """Give monty's form: without it FireWorks would keep the spec as its printed text."""
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            **self.model_dump(),
        }

    @classmethod
    def from_dict(cls, described: dict[str, Any]) -> PotentialSpec:
        """Inverse of :meth:`as_dict`."""
        return cls(**{name: v for name, v in described.items() if not name.startswith("@")})
