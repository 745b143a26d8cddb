"""A process of this machine that is known to have died: others need not wait for its silence."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pymongo.errors import PyMongoError

from pet_flows.errors import PetFlowsError
from pet_flows.launch.heartbeat import ALIVE
from pet_flows.launch.launchpad import load_launchpad, shared_job_store
from pet_flows.launch.lock import TAKEN
from pet_flows.launch.recovery import Recovery
from pet_flows.store.clock import DECLARED
from pet_flows.store.patience import brief
from pet_flows.store.results import ResultStore

if TYPE_CHECKING:
    from fireworks import LaunchPad

logger = logging.getLogger(__name__)


def declare_dead(process: str, options: Mapping[str, Any]) -> None:
    """Bring back what a worker process had that has died; what fails is left to its silence.

    Parameters
    ----------
    process
        Its name (`pet_flows.store.process`).
    options
        Of `pet_flows.launch.worker.run_worker`, with which it was started.
    """
    try:
        job_store = shared_job_store()
        try:
            pad = load_launchpad(options.get("launchpad"))
            with (
                closing(pad.connection),
                ResultStore.from_job_store(job_store, read_only=True) as results,
            ):
                results.leases.declare_dead(process)
                _declare(pad, process, Path(options["folder"]).resolve() / process)
                Recovery(pad, options["categories"], results.leases).look()
        finally:
            job_store.close()
    except (PetFlowsError, PyMongoError) as error:
        said = str(error) if isinstance(error, PetFlowsError) else brief(error)
        logger.warning("what process %s had is brought back when it was silent: %s", process, said)


def _declare(launchpad: LaunchPad, process: str, folder: Path) -> None:
    its = {"launch_dir": str(folder), "state": "RUNNING"}
    launchpad.launches.update_many(its, {"$set": {ALIVE: DECLARED}})
    locked = {"locked": {"$regex": f"^{re.escape(process)}-"}}
    launchpad.workflows.update_many(locked, {"$set": {f"{TAKEN}.at": DECLARED}})
