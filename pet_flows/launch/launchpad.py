"""The user's LaunchPad and worker files: found, checked, and explained when they are not right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pet_flows.errors import PetFlowsError
from pet_flows.launch.lock import use_workflow_lock
from pet_flows.settings import absolute
from pet_flows.store.access import check_server
from pet_flows.store.locate import configured_job_store, connect_configured, data_store
from pet_flows.store.patience import brief

if TYPE_CHECKING:
    from fireworks import FWorker, LaunchPad
    from jobflow import JobStore

#: ``_category`` of all our fireworks: the only ones that our worker takes
CATEGORIES = ("pet-gpu", "pet-cpu")


def load_launchpad(path: str | Path | None = None) -> LaunchPad:
    """Connect to the LaunchPad of ``my_launchpad.yaml``.

    Parameters
    ----------
    path
        The file; without it FireWorks' own rules (``LAUNCHPAD_LOC``, the working directory,
        ``~/.fireworks``).

    Raises
    ------
    PetFlowsError
        No file, a broken file, no server where it points, or one that refuses the user.
    """
    from fireworks import LaunchPad, fw_config

    found = path or fw_config.LAUNCHPAD_LOC
    if found is None:
        raise PetFlowsError(
            "There is no my_launchpad.yaml: put one into ~/.fireworks or this folder, as "
            "configs/my_launchpad.yaml of pet-flows shows, or name it (--launchpad)."
        )
    file = absolute(found)
    if not file.is_file():
        raise PetFlowsError(f"There is no LaunchPad file at {file}: correct the path.")
    try:
        launchpad = LaunchPad.from_file(str(file))
    except Exception as error:  # yaml, pymongo and FireWorks each raise their own
        raise PetFlowsError(
            f"{file} is not a LaunchPad file ({type(error).__name__}: {brief(error)}): write it "
            "like configs/my_launchpad.yaml of pet-flows."
        ) from None
    # what FireWorks numbers by, without which there is no LaunchPad
    try:
        check_server(launchpad.connection, str(file), launchpad.name, "fw_id_assigner")
    except PetFlowsError:
        launchpad.connection.close()
        raise
    use_workflow_lock()
    return launchpad


def check_set_up(launchpad: LaunchPad) -> None:
    """Refuse a database that has never been a LaunchPad: FireWorks would find no counter in it.

    Raises
    ------
    PetFlowsError
        It was never reset.
    """
    if launchpad.fw_id_assigner.find_one({}) is None:
        raise PetFlowsError(
            f"The database {launchpad.name!r} was never set up as a LaunchPad: run "
            "`lpad -l my_launchpad.yaml reset` once (it empties that database)."
        )


def load_fworker(categories: tuple[str, ...], path: str | Path | None = None) -> FWorker:
    """Give the worker of ``my_fworker.yaml`` (name, query, env), restricted to our categories.

    Whatever category the file names is for ``rlaunch``: ours stay within `categories`, so that
    nothing foreign is ever taken from a shared LaunchPad.

    Parameters
    ----------
    categories
        Of `CATEGORIES`.
    path
        The file; without it FireWorks' own rules, and without any file a worker of this host.

    Raises
    ------
    PetFlowsError
        The file cannot be read, or a category is not ours.
    """
    import platform

    from fireworks import FWorker, fw_config

    unknown = [name for name in categories if name not in CATEGORIES]
    if unknown or not categories:
        raise PetFlowsError(
            f"category must be {' or '.join(CATEGORIES)}, or both (got "
            f"{', '.join(unknown) or 'none'}); run fireworks of other categories with rlaunch."
        )
    found = path or fw_config.FWORKER_LOC
    if found is None:
        return FWorker(name=platform.node() or "pet-flows", category=list(categories))
    try:
        given = FWorker.from_file(str(absolute(found)))
    except Exception as error:
        raise PetFlowsError(
            f"{found} is not an FWorker file ({type(error).__name__}: {brief(error)}): write it "
            "like configs/my_fworker.yaml of pet-flows."
        ) from None
    return FWorker(given.name, list(categories), given._query, given.env)


def shared_job_store() -> JobStore:
    """Give the JobStore that submitting and working processes share, connected.

    Raises
    ------
    PetFlowsError
        There is no jobflow.yaml, it names no server, it has no ``data``, or nobody answers.
    """
    from pet_flows.store.sqlite import SqliteStore

    store = configured_job_store()
    if store is None or isinstance(store.docs_store, SqliteStore):
        raise PetFlowsError(
            "FireWorks needs a database for all workers: name a MongoDB in ~/.jobflow.yaml "
            "(or JOBFLOW_CONFIG_FILE), as configs/jobflow.yaml of pet-flows shows."
        )
    data_store(store)
    connect_configured(store)
    return store


def refuse_other_settings(store: JobStore) -> None:
    """Refuse to work where jobs would use another store: jobflow reads its own only once.

    Parameters
    ----------
    store
        That of `shared_job_store`.

    Raises
    ------
    PetFlowsError
        jobflow was imported before its configuration was named.
    """
    from jobflow import SETTINGS

    if SETTINGS.JOB_STORE.docs_store != store.docs_store:
        raise PetFlowsError(
            "Jobs of this process would not use the store of jobflow.yaml, because jobflow was "
            "imported before that was named: set JOBFLOW_CONFIG_FILE before Python starts, or run "
            "pet-flows worker."
        )
