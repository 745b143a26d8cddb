"""Records beside what stands in the place of a DFT reference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set

from pet_flows.compare.documents import Document, values_of
from pet_flows.compare.matching.choose import choose
from pet_flows.compare.matching.match import Candidates, crystals_of
from pet_flows.compare.matching.same import Distances
from pet_flows.compare.sides import Ours, Theirs


def records_of(documents: Iterable[Document]) -> set[str]:
    """Keys of the records that are ``ok``."""
    return {
        document["record"]
        for document in documents
        if document["record"] is not None and document["record_state"] == "ok"
    }


def by_place(
    documents: Sequence[Document], records: Set[str]
) -> dict[tuple[str, str], dict[str, Document]]:
    """Formula and property → key of a record → one of its comparisons."""
    found: dict[tuple[str, str], dict[str, Document]] = defaultdict(dict)
    for document in documents:
        if document["record"] in records:
            found[document["formula_pretty"], document["property"]][document["record"]] = document
    return found


def beside(
    records: Iterable[Ours], others: Iterable[Theirs], known: Mapping[str, Document]
) -> Iterator[Document]:
    """Values of records beside the nearest of others, where one is of the same crystal.

    Parameters
    ----------
    records, others
        Of one formula and property.
    known
        Key of a record → one of its comparisons.

    Yields
    ------
    dict
        Like a comparison; the ``reference`` is the other one, and so is ``dft`` of the values.
    """
    distances, candidates = Distances(), Candidates(others)
    for ours in records:
        matches = crystals_of(ours, candidates, distances)
        if not matches:
            continue
        theirs = choose(ours, matches, distances).match.theirs
        values, reason = values_of(ours, theirs)
        yield {
            **known[ours.record["_id"]], "_id": f"{ours.record['_id']} {theirs.key}",
            "reference": theirs.key, "values": values, "reason": reason,
        }  # fmt: skip
