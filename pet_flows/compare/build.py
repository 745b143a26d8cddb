"""Records and references of campaigns → comparisons; again only where one of them changed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pet_flows.compare.documents import (
    DAMAGE,
    Document,
    alone,
    damaged,
    documents_of,
    same,
    stamp,
    state_of,
    unreadable,
)
from pet_flows.compare.frames import with_frames
from pet_flows.compare.heads import Place, RecordHeads, by_place, record_heads
from pet_flows.compare.matching.match import NOT_THERE, ONLY_OF, Candidates, partners
from pet_flows.compare.matching.same import Distances
from pet_flows.compare.shelf import Shelf
from pet_flows.compare.sides import Theirs
from pet_flows.store.results import ResultStore
from pet_flows.store.writes import chunks

logger = logging.getLogger(__name__)

#: records whose documents are in memory, and written, at a time
AT_ONCE = 200

References = dict[Place, dict[str, Document]]


@dataclass
class Built:
    """What a build did.

    Parameters
    ----------
    records
        That the campaigns have.
    looked_at
        Records whose partners were sought: they, or a reference that can stand beside them,
        changed.
    confirmed
        Comparisons that came out as they were.
    written, removed
        Comparisons that are new or came out differently, and those that are not made any more.
    problems
        Id of a record or reference → why it cannot be compared.
    """

    records: int = 0
    looked_at: int = 0
    confirmed: int = 0
    written: int = 0
    removed: int = 0
    problems: dict[str, str] = field(default_factory=dict)

    def problem(self, key: str, error: Exception) -> str:
        """Note what cannot be compared; gives the reason."""
        reason = unreadable(error)
        self.problems[key] = reason
        logger.warning("%s %s", key, reason)
        return reason


def build(
    where: ResultStore | Shelf, campaigns: Sequence[str], *, across_levels: bool = False
) -> Built:
    """Bring the comparisons of campaigns up to date.

    Looked at are records that changed, and those for which a reference of their property and
    formula came, changed or went. Memory holds the heads of all records, and the documents of some
    hundred or of one formula.

    Parameters
    ----------
    where
        The store; a `Shelf` that does not keep leaves it as it is.
    campaigns
        Their names.
    across_levels
        Also compare where functional, U, spin or pseudopotentials differ: each such comparison
        says in what. Without it those that an earlier build made are removed.
    """
    shelf = where if isinstance(where, Shelf) else Shelf(where)
    heads = record_heads(shelf.store, campaigns)
    built = Built(records=len(heads.keys))
    shelf.take_packages(heads.elements, set(heads.by_formula))
    references = by_place(shelf.reference_heads(heads.by_formula), heads.force_fields)
    existing: dict[str, list[Document]] = defaultdict(list)
    for comparison in shelf.heads(campaigns):
        if comparison["record"] is not None:
            existing[comparison["record"]].append(comparison)
    todo: dict[Place, dict[str, str]] = defaultdict(dict)
    stamps: dict[Place, str] = {}
    for formula, records in heads.by_formula.items():
        for record in records:
            place = (formula, record.property)
            if place not in stamps:
                names = sorted(heads.force_fields.get(place, ()))
                stamps[place] = " ".join([stamp(references.get(place, {})), *names])
            made_of = state_of(record.updated, stamps[place])
            if not _is_current(existing.get(record.key, ()), made_of, across_levels):
                todo[place][record.key] = made_of
        if sum(map(len, todo.values())) >= AT_ONCE:
            _build_some(shelf, todo, references, heads, across_levels, built)
            todo.clear()
    _build_some(shelf, todo, references, heads, across_levels, built)
    keys = heads.keys
    gone = [head["_id"] for key, found in existing.items() if key not in keys for head in found]
    _write(shelf, [], gone, built)
    _list_alone(shelf, campaigns, heads, references, built)
    return built


def _is_current(there: Sequence[Document], made_of: str, across_levels: bool) -> bool:
    """Whether a record's comparisons are what would be made now."""
    if not there or any(head["made_of"] != made_of for head in there):
        return False
    if across_levels:
        return not any(head["of_other_levels"] for head in there)
    return not any(head["level_differs"] and head["reference"] is not None for head in there)


