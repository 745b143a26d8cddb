"""Identity of inputs, settings and records: digests of canonical JSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel
from pymatgen.core import Structure

from pet_flows.errors import PetFlowsError
from pet_flows.properties.settings import PropertySettings
from pet_flows.records.kept import Kept

#: digits that count: Å in the cell, fractions of a lattice vector in positions
RESOLUTION = 1e-8
#: property of a campaign whose structures the others start from
FIRST = "relax"


def canonical_json(value: Any) -> str:
    """Write JSON with one spelling per value: sorted keys, no spaces, ``-0.0`` as ``0.0``.

    Raises
    ------
    PetFlowsError
        NaN and infinity have no identity.
    """
    return json.dumps(
        _plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def digest(value: Any, length: int = 32) -> str:
    """Hex digest of anything that JSON can say, ``length`` characters of its sha256."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def structure_digest(structure: Structure | Kept) -> str:
    """Digest of ordered elements, cell and fractional coordinates, and of charge and spin.

    Charge and spin multiplicity count where they are given and not those of a neutral singlet.
    Coordinates are rounded at 1e-8 and taken modulo one along periodic axes, so that an atom at
    0.0, -0.0, 1.0 or 0.999999999 is the same atom. Which axes are periodic counts only where
    one of them is not.

    Parameters
    ----------
    structure
        Oxidation states, moments, charges of sites and their properties do not count.

    Raises
    ------
    PetFlowsError
        The cell or a coordinate is NaN or infinite.
    """
    kept = structure if isinstance(structure, Kept) else Kept.of(structure)
    if not (np.isfinite(kept.cell).all() and np.isfinite(kept.fractional).all()):
        raise PetFlowsError(
            "The cell or a position of a structure is NaN or infinite: correct the structure."
        )
    # whole numbers: neither -0.0 nor the last digit of a float can matter
    positions = np.rint(kept.fractional / RESOLUTION).astype(np.int64)
    periodic = np.array(kept.pbc)
    positions[:, periodic] %= round(1 / RESOLUTION)
    content: dict[str, Any] = {
        "species": [_species(site) for site in kept.sites],
        "cell": np.rint(kept.cell / RESOLUTION).astype(np.int64).tolist(),
        "positions": positions.tolist(),
    }
    if not all(kept.pbc):
        content["pbc"] = list(kept.pbc)
    return digest(content | kept.electrons)


def input_digest(
    structure: Structure | Kept | None,
    source: Mapping[str, Any],
    problem: tuple[str, str] | None = None,
) -> str:
    """Digest of whatever was given: the structure, or where it was that nothing could be read.

    Parameters
    ----------
    structure
        None for an input that could not be read.
    source
        Its identifiers, which are all that an unreadable input has.
    problem
        (reason, message) of an unreadable input.
    """
    if structure is not None:
        return structure_digest(structure)
    known = ("material_id", "task_id", "database", "collection", "path")
    content = {name: source.get(name) for name in known}
    return digest({"unreadable": content, "reason": problem[0] if problem else None})


def settings_digest(settings: BaseModel | Mapping[str, Any]) -> str:
    """Digest of a property's settings (validated models: 1 and 1.0 are then the same)."""
    if isinstance(settings, PropertySettings):
        return digest(settings.identity(), 16)
    dumped = settings.model_dump(mode="json") if isinstance(settings, BaseModel) else settings
    return digest(dumped, 16)


def record_key(start: str, property: str, settings_digest: str, potential_digest: str) -> str:
    """Key (``_id``) of a record.

    Parameters
    ----------
    start
        Digest of the input structure; for a property of a relaxed structure the key of the
        parent record, never the relaxed floats, which differ between batches and devices.
    property
        relax, static, eos, phonon, md, ...
    settings_digest
        From `settings_digest`.
    potential_digest
        `PotentialSpec.digest`.
    """
    return digest([start, property, settings_digest, potential_digest])


def _species(amounts: Mapping[str, float]) -> Any:
    """Element of a whole atom; elements and occupancies of a partial one."""
    if len(amounts) == 1 and abs(next(iter(amounts.values())) - 1.0) < RESOLUTION:
        return next(iter(amounts))
    return {element: round(amount, 8) for element, amount in amounts.items()}


def _plain(value: Any) -> Any:
    """Give the same value in JSON's own types."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            raise PetFlowsError(f"Every number in the settings must be finite (got {value}).")
        return value + 0.0
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        own = set(map(type, value)) <= {int, str}  # most of what there is
        return list(value) if own else [_plain(item) for item in value]
    return value
