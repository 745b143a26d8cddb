"""Documents of other potentials, as further columns beside a campaign and DFT."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from pet_flows.compare.beside import beside, by_place, records_of
from pet_flows.compare.documents import DAMAGE, Document, unreadable, values_of
from pet_flows.compare.matching.match import Candidates, crystals_of
from pet_flows.compare.matching.same import Distances
from pet_flows.compare.shelf import Shelf
from pet_flows.compare.sides import Ours, Theirs
from pet_flows.dft.level import FORCE_FIELD
from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)


def known(store: ResultStore) -> set[str]:
    """Names of the potentials whose documents were imported."""
    found = store.references.find({"level.code": FORCE_FIELD}, ["level.functional"])
    return {str(document["level"]["functional"]) for document in found}


def documents(shelf: Shelf, name: str, pairs: Iterable[Document]) -> list[Document]:
    """What a potential's documents give where pairs have values.

    Parameters
    ----------
    shelf
        Where they were imported.
    name
        Of the potential.
    pairs
        Comparisons of a campaign: the same references are taken.

    Returns
    -------
    list of dict
        Like comparisons; the ``record`` is the key of the potential's document, found by its
        identifiers or its structure. These are not stored.
    """
    wanted: dict[tuple[str, str], dict[str, Document]] = defaultdict(dict)
    for pair in pairs:
        if pair["record"] is not None and pair["reference"] is not None:
            wanted[pair["formula_pretty"], pair["property"]][pair["reference"]] = pair
    keys = _places(shelf.store, name)
    found = []
    for place, there in wanted.items():
        if place not in keys:
            continue
        distances = Distances()
        others = [_as_record(theirs) for theirs in _readable(shelf, keys[place])]
        for theirs in shelf.references(list(there)):
            document = _nearest(others, theirs, distances, there[theirs.key], name)
            if document is not None:
                found.append(document)
    return found


def beside_records(shelf: Shelf, name: str, documents: Sequence[Document]) -> list[Document]:
    """What a potential's documents give beside records themselves, whether DFT is there or not.

    Parameters
    ----------
    shelf
        Where they were imported.
    name
        Of the potential.
    documents
        Comparisons of a campaign, those of records alone included.

    Returns
    -------
    list of dict
        Like comparisons; the ``reference`` is the potential's document, and so is ``dft`` of the
        values. These are not stored.
    """
    keys = _places(shelf.store, name)
    found: list[Document] = []
    for place, there in by_place(documents, records_of(documents)).items():
        if place in keys:
            ours, theirs = shelf.records(list(there), {}), _readable(shelf, keys[place])
            found += beside(ours, theirs, there)
    return found


def _places(store: ResultStore, name: str) -> dict[tuple[str, str], list[str]]:
    """Formula and property → keys of a potential's documents."""
    query = {"level.code": FORCE_FIELD, "level.functional": name}
    keys: dict[tuple[str, str], list[str]] = defaultdict(list)
    for head in store.references.find(query, ["formula_pretty", "property"]):
        keys[head["formula_pretty"], head["property"]].append(head["_id"])
    return keys


def _readable(shelf: Shelf, keys: Sequence[str]) -> Iterator[Theirs]:
    for theirs in shelf.references(keys):
        try:
            theirs.check()
        except DAMAGE as error:
            logger.warning("%s %s", theirs.key, unreadable(error))
        else:
            yield theirs


def _nearest(
    others: Collection[Ours], theirs: Theirs, distances: Distances, pair: Document, name: str
) -> Document | None:
    """Values of the document that is most like a reference, if one is of its crystal."""
    candidates = Candidates([theirs])
    matches = [(match, one) for one in others for match in crystals_of(one, candidates, distances)]
    if not matches:
        return None
    _, ours = min(matches, key=lambda both: (both[0].way == "structure", both[0].rmsd or 0.0))
    values, reason = values_of(ours, theirs)
    return {
        **pair, "_id": f"{ours.record['_id']} {theirs.key}", "record": ours.record["_id"],
        "campaigns": [name], "potential": {"digest": name, "name": name}, "values": values,
        "reason": reason, "record_state": "ok", "level_differs": [], "warnings": [],
    }  # fmt: skip


def _as_record(theirs: Theirs) -> Ours:
    """Read a potential's document as if it were a record."""
    document = theirs.document
    record = {
        "_id": document["_id"],
        "property": document["property"],
        "state": "ok",
        "sources": [{"material_id": name} for name in document["material_ids"]],
        "spacegroup": {"input": None, "final": document["spacegroup"]},
        "elements": document["elements"],
        "potential": {"functional": None},
        "result": document["result"],
        "settings": {},
    }
    return Ours(record, theirs.structure, frozenset(), theirs.read_blob)
