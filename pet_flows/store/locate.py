"""Which store: the user's jobflow.yaml decides, otherwise one file in the working directory."""

from __future__ import annotations

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from maggma.core import Store
from maggma.stores import MemoryStore, MongoStore
from pymongo.errors import PyMongoError

from pet_flows.errors import PetFlowsError
from pet_flows.settings import get_settings
from pet_flows.store.access import check_server, is_refusal, refused
from pet_flows.store.patience import ServerAwayError, brief, without_secrets
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
        jobflow.yaml cannot be used or would leave out arrays, its server does not answer, or the
        embedded store is written by another process.
    """
    configured = configured_job_store()
    store = configured if configured is not None else embedded_job_store(read_only)
    for part in _parts(store):
        if read_only and isinstance(part, SqliteStore):  # also where jobflow.yaml names it
            part.read_only = True
    connect_configured(store)
    return store


def connect_configured(store: JobStore) -> None:
    """Connect a JobStore, and ask its server whether it is there: later it is waited for longer.

    Raises
    ------
    PetFlowsError
        A part of it cannot be opened: no server, no package, no credentials, no right to read.
    """
    with ExitStack() as opened:
        opened.callback(_close, store)
        try:
            store.connect()
        except (PetFlowsError, KeyboardInterrupt):
            raise
        except PyMongoError as error:
            if is_refusal(error):
                raise refused(error, "jobflow.yaml") from None
            raise ServerAwayError(
                f"The MongoDB named in jobflow.yaml cannot be used ({type(error).__name__}: "
                f"{brief(error)}); start it, or correct host, port, user and password there."
            ) from None
        except Exception as error:  # boto3, botocore, montydb and maggma each raise their own
            kinds = ", ".join(type(part).__name__ for part in _parts(store))
            raise PetFlowsError(
                f"A store of jobflow.yaml ({kinds}) cannot be opened ({type(error).__name__}: "
                f"{_first_line(error)}); install its package, or correct its place or its "
                "credentials."
            ) from None
        docs = store.docs_store
        if isinstance(docs, MongoStore) and not isinstance(docs, MemoryStore):
            database = docs._collection.database
            check_server(database.client, "jobflow.yaml", database.name, docs.collection_name)
        opened.pop_all()


def configured_job_store() -> JobStore | None:
    """Give the JobStore of jobflow's own configuration; None where there is none, or in memory.

    Raises
    ------
    PetFlowsError
        The configuration cannot be read, or would leave out arrays.
    """
    named = os.environ.get("JOBFLOW_CONFIG_FILE")
    path = Path(named or "~/.jobflow.yaml").expanduser()
    if "JOBFLOW_JOB_STORE" not in os.environ and not path.is_file():
        if named:
            raise PetFlowsError(
                f"JOBFLOW_CONFIG_FILE names {path}, which is not a file: correct it."
            )
        return None
    try:
        from jobflow.settings import JobflowSettings

        store: JobStore = JobflowSettings().JOB_STORE  # type: ignore[call-arg]
    except Exception as error:  # yaml, pydantic, maggma and monty each raise their own
        raise PetFlowsError(
            f"{path} cannot be used as jobflow's configuration ({type(error).__name__}: "
            f"{_first_line(error)}): write it like configs/jobflow.yaml of pet-flows."
        ) from None
    refuse_divided(store)
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


def refuse_divided(job_store: JobStore) -> None:
    """Refuse documents that stay where their arrays do not, or the other way round.

    Raises
    ------
    PetFlowsError
        Of ``docs_store`` and ``data`` one ends with this process.
    """
    # get(): indexing jobflow's defaultdict would make a store in memory
    data: Store | None = getattr(job_store, "additional_stores").get("data")  # noqa: B009
    docs = job_store.docs_store
    if data is None or _in_memory(docs) == _in_memory(data):
        return
    missing, kept = ("docs_store", "data") if _in_memory(docs) else ("data", "docs_store")
    kinds = {"docs_store": type(docs).__name__, "data": type(data).__name__}
    raise PetFlowsError(
        f"The JobStore of jobflow.yaml has its {missing} in a {kinds[missing]}, which no other "
        f"process sees, and its {kept} in a {kinds[kept]}: results would be without their "
        f"{'arrays' if missing == 'data' else 'documents'}; name a server for both, as "
        "configs/jobflow.yaml of pet-flows shows."
    )


def _in_memory(store: Store) -> bool:
    """Whether a store, or the index that an S3Store finds its objects by, is this process's own."""
    inner = (getattr(store, name, None) for name in ("index", "store"))
    return isinstance(store, MemoryStore) or any(
        _in_memory(part) for part in inner if isinstance(part, Store)
    )


def _parts(job_store: JobStore) -> list[Store]:
    more: dict[str, Store] = getattr(job_store, "additional_stores")  # noqa: B009
    return [job_store.docs_store, *more.values()]


def _close(job_store: JobStore) -> None:
    """Close what is open of a JobStore."""
    for part in _parts(job_store):
        with suppress(Exception):  # maggma's own raise where they were never opened
            part.close()


def _first_line(error: Exception) -> str:
    if isinstance(error, PyMongoError):
        return brief(error)
    return without_secrets((str(error).splitlines() or [""])[0])


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
