"""ResultStore: the only writer of records, and what reads them."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Structure

from pet_flows.errors import PetFlowsError
from pet_flows.records.structures import structure_of_arrays
from pet_flows.settings import get_settings
from pet_flows.store.batches import Batches
from pet_flows.store.blobs import Arrays, BlobStore
from pet_flows.store.campaigns import Campaigns
from pet_flows.store.collections import Connected, connect, ensure_indexes
from pet_flows.store.damage import usable
from pet_flows.store.leases import Leases
from pet_flows.store.locate import open_job_store
from pet_flows.store.meaning import refusals_said, refuse_impossible
from pet_flows.store.patience import patient
from pet_flows.store.put import Computed, add_sources, put_records
from pet_flows.store.references import References
from pet_flows.store.repeated import is_to_be_repeated
from pet_flows.store.runs import Runs
from pet_flows.store.structures import Structures
from pet_flows.store.writes import chunks, replace_all

if TYPE_CHECKING:
    from jobflow import JobStore


class ResultStore:
    """Records, campaigns, references and comparisons beside the job outputs of one database.

    Every write is idempotent: done twice it changes nothing, and several processes may write the
    same records to MongoDB at once. Make one with `open` or `from_job_store`.

    Parameters
    ----------
    connected
        The open collections and the store of the blobs.

    Attributes
    ----------
    campaigns, structures, batches, leases, references, runs, blobs
        What lies beside the records, each of the class of its name.
    """

    def __init__(self, connected: Connected):
        by_name = connected.by_name
        self.records = by_name["records"]
        self.comparisons = by_name["comparisons"]
        self.blobs = BlobStore(connected.data)
        self.references = References(by_name["references"], self.blobs)
        self.campaigns = Campaigns(by_name["campaigns"])
        self.structures = Structures(by_name["structures"], self.blobs)
        self.batches = Batches(by_name["batches"])
        self.leases = Leases(by_name["leases"])
        self.runs = Runs(by_name["runs"], self.records, self.blobs)
        self._by_name = by_name
        # also when it is merely forgotten: a notebook must not keep the lock of the file
        self.close = weakref.finalize(self, connected.resources.close)

    @classmethod
    def open(cls, read_only: bool = False) -> ResultStore:
        """Results in the user's database, or in the embedded store where there is none.

        Raises
        ------
        PetFlowsError
            jobflow.yaml cannot be used, or the embedded store is being written or is not there.
        """
        with ExitStack() as opened:
            job_store = open_job_store(read_only)
            opened.callback(job_store.close)
            connected = connect(job_store, read_only)
            connected.resources.callback(opened.pop_all().close)
        return cls(connected)

    @classmethod
    def from_job_store(cls, job_store: JobStore, read_only: bool = False) -> ResultStore:
        """Results beside the outputs of a JobStore; see `pet_flows.store.collections.connect`."""
        return cls(connect(job_store, read_only))

    def __enter__(self) -> ResultStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ensure_indexes(self) -> None:
        """Make the indexes that are missing."""
        ensure_indexes(self._by_name)

    @patient
    def needs(self, keys: Sequence[str], retry_failed: bool = False) -> list[str]:
        """Which of these records are to be computed, in the given order, each once.

        Damaged ones are, as if they were not there.

        Parameters
        ----------
        keys
            Of records.
        retry_failed
            Whether every failed one is; otherwise those that are retryable and were tried less
            than ``max_attempts`` times.
        """
        most = get_settings().max_attempts
        done = set()
        wanted = list(dict.fromkeys(keys))
        for key, head in self.usable(wanted, ("state", "retryable", "attempts")).items():
            if not is_to_be_repeated(head, retry_failed, most):
                done.add(key)
        return [key for key in wanted if key not in done]

    @patient
    def usable(self, keys: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Fields of those of the records that are there and whole; see `store.damage.usable`."""
        return usable(self.records, self.blobs, keys, fields)

    @patient
    def existing(
        self, keys: Sequence[str], fields: Sequence[str] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Records that are there, by key: without their input structure, or some fields only."""
        wanted = {"input_structure": 0} if fields is None else dict.fromkeys(fields, 1)
        return {
            record["_id"]: record
            for chunk in chunks(list(dict.fromkeys(keys)), 200 if fields is None else 1000)
            for record in self.records.find({"_id": {"$in": chunk}}, wanted)
        }

    def put(self, record: Mapping[str, Any], blobs: Mapping[str, Arrays] | None = None) -> None:
        """Store one record; see `put_all`."""
        self.put_all([(record, blobs or {})])

    @patient
    def put_all(self, computed: Sequence[Computed]) -> None:
        """Store records: new, or in place of worse ones. Of others only the sources are added.

        Their blobs are written first, so that no document names what is not there. However many
        records are new, two commands ask for and insert them.

        Parameters
        ----------
        computed
            Records, as `pet_flows.records.build.build_record` makes them, with ``_id``, and their
            blobs by name.

        Raises
        ------
        PetFlowsError
            One is above 1 MB (none is stored then), or MongoDB stays away.
        """
        put_records(self.records, self.blobs, computed)

    def add_source(self, key: str, source: Mapping[str, Any]) -> None:
        """Let one more campaign or identifier refer to a record; the same again changes nothing."""
        self.add_sources([(key, source)])

    @patient
    def add_sources(self, given: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
        """Let more campaigns or identifiers refer to records, by key; see `add_source`."""
        add_sources(self.records, given)

    @patient
    def get(self, key: str) -> dict[str, Any] | None:
        """One whole record, or None."""
        found: dict[str, Any] | None = self.records.find_one({"_id": key})
        return found

    def query(
        self,
        criteria: Mapping[str, Any] | None = None,
        properties: Sequence[str] | Mapping[str, Any] | None = None,
        sort: Mapping[str, int] | None = None,
        limit: int = 0,
    ) -> Iterator[dict[str, Any]]:
        """Records that match a MongoDB query.

        Parameters
        ----------
        criteria
            As for pymongo's ``find``; everything without it.
        properties
            Fields that are wanted, all without it.
        sort
            Field → 1 or -1.
        limit
            At most so many; 0 for all.

        Raises
        ------
        PetFlowsError
            The query is no MongoDB query.
        """
        with refusals_said():
            refuse_impossible(criteria, properties, sort, limit)
            order = list((sort or {}).items())
            yield from self.records.find(
                dict(criteria or {}), properties or None, sort=order or None, limit=limit
            )

    def count(self, criteria: Mapping[str, Any] | None = None) -> int:
        """How many records match a MongoDB query; PetFlowsError if it is none."""
        with refusals_said():
            refuse_impossible(criteria)
            return int(self.records.count_documents(dict(criteria or {})))

    def blob(self, key: str, name: str) -> dict[str, np.ndarray]:
        """Arrays of a record.

        Raises
        ------
        PetFlowsError
            There is no such record, or it has no such blob.
        """
        record = self.records.find_one({"_id": key}, {"blobs": 1})
        if record is None:
            raise PetFlowsError(
                f"There is no record {key} in this store: list those there are with pet-flows "
                "query."
            )
        if name not in record["blobs"]:
            raise PetFlowsError(
                f"Record {key} has no blob {name!r}: choose from {', '.join(record['blobs'])}."
                if record["blobs"]
                else f"Record {key} has no blobs: read its result instead."
            )
        return self.blobs.read(record["blobs"][name])

    def final_structure(self, record: Mapping[str, Any]) -> Structure:
        """Structure at the end of a record; its input where nothing moved.

        Raises
        ------
        PetFlowsError
            It has neither.
        """
        return self._structure(record, ("structure", "input_structure"))

    def input_structure(self, record: Mapping[str, Any]) -> Structure:
        """Structure that a record started from; PetFlowsError if nothing could be read."""
        return self._structure(record, ("input_structure",))

    def _structure(self, record: Mapping[str, Any], names: Sequence[str]) -> Structure:
        for name in names:
            if record.get(name):
                return Structure.from_dict(dict(record[name]))
            if name in record["blobs"]:
                return structure_of_arrays(self.blobs.read(record["blobs"][name]))
            if name not in record and (whole := self.get(record["_id"])):
                return self._structure(whole, names)
        raise PetFlowsError(
            f"Record {record['_id']} has no structure ({record['message']}); correct its input "
            "and compute it again."
        )

    @patient
    def put_comparisons(self, documents: Iterable[Mapping[str, Any]]) -> None:
        """Store comparisons of records with references; the same ``_id`` is replaced."""
        replace_all(self.comparisons, documents)

    @patient
    def remove_comparisons(self, ids: Sequence[str]) -> None:
        """Remove comparisons by their ``_id``."""
        for chunk in chunks(list(ids)):
            self.comparisons.delete_many({"_id": {"$in": chunk}})
