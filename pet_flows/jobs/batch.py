"""The batch runner behind every maker: resume, compute what is missing, store each as it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB
from pydantic import BaseModel

from pet_flows.jobs.items import Item, JobInput, load_items
from pet_flows.models.spec import PotentialSpec

if TYPE_CHECKING:
    from pet_flows.jobs.base import PropertyMaker
    from pet_flows.properties.outcome import Outcome
    from pet_flows.store.results import ResultStore

#: called with (property, slim result, newly computed?) after each structure; the command line's
#: progress bar hangs here
observers: list[Callable[[str, dict[str, Any], bool], None]] = []
#: called with (property, None, 0, structures) when the model is there and a batch begins, and with
#: (property, name of the structure, done, total) as one gets on, in the property's own units
watchers: list[Callable[[str, str | None, int, int], None]] = []


def run_batch(
    maker: PropertyMaker, given: Sequence[JobInput], store: ResultStore
) -> list[dict[str, Any]]:
    """Records of one property for a batch; computes only those that are missing.

    Returns
    -------
    list of dict
        Per input, in order: ``key``, ``state``, ``reason``, ``message``, ``energy_per_atom`` (eV),
        ``source``.
    """
    from pet_flows.records.keys import input_digest, record_key, settings_digest

    if maker.manifest is not None:
        store.campaigns.put(maker.manifest)
    items = load_items(given, store)
    settings, spec = maker.settings(), maker.spec()
    words = (maker.property_name, settings_digest(settings), spec.digest)
    keys: list[str | None] = []
    for item in items:
        if item.parent is not None:
            keys.append(record_key(item.parent, *words) if item.structure is not None else None)
        else:
            keys.append(record_key(input_digest(item.structure, item.source, item.problem), *words))
    wanted = list(dict.fromkeys(key for key in keys if key is not None))
    missing = set(store.needs(wanted, retry_failed=maker.retry_failed))
    first: dict[str, int] = {}
    for index, key in enumerate(keys):
        if key is not None and key in missing:
            first.setdefault(key, index)
    sources = [source_of(maker, item) for item in items]

    todo = [
        Task(key, items[index], [s for s, k in zip(sources, keys, strict=True) if k == key])
        for key, index in first.items()
    ]
    for task, record, blobs in compute_records(maker, todo, settings, spec):
        store.put(record, blobs)
        _tell(maker.property_name, slim_result(record, task.item), True)

    done = store.existing(wanted)
    results: list[dict[str, Any]] = []
    for item, key, source in zip(items, keys, sources, strict=True):
        if key is None:
            reason, message = item.problem or ("missing", "there is nothing to start from")
            slim = {"key": None, "state": "failed", "reason": reason, "message": message,
                    "energy_per_atom": None, "source": item.source}  # fmt: skip
        else:
            if key not in first:
                store.add_source(key, source)
            slim = slim_result(done[key], item)
        if key is None or first.get(key) != len(results):
            _tell(maker.property_name, slim, False)
        results.append(slim)
    if maker.campaign is not None:
        store.campaigns.add_keys(maker.campaign, wanted)
    return results


@dataclass(frozen=True)
class Task:
    """A record that must be computed."""

    key: str
    item: Item
    sources: list[dict[str, Any]]


def compute_records(
    maker: PropertyMaker, tasks: Sequence[Task], settings: BaseModel, spec: PotentialSpec
) -> Iterator[tuple[Task, dict[str, Any], dict[str, Any]]]:
    """Yield (task, record, blobs) as each structure is finished."""
    from pet_flows.models.catalogue import find
    from pet_flows.properties.outcome import Outcome
    from pet_flows.records.build import build_record

    if not tasks:
        return
    file = find(spec.model, spec.sha256)
    potential_words = {
        "digest": spec.digest, "name": file.name, "sha256": spec.sha256,
        "symmetrization": spec.symmetrization, "dtype": spec.dtype,
        "functional": file.functional, "run_type": file.card.get("run_type"),
    }  # fmt: skip

    def finish(task: Task, outcome: Outcome, device: str | None) -> tuple[Task, dict, dict]:
        record, blobs = build_record(
            outcome,
            input_structure=task.item.structure,
            property=maker.property_name,
            settings=settings,
            potential=potential_words,
            parent=task.item.parent,
            sources=task.sources,
            dropped=task.item.dropped,
            device=device,
            key=task.key,
        )
        return task, record, blobs

    sound = []
    for n, task in enumerate(tasks):
        item = task.item
        if item.problem is not None or item.structure is None:
            reason, message = item.problem or ("no_structure", "There is no structure.")
            failed = Outcome(index=n, state="failed", reason=reason, message=message)
            yield finish(task, failed, None)
        else:
            sound.append(task)
    if not sound:
        return
    from pymatgen.io.ase import AseAtomsAdaptor

    from pet_flows.engines.potential import get_potential

    potential = get_potential(spec)
    atoms = [
        AseAtomsAdaptor.get_atoms(task.item.structure, msonable=False)  # type: ignore[arg-type]
        for task in sound
    ]

    def progress(index: int, done: int, total: int) -> None:
        source = sound[index].item.source
        label = source.get("material_id") or source.get("path") or f"structure {index}"
        for watcher in watchers:
            watcher(maker.property_name, label, done, total)

    for watcher in watchers:
        watcher(maker.property_name, None, 0, len(sound))
    inherited = [task.item.inherited for task in sound]
    for outcome in maker.compute(atoms, potential, inherited, progress):
        yield finish(sound[outcome.index], outcome, str(potential.device))


def source_of(maker: PropertyMaker, item: Item) -> dict[str, Any]:
    """Where a record comes from: the input's identifiers, the campaign, the running job."""
    job = getattr(CURRENT_JOB, "job", None)
    source = {key: value for key, value in item.source.items() if value is not None}
    tags = [*item.source.get("tags", []), *maker.tags]
    metadata = getattr(job, "metadata", None) or {}
    return {
        **source,
        "tags": list(dict.fromkeys(tags)),
        "campaign": maker.campaign,
        "job_uuid": getattr(job, "uuid", None),
        "job_index": getattr(job, "index", None),
        "fw_id": metadata.get("fw_id"),
    }


def slim_result(record: dict[str, Any], item: Item) -> dict[str, Any]:
    """What a batch job returns per structure."""
    return {
        "key": record["_id"],
        "state": record["state"],
        "reason": record.get("reason"),
        "message": record.get("message"),
        "energy_per_atom": (record.get("result") or {}).get("energy_per_atom"),
        "source": item.source,
    }


def _tell(name: str, slim: dict[str, Any], computed: bool) -> None:
    for observer in observers:
        observer(name, slim, computed)
