"""Whether a worker can do a firework, asked before it is launched."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import Job

from pet_flows.dft.live.gpaw import require_gpaw
from pet_flows.errors import PetFlowsError
from pet_flows.jobs.entries import BatchReference, StructureReference
from pet_flows.jobs.force_field import potential_of
from pet_flows.jobs.gpaw import GPAWMaker
from pet_flows.launch.launchpad import shared_job_store
from pet_flows.models.catalogue import find
from pet_flows.models.spec import PotentialSpec
from pet_flows.store.leases import Leases
from pet_flows.store.patience import brief, patient
from pet_flows.store.results import ResultStore

if TYPE_CHECKING:
    from fireworks import Firework
    from jobflow import JobStore

#: bytes that must be free where a worker works, and bytes that are written to try it: only that
#: knows of quotas
_LEAST_FREE, _TRIED = 20_000_000, 100_000


class Able:
    """What a worker has around it, compared with what fireworks need.

    Parameters
    ----------
    folder
        Where it works.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._opened: tuple[JobStore, ResultStore] | None = None

    def close(self) -> None:
        """Let go of the store."""
        if self._opened is not None:
            job_store, results = self._opened
            results.close()
            job_store.close()
            self._opened = None

    def refuse(self, firework: Firework) -> None:
        """Refuse a firework that would fail for what is missing around this worker.

        Parameters
        ----------
        firework
            One of jobflow's.

        Raises
        ------
        PetFlowsError
            Its class or the weights of its potential are not here or are others, its DFT code is
            not installed, there is no GPU where one should be, its structures are not in this
            worker's database, or the folder cannot be written.
        """
        refuse_full(self.folder)
        jobs = [task.get("job") for task in firework.tasks]
        for job in jobs:
            _refuse_unknown(job)
        makers = [getattr(job, "maker", None) for job in jobs]
        if any(isinstance(maker, GPAWMaker) for maker in makers):
            require_gpaw()
        for spec in _potentials(makers):
            find(spec.model, spec.sha256)
            refuse_device(spec.device)
        self._refuse_other_database([job for job in jobs if isinstance(job, Job)])

    def leases(self) -> Leases:
        """Those of the database of this worker; PetFlowsError where it cannot be opened."""
        return self._stores()[1].leases

    def _stores(self) -> tuple[JobStore, ResultStore]:
        if self._opened is None:
            job_store = shared_job_store()
            self._opened = job_store, ResultStore.from_job_store(job_store, read_only=True)
        return self._opened

    @patient
    def _refuse_other_database(self, jobs: Sequence[Job]) -> None:
        """Refuse a job that starts from what the database of this worker does not have."""
        job_store, results = self._stores()
        given = [v for job in jobs for v in (*job.function_args, *job.function_kwargs.values())]
        batches = {item.digest for item in _inside(given) if isinstance(item, BatchReference)}
        alone = {item.digest for item in _inside(given) if isinstance(item, StructureReference)}
        outputs = {reference.uuid for job in jobs for reference in job.input_references}
        docs: Any = job_store.docs_store
        for collection, name, wanted in (
            (results.batches.collection, "_id", batches),
            (results.structures.collection, "_id", alone),
            (docs._collection, "uuid", outputs),
        ):
            if not wanted:
                continue
            there = collection.find({name: {"$in": sorted(wanted)}}, {name: 1})
            if not wanted <= {document[name] for document in there}:
                what = "outputs of earlier jobs" if name == "uuid" else "structures"
                raise PetFlowsError(
                    f"The {what} that the firework starts from are not in the database "
                    f"{docs.database!r} of this worker: correct its jobflow.yaml, which must name "
                    "the database of the person who submitted."
                )


def refuse_device(device: str) -> None:
    """Refuse a GPU that is asked for and not there.

    Parameters
    ----------
    device
        Of a potential: with ``auto`` a GPU is asked for where ``CUDA_VISIBLE_DEVICES`` names one.

    Raises
    ------
    PetFlowsError
        PyTorch cannot use it.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "").strip(" ,")
    promised = named not in ("", "-1", "NoDevFiles")
    if not device.startswith("cuda") and not (device == "auto" and promised):
        return
    import torch

    if not torch.cuda.is_available():
        wants = f"the potential asks for {device}"
        said = f"CUDA_VISIBLE_DEVICES is {named}" if promised else wants
        raise PetFlowsError(
            f"There is no GPU that PyTorch can use, although {said}: look at nvidia-smi, or "
            "choose another machine."
        )
    number = int(device.partition(":")[2] or 0) if device.startswith("cuda") else 0
    if number >= torch.cuda.device_count():
        raise PetFlowsError(
            f"There is no {device}: PyTorch sees {torch.cuda.device_count()} GPU here; correct "
            "device or CUDA_VISIBLE_DEVICES."
        )


def refuse_full(folder: Path) -> None:
    """Refuse a folder in which nothing can be written.

    Raises
    ------
    PetFlowsError
        Its disk or the user's quota is full, or it is not the user's.
    """
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


def unreadable(document: Mapping[str, Any], error: Exception) -> PetFlowsError:
    """What to say of a firework that cannot be decoded here, and what its job was made with."""
    from pet_flows import __version__

    made = next(_versions(document.get("spec")), None)
    versions = f"here is pet_flows {__version__}"
    if made is not None:
        versions = f"its flow was made with pet_flows {made}, and {versions}"
    return PetFlowsError(
        f"The firework cannot be read here ({type(error).__name__}: {brief(error)}): {versions}; "
        "install what its flow was made with."
    )


def _versions(value: Any) -> Iterator[str]:
    """Versions of this package that the parts of a stored job name."""
    if isinstance(value, Mapping):
        module, version = str(value.get("@module")), value.get("@version")
        if module.startswith("pet_flows.") and version:
            yield str(version)
        for part in value.values():
            yield from _versions(part)
    elif isinstance(value, list):
        for part in value:
            yield from _versions(part)


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


def _potentials(makers: Iterable[object]) -> Iterator[PotentialSpec]:
    for maker in makers:
        if (spec := potential_of(maker)) is not None:
            yield spec


def _inside(values: Iterable[Any]) -> Iterator[Any]:
    """Values, and those of lists among them."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _inside(value)
        else:
            yield value
