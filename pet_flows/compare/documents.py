"""Comparisons as documents of the collection ``pet_comparisons``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pet_flows.compare.matching.choose import Choice
from pet_flows.compare.matching.match import ANOTHER_LEVEL, SAME_VOLUME, Partners
from pet_flows.compare.sides import Ours, Theirs, space_group_of
from pet_flows.errors import PetFlowsError
from pet_flows.properties.comparison import NotComparable, Value
from pet_flows.properties.registry import properties
from pet_flows.records.keys import digest
from pet_flows.records.plain import plain

#: of these documents; with another one all of them are made again
VERSION = 3
#: a reference that no record of these campaigns stands beside
NO_RECORD = "no record stands beside it"

#: how a warning begins about volumes that are more than `SAME_VOLUME` apart
VOLUMES_DIFFER = "volumes differ"

#: what a function raises that cannot read a damaged document, or whose arrays are gone
DAMAGE = (KeyError, IndexError, TypeError, AttributeError, ValueError, PetFlowsError)

Document = dict[str, Any]


def documents_of(ours: Ours, found: Partners, made_of: str) -> list[Document]:
    """Documents of one record: one for each reference beside it, else one with the reason.

    Parameters
    ----------
    ours
        The record.
    found
        The references beside it. Of several at the potential's level of theory those that are found
        in the surest way win: of the others only values are taken that these do not have.
    made_of
        Digest of what all of it was made of.
    """
    if not found.choices:
        alone = _of_record(ours, made_of)
        alone["_id"] = digest([ours.record["_id"]])
        alone["reason"] = found.reason
        alone["level_differs"] = list(found.aside[0].level_differs) if found.aside else []
        alone["of_other_levels"] = _aside(found)
        alone["warnings"] = list(found.notes)
        return [alone]
    documents: list[Document] = []
    had: set[str] = set()
    for choice in found.choices:
        document = _pair(ours, found, choice, made_of)
        if not choice.level_differs:
            if documents and documents[0]["matched_by"] != choice.match.way:
                # who named the material wins; another source adds what there was not
                document["values"] = [v for v in document["values"] if v["name"] not in had]
                if not document["values"]:
                    documents[0]["alternatives"] += choice.keys
                    documents[0]["alternatives"].sort()
                    continue
            had |= {value["name"] for value in document["values"]}
        documents.append(document)
    return documents


def _pair(ours: Ours, found: Partners, choice: Choice, made_of: str) -> Document:
    theirs = choice.match.theirs
    values, reason = values_of(ours, theirs)
    corrections, notes = theirs.corrections
    document = _of_record(ours, made_of)
    document |= {
        "_id": digest([ours.record["_id"], theirs.key]),
        "reference": theirs.key,
        "matched_by": choice.match.way,
        "rmsd": choice.match.rmsd,
        "level_differs": list(choice.level_differs),
        "material_id": document["material_id"] or next(iter(theirs.document["material_ids"]), None),
        "level": _level(theirs),
        "values": values,
        "corrections": corrections,
        "warnings": [
            *found.notes, *choice.notes, *_volumes(ours, theirs), *theirs.document["problems"],
            *notes,
        ],
        "reference_updated": theirs.updated,
        "reason": reason,
        "alternatives": sorted(match.theirs.key for match in choice.others),
        "of_other_levels": _aside(found),
    }  # fmt: skip
    return document


def _aside(found: Partners) -> list[Document]:
    """References of this crystal that stand aside because of their level, and what differs."""
    return [
        {"reference": key, "level_differs": list(choice.level_differs)}
        for choice in found.aside
        for key in choice.keys
    ]


def _volumes(ours: Ours, theirs: Theirs) -> list[str]:
    """Say it where one crystal has two volumes; a match is no statement on them."""
    one, other = ours.structure, theirs.structure
    if one is None or not (all(one.lattice.pbc) and all(other.lattice.pbc)):
        return []
    relative = (one.volume / len(one)) / (other.volume / len(other)) - 1
    if abs(relative) <= SAME_VOLUME:
        return []
    return [f"{VOLUMES_DIFFER}: the record's is {100 * relative:+.0f} % from the reference's"]


def damaged(record: Mapping[str, Any], reason: str, made_of: str) -> Document:
    """Document of a record that cannot be read, with what can be."""
    sources = record.get("sources")
    named = [s.get("campaign") for s in sources] if isinstance(sources, list) else []
    return {
        **_EMPTY,
        "_id": digest([record["_id"]]),
        "record": record["_id"],
        "campaigns": sorted(filter(None, set(named))),
        "property": record.get("property"),
        "formula_pretty": record.get("formula_pretty"),
        "record_state": record.get("state"),
        "reason": reason,
        "made_of": made_of,
        "built_at": _now(),
    }


def values_of(ours: Ours, theirs: Theirs) -> tuple[list[Document], str | None]:
    """Values of a record beside a reference, or why there are none."""
    record = ours.record
    if record["state"] == "failed":
        return [], f"failed: {record['reason']}"
    declared = properties().get(record["property"])
    if declared is None:
        return [], f"the property {record['property']} is not installed"
    if ours.structure is None:
        return [], "the record has no structure"
    try:
        found = declared.compare(ours.side(), theirs.side())
    except NotComparable as error:
        return [], str(error)
    except DAMAGE as error:
        return [], unreadable(error)
    values = [plain(value.document()) for value in found if _is_finite(value)]
    return (values, None) if values else ([], "no value is in both")


def unreadable(error: Exception) -> str:
    """Reason of what is damaged."""
    said = str(error) if isinstance(error, PetFlowsError) else f"{type(error).__name__} {error}"
    return f"cannot be compared ({said})"


def _is_finite(value: Value) -> bool:
    """Whether a value can be stored and averaged; labels can."""
    numbers = (value.pet, value.dft, value.difference)
    return all(math.isfinite(one) for one in numbers if isinstance(one, float))


def alone(
    theirs: Mapping[str, Any],
    campaigns: Iterable[str],
    problem: str | None = None,
    level_differs: Sequence[str] = (),
) -> Document:
    """Document of a reference that no record stands beside.

    Parameters
    ----------
    theirs
        Its document, at least the head.
    campaigns
        Whose records were looked at.
    problem
        Why it cannot stand beside any.
    level_differs
        From the potentials of the records of its crystal.
    """
    names = sorted(campaigns)
    aside = ANOTHER_LEVEL.format("; ".join(level_differs)) if level_differs else None
    reason = problem or aside or NO_RECORD
    return {
        **_EMPTY,
        "_id": digest([theirs["_id"]]),
        "reference": theirs["_id"],
        "campaigns": names,
        "property": theirs["property"],
        "material_id": next(iter(theirs["material_ids"]), None),
        "formula_pretty": theirs["formula_pretty"],
        "spacegroup": theirs["spacegroup"],
        "level": {name: theirs["level"][name] for name in ("functional", "digest")},
        "level_differs": list(level_differs),
        "reason": reason,
        "reference_updated": theirs["last_updated"],
        "made_of": state_of(theirs["last_updated"], " ".join([*names, reason])),
        "built_at": _now(),
    }


def same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two documents say the same, whenever and of whatever else they were made."""
    names = (old.keys() | new.keys()) - {"built_at", "made_of"}
    return all(old.get(name) == new.get(name) for name in names)


