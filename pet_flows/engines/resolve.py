"""A spec with everything found out that can be without opening the model; no torch here."""

from __future__ import annotations

import re

from pet_flows.errors import PetFlowsError
from pet_flows.models.catalogue import find
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.parse import canonical_spec


def resolve(spec: PotentialSpec, trust: bool = False) -> PotentialSpec:
    """Return the spec with the hash of its weights, canonical symmetrization, absolute path.

    Raises
    ------
    PetFlowsError
        As :func:`pet_flows.models.catalogue.find`; or the symmetrization or device is unknown.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", spec.device):
        raise PetFlowsError(f"There is no device {spec.device!r}; use auto, cpu, cuda or cuda:N.")
    file = find(spec.model, spec.sha256, trust)
    is_path = spec.model.endswith((".ckpt", ".pt"))
    return spec.with_(
        sha256=file.sha256,
        model=str(file.path.resolve()) if is_path else spec.model,
        symmetrization=canonical_spec(spec.symmetrization),
    )
