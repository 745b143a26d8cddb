"""The collections of results beside the outputs of a JobStore, and their indexes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maggma.core import Store
from maggma.stores import JSONStore
from pymongo.errors import OperationFailure

from pet_flows.store.access import is_refusal, refused
from pet_flows.store.locate import (
    configured_job_store,
    connect_configured,
    data_store,
    embedded_job_store,
    is_process_local,
    refuse_divided,
)
from pet_flows.store.patience import patient
from pet_flows.store.sqlite import SqliteStore
from pet_flows.store.sqlite_collection import SqliteCollection
from pet_flows.store.sqlite_file import DatabaseFile

if TYPE_CHECKING:
    from jobflow import JobStore

logger = logging.getLogger(__name__)

#: name → indexes of the collection ``pet_<name>``; never two lists in one index, which MongoDB
#: refuses
INDEXES: dict[str, tuple[tuple[str, ...], ...]] = {
    "records": (
        ("sources.campaign", "property", "state"),
        ("sources.campaign", "formula_pretty", "property"),
        ("sources.campaign", "last_updated"),
        ("property", "potential.digest", "last_updated"),
        ("sources.material_id", "property"),
        ("chemsys", "property", "potential.digest"),
        ("elements",),
        ("parent",),
        ("last_updated",),
    ),
    "references": (
        ("formula_pretty", "property", "level.digest"),
        ("material_ids",),
        ("records",),
        ("source.identity", "property"),
        ("last_updated",),
    ),
    "comparisons": (("campaigns", "property"), ("record",), ("reference",)),
    "campaigns": (("campaign", "page"),),
    "structures": (("chemsys",),),
    "batches": (),
    "runs": (),
    "leases": (("owner",),),
}
#: databases whose indexes this process has made
_indexed: set[tuple[int, str]] = set()


@dataclass(frozen=True)
class Connected:
    """Where results are, open.

    Parameters
    ----------
    by_name
        The collections, of pymongo or of the embedded store.
    data
        Store of the blobs.
    resources
        To be closed at the end.
    """

    by_name: Mapping[str, Any]
    data: Store
    resources: ExitStack = field(default_factory=ExitStack)


def connect(job_store: JobStore, read_only: bool = False) -> Connected:
    """Open the collections beside a JobStore's outputs.

    Parameters
    ----------
    job_store
        On MongoDB or on the embedded store; for any other (in memory, in a JSON file) the
        embedded store of the settings is taken.
    read_only
        Whether indexes are left as they are.

    Raises
    ------
    PetFlowsError
        It has no additional store ``data``, or one that ends with this process beside documents
        that do not; or the embedded store cannot be opened.
    """
    refuse_divided(job_store)
    with ExitStack() as resources:
        if is_process_local(job_store.docs_store):
            job_store = _lasting(job_store, read_only)
            resources.callback(job_store.close)
        data = data_store(job_store)
        docs = job_store.docs_store
        docs.connect()
        data.connect()
        if isinstance(docs, SqliteStore):
            file = DatabaseFile.open(Path(docs.path), read_only)
            resources.callback(file.release)
            by_name: Mapping[str, Any] = _embedded(file)
            where = (file.path.stat().st_ino, str(file.path))
        else:
            database = docs._collection.database
            by_name = {name: database[f"pet_{name}"] for name in INDEXES}
            where = (hash(database.client), database.name)
        if not read_only and where not in _indexed:
            ensure_indexes(by_name)
            data.ensure_index("blob_uuid")
            _indexed.add(where)
        return Connected(by_name, data, resources.pop_all())


def _lasting(job_store: JobStore, read_only: bool) -> JobStore:
    """Where results go whose job has a store of its own process."""
    # jobflow-remote gives its jobs files, which its runner puts into the database afterwards
    in_files = isinstance(job_store.docs_store, JSONStore)
    configured = configured_job_store() if in_files else None
    if configured is None:
        return embedded_job_store(read_only)
    connect_configured(configured)
    return configured


def _embedded(file: DatabaseFile) -> dict[str, SqliteCollection]:
    """Collections of the embedded store, made in one transaction where they are missing."""
    if file.read_only:
        return {name: SqliteCollection(file, f"pet_{name}") for name in INDEXES}
    with file.writing():
        by_name = {name: SqliteCollection(file, f"pet_{name}") for name in INDEXES}
        ensure_indexes(by_name)
    return by_name


@patient
def ensure_indexes(by_name: Mapping[str, Any]) -> None:
    """Make the indexes that are missing; without the right to do so, say it and go on."""
    for collection, indexes in INDEXES.items():
        for fields in indexes:
            try:
                by_name[collection].create_index([(name, 1) for name in fields])
            except OperationFailure as error:
                if is_refusal(error):
                    logger.warning("indexes are not looked after: %s", refused(error))
                    return
                listed = ", ".join(fields)
                logger.warning("no index on (%s) of pet_%s: %s", listed, collection, error)