def stamp(references: Mapping[str, Mapping[str, Any]]) -> str:
    """Digest of the ids of references and when each last changed."""
    return digest([f"{key} {head['last_updated']}" for key, head in sorted(references.items())], 16)


def state_of(updated: Any, others: str) -> str:
    """Digest of what the comparisons of a record are made of.

    Parameters
    ----------
    updated
        When the record last changed.
    others
        `stamp` of every reference that could stand beside it.
    """
    return digest([VERSION, str(updated), others], 16)


_EMPTY: Mapping[str, Any] = {
    "record": None, "reference": None, "campaigns": [], "property": None, "matched_by": None,
    "rmsd": None, "level_differs": [], "potential": None, "material_id": None,
    "formula_pretty": None, "spacegroup": None, "level": None, "values": [], "corrections": None,
    "warnings": [], "reason": None, "alternatives": [], "of_other_levels": [], "record_state": None,
    "record_updated": None, "reference_updated": None, "made_of": None, "built_at": None,
    "frames": None,
}  # fmt: skip


def _of_record(ours: Ours, made_of: str) -> Document:
    record = ours.record
    formula = record["formula_pretty"]
    if formula is None and ours.structure is not None:  # its relaxation failed: its own is unread
        formula = ours.structure.composition.reduced_formula
    campaigns = {s["campaign"] for s in record["sources"] if s.get("campaign")}
    return {
        **_EMPTY,
        "record": record["_id"],
        "campaigns": sorted(campaigns),
        "property": record["property"],
        "potential": {name: record["potential"][name] for name in ("digest", "name")},
        "material_id": label(record),
        "formula_pretty": formula,
        "spacegroup": space_group_of(record),
        "record_state": record["state"],
        "record_updated": record["last_updated"],
        "made_of": made_of,
        "built_at": _now(),
    }


def label(record: Mapping[str, Any]) -> str | None:
    """First identifier of a record's material, else the file it was in."""
    names = [s.get("material_id") or s.get("path") for s in record["sources"]]
    return next((str(name) for name in names if name), None)


def _level(theirs: Theirs) -> Document:
    return {name: theirs.document["level"][name] for name in ("functional", "digest")}


def _now() -> datetime:
    now = datetime.now(UTC).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
