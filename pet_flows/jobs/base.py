"""The batch runner behind every maker: resume, compute what is missing, store each as it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import CURRENT_JOB, JobConfig, Maker, job
from pydantic import BaseModel, ValidationError

from pet_flows.errors import PetFlowsError
from pet_flows.jobs.items import Item, JobInput, load_items, refuse_ase
from pet_flows.models.spec import PotentialSpec

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.batch import Progress
    from pet_flows.properties.outcome import Outcome
    from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)

#: a job of ours writes its records beside the job outputs, so it must know that store
STORE_EXPOSED = JobConfig(expose_store=True)
#: called with (property, slim result, newly computed?) after each structure; the command line's
#: progress bar hangs here
observers: list[Callable[[str, dict[str, Any], bool], None]] = []
#: called with (property, None, 0, structures) when the model is there and a batch begins, and with
#: (property, name of the structure, done, total) as one gets on, in the property's own units
watchers: list[Callable[[str, str | None, int, int], None]] = []


def property_job(make: Callable[..., Any]) -> Callable[..., Any]:
    """Make a maker's ``make`` give jobflow jobs that see the result store.

    A maker whose settings cannot be is refused when the job is made, not when it runs.
    """
    delayed = job(make, config=STORE_EXPOSED)

    @wraps(make)
    def checked(self: PropertyMaker, *args: Any, **kwargs: Any) -> Any:
        self.settings()
        refuse_ase(kwargs["structure"] if "structure" in kwargs else args[0] if args else None)
        return delayed(self, *args, **kwargs)

    checked.original = make  # type: ignore[attr-defined]  # where jobflow looks for the function
    return checked


@dataclass
class PropertyMaker(Maker):
    """What the makers of all properties share.

    Parameters
    ----------
    name
        Name of the job.
    potential
        Model name, path, or spec; what it leaves open is taken from the settings when the maker
        is made, so that a worker's own settings change nothing.
    symmetrization, dtype, device
        Override those of ``potential``.
    campaign
        Name under which the records are found again.
    tags
        Added to every record's source.
    retry_failed
        Compute failed records again, whatever their reason.
    """

    name: str = "property"
    potential: str | PotentialSpec | None = None
    symmetrization: str | None = None
    dtype: str | None = None
    device: str | None = None
    campaign: str | None = None
    tags: list[str] = field(default_factory=list)
    retry_failed: bool = False
    manifest: dict[str, Any] | None = None
    """of the campaign, registered by whichever job runs first"""

    property_name: ClassVar[str]
    property_module: ClassVar[str]
    """where it is computed, under ``pet_flows.properties``"""
    settings_class: ClassVar[type[BaseModel]]

    def __post_init__(self) -> None:
        """Fill in what the settings say."""
        self.potential = with_settings(self.potential)

    @property_job
    def make(self, structure: JobInput | list[JobInput], prev_dir: str | Path | None = None) -> Any:
        """Compute one structure or a list of them.

        Parameters
        ----------
        structure
            pymatgen Structure, InputStructure, an entry of an earlier job's output list, or a list
            of these.
        prev_dir
            Unused; in the signature for atomate2's flows.
        """
        return self.run(structure)

    def settings(self) -> Any:
        """Physics of this maker: its fields that the property's settings know.

        Raises
        ------
        PetFlowsError
            Names the field that cannot be what it is.
        """
        known = self.settings_class.model_fields
        values = {f.name: getattr(self, f.name) for f in fields(self) if f.name in known}
        try:
            return self.settings_class(**{k: v for k, v in values.items() if v is not None})
        except ValidationError as error:
            first = error.errors()[0]
            what = ".".join(map(str, first["loc"]))
            said = str(first["msg"]).removeprefix("Value error, ")
            given = f"{what}={first['input']!r}" if what else "These settings"
            raise PetFlowsError(
                f"{type(self).__name__}: {given} cannot be: {said[0].lower()}{said[1:]}."
            ) from None

    def spec(self) -> PotentialSpec:
        """Potential that is really used, resolved to the hash of its weights."""
        from pet_flows.engines.resolve import resolve

        spec = with_settings(self.potential)
        wanted = {"symmetrization": self.symmetrization, "dtype": self.dtype, "device": self.device}
        return resolve(spec.with_(**{k: v for k, v in wanted.items() if v is not None}))

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        carried: Sequence[dict[str, Any] | None],
        progress: Progress | None = None,
    ) -> Iterator[Outcome]:
        """Call the property: the function of `property_module` that is named as its module."""
        module = import_module(f"pet_flows.properties.{self.property_module}")
        compute = getattr(module, self.property_module.rpartition(".")[2])
        outcomes: Iterator[Outcome] = compute(
            structures, potential, self.settings(), carried, progress=progress
        )
        return outcomes

    def run(self, given: JobInput | list[JobInput]) -> Any:
        """Body of every job: a list gives slim results; one structure gives :meth:`document`."""
        store = job_result_store()
        slims = run_batch(self, given if isinstance(given, list) else [given], store)
        self.write_files(slims, store)
        if isinstance(given, list):
            return slims
        slim = slims[0]
        if slim["state"] == "failed":
            raise PetFlowsError(f"{self.name} failed ({slim['reason']}): {slim['message']}")
        record = store.get(slim["key"])
        assert record is not None
        return self.document(record, store)

    def write_files(self, slims: list[dict[str, Any]], store: ResultStore) -> None:
        """Write files beside the records, whether computed now or before; none by default."""

    def document(self, record: dict[str, Any], store: ResultStore) -> Any:
        """Output of a job over one structure: the record itself."""
        return record


def with_settings(potential: str | PotentialSpec | None) -> PotentialSpec:
    """Spec of a potential given as a name or not at all, completed from the settings."""
    from pet_flows.settings import get_settings

    if isinstance(potential, PotentialSpec):
        return potential
    settings = get_settings()
    return PotentialSpec(
        model=potential or settings.model,
        symmetrization=settings.symmetrization,
        dtype=settings.dtype,
        device=settings.device,
    )


def job_result_store() -> ResultStore:
    """The results beside the outputs of the running job; the configured store outside of one."""
    from pet_flows.store.results import ResultStore

    running = getattr(CURRENT_JOB, "store", None)
    return ResultStore.from_job_store(running) if running is not None else ResultStore.open()


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
        store.put_campaign(maker.manifest)
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
        store.add_campaign_keys(maker.campaign, wanted)
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
    carried = [task.item.carried for task in sound]
    for outcome in maker.compute(atoms, potential, carried, progress):
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
