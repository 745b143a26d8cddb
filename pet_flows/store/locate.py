"""Which store: the user's jobflow.yaml decides, otherwise one file in the working directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maggma.core import Store
from maggma.stores import MemoryStore, MongoStore

from pet_flows.errors import PetFlowsError
from pet_flows.settings import get_settings
from pet_flows.store.patience import check_server
from pet_flows.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from jobflow import JobStore

#: collection of the job outputs in the embedded store
OUTPUTS = "outputs"
#: collection of the blobs in its second file
BLOBS = "blobs"


def open_job_store(read_only: bool = False) -> JobStore:
    """Give the connected JobStore of the user's jobflow.yaml, or the embedded one without it.

    Parameters
    ----------
    read_only
        Whether the embedded store is opened for reading, which works while another process
        writes it.

    Raises
    ------
    PetFlowsError
        jobflow.yaml cannot be used, its server does not answer, or the embedded store is written
        by another process.
    """
    configured = configured_job_store()
    store = configured if configured is not None else embedded_job_store(read_only)
    more: dict[str, Any] = getattr(store, "additional_stores", {})
    for part in (store.docs_store, *more.values()):
        if read_only and isinstance(part, SqliteStore):  # also where jobflow.yaml names it
            part.read_only = True
    store.connect()
    if isinstance(store.docs_store, MongoStore):
        # now, and in seconds: later a server that went away is waited for much longer
        check_server(store.docs_store._collection.database.client, "jobflow.yaml")
    return store


def configured_job_store() -> JobStore | None:
    """Give the JobStore of jobflow's own configuration; None where there is none, or in memory.

    Raises
    ------
    PetFlowsError
        The configuration cannot be read.
    """
    named = os.environ.get("JOBFLOW_CONFIG_FILE")
    path = Path(named or "~/.jobflow.yaml").expanduser()
    if "JOBFLOW_JOB_STORE" not in os.environ and not path.is_file():
        if named:
            raise PetFlowsError(f"JOBFLOW_CONFIG_FILE names {path}, which is no file; mend it.")
        return None
    try:
        from jobflow.settings import JobflowSettings

        store: JobStore = JobflowSettings().JOB_STORE  # type: ignore[call-arg]
    except Exception as error:  # yaml, pydantic, maggma and monty each raise their own
        said = str(error).splitlines()[0] if str(error) else ""
        raise PetFlowsError(
            f"{path} cannot be used as jobflow's configuration ({type(error).__name__}: {said}); "
            "configs/jobflow.yaml of pet-flows shows one that works."
        ) from None
    return None if is_process_local(store.docs_store) else store


def embedded_job_store(read_only: bool = False) -> JobStore:
    """Make a JobStore on the embedded SQLite file, its blobs in a second one beside it."""
    from jobflow import JobStore

    path = get_settings().store
    data = SqliteStore(str(data_path(path)), BLOBS, read_only, key="blob_uuid")
    return JobStore(SqliteStore(str(path), OUTPUTS, read_only), {"data": data})


def data_path(path: Path) -> Path:
    """Second file of an embedded store: ``pet_flows.db`` → ``pet_flows_data.db``."""
    return path.with_name(f"{path.stem}_data{path.suffix}")


def is_process_local(store: Store) -> bool:
    """Whether other processes see nothing of what is written there, or only at its end."""
    # JSONStore and the like are MemoryStores, and these are MongoStores by inheritance
    shared = isinstance(store, SqliteStore) or (
        isinstance(store, MongoStore) and not isinstance(store, MemoryStore)
    )
    return not shared


def data_store(job_store: JobStore) -> Store:
    """Give the additional store ``data`` of a JobStore.

    Raises
    ------
    PetFlowsError
        It has none.
    """
    # get(): indexing jobflow's defaultdict would make a store in memory
    found: Store | None = getattr(job_store, "additional_stores").get("data")  # noqa: B009
    if found is None:
        raise PetFlowsError(
            "The JobStore of jobflow.yaml has no additional store called 'data', where arrays go; "
            "add one under additional_stores, as configs/jobflow.yaml of pet-flows shows."
        )
    return found
