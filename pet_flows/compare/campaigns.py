"""Records that DFT has nothing for, beside those of another campaign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pymatgen.core import Structure

from pet_flows.compare.beside import beside, by_place, records_of
from pet_flows.compare.documents import Document
from pet_flows.compare.shelf import Shelf
from pet_flows.compare.sides import Ours, Theirs, space_group_of
from pet_flows.compare.statistics import is_pair
from pet_flows.properties.comparison import Side


@dataclass(frozen=True)
class _Another(Theirs):
    """A record in the place of a reference."""

    ours: Ours

    @cached_property
    def structure(self) -> Structure:
        """That of the record."""
        assert self.ours.structure is not None
        return self.ours.structure

    @cached_property
    def primitive(self) -> Structure | None:
        """Primitive cell; None of what is no ordered crystal."""
        return self.ours.primitive

    def side(self) -> Side:
        """As its property compares it."""
        return self.ours.side()


def beside_campaign(
    shelf: Shelf, documents: Sequence[Document], others: Sequence[Document], first: bool
) -> list[Document]:
    """What another campaign's records without DFT give beside those of a campaign.

    Such are those of a potential of which nobody knows the level of theory.

    Parameters
    ----------
    shelf
        Where the records are.
    documents, others
        Comparisons of the campaign and of the other one, those of records alone included.
    first
        Whether records of the campaign that DFT has nothing for either are set beside them here;
        otherwise they are where the two campaigns have changed places.

    Returns
    -------
    list of dict
        Like comparisons; the ``reference`` is the other record, and so is ``dft`` of the values.
        These are not stored.
    """
    alone = by_place(others, records_of(others) - _paired(others))
    wanted = by_place(documents, records_of(documents) if first else _paired(documents))
    found: list[Document] = []
    for place in wanted.keys() & alone.keys():
        theirs = (
            _in_the_place(one)
            for one in shelf.records(sorted(alone[place]), {})
            if one.structure is not None
        )
        ours = shelf.records(sorted(wanted[place].keys() - alone[place].keys()), {})
        found += beside(ours, theirs, wanted[place])
    return found


def _paired(documents: Sequence[Document]) -> set[str]:
    return records_of(document for document in documents if is_pair(document))


def _in_the_place(ours: Ours) -> _Another:
    record = ours.record
    names = [s["material_id"] for s in record["sources"] if s.get("material_id")]
    document = {
        "_id": record["_id"],
        "material_ids": names,
        "records": [],
        "source": {"name": record["_id"]},
        "level": {"functional": None},
        "result": record["result"],
        "spacegroup": space_group_of(record),
        "nsites_primitive": 0 if ours.primitive is None else len(ours.primitive),
        "entry": None,
        "last_updated": record["last_updated"],
    }
    return _Another(document, ours.read_blob, ours)
