"""Campaigns: immutable manifests, and the growing sets of their records' keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import DuplicateKeyError

from pet_flows.errors import PetFlowsError
from pet_flows.records.keys import digest
from pet_flows.store.patience import patient
from pet_flows.store.writes import refuse_large

#: keys of one document: 5000 of them have about 0.2 MB
KEYS_PER_PAGE = 5000
#: documents of a campaign whose size nobody announced
DEFAULT_PAGES = 16
#: characters of a name, which every record of the campaign has
LONGEST_NAME = 200
#: settings that manifests held before they became execution, which no campaign is about
RETIRED = {"md": ("checkpoint_every",)}
#: what a user calls these entries of a manifest
SAID_AS = {"n_inputs": "structures", "inputs_digest": "structures"}


class Campaigns:
    """The collection ``pet_campaigns``.

    A campaign's document (``_id`` its name) holds manifest and digest. Its keys are spread over
    ``n_pages`` lists by their digest, so that adding one again changes nothing and no document
    grows beyond 1 MB: the first list is in the document itself, and the only one for up to 5000
    records; the others are in documents ``name#1``, ``name#2``, ...

    Parameters
    ----------
    collection
        Of pymongo, or of the embedded store.
    """

    def __init__(self, collection: Any):
        self.collection = collection

    @patient
    def put(self, manifest: Mapping[str, Any]) -> str:
        """Register a campaign; the same manifest again changes nothing.

        Parameters
        ----------
        manifest
            With ``name``; what else it says is the campaign's own, and never changes.

        Returns
        -------
        Digest of the manifest.

        Raises
        ------
        PetFlowsError
            There is a campaign of this name with another manifest.
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
        n_records = int(manifest.get("n_inputs", 0)) * max(1, len(manifest.get("properties", ())))
        n_pages = -(-n_records // KEYS_PER_PAGE) if n_records else DEFAULT_PAGES
        # floats of settings stay what they are; the digest compares what was asked for
        content: dict[str, Any] = {"manifest": dict(manifest), "digest": digest(manifest)}
        refuse_large(content, f"The manifest of campaign {name!r}")
        try:
            self.collection.insert_one(_new(name, n_pages, content))
        except DuplicateKeyError:
            there = self.collection.find_one({"_id": name}, {"manifest": 1, "digest": 1})
            if there["manifest"] is None:
                self.collection.update_one({"_id": name, "manifest": None}, {"$set": content})
            elif content["digest"] not in (there["digest"], digest(_today(there["manifest"]))):
                old, new = _today(there["manifest"]), content["manifest"]
                changed = [key for key in {**old, **new} if _differ(old.get(key), new.get(key))]
                changes = dict.fromkeys(SAID_AS.get(key, key) for key in changed)
                raise PetFlowsError(
                    f"There is a campaign {name!r} already, with other {', '.join(changes)}; a "
                    "campaign never changes: choose another name, or repeat what it was made with."
                ) from None
        return str(content["digest"])

    @patient
    def add_keys(self, name: str, keys: Sequence[str]) -> None:
        """Add keys of records; those that are there already change nothing."""
        there = self.collection.find_one({"_id": name}, {"n_pages": 1})
        if there is None:
            try:
                self.collection.insert_one(
                    _new(name, DEFAULT_PAGES, {"manifest": None, "digest": None})
                )
            except DuplicateKeyError:
                return self.add_keys(name, keys)
            there = {"n_pages": DEFAULT_PAGES}
        pages: dict[int, list[str]] = {}
        for key in keys:
            pages.setdefault(int(key[:8], 16) % there["n_pages"], []).append(key)
        for number, members in pages.items():
            self._add_to_page(name, number, members)
        return None

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

    def manifest(self, name: str) -> dict[str, Any] | None:
        """Manifest of a campaign, without its keys; None where nobody registered it as a whole.

        Raises
        ------
        PetFlowsError
            There is no such campaign.
        """
        found = self.collection.find_one({"_id": name}, {"manifest": 1})
        if found is None:
            raise self._unknown(name)
        content: dict[str, Any] | None = found["manifest"]
        return content

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

    def _add_to_page(self, name: str, number: int, keys: list[str]) -> None:
        change = {"$addToSet": {"keys": {"$each": keys}}}
        page = {"_id": f"{name}#{number}" if number else name}
        if self.collection.update_one(page, change).matched_count:
            return
        try:
            self.collection.insert_one({**page, "campaign": name, "page": number, "keys": keys})
        except DuplicateKeyError:  # another process was faster
            self.collection.update_one(page, change)


def _new(name: str, n_pages: int, content: dict[str, Any]) -> dict[str, Any]:
    """First document of a campaign."""
    now = datetime.now(UTC).replace(tzinfo=None)
    head = {"_id": name, "campaign": name, "page": 0, "n_pages": n_pages}
    return {**head, **content, "created": now, "keys": []}


def _today(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A stored manifest without the settings that are execution by now."""
    settings = {
        name: {key: v for key, v in of.items() if key not in RETIRED.get(name, ())}
        for name, of in manifest.get("settings", {}).items()
    }
    return {**manifest, **({"settings": settings} if settings else {})}


def _differ(old: Any, new: Any) -> bool:
    return digest(old) != digest(new)
