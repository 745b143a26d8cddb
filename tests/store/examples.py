"""Records to store, made as the jobs make them, without a model."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from pymatgen.core import Lattice, Structure

from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.static.declaration import StaticSettings
from pet_flows.records.build import build_record

SPEC = PotentialSpec(sha256="ab" * 32)
POTENTIAL = {
    "digest": SPEC.digest, "name": "test", "sha256": SPEC.sha256, "symmetrization": "crystal",
    "dtype": "float64", "functional": "PBE", "run_type": "GGA",
}  # fmt: skip


def crystal(number: int = 0, element: str = "Si") -> Structure:
    return Structure(Lattice.cubic(5 + 0.01 * number), [element] * 2, [[0] * 3, [0.5] * 3])


def outcome(state: str = "ok", energy: float = -1.0, **changes: Any) -> Outcome:
    result = {
        "energy": energy, "energy_per_atom": energy / 2, "max_force": 0.0,
        "stress": np.zeros((3, 3)), "pressure": np.float64(0.0),
    }  # fmt: skip
    atoms: Atoms = bulk("Si")
    known: dict[str, Any] = {
        "index": 0, "state": state, "result": result, "atoms": atoms,
        "blobs": {"static": {"forces": np.full((2, 3), energy)}}, "wall_time": 0.1,
    }  # fmt: skip
    if state != "ok":
        known |= {"reason": "killed", "message": "It was killed.", "retryable": True}
    if state == "failed":
        known |= {"result": {}, "atoms": None, "blobs": {}}
    return Outcome(**{**known, **changes})


def record(
    number: int = 0, state: str = "ok", energy: float = -1.0, **changes: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    known: dict[str, Any] = {
        "input_structure": crystal(number), "property": "static", "settings": StaticSettings(),
        "potential": POTENTIAL, "device": "cpu",
        "sources": [{"campaign": "first", "material_id": f"m-{number}", "job_uuid": "u1"}],
    }  # fmt: skip
    return build_record(outcome(state, energy), **{**known, **changes})


def large(document: dict[str, Any], blobs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A record whose arrays have no place in its document."""
    forces = np.full((1000, 3), document["result"]["energy"])
    return document, {**blobs, "static": {"forces": forces}}
