"""Blobs in a bucket of S3: what maggma's store of it does otherwise than those of databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from maggma.core import Store
from maggma.stores import S3Store

#: field by which objects are named: jobflow gives it to every store `data`
KEY = "blob_uuid"


def is_bucket(data: Store) -> bool:
    """Whether a store keeps its content in a bucket, and an index of it elsewhere."""
    return isinstance(data, S3Store)


def put(data: Any, document: Mapping[str, Any]) -> None:
    """Write one blob, and what is asked of it into the index."""
    # jobflow lets the store take its own fields from every document
    jobs = dict.fromkeys(data.searchable_fields)
    data.update({**jobs, **document}, key=KEY, additional_metadata=["record", "name"])


def remove(data: Any, criteria: Mapping[str, Any]) -> None:
    """Remove blobs from the index and from the bucket, where they would stay otherwise."""
    data.remove_docs(criteria, remove_s3_object=True)


def objects(data: Any) -> set[str]:
    """Ids of what lies in the bucket."""
    found = data.s3_bucket.objects.filter(Prefix=data.sub_dir)
    return {one.key.removeprefix(data.sub_dir) for one in found}
