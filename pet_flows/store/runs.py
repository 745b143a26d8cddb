"""Unfinished trajectories: where they were last, so that any machine can go on with them.

Of each a document in ``pet_runs`` under the key of its record-to-be, which names the pieces of the
last checkpoint and of all frames before it; the pieces are in the store ``data``. The document
names pieces before they are written and after they are replaced, so that none is ever forgotten,
and who has the run: a process that it was taken from writes nothing any more.
"""

from __future__ import annotations

import logging
import socket
import uuid
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
from pymongo.errors import DuplicateKeyError, PyMongoError

from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.properties.md.backup import Saved
from pet_flows.properties.md.checkpoint import Damaged
from pet_flows.store.blobs import BlobStore, encode
from pet_flows.store.patience import ServerAwayError, brief, patient
from pet_flows.store.writes import chunks

logger = logging.getLogger(__name__)

#: bytes; a document of MongoDB holds 16 MB, and pieces are a third longer in base64
PIECE = 8_000_000
#: fields that name pieces
_PIECES = ("checkpoint", "frames", "begun", "replaced")


class Runs:
    """The collection ``pet_runs``.

    Parameters
    ----------
    collection, records
        ``pet_runs`` and ``pet_records``, of pymongo or of the embedded store.
    blobs
        Where pieces go.
    """

    def __init__(self, collection: Any, records: Any, blobs: BlobStore):
        self.collection, self.blobs = collection, blobs
        self._records = records

    def of(self, key: str) -> RunBackup:
        """The copies of one run, by the key of the record that it is for."""
        return RunBackup(self, key)

    @patient
    def remove_finished(self, keys: Iterable[str]) -> None:
        """Remove those of the runs whose records are there and final.

        Parameters
        ----------
        keys
            Of records that nobody else computes: one that is final may be computed again.
        """
        final = {"$or": [{"state": {"$ne": "failed"}}, {"retryable": {"$ne": True}}]}
        for chunk in chunks(list(keys)):
            for head in list(self.collection.find({"_id": {"$in": chunk}})):
                if self._records.find_one({"_id": head["_id"], **final}, {"_id": 1}) is not None:
                    self.forget(head)

    def forget(self, head: Mapping[str, Any]) -> None:
        """Remove a run as it was read, unless somebody has taken it over since."""
        self.collection.delete_many({"_id": head["_id"], "owner": head["owner"]})
        if self.collection.find_one({"_id": head["_id"]}, {"_id": 1}) is None:
            self.blobs.remove(pieces(head))


