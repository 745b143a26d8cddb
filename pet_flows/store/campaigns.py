"""Campaigns: what they are about, and the growing sets of their structures and records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pymongo.errors import DuplicateKeyError

from pet_flows.errors import PetFlowsError
from pet_flows.records.keys import digest
from pet_flows.store.manifests import merged
from pet_flows.store.patience import patient
from pet_flows.store.writes import refuse_large

#: keys of one document: 5000 of them have about 0.2 MB
KEYS_PER_PAGE = 5000
#: documents of a campaign whose size nobody announced
DEFAULT_PAGES = 16
#: characters of a name, which every record of the campaign has
LONGEST_NAME = 200


class Campaigns:
    """The collection ``pet_campaigns``.

    A campaign's document (``_id`` its name) holds manifest and digest. The keys of its records, and
    the digests of the structures it was given, are spread over ``n_pages`` lists by what they are,
    so that adding one again changes nothing and no document grows beyond 1 MB: the first lists are
    in the document itself, and the only ones for up to 5000 records; the others are in documents
    ``name#1``, ``name#2``, ... A campaign may grow by structures, properties and potentials.

    Parameters
    ----------
    collection
        Of pymongo, or of the embedded store.
    """

    def __init__(self, collection: Any):
        self.collection = collection

    @patient
    def put(self, manifest: Mapping[str, Any], n_records: int | None = None) -> str:
        """Register a campaign, or add to it; the same manifest again changes nothing.

        Parameters
        ----------
        manifest
            With ``name``; its ``properties`` and ``potentials`` may be more than before. What else
            it says is the campaign's own, and never changes.
        n_records
            How many records are expected, by which the lists of keys are made.

        Returns
        -------
        Digest of the manifest.

        Raises
        ------
        PetFlowsError
            There is a campaign of this name with other settings of one of its properties.
        """
        name = str(manifest["name"])
        if not name.strip():
            raise PetFlowsError("A campaign's name is empty: give it one.")
        if len(name) > LONGEST_NAME or name != name.encode(errors="ignore").decode():
            raise PetFlowsError(
                f"A campaign's name must be text of at most {LONGEST_NAME} characters (got "
                f"{name!r:.50})."
            )
        if "#" in name:
            raise PetFlowsError(f"A campaign's name must have no # in it (got {name!r}).")
        given = int(manifest.get("n_inputs", 0)) * max(1, len(manifest.get("properties", ())))
        n_pages = -(-(n_records or given) // KEYS_PER_PAGE) or DEFAULT_PAGES
        refuse_large(manifest, f"The manifest of campaign {name!r}")
        while True:
            there = self.collection.find_one({"_id": name}, {"manifest": 1, "digest": 1})
            if there is None:
                content = {"manifest": dict(manifest), "digest": digest(manifest)}
                try:
                    self.collection.insert_one(_new(name, n_pages, content))
                except DuplicateKeyError:  # another process was faster
                    continue
                return str(content["digest"])
            whole = merged(there["manifest"], manifest)
            if there["manifest"] is not None and whole == there["manifest"]:
                return str(there["digest"])
            refuse_large(whole, f"The manifest of campaign {name!r}")
            new = digest(whole)
            change = {"$set": {"manifest": whole, "digest": new}}
            same = {"_id": name, "digest": there["digest"]}
            if self.collection.update_one(same, change).matched_count:
                return new

    @patient
    def add_keys(self, name: str, keys: Sequence[str], structures: Sequence[str] = ()) -> None:
        """Add keys of records, and digests of structures; those there already change nothing."""
        there = self.collection.find_one({"_id": name}, {"n_pages": 1})
        if there is None:
            try:
                self.collection.insert_one(
                    _new(name, DEFAULT_PAGES, {"manifest": None, "digest": None})
                )
            except DuplicateKeyError:
                return self.add_keys(name, keys, structures)
            there = {"n_pages": DEFAULT_PAGES}
        pages: dict[int, dict[str, list[str]]] = {}
        for kind, members in (("keys", keys), ("structures", structures)):
            for member in members:
                page = pages.setdefault(_page(member, there["n_pages"]), {})
                page.setdefault(kind, []).append(member)
        for number, lists in pages.items():
            self._add_to_page(name, number, lists)
        return None

    @patient
    def spread(self, name: str, n_more: int) -> None:
        """Spread the lists of a campaign over more documents, where it grows.

        For whoever alone submits to it. What others add meanwhile, where it was to be before, is
        found all the same.

        Parameters
        ----------
        name
            Of the campaign.
        n_more
            Records that come to those there were when `count` counted them.
        """
        head = self.collection.find_one({"_id": name}, {"n_pages": 1, "n_records": 1})
        n_pages = -(-((head or {}).get("n_records", 0) + n_more) // KEYS_PER_PAGE)
        if head is None or n_pages <= 2 * head["n_pages"]:
            return
        self.collection.update_one({"_id": name}, {"$set": {"n_pages": n_pages}})
        for page in list(self.collection.find({"campaign": name}, {"page": 1})):
            whole = self.collection.find_one({"_id": page["_id"]}) or {}
            moved = {
                kind: [k for k in whole.get(kind, ()) if _page(k, n_pages) != page["page"]]
                for kind in ("keys", "structures")
            }
            self.add_keys(name, moved["keys"], moved["structures"])
            taken = {kind: {"$in": members} for kind, members in moved.items() if members}
            if taken:
                self.collection.update_one({"_id": page["_id"]}, {"$pull": taken})

    @patient
    def count(self, name: str) -> tuple[int, int]:
        """Count different structures and records of a campaign, and keep the numbers.

        Returns
        -------
        n_structures, n_records
        """
        pages = [page["_id"] for page in self.collection.find({"campaign": name}, {"_id": 1})]
        counts = []
        for kind in ("structures", "keys"):
            members = [np.empty(0, "u8")]
            for page in pages:  # one at a time: together they are large
                there = self.collection.find_one({"_id": page}, {kind: 1}) or {}
                members.append(np.array([int(k[:16], 16) for k in there.get(kind, ())], "u8"))
            counts.append(len(np.unique(np.concatenate(members))))
        n_structures, n_records = counts
        kept = {"n_structures": n_structures, "n_records": n_records}
        self.collection.update_one({"_id": name}, {"$set": kept})
        return n_structures, n_records

    def get(self, name: str) -> dict[str, Any]:
        """Campaign with all of its keys.

        Returns
        -------
        dict
            ``name``, ``manifest``, ``digest``, ``created``, ``keys``.

        Raises
        ------
        PetFlowsError
            There is none of this name.
        """
        pages = list(self.collection.find({"campaign": name}, sort=[("page", 1)]))
        if not pages:
            raise self._unknown(name)
        first = pages[0]
        return {
            "name": name,
            **{field: first[field] for field in ("manifest", "digest", "created")},
            "keys": list(dict.fromkeys(key for page in pages for key in page["keys"])),
        }

    def head(self, name: str) -> dict[str, Any]:
        """``manifest``, None where nobody registered it as a whole, and what `count` counted.

        Raises
        ------
        PetFlowsError
            There is no such campaign.
        """
        fields = {"manifest": 1, "n_structures": 1, "n_records": 1}
        found: dict[str, Any] | None = self.collection.find_one({"_id": name}, fields)
        if found is None:
            raise self._unknown(name)
        return found

    def _unknown(self, name: str) -> PetFlowsError:
        known = self.names()
        return PetFlowsError(
            f"There is no campaign {name!r} in this store: "
            + (f"choose from {', '.join(known[:20])}." if known else "run pet-flows screen first.")
        )

    def names(self) -> list[str]:
        """Names of all campaigns, the latest first."""
        found = self.collection.find({"page": 0}, {"_id": 1}, sort=[("created", -1)])
        return [document["_id"] for document in found]

    def _add_to_page(self, name: str, number: int, lists: Mapping[str, list[str]]) -> None:
        change = {"$addToSet": {kind: {"$each": members} for kind, members in lists.items()}}
        page = {"_id": f"{name}#{number}" if number else name}
        if self.collection.update_one(page, change).matched_count:
            return
        try:
            new = {**page, "campaign": name, "page": number, "keys": [], **lists}
            self.collection.insert_one(new)
        except DuplicateKeyError:  # another process was faster
            self.collection.update_one(page, change)


def _page(key: str, n_pages: int) -> int:
    return int(key[:8], 16) % n_pages


def _new(name: str, n_pages: int, content: dict[str, Any]) -> dict[str, Any]:
    """First document of a campaign."""
    now = datetime.now(UTC).replace(tzinfo=None)
    head = {"_id": name, "campaign": name, "page": 0, "n_pages": n_pages}
    return {**head, **content, "created": now, "keys": [], "structures": []}
