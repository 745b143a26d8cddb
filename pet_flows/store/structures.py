"""Input structures by their digest, so that jobs hold references and stay small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pymatgen.core import Structure

from pet_flows.records.build import MAX_ATOMS_INSIDE
from pet_flows.records.kept import Kept
from pet_flows.records.keys import structure_digest
from pet_flows.records.metadata import metadata
from pet_flows.records.structures import structure_of_arrays
from pet_flows.store.blobs import BlobStore
from pet_flows.store.patience import patient
from pet_flows.store.writes import chunks, insert_new

_SHOWN = ("formula_pretty", "chemsys", "elements", "nelements", "nsites")


class Structures:
    """The collection ``pet_structures``.

    Parameters
    ----------
    collection
        Of pymongo, or of the embedded store.
    blobs
        Where structures above 200 atoms go.
    """

    def __init__(self, collection: Any, blobs: BlobStore):
        self.collection = collection
        self.blobs = blobs

    def put(self, structures: Sequence[Structure]) -> list[str]:
        """Store structures that are not there yet; returns their digests, in order."""
        digests = [structure_digest(structure) for structure in structures]
        self.put_as(dict(zip(digests, structures, strict=True)))
        return digests

    @patient
    def put_as(self, by_digest: Mapping[str, Structure]) -> None:
        """Store structures, by the digest that each has, that are not there yet."""
        for keys in chunks(list(by_digest)):
            known = {d["_id"] for d in self.collection.find({"_id": {"$in": keys}}, {"_id": 1})}
            new = [self._document(key, by_digest[key]) for key in keys if key not in known]
            insert_new(self.collection, new)

    @patient
    def get(self, digests: Sequence[str]) -> dict[str, Structure]:
        """Structures by digest; those that are not there are left out."""
        found = {}
        for keys in chunks(list(dict.fromkeys(digests))):
            for document in self.collection.find({"_id": {"$in": keys}}):
                if document["structure"] is not None:
                    found[document["_id"]] = Structure.from_dict(document["structure"])
                else:
                    arrays = self.blobs.read(document["blobs"]["structure"])
                    found[document["_id"]] = structure_of_arrays(arrays)
        return found

    def _document(self, digest: str, structure: Structure) -> dict[str, Any]:
        kept = Kept.of(structure)
        head = metadata(kept, None)
        document = {"_id": digest, **{name: head[name] for name in _SHOWN}}
        if len(kept) > MAX_ATOMS_INSIDE:
            ids = self.blobs.write(digest, {"structure": kept.arrays()})
            return {**document, "structure": None, "blobs": ids}
        return {**document, "structure": kept.document(), "blobs": {}}
