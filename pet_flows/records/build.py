"""Outcome → record: a document ready for BSON, and the blobs that it names."""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from typing import Any

import bson
import numpy as np
from ase import Atoms
from bson.errors import InvalidDocument
from pydantic import BaseModel, ValidationError
from pymatgen.core import Structure

from pet_flows.properties.outcome import Outcome
from pet_flows.records.keys import input_digest, record_key, settings_digest
from pet_flows.records.provenance import provenance
from pet_flows.records.schema import SCHEMA_VERSION, Record, Source
from pet_flows.records.structures import (
    bare,
    metadata,
    space_group,
    structure_arrays,
    structure_of_atoms,
)

logger = logging.getLogger(__name__)

#: larger structures are blobs
MAX_ATOMS_INSIDE = 200
#: bytes of BSON; no document is larger (MongoDB itself stops at 16 MB)
MAX_DOCUMENT = 1_000_000

Blobs = dict[str, dict[str, np.ndarray]]


def build_record(
    outcome: Outcome,
    *,
    input_structure: Structure | None,
    property: str,
    settings: BaseModel | Mapping[str, Any],
    potential: Mapping[str, Any],
    parent: str | None = None,
    sources: Sequence[Mapping[str, Any]] = (),
    dropped: Sequence[str] = (),
    device: str | None = None,
    key: str | None = None,
) -> tuple[dict[str, Any], Blobs]:
    """Make the record of an outcome. What cannot be stored becomes a ``failed`` record.

    Parameters
    ----------
    outcome
        As a property yields it.
    input_structure
        None where the input could not be read.
    property
        relax, static, eos, elastic, phonon, qha, kappa or md.
    settings
        The property's settings.
    potential
        ``digest``, ``name``, ``sha256``, ``symmetrization``, ``dtype``, ``functional``,
        ``run_type``.
    parent
        Key of the record whose final structure the input is.
    sources
        Who asked for it (docs: records).
    dropped
        What the input held besides elements, cell and positions.
    device
        Where it was computed.
    key
        ``_id`` if it is known already; otherwise it is made here.

    Returns
    -------
    record, blobs
        `blobs` are still to be written, before the record; its ``blobs`` is filled by the store.
    """
    document = {
        "settings": settings.model_dump(mode="json")
        if isinstance(settings, BaseModel)
        else plain(settings),
        "sources": [Source(**source).model_dump() for source in sources],
        "property": property,
        "parent": parent,
        "potential": plain(potential),
        "settings_digest": settings_digest(settings),
        "dropped": list(dropped),
        "blobs": {},
    }
    if key is None:
        source = document["sources"][0] if sources else {}
        problem = (outcome.reason or "unknown", outcome.message or "")
        start = parent or input_digest(input_structure, source, problem)
        key = record_key(start, property, document["settings_digest"], potential["digest"])
    document["_id"] = key
    try:
        return _complete(document, outcome, input_structure, device)
    except _Unfit as unfit:
        logger.warning("%s of %s: %s", property, key, unfit)
        failed = replace(
            outcome, state="failed", reason=unfit.reason, message=str(unfit), retryable=False,
            result={}, blobs={}, atoms=None, inherited={}, energy_spread=None, force_spread=None,
            uncertainty=None,
        )  # fmt: skip
        return _complete(document, failed, input_structure, device)


