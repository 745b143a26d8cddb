"""Whether everything that a campaign needs is there, asked before anything is submitted or run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.launch.able import refuse_device, refuse_full
from pet_flows.launch.launchpad import check_set_up, load_launchpad
from pet_flows.models.choose import with_settings
from pet_flows.models.resolve import resolve
from pet_flows.settings import get_settings
from pet_flows.store.locate import configured_job_store, connect_configured, data_store
from pet_flows.store.patience import brief
from pet_flows.store.results import ResultStore
from pet_flows.store.sqlite import SqliteStore
from pet_flows.store.writes import blob_ids

#: collection, and key of a blob, that are written and removed again
_PROBE = "pet_flows_check"


@dataclass(frozen=True)
class Checked:
    """One thing that was looked at."""

    what: str
    ok: bool
    said: str


def check(
    potential: str | None = None,
    device: str | None = None,
    launchpad: Path | None = None,
    folder: Path = Path(),
) -> Iterator[Checked]:
    """Look at one thing after the other; what is wrong with one stops no other.

    Parameters
    ----------
    potential
        Model name or path; that of the settings without it.
    device
        Of the potential; that of the settings without it.
    launchpad
        File; FireWorks' own without it.
    folder
        Where a worker would work.
    """
    spec = with_settings(potential)
    if device is not None:
        spec = spec.with_(device=device)
    looks: list[tuple[str, Callable[[], str]]] = [
        ("store", _store),
        ("LaunchPad", lambda: _launchpad(launchpad)),
        ("folder", lambda: _folder(folder)),
        ("model", lambda: _model(spec)),
        ("device", lambda: _device(spec)),
    ]
    for what, look in looks:
        try:
            yield Checked(what, True, look())
        except PetFlowsError as error:
            yield Checked(what, False, str(error))


def _store() -> str:
    """Write, read and remove a document and a blob."""
    import numpy as np

    job_store = configured_job_store()
    docs: Any = None if job_store is None else job_store.docs_store
    if job_store is None or isinstance(docs, SqliteStore):
        file = get_settings().store if docs is None else Path(docs.path)
        refuse_full(file.parent)
        if not file.exists():
            return f"the embedded one at {file}, not begun yet; workers need a server instead"
        with ResultStore.open(read_only=True) as results:
            count = results.records.count_documents({})
        return f"the embedded one at {file}, {count} records; workers need a server instead"
    data = data_store(job_store)
    connect_configured(job_store)
    try:
        with ResultStore.from_job_store(job_store) as results:
            count = results.records.estimated_document_count()
            probe = results.records.database[_PROBE]
            arrays = {"probe": {"x": np.arange(20_000.0)}}
            try:
                probe.insert_one({"written": True})
                ids = results.blobs.write(_PROBE, arrays)
                results.blobs.remove(blob_ids({"blobs": ids}))
            finally:
                probe.drop()
        return f"{docs.database} with {count} records, arrays in a {type(data).__name__}"
    except PetFlowsError:
        raise
    except Exception as error:  # pymongo, GridFS and S3 each raise their own
        raise PetFlowsError(
            f"The store of jobflow.yaml cannot be written ({type(error).__name__}: {brief(error)}):"
            " ask for the right to, or name another one."
        ) from None
    finally:
        job_store.close()


def _launchpad(file: Path | None) -> str:
    from fireworks import fw_config

    if file is None and fw_config.LAUNCHPAD_LOC is None and configured_job_store() is None:
        return "there is none, which suffices for pet-flows screen"
    pad = load_launchpad(file)
    try:
        check_set_up(pad)
        states = {
            state: pad.fireworks.count_documents({"state": state})
            for state in ("READY", "RUNNING", "FIZZLED")
        }
        said = ", ".join(f"{count} {state}" for state, count in states.items() if count)
        return f"{pad.name} with {said or 'nothing to do'}"
    finally:
        pad.connection.close()


def _folder(folder: Path) -> str:
    made = not folder.exists()
    refuse_full(folder.absolute())
    if made:
        folder.rmdir()
    return f"{folder.absolute()} can be written"


def _model(spec: Any) -> str:
    found = resolve(spec)
    return f"{found.name} at {found.file.path}, sha256 {found.file.sha256[:12]}…"


def _device(spec: Any) -> str:
    """Evaluate the energy of an atom pair where the potential would be."""
    refuse_device(spec.device)
    from ase import Atoms

    from pet_flows.engines.ase import SymmetrizedCalculator
    from pet_flows.engines.potential import get_potential

    potential = get_potential(resolve(spec.with_(symmetrization="none")))
    element = min(potential.elements)
    pair = Atoms([element] * 2, [[0, 0, 0], [2.5, 0, 0]], cell=[5, 5, 5], pbc=True)
    pair.calc = SymmetrizedCalculator(potential)
    pair.get_potential_energy()
    return f"{potential.device}, one evaluation of {spec.model} done"
