"""What stands alone in a comparison, and why."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: reason → property → names
ByReason = dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Unmatched:
    """Names by reason and property.

    Parameters
    ----------
    records
        That have no reference.
    pairs
        Record and reference that are of one crystal, and have no values.
    references
        That have no record.
    across_levels
        Whether references stand aside because of their level of theory.
    """

    records: ByReason = field(default_factory=dict)
    pairs: ByReason = field(default_factory=dict)
    references: ByReason = field(default_factory=dict)
    across_levels: bool = False


def unmatched(documents: Iterable[Mapping[str, Any]], properties: Sequence[str] = ()) -> Unmatched:
    """Collect what stands alone.

    Parameters
    ----------
    documents
        Of ``pet_comparisons``.
    properties
        Only these, if any are named.
    """
    found = Unmatched()
    across = False
    for document in documents:
        if document["reason"] is None or (properties and document["property"] not in properties):
            continue
        kind = found.pairs
        if document["record"] is None:
            kind = found.references
        elif document["reference"] is None:
            kind = found.records
        if kind is not found.pairs:
            across = across or bool(document["level_differs"])
        name = document["material_id"] or document["record"] or document["reference"]
        of_reason = kind.setdefault(document["reason"], {})
        of_reason.setdefault(document["property"], []).append(str(name))
    for kind in (found.records, found.pairs, found.references):
        for of_reason in kind.values():
            for names in of_reason.values():
                names.sort()
    return Unmatched(found.records, found.pairs, found.references, across)


def said(by_reason: ByReason) -> str:
    """Counts on one line."""
    parts = []
    for reason, of_reason in by_reason.items():
        counts = ", ".join(f"{len(names)} {name}" for name, names in of_reason.items())
        parts.append(f"{counts}: {reason}")
    return "; ".join(parts)
