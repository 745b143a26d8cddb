"""Which entries of a source are stored already, as they are there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pet_flows.dft.importers.options import Options
from pet_flows.dft.reference import Origin
from pet_flows.store.references import stored_date
from pet_flows.store.writes import chunks

if TYPE_CHECKING:
    from pet_flows.store.references import References

_FIELDS = ["source", "level", "material_ids"]


class Known:
    """What is stored, for readers that need not read it again.

    Parameters
    ----------
    references
        The collection.
    options
        An entry that was read with others is read again.
    again
        Whether everything is read again.
    """

    def __init__(self, references: References, options: Options, *, again: bool = False):
        self.references = references
        self.options = options
        self.again = again

    def unchanged(self, origins: Iterable[Origin]) -> dict[str, int]:
        """Identities of those entries that need not be read → how many references they gave.

        Parameters
        ----------
        origins
            With ``completed_at`` of the source, and ``index`` where it has runs; entries without a
            date are always read.
        """
        dated = {origin.identity: origin for origin in origins if origin.completed_at is not None}
        if self.again:
            return {}
        stored: dict[str, list[Mapping[str, Any]]] = {}
        for chunk in chunks(list(dated), 500):
            for document in self.references.find({"source.identity": {"$in": chunk}}, _FIELDS):
                stored.setdefault(document["source"]["identity"], []).append(document)
        return {
            identity: len(documents)
            for identity, documents in stored.items()
            if all(self._is_as(document, dated[identity]) for document in documents)
        }

    def _is_as(self, document: Mapping[str, Any], origin: Origin) -> bool:
        source = document["source"]
        return (
            source["completed_at"] == stored_date(origin.completed_at)
            and source["index"] == origin.index
            and self.options.are_in(document)
        )