class _Unfit(Exception):
    """What a property gave cannot be a record."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


def _complete(
    document: dict[str, Any], outcome: Outcome, given: Structure | None, device: str | None
) -> tuple[dict[str, Any], Blobs]:
    """Put everything that depends on the outcome into a document."""
    try:
        result, inherited = plain(outcome.result), plain(outcome.inherited)
    except TypeError as error:
        raise _Unfit(
            "invalid_result",
            f"The property gave a result that cannot be stored ({error}): report it to its "
            "authors.",
        ) from None
    spread = [plain(outcome.energy_spread), plain(outcome.force_spread)]
    uncertainty = plain(outcome.uncertainty)
    checked = {
        **result, "symmetry reference": inherited, "spread": spread, "uncertainty": uncertainty,
    }  # fmt: skip
    _refuse_not_finite(checked, outcome.atoms)
    start = None if given is None else bare(given)
    final = None if outcome.atoms is None else structure_of_atoms(outcome.atoms)
    blobs = {name: dict(arrays) for name, arrays in outcome.blobs.items()}
    inside: dict[str, Any] = {}
    for name, structure in (("input_structure", start), ("structure", final)):
        inside[name] = None
        if structure is not None and len(structure) > MAX_ATOMS_INSIDE:
            blobs[name] = structure_arrays(structure)
        elif structure is not None:
            inside[name] = plain(structure.as_dict())
    notes = list(outcome.warnings)
    if document["dropped"]:
        notes.append(f"not part of the calculation: {', '.join(document['dropped'])}")
    content = {
        **document,
        "schema_version": SCHEMA_VERSION,
        "state": outcome.state,
        "reason": outcome.reason,
        "message": outcome.message,
        "retryable": outcome.retryable,
        "attempts": 1,
        "last_updated": _now(),
        "structure_digest": None if start is None else input_digest(start, {}),
        **inside,
        **metadata(start, final),
        "spacegroup": {"input": space_group(start), "final": space_group(final)},
        "reference": outcome.reference_digest,
        "symmetry_reference": inherited or None,
        "warnings": notes,
        "n_evaluations": int(outcome.n_evaluations),
        "spread": dict(zip(("energy_per_atom", "forces"), spread, strict=True)),
        "uncertainty": uncertainty,
        "provenance": provenance(device, outcome.wall_time),
        "result": result,
    }
    try:
        record = Record.model_validate(content).model_dump(by_alias=True)
    except ValidationError as error:
        said = "; ".join(str(e["msg"]).removeprefix("Value error, ") for e in error.errors())
        raise _Unfit(
            "invalid_result",
            f"The property gave a result that cannot be stored ({said}): report it to its authors.",
        ) from None
    try:
        size = len(bson.encode(record))
    except (OverflowError, ValueError, InvalidDocument) as error:  # integers above 64 bits
        raise _Unfit(
            "invalid_result",
            f"The property gave a result that cannot be stored ({error}): report it to its "
            "authors.",
        ) from None
    if size > MAX_DOCUMENT:
        raise _Unfit(
            "too_large",
            f"The record has {size / 1e6:.1f} MB, more than the 1 MB of a document: ask the "
            "property for fewer values.",
        )
    return record, blobs


#: BSON's own types, which are kept as they are
_OWN = frozenset({type(None), bool, int, float, str, datetime})
_LISTS = (list, tuple, set, frozenset)
#: those of which none is NaN or infinite
_ALWAYS_FINITE = frozenset({int, str})


def plain(value: Any) -> Any:
    """Give a value in BSON's own types: no NumPy, no tuples, no enums; keys without dots or $.

    Raises
    ------
    TypeError
        There is no such type in BSON.
    """
    kind = type(value)
    if kind in _OWN:
        return value
    if kind is list or isinstance(value, _LISTS):
        # most of what there is are rows of numbers
        if _OWN.issuperset(map(type, value)):
            return list(value)
        return [plain(item) for item in value]
    if kind is dict or isinstance(value, Mapping):
        return {_safe_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.generic | np.ndarray):
        if value.dtype.kind == "f":  # long doubles too
            return value.astype(float).tolist()
        own = value.tolist()
        return own if value.dtype.kind in "biu" else plain(own)
    if isinstance(value, Enum):
        return plain(value.value)
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, datetime):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be stored")


@lru_cache(maxsize=4096, typed=True)  # 1, 1.0 and True are one key otherwise
def _safe_key(key: Hashable) -> str:
    """Give a key that MongoDB can address."""
    name = str(key.value if isinstance(key, Enum) else key)
    return name.replace(".", "_").replace("$", "_").replace("\0", "_")


def _refuse_not_finite(values: Mapping[str, Any], atoms: Atoms | None) -> None:
    """Refuse NaN and infinity, which can break a server's connection and every later average."""
    for name, value in values.items():
        if not _finite(value):
            raise _Unfit(
                "not_finite",
                f"{name} came out as NaN or infinite: check the structure, or try another model.",
            )
    if atoms is not None and not (
        np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()
    ):
        raise _Unfit(
            "not_finite",
            "The final structure has NaN or infinite coordinates: check the structure that was "
            "given, or try another model.",
        )


def _finite(value: Any) -> bool:
    """Whether no float in a plain value is NaN or infinite."""
    if type(value) is list:
        if _ALWAYS_FINITE.issuperset(map(type, value)):
            return True
        if set(map(type, value)) == {float}:
            return all(map(math.isfinite, value))
        return all(map(_finite, value))
    if type(value) is dict:
        return all(map(_finite, value.values()))
    return type(value) is not float or math.isfinite(value)


def _now() -> datetime:
    """UTC without zone and with whole milliseconds: what every database gives back."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
