"""Outcome → record: a document ready for BSON, and the blobs that it names."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import bson
import numpy as np
from ase import Atoms
from bson.errors import InvalidDocument
from pydantic import BaseModel, ValidationError
from pymatgen.core import Structure

from pet_flows.geometry.faces import volume_of
from pet_flows.properties.outcome import Outcome
from pet_flows.records.kept import Kept
from pet_flows.records.keys import input_digest, record_key, settings_digest
from pet_flows.records.metadata import metadata, space_group
from pet_flows.records.plain import is_finite, plain
from pet_flows.records.provenance import provenance
from pet_flows.records.schema import SCHEMA_VERSION, Record, Source

logger = logging.getLogger(__name__)

#: larger structures are blobs
MAX_ATOMS_INSIDE = 200
#: bytes of BSON; no document is larger (MongoDB itself stops at 16 MB)
MAX_DOCUMENT = 1_000_000

#: what is long, in BSON's own types already, and nothing that validation changes
_AS_GIVEN = {"settings", "input_structure", "structure", "symmetry_reference", "result"}
_FIELDS = tuple(field.alias or name for name, field in Record.model_fields.items())

Blobs = dict[str, dict[str, np.ndarray]]
Recorded = tuple[dict[str, Any], Blobs]


def build_record(
    outcome: Outcome,
    *,
    input_structure: Structure | Kept | None,
    property: str,
    settings: BaseModel | Mapping[str, Any],
    potential: Mapping[str, Any],
    device: str | None = None,
    **of_record: Any,
) -> Recorded:
    """Make the record of one outcome; see `Recording`, which makes those of many."""
    recording = Recording.of(property, settings, potential, device)
    kept = input_structure
    if isinstance(kept, Structure):
        kept = Kept.of(kept)
    return recording.record(outcome, kept, **of_record)


@dataclass(frozen=True)
class Recording:
    """What all records of a batch have in common, and what makes them.

    Attributes
    ----------
    property
        relax, static, eos, elastic, phonon, qha, kappa or md.
    settings, settings_digest
        Of the property.
    potential
        ``digest``, ``name``, ``sha256``, ``symmetrization``, ``dtype``, ``functional``,
        ``run_type``.
    device
        Where it is computed.
    """

    property: str
    settings: dict[str, Any]
    settings_digest: str
    potential: dict[str, Any]
    device: str | None

    @classmethod
    def of(
        cls,
        property: str,
        settings: BaseModel | Mapping[str, Any],
        potential: Mapping[str, Any],
        device: str | None,
    ) -> Recording:
        """Of the settings of a property, as they are given to it, and of a potential."""
        said = settings.model_dump(mode="json") if isinstance(settings, BaseModel) else settings
        return cls(property, plain(said), settings_digest(settings), plain(potential), device)

    def record(
        self,
        outcome: Outcome,
        start: Kept | None,
        *,
        parent: str | None = None,
        sources: Sequence[Mapping[str, Any]] = (),
        dropped: Sequence[str] = (),
        key: str | None = None,
        digest: str | None = None,
        assumed: dict[str, int] | None = None,
    ) -> Recorded:
        """Make the record of an outcome. What cannot be stored becomes a ``failed`` record.

        Parameters
        ----------
        outcome
            As a property yields it.
        start
            The structure that was given; None where it could not be read.
        parent
            Key of the record whose final structure the input is.
        sources
            Who asked for it (docs: records).
        dropped
            What the input held besides elements, cell and positions.
        key, digest
            ``_id``, and digest of the structure, if they are known already; otherwise they are made
            here.
        assumed
            Charge and spin multiplicity that a model was told which takes them.

        Returns
        -------
        record, blobs
            `blobs` are still to be written, before the record; its ``blobs`` is filled by the
            store.
        """
        asked = [Source(**source).model_dump() for source in sources]
        document = {
            "settings": self.settings,
            "sources": asked,
            "property": self.property,
            "parent": parent,
            "potential": {**self.potential, **({} if assumed is None else {"assumed": assumed})},
            "settings_digest": self.settings_digest,
            "dropped": list(dropped),
            "blobs": {},
        }
        if start is not None and digest is None:
            digest = input_digest(start, {})
        document["structure_digest"] = digest
        if key is None:
            problem = (outcome.reason or "unknown", outcome.message or "")
            begin = parent or digest or input_digest(None, asked[0] if asked else {}, problem)
            key = record_key(begin, self.property, self.settings_digest, self.potential["digest"])
        document["_id"] = key
        try:
            return _complete(document, outcome, start, self.device)
        except _Unfit as unfit:
            logger.warning("%s of %s: %s", self.property, key, unfit)
            failed = replace(
                outcome, state="failed", reason=unfit.reason, message=str(unfit), retryable=False,
                result={}, blobs={}, atoms=None, inherited={}, energy_spread=None,
                force_spread=None, uncertainty=None,
            )  # fmt: skip
            return _complete(document, failed, start, self.device)


@dataclass(frozen=True)
class Unrecorded:
    """An outcome whose record is to be made, here or in another process.

    Attributes
    ----------
    recording, outcome, start
        See `Recording.record`.
    known
        Its other arguments.
    """

    recording: Recording
    outcome: Outcome
    start: Kept | None
    known: dict[str, Any]


def recorded(one: Unrecorded) -> Recorded:
    """Record and blobs of an outcome."""
    return one.recording.record(one.outcome, one.start, **one.known)


class _Unfit(Exception):
    """What a property gave cannot be a record."""

    def __init__(self, reason: str, message: str):
        super().__init__(message)
        self.reason = reason


def _complete(
    document: dict[str, Any], outcome: Outcome, start: Kept | None, device: str | None
) -> Recorded:
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
    final = None if outcome.atoms is None else Kept.of_atoms(outcome.atoms)
    blobs = {name: dict(arrays) for name, arrays in outcome.blobs.items()}
    inside: dict[str, Any] = {}
    for name, structure in (("input_structure", start), ("structure", final)):
        inside[name] = None
        if structure is not None and len(structure) > MAX_ATOMS_INSIDE:
            blobs[name] = structure.arrays()
        elif structure is not None:
            inside[name] = structure.document()
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
        **inside,
        **metadata(start, final),
        "spacegroup": {"input": space_group(start), "final": space_group(final, start)},
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
        head = Record.model_validate(content).model_dump(by_alias=True, exclude=_AS_GIVEN)
    except ValidationError as error:
        said = "; ".join(str(e["msg"]).removeprefix("Value error, ") for e in error.errors())
        raise _Unfit(
            "invalid_result",
            f"The property gave a result that cannot be stored ({said}): report it to its authors.",
        ) from None
    record = {name: content[name] if name in _AS_GIVEN else head[name] for name in _FIELDS}
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


def _refuse_not_finite(values: Mapping[str, Any], atoms: Atoms | None) -> None:
    """Refuse NaN and infinity, which can break a server's connection and every later average."""
    for name, value in values.items():
        if not is_finite(value):
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
    if atoms is not None and not volume_of(atoms.cell.array) and not atoms.cell.complete().volume:
        raise _Unfit(
            "not_finite", "The final cell has no volume: check the structure, or try another model."
        )


def _now() -> datetime:
    """UTC without zone and with whole milliseconds: what every database gives back."""
    now = datetime.now(UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
