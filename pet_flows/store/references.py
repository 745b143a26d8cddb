"""DFT results in the collection ``pet_references``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np

from pet_flows.errors import PetFlowsError
from pet_flows.store.blobs import Arrays, BlobStore
from pet_flows.store.meaning import refusals_said, refuse_impossible
from pet_flows.store.patience import patient
from pet_flows.store.writes import blob_ids, refuse_large


class References:
    """References, whose documents `pet_flows.dft.documents.document_of` makes.

    Parameters
    ----------
    collection
        ``pet_references``.
    blobs
        Where their arrays are.
    """

    def __init__(self, collection: Any, blobs: BlobStore):
        self.collection = collection
        self.blobs = blobs

    @patient
    def put(
        self, document: Mapping[str, Any], blobs: Mapping[str, Arrays] | None = None
    ) -> Literal["new", "changed", "same"]:
        """Store a reference, in place of an earlier reading of the same property and calculation.

        The blobs are written first, so that no document names what is not there.

        Raises
        ------
        PetFlowsError
            It is above 1 MB, holds NaN or infinity, or MongoDB stays away.
        """
        refuse_large(document, f"Reference {document['_id']}")
        whole: dict[str, Any] = _as_stored(document)
        whole["blobs"] = self.blobs.write(document["_id"], blobs or {})
        same = {
            "source.identity": document["source"]["identity"],
            "property": document["property"],
        }
        earlier = list(self.collection.find(same))
        if any(_same(old, whole) for old in earlier):
            return "same"
        self.collection.replace_one({"_id": document["_id"]}, whole, upsert=True)
        for old in earlier:
            if old["_id"] != document["_id"]:  # it was read with another level of theory
                self.collection.delete_many({"_id": old["_id"]})
            self.blobs.remove(blob_ids(old) - blob_ids(whole))
        return "changed" if earlier else "new"

    def find(
        self, criteria: Mapping[str, Any] | None = None, properties: Sequence[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        """References that match a MongoDB query, with all of their fields or those named.

        Raises
        ------
        PetFlowsError
            The query is no MongoDB query.
        """
        with refusals_said():
            refuse_impossible(criteria, properties)
            yield from self.collection.find(dict(criteria or {}), list(properties or ()) or None)

    @patient
    def get(self, key: str) -> dict[str, Any] | None:
        """One whole document, or None."""
        found: dict[str, Any] | None = self.collection.find_one({"_id": key})
        return found

    def blob(self, document: Mapping[str, Any], name: str) -> dict[str, np.ndarray]:
        """Arrays of a reference.

        Raises
        ------
        PetFlowsError
            It has none of this name.
        """
        if name not in document["blobs"]:
            raise PetFlowsError(
                f"Reference {document['_id']} has no arrays {name!r}: add it again from a "
                "source that has them."
            )
        return self.blobs.read(document["blobs"][name])

    @patient
    def remove(self, criteria: Mapping[str, Any]) -> int:
        """Remove references and their arrays; says how many. PetFlowsError if it is no query."""
        found = list(self.find(criteria, ["blobs"]))
        for document in found:
            self.collection.delete_many({"_id": document["_id"]})
            self.blobs.remove(blob_ids(document))
        return len(found)


def stored_date(date: datetime | None) -> datetime | None:
    """Give a date as BSON keeps it: UTC without saying so, milliseconds."""
    if date is None:
        return None
    if date.tzinfo is not None:
        date = date.astimezone(UTC).replace(tzinfo=None)
    return date.replace(microsecond=date.microsecond // 1000 * 1000)


def _as_stored(value: Any) -> Any:
    """Give a document as it is read again, so that the same is found to be the same.

    Raises
    ------
    PetFlowsError
        A number is NaN or infinite, which can break a server's connection.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise PetFlowsError(
            f"The reference holds a number that is {value}: correct it where it comes from."
        )
    if isinstance(value, datetime):
        return stored_date(value)
    if isinstance(value, Mapping):
        return {str(name): _as_stored(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple):
        return [_as_stored(inside) for inside in value]
    return value


def _same(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    names = (old.keys() | new.keys()) - {"last_updated"}
    return all(old.get(n) == new.get(n) for n in names)
