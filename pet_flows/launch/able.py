"""Whether a worker can do a firework, asked before it is launched."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pet_flows.dft.live.gpaw import require_gpaw
from pet_flows.errors import PetFlowsError
from pet_flows.jobs.force_field import potential_of
from pet_flows.jobs.gpaw import GPAWMaker
from pet_flows.models.catalogue import find
from pet_flows.models.spec import PotentialSpec

if TYPE_CHECKING:
    from fireworks import Firework

#: bytes that must be free where a worker works, and bytes that are written to try it: only that
#: knows of quotas
_LEAST_FREE, _TRIED = 20_000_000, 100_000


def refuse_unable(firework: Firework, folder: Path) -> None:
    """Refuse a firework that would fail for what is missing around this worker.

    Parameters
    ----------
    firework
        One of jobflow's.
    folder
        Where it would run.

    Raises
    ------
    PetFlowsError
        Its class or the weights of its potential are not here or are others, its DFT code is not
        installed, or the folder cannot be written.
    """
    _refuse_full(folder)
    jobs = [task.get("job") for task in firework.tasks]
    for job in jobs:
        _refuse_unknown(job)
    makers = [getattr(job, "maker", None) for job in jobs]
    if any(isinstance(maker, GPAWMaker) for maker in makers):
        require_gpaw()
    for spec in _potentials(makers):
        find(spec.model, spec.sha256)


def _refuse_unknown(job: object) -> None:
    """Refuse a job whose maker or function could not be imported: it stayed as it was stored."""
    for part in (job, getattr(job, "maker", None), getattr(job, "function", None)):
        while isinstance(part, Mapping) and isinstance(part.get("@bound"), Mapping):
            part = part["@bound"]  # a method is as unknown as its class
        if isinstance(part, Mapping) and "@module" in part:
            name = part.get("@class") or part.get("@callable")
            raise PetFlowsError(
                f"The firework needs {name} of {part['@module']}, which cannot be imported here: "
                "install what its flow was made with."
            )


def _refuse_full(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)  # somebody may have cleaned up
        free = shutil.disk_usage(folder).free
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(_TRIED))
            file.flush()
    except OSError as error:
        raise PetFlowsError(
            f"The folder {folder} cannot be written ({error.strerror}); free space there, or name "
            "another one with --folder."
        ) from None
    if free < _LEAST_FREE:
        raise PetFlowsError(
            f"The disk of {folder} has {free / 1e6:.0f} MB left; free space there, or name a "
            "folder on another one with --folder."
        )


def _potentials(makers: Iterable[object]) -> Iterator[PotentialSpec]:
    for maker in makers:
        if (spec := potential_of(maker)) is not None:
            yield spec