def _build_some(
    shelf: Shelf,
    todo: Mapping[Place, dict[str, str]],
    references: References,
    heads: RecordHeads,
    across_levels: bool,
    built: Built,
) -> None:
    """Make the comparisons of some records.

    Parameters
    ----------
    todo
        Formula and property → key of a record → digest of what its comparisons are made of.
    """
    place_of = {key: place for place, keys in todo.items() for key in keys}
    wanted = [key for place in todo for key in references.get(place, {})]
    loaded: dict[Place, Candidates] = defaultdict(Candidates)
    for theirs in _sound(shelf.references(wanted), built):
        loaded[theirs.document["formula_pretty"], theirs.document["property"]].add(theirs)
    distances = Distances()
    for part in chunks(list(place_of), AT_ONCE):
        documents: list[Document] = []
        for ours in shelf.records(part, heads.groups):
            key = ours.record["_id"]
            place = place_of[key]
            try:
                found = partners(ours, loaded[place], distances, across_levels=across_levels)
                if found.reason == NOT_THERE and (names := heads.force_fields.get(place)):
                    found = replace(found, reason=ONLY_OF.format(", ".join(sorted(names))))
                documents += documents_of(ours, found, todo[place][key])
            except DAMAGE as error:
                reason = built.problem(key, error)
                documents.append(damaged(ours.record, reason, todo[place][key]))
        old = {document["_id"]: document for document in shelf.of_records(part)}
        new = {
            document["_id"]: with_frames(document, old[document["_id"]].get("frames"))
            if document["property"] == "md" and document["_id"] in old
            else document
            for document in documents
        }
        confirmed = [id_ for id_ in new if id_ in old and same(old[id_], new[id_])]
        changed = [new[id_] for id_ in new if id_ not in confirmed]
        shelf.put([{**old[id_], "made_of": new[id_]["made_of"]} for id_ in confirmed])
        _write(shelf, changed, [id_ for id_ in old if id_ not in new], built)
        built.confirmed += len(confirmed)
        built.looked_at += len(part)


def _sound(references: Iterable[Theirs], built: Built) -> list[Theirs]:
    """References that can be read."""
    found = []
    for theirs in references:
        try:
            theirs.check()
        except DAMAGE as error:
            built.problem(theirs.key, error)
        else:
            found.append(theirs)
    return found


def _list_alone(
    shelf: Shelf,
    campaigns: Sequence[str],
    heads: RecordHeads,
    references: References,
    built: Built,
) -> None:
    """List the references that could stand beside records of a campaign, and do not."""
    beside: dict[str, set[str]] = defaultdict(set)
    aside: dict[str, list[str]] = {}
    listed: dict[str, Document] = {}
    for head in shelf.heads(campaigns):
        if head["record"] is None:
            listed[head["reference"]] = head
            continue
        for key in (head["reference"], *head["alternatives"]):
            if key is not None:
                beside[key] |= set(head["campaigns"])
        for one in head["of_other_levels"]:
            aside.setdefault(one["reference"], one["level_differs"])
    changed, known = [], set()
    for place, found in references.items():
        for key, head in found.items():
            without = heads.campaigns.get(place, set()) - beside[key]
            # what was said of campaigns that are not looked at now stays
            others = set(listed[key]["campaigns"]) - set(campaigns) if key in listed else set()
            if not without | others:
                continue
            known.add(key)
            document = alone(head, without | others, built.problems.get(key), aside.get(key, ()))
            same_as_before = key in listed and listed[key]["made_of"] == document["made_of"]
            if not same_as_before or key in built.problems:
                changed.append(document)
    gone = [head["_id"] for key, head in listed.items() if key not in known]
    _write(shelf, changed, gone, built)


def _write(shelf: Shelf, changed: Sequence[Document], gone: Sequence[str], built: Built) -> None:
    shelf.put(changed)
    shelf.remove(gone)
    built.written += len(changed)
    built.removed += len(gone)
