"""Arrays: small ones within the document they belong to, larger ones in the store ``data``."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from maggma.core import Store
from maggma.stores import GridFSStore

from pet_flows.errors import PetFlowsError
from pet_flows.store import buckets

Arrays = Mapping[str, np.ndarray]
#: what a document's ``blobs`` hold by name: the id of a blob, or the arrays themselves
Blob = str | Mapping[str, Any]
#: bytes of a blob that stays in its document; bytes of all that stay in one
INLINE, ALL_INLINE = 16_384, 65_536
#: kind of numbers and texts that a blob may hold: no Python objects
_KINDS = "biufcUS"


def encode(arrays: Arrays) -> dict[str, Any]:
    """Give arrays as a compressed npz file in base64, which every maggma store can hold.

    Returns
    -------
    dict
        ``format``, ``arrays`` (name → shape and dtype, to look at), ``npz``.
    """
    converted = _converted(arrays)
    stream = io.BytesIO()
    np.savez_compressed(stream, allow_pickle=False, **converted)
    return {
        "format": "npz",
        "arrays": {
            name: {"shape": list(array.shape), "dtype": str(array.dtype)}
            for name, array in converted.items()
        },
        "npz": base64.b64encode(stream.getvalue()).decode(),
    }


def encode_inline(arrays: Arrays) -> dict[str, Any]:
    """Give small arrays as they stand in a document, their numbers as BSON's binary data.

    Returns
    -------
    dict
        ``format``, ``arrays`` (name → shape, dtype and the bytes, C order).
    """
    return {
        "format": "bytes",
        "arrays": {
            name: {"shape": list(a.shape), "dtype": a.dtype.str, "bytes": a.tobytes()}
            for name, a in _converted(arrays).items()
        },
    }


def _converted(arrays: Arrays) -> dict[str, np.ndarray]:
    converted = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in converted.items():
        if array.dtype.kind not in _KINDS:
            raise TypeError(f"array {name!r} of a blob has dtype {array.dtype}, not numbers")
    return converted


def decode(content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Inverse of `encode` and of `encode_inline`."""
    if content["format"] == "bytes":
        return {
            name: np.frombuffer(about["bytes"], about["dtype"]).reshape(about["shape"]).copy()
            for name, about in content["arrays"].items()
        }
    stream = io.BytesIO(base64.b64decode(content["npz"]))
    with np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


class BlobStore:
    """Blobs of records, in the layout that jobflow uses for its own.

    Parameters
    ----------
    data
        The JobStore's additional store ``data``, connected.
    """

    def __init__(self, data: Store):
        self.data = data

    def write(self, key: str, blobs: Mapping[str, Arrays]) -> dict[str, Blob]:
        """Write the large ones among the blobs of one document; give all for its ``blobs``.

        The id of a blob is a digest of its content: writing the same again changes nothing, and
        two processes that computed the same record do not overwrite each other's.

        Returns
        -------
        dict
            Name → the arrays, of small blobs; name → id, of those that were written.
        """
        found: dict[str, Blob] = {}
        inside = 0
        for name, arrays in blobs.items():
            size = sum(np.asarray(array).nbytes for array in arrays.values())
            if size <= INLINE and inside + size <= ALL_INLINE:
                inside += size
                found[name] = encode_inline(arrays)
                continue
            content = encode(arrays)
            digest = hashlib.sha256(f"{key}\n{name}\n{content['npz']}".encode()).hexdigest()
            found[name] = digest[:32]
            self.put(digest[:32], key, name, content)
        return found

    def put(self, id_: str, key: str, name: str, content: Mapping[str, Any]) -> None:
        """Write one large blob of a document; the time says that it is not yet nobody's.

        Parameters
        ----------
        id_
            Of the blob.
        key, name
            Of the document that is going to name it, and of the blob there.
        content
            As `encode` gives it.
        """
        now = datetime.now(UTC).replace(tzinfo=None)
        document: dict[str, Any] = {"blob_uuid": id_, "record": key, "name": name, "data": content}
        document[self.data.last_updated_field] = now
        if isinstance(self.data, GridFSStore):
            self.data.update(document, key="blob_uuid", additional_metadata="record")
        elif buckets.is_bucket(self.data):
            buckets.put(self.data, document)
        else:
            self.data.update(document, key="blob_uuid")

    def read(self, blob: Blob) -> dict[str, np.ndarray]:
        """Arrays of one blob.

        Parameters
        ----------
        blob
            As it stands in a document's ``blobs``.

        Raises
        ------
        PetFlowsError
            It is not there.
        """
        return decode(self._content(blob))

    def _content(self, blob: Blob) -> Mapping[str, Any]:
        if not isinstance(blob, str):
            return blob
        if buckets.is_bucket(self.data):
            document = buckets.read(self.data, blob)
        else:
            document = self.data.query_one({"blob_uuid": blob})
        if document is None:
            raise PetFlowsError(
                f"Blob {blob} is not in the additional store 'data'; use the jobflow.yaml with "
                "which its record was written."
            )
        content: dict[str, Any] = document["data"]
        return content

    def shapes(self, blob: Blob) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one blob, without decoding it; PetFlowsError as `read`."""
        return {
            name: tuple(about["shape"]) for name, about in self._content(blob)["arrays"].items()
        }

    def there(self, ids: Collection[str]) -> set[str]:
        """Which of these blobs are there, without reading any."""
        wanted, found = sorted(ids), set()
        # GridFS keeps the id in its metadata, and reads a file for whatever else is asked
        in_files = isinstance(self.data, GridFSStore)
        field = "metadata" if in_files else "blob_uuid"
        for start in range(0, len(wanted), 1000):
            some = {"blob_uuid": {"$in": wanted[start : start + 1000]}}
            for document in self.data.query(some, [field]):
                about = document["metadata"] if in_files else document
                found.add(about["blob_uuid"])
        return found

    def remove_unnamed(self, ids: Sequence[str], before: datetime) -> None:
        """Remove blobs that nobody names, unless somebody wrote them again since a time (UTC)."""
        at = self.data.last_updated_field
        in_files = isinstance(self.data, GridFSStore)
        olds: list[dict[str, Any]] = [{"uploadDate" if in_files else at: {"$lt": before}}]
        if not in_files:  # those of before have no time
            olds.append({at: {"$exists": False}})
        for start in range(0, len(ids), 500):
            for old in olds:
                some = {"blob_uuid": {"$in": list(ids[start : start + 500])}}
                self._remove({**some, **old})

    def remove(self, blob_ids: Iterable[str]) -> None:
        """Remove blobs that no record names."""
        ids = list(blob_ids)
        if ids:
            self._remove({"blob_uuid": {"$in": ids}})

    def _remove(self, criteria: dict[str, Any]) -> None:
        if buckets.is_bucket(self.data):
            buckets.remove(self.data, criteria)
        else:
            self.data.remove_docs(criteria)