class RunBackup:
    """See :class:`pet_flows.properties.md.backup.Backup`."""

    def __init__(self, runs: Runs, key: str):
        self.key = key
        self._runs = runs
        self._owner = f"{socket.gethostname()} {uuid.uuid4().hex[:8]}"
        self._head: dict[str, Any] | None = None

    @patient
    def claim(self) -> Saved | None:
        """Take the run over from whoever had it; what there is of it.

        Raises
        ------
        StructureError
            ``run_in_use``: another process takes it over at the same time.
        """
        self._runs.collection.update_one({"_id": self.key}, {"$set": {"owner": self._owner}})
        head = self._head = self._runs.collection.find_one({"_id": self.key})
        if head is None:
            return None
        if head["owner"] != self._owner:  # what is being written is that process's by now
            raise self._taken()
        # what was being written, or removed, when a process died
        self._runs.blobs.remove([*head["begun"], *head["replaced"]])
        self._set(begun=[], replaced=[])
        if not head["checkpoint"]:
            return None
        return Saved(head["mark"], head["n_frames"], partial(self._read, head))

    def drop(self) -> None:
        """Remove the copy, unless another process has taken the run over."""
        mine = {"_id": self.key, "owner": self._owner}
        if (head := self._runs.collection.find_one(mine)) is not None:
            self._runs.forget(head)
        self._head = None

    def write(
        self, mark: str, step: int, checkpoint: bytes, frames: bytes, first: int, n_frames: int
    ) -> bool:
        """Replace the copy; False, and a line in the log, where that cannot be done now.

        Raises
        ------
        StructureError
            ``run_in_use``: another process has taken the run over. ``storage_error``: the copy was
            removed, and the frames in it.
        """
        try:
            self._write(mark, step, checkpoint, frames, first, n_frames)
        except StructureError:
            raise
        except (PyMongoError, PetFlowsError, OSError) as error:
            logger.warning("the run for record %s has no new copy (%s)", self.key, brief(error))
            return False
        return True

    def _write(
        self, mark: str, step: int, checkpoint: bytes, frames: bytes, first: int, n_frames: int
    ) -> None:
        old = self._head
        follows = old is not None and first == old["n_frames"] > 0
        new = {"checkpoint": _split(checkpoint), "frames": _split(frames)}
        ids = {name: [uuid.uuid4().hex for _ in parts] for name, parts in new.items()}
        begun = [*ids["checkpoint"], *ids["frames"]]
        if old is None:
            self._begin(begun)
        else:  # with those of an attempt that the server cut short
            self._set(begun=[*old["begun"], *begun])
        for name, parts in new.items():
            for id_, part in zip(ids[name], parts, strict=True):
                content = encode({"bytes": np.frombuffer(part, np.uint8)})
                self._runs.blobs.put(id_, self.key, name, content)
        before = pieces(old) if old is not None else set()
        kept = old["frames"] if old is not None and follows else []
        try:
            self._set(
                mark=mark, step=step, n_frames=n_frames, begun=[],
                checkpoint=ids["checkpoint"], frames=[*kept, *ids["frames"]],
                replaced=sorted(before - set(kept)), last_updated=_now(),
            )  # fmt: skip
        except StructureError:
            self._runs.blobs.remove(begun)
            raise
        self._runs.blobs.remove(before - set(kept))

    def _begin(self, begun: list[str]) -> None:
        head = {
            "_id": self.key, "owner": self._owner, "mark": "", "step": 0, "n_frames": 0,
            "checkpoint": [], "frames": [], "begun": begun, "replaced": [], "last_updated": _now(),
        }  # fmt: skip
        try:
            self._runs.collection.insert_one(dict(head))
        except DuplicateKeyError:  # ours, if a first attempt had arrived without an answer
            found = self._runs.collection.find_one({"_id": self.key}) or {}
            if found.get("owner") != self._owner:
                raise self._taken() from None
        self._head = head

    def _set(self, **fields: Any) -> None:
        mine = {"_id": self.key, "owner": self._owner}
        if not self._runs.collection.update_one(mine, {"$set": fields}).matched_count:
            raise self._taken()
        assert self._head is not None
        self._head = {**self._head, **fields}

    def _taken(self) -> StructureError:
        """Why the run is this process's no more."""
        head = self._runs.collection.find_one({"_id": self.key}, {"owner": 1})
        if head is None:
            return StructureError(
                "storage_error",
                "The copy of this run in the store was removed meanwhile: run it again.",
                retryable=True,
            )
        by = str(head["owner"]).partition(" ")[0]
        return StructureError(
            "run_in_use",
            f"This very run is computed by a process on {by}, which went on from its copy in the "
            "store; wait for it.",
            retryable=True,
        )

    def _read(self, head: dict[str, Any]) -> tuple[bytes, Iterator[bytes]]:
        read = patient(self._piece)
        checkpoint = b"".join(read(id_) for id_ in head["checkpoint"])
        return checkpoint, (read(id_) for id_ in head["frames"])

    def _piece(self, id_: str) -> bytes:
        try:
            return bytes(self._runs.blobs.read(id_)["bytes"])
        except ServerAwayError:
            raise
        except PetFlowsError as gone:
            raise Damaged(f"a piece is gone: {gone}") from None


def pieces(head: Mapping[str, Any]) -> set[str]:
    """Ids of the blobs that the document of a run names."""
    return {id_ for name in _PIECES for id_ in head.get(name) or []}


def _split(content: bytes) -> list[bytes]:
    return [content[first : first + PIECE] for first in range(0, len(content), PIECE)]


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
