"""What records and references say about themselves, to know which comparisons are out of date."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pet_flows.compare.potential import is_force_field
from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)

Document = dict[str, Any]
#: reduced formula and property: what a record and its reference share
Place = tuple[str, str]

_FIELDS = (
    "property", "last_updated", "parent", "formula_pretty", "elements", "sources.campaign",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RecordHead:
    """Head of a record."""

    key: str
    property: str
    updated: datetime
    group: str
    """key of the relaxation, which all records of a relaxed crystal share"""


@dataclass
class RecordHeads:
    """Heads of the records of campaigns.

    Parameters
    ----------
    by_formula
        Reduced formula → heads.
    groups
        Key of a relaxation → keys of its relaxed crystal's records.
    elements
        Of all of them.
    campaigns
        Place → campaigns with such records.
    force_fields
        Place → other potentials, whose documents are no references of DFT.
    """

    by_formula: dict[str, list[RecordHead]] = field(default_factory=lambda: defaultdict(list))
    groups: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    elements: set[str] = field(default_factory=set)
    campaigns: dict[Place, set[str]] = field(default_factory=lambda: defaultdict(set))
    force_fields: dict[Place, set[str]] = field(default_factory=lambda: defaultdict(set))

    @property
    def keys(self) -> set[str]:
        """Keys of all records."""
        return {head.key for heads in self.by_formula.values() for head in heads}


def record_heads(store: ResultStore, campaigns: Sequence[str]) -> RecordHeads:
    """Read the heads of the records of campaigns."""
    found = RecordHeads()
    wanted = set(campaigns)
    formulas: dict[str, str] = {}
    read: list[tuple[RecordHead, str | None, set[str]]] = []
    for head in store.query({"sources.campaign": {"$in": list(campaigns)}}, list(_FIELDS)):
        if any(name not in head for name in ("property", "last_updated", "elements", "sources")):
            logger.warning(
                "Record %s is damaged: remove it from pet_records and run its campaign again. It "
                "is left out.",
                head["_id"],
            )
            continue
        key, formula = head["_id"], head.get("formula_pretty")
        group = head.get("parent") or key
        if formula is not None:
            formulas[key] = formula
        found.groups[group] |= {group, key}
        found.elements |= set(head["elements"])
        named = {source.get("campaign") for source in head["sources"]} & wanted
        read.append(
            (RecordHead(key, head["property"], head["last_updated"], group), formula, named)
        )
    for record, formula, named in read:
        # what starts from a failed relaxation has no structure of its own
        place = formula or formulas.get(record.group) or ""
        found.by_formula[place].append(record)
        found.campaigns[place, record.property] |= named
    return found


def by_place(
    heads: Iterable[Document], force_fields: dict[Place, set[str]]
) -> dict[Place, dict[str, Document]]:
    """Heads of references: place → id → head.

    Those of other potentials, which stand beside DFT and not in its place, are left out; their
    names are added to `force_fields`.
    """
    found: dict[Place, dict[str, Document]] = defaultdict(dict)
    for head in heads:
        if is_force_field(head):
            place = head["formula_pretty"], head["property"]
            force_fields[place].add(str(head["level"]["functional"]))
            continue
        found[head["formula_pretty"], head["property"]][head["_id"]] = head
    return found
