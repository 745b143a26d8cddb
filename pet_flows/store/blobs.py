"""Large arrays in the additional store ``data``, one immutable document per blob."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from maggma.core import Store

from pet_flows.errors import PetFlowsError

Arrays = Mapping[str, np.ndarray]
#: kind of numbers and texts that a blob may hold: no Python objects
_KINDS = "biufcUS"


def encode(arrays: Arrays) -> dict[str, Any]:
    """Give arrays as a compressed npz file in base64, which every maggma store can hold.

    Returns
    -------
    dict
        ``format``, ``arrays`` (name → shape and dtype, to look at), ``npz``.
    """
    converted = {name: np.asarray(array) for name, array in arrays.items()}
    for name, array in converted.items():
        if array.dtype.kind not in _KINDS:
            raise TypeError(f"array {name!r} of a blob has dtype {array.dtype}, not numbers")
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


def decode(content: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Inverse of `encode`."""
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

    def write(self, key: str, blobs: Mapping[str, Arrays]) -> dict[str, str]:
        """Write the blobs of one record.

        The id of a blob is a digest of its content: writing the same again changes nothing, and
        two processes that computed the same record do not overwrite each other's.

        Returns
        -------
        dict
            Name → id, for the record's ``blobs``.
        """
        ids = {}
        for name, arrays in blobs.items():
            content = encode(arrays)
            digest = hashlib.sha256(f"{key}\n{name}\n{content['npz']}".encode()).hexdigest()
            ids[name] = digest[:32]
            document = {"blob_uuid": ids[name], "record": key, "name": name, "data": content}
            self.data.update(document, key="blob_uuid")
        return ids

    def read(self, blob_id: str) -> dict[str, np.ndarray]:
        """Arrays of one blob.

        Raises
        ------
        PetFlowsError
            It is not there.
        """
        return decode(self._document(blob_id))

    def _document(self, blob_id: str) -> dict[str, Any]:
        document = self.data.query_one({"blob_uuid": blob_id})
        if document is None:
            raise PetFlowsError(
                f"Blob {blob_id} is not in the additional store 'data'; use the jobflow.yaml with "
                "which its record was written."
            )
        content: dict[str, Any] = document["data"]
        return content

    def shapes(self, blob_id: str) -> dict[str, tuple[int, ...]]:
        """Shape of each array of one blob, without decoding it; PetFlowsError as `read`."""
        return {
            name: tuple(about["shape"]) for name, about in self._document(blob_id)["arrays"].items()
        }

    def remove(self, blob_ids: Iterable[str]) -> None:
        """Remove blobs that no record names."""
        ids = list(blob_ids)
        if ids:
            self.data.remove_docs({"blob_uuid": {"$in": ids}})
