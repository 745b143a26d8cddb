"""Blobs in a bucket of S3: what maggma's store of it does otherwise than those of databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError
from maggma.core import Store
from maggma.stores import S3Store

from pet_flows.store.patience import ServerAwayError, brief

#: field by which objects are named: jobflow gives it to every store `data`
KEY = "blob_uuid"


def is_bucket(data: Store) -> bool:
    """Whether a store keeps its content in a bucket, and an index of it elsewhere."""
    return isinstance(data, S3Store)


@contextmanager
def refusals_said() -> Iterator[None]:
    """Say in a sentence what S3 refuses, or that it does not answer.

    Raises
    ------
    ServerAwayError
        Instead of what boto3 and botocore raise, and maggma where a thread finds no bucket.
    """
    try:
        yield
    except (Boto3Error, BotoCoreError, ClientError, RuntimeError) as error:
        raise ServerAwayError(
            f"The bucket of the additional store 'data' cannot be used ({type(error).__name__}: "
            f"{brief(error)}); start its server, or correct its place, credentials or rights."
        ) from None


def put(data: Any, document: Mapping[str, Any]) -> None:
    """Write one blob, and what is asked of it into the index."""
    # jobflow lets the store take its own fields from every document
    jobs = dict.fromkeys(data.searchable_fields)
    with refusals_said():
        data.update({**jobs, **document}, key=KEY, additional_metadata=["record", "name"])


def read(data: Any, id_: str) -> dict[str, Any] | None:
    """Give one blob, or None."""
    with refusals_said():
        found: dict[str, Any] | None = data.query_one({KEY: id_})
    return found


def remove(data: Any, criteria: Mapping[str, Any]) -> None:
    """Remove blobs from the index and from the bucket, where they would stay otherwise."""
    with refusals_said():
        data.remove_docs(criteria, remove_s3_object=True)


def objects(data: Any) -> set[str]:
    """Ids of what lies in the bucket."""
    found = data.s3_bucket.objects.filter(Prefix=data.sub_dir)
    return {one.key.removeprefix(data.sub_dir) for one in found}
