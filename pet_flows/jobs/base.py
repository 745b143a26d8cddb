"""What the makers of all properties share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobflow import CURRENT_JOB, Maker
from pydantic import BaseModel

from pet_flows.errors import PetFlowsError
from pet_flows.jobs.batch import run_batch
from pet_flows.jobs.entries import BatchReference, JobInput, is_list, refuse_shared

# PropertyJob: fireworks of earlier versions look for it here
from pet_flows.jobs.property_job import PropertyJob as PropertyJob
from pet_flows.jobs.property_job import property_job
from pet_flows.models.choose import with_settings
from pet_flows.models.resolve import ResolvedPotential, resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.execution import Execution
from pet_flows.properties.property import Property
from pet_flows.properties.registry import get_property
from pet_flows.properties.settings import PropertySettings
from pet_flows.symmetrization.spec import serving
from pet_flows.validate import Place, validated

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


@dataclass
class PropertyMaker(Maker):
    """A maker of any property, by name; the named makers derive from it.

    Given one structure, the output is its record; given a list, slim results in the same order.

    Parameters
    ----------
    name
        Name of the job.
    property_name
        Which property, ``pet-flows settings`` lists them.
    settings
        The property's settings model, or a dict with some of its fields; ``pet-flows settings
        PROPERTY`` lists them.
    potential
        Model name, path, or spec; what it leaves open is taken from the user's settings when the
        maker is made, so that a worker's own settings change nothing.
    symmetrization, dtype, device
        Override those of ``potential``.
    campaign
        Name under which the records are found again.
    tags
        Added to every record's source.
    retry_failed
        Compute failed records again, whatever their reason.
    execution
        `Execution` or a dict with some of its fields: how it runs, which changes no result.
    """

    name: str = "PET property"
    property_name: str = ""
    settings: PropertySettings | dict[str, Any] | None = None
    potential: str | PotentialSpec | None = None
    symmetrization: str | None = None
    dtype: str | None = None
    device: str | None = None
    campaign: str | None = None
    tags: list[str] = field(default_factory=list)
    retry_failed: bool = False
    execution: Execution | dict[str, Any] | None = None
    manifest: dict[str, Any] | None = None
    """of the campaign, registered by whichever job runs first"""

    if TYPE_CHECKING:  # makers have fields of their property's settings, which are added to them

        def __init__(self, **fields: Any) -> None: ...

    def __post_init__(self) -> None:
        """Fill in what the user's settings say."""
        self.potential = with_settings(self.potential)
        # update_kwargs changes what is inside of dicts
        self.settings = as_dict(self.settings)
        self.execution = as_dict(self.execution)

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

    def declared(self) -> Property:
        """Declaration of the property that this maker computes."""
        return get_property(self.property_name)

    def physics(self) -> Any:
        """Validated settings: the maker's own fields, and those in ``settings``.

        Raises
        ------
        PetFlowsError
            Names the field that is wrong.
        """
        model = self.declared().settings
        given = as_dict(self.settings)
        defaults = {f.name: f.default for f in fields(self)}
        for name in self.setting_fields():
            value = getattr(self, name)
            if value is None or value == defaults[name]:
                continue
            if name in given and given[name] != value:
                raise PetFlowsError(
                    f"{type(self).__name__}: {name} is given twice, as {value!r} and as "
                    f"{given[name]!r} in settings: give it once."
                )
            given[name] = value
        return validated(model, given, self._where)

    def own_settings(self) -> dict[str, Any]:
        """What is in ``settings``, besides the maker's own fields."""
        return as_dict(self.settings)

    def run_options(self) -> Execution:
        """Validated ``execution``."""
        return validated(Execution, as_dict(self.execution), self._where)

    def check(self) -> None:
        """Refuse what can be known to be wrong before anything runs.

        Raises
        ------
        PetFlowsError
            Settings or execution.
        """
        self.physics()
        self.run_options()

    def resolved(self) -> ResolvedPotential:
        """Potential that is really used: what suits the property, its weights found."""
        declared, spec = self.declared(), with_settings(self.potential)
        wanted = {"symmetrization": self.symmetrization, "dtype": self.dtype, "device": self.device}
        found = resolve(spec.with_(**{name: v for name, v in wanted.items() if v is not None}))
        purpose = declared.purpose(self.physics())
        return found.with_(
            symmetrization=serving(found.spec.symmetrization, purpose), dtype=declared.dtype
        )

    def spec(self) -> PotentialSpec:
        """Spec of the potential that is really used, with the hash of its weights."""
        return self.resolved().spec

    def run(self, given: JobInput | list[JobInput] | BatchReference) -> Any:
        """Body of every job: a list gives slim results; one structure gives :meth:`document`."""
        # Born charges are those of a single structure
        refuse_shared(getattr(self.physics(), "nac", None), given)
        store, potential = job_result_store(), self.resolved()
        structures: Any = given if is_list(given) else [given]
        slims = run_batch(self, structures, potential, store)
        self.write_files(slims, store)
        if is_list(given):
            return slims
        slim = slims[0]
        record = store.get(slim["key"])
        if slim["state"] == "failed" or record is None:
            raise PetFlowsError(f"{self.name} failed ({slim['reason']}): {slim['message']}")
        return self.document(record, potential, store)

    def category(self) -> str:
        """``pet-cpu`` or ``pet-gpu``: which of our workers take its jobs, by the device."""
        return category_of_device(self.device or getattr(self.potential, "device", None))

    def source(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Where a record comes from: its input's identifiers, the campaign, the running job."""
        running = getattr(CURRENT_JOB, "job", None)
        metadata = getattr(running, "metadata", None) or {}
        return {
            **{key: value for key, value in given.items() if value is not None},
            "tags": list(dict.fromkeys([*given.get("tags", []), *self.tags])),
            "campaign": self.campaign,
            "job_uuid": getattr(running, "uuid", None),
            "job_index": getattr(running, "index", None),
            "fw_id": metadata.get("fw_id"),
        }

    def write_files(self, slims: list[dict[str, Any]], store: ResultStore) -> None:
        """Write files beside the records, whether computed now or before; none by default."""

    def document(
        self, record: dict[str, Any], potential: ResolvedPotential, store: ResultStore
    ) -> Any:
        """Output of a job over one structure: the record itself."""
        return record

    @classmethod
    def setting_fields(cls) -> frozenset[str]:
        """Fields of this maker that are settings of its property; see `of_property`."""
        return frozenset()

    def _where(self, place: Place) -> str:
        return f"{type(self).__name__}: "


def of_property(declared: Property) -> Callable[[type], type]:
    """Class decorator: a maker of one property, with a field for each of its settings.

    None in such a field is the property's default; where None itself is a value, give it in
    ``settings``.
    """

    def decorate(cls: type) -> type:
        own = inspect.get_annotations(cls)
        names = [name for name in declared.settings.model_fields if name not in own]
        cls.__annotations__ = {
            "property_name": "str", **own, **dict.fromkeys(names, "Any"),
        }  # fmt: skip
        cls.property_name = declared.name  # type: ignore[attr-defined]
        for name in names:
            setattr(cls, name, None)
        known = frozenset(declared.settings.model_fields)
        cls.setting_fields = classmethod(lambda cls: known)  # type: ignore[attr-defined]
        lines = [f"    {name}\n        {_described(declared, name)}" for name in names]
        has_parameters = "Parameters\n" in (cls.__doc__ or "")
        heading = "" if has_parameters else "\n    Parameters\n    ----------\n"
        cls.__doc__ = f"{(cls.__doc__ or '').rstrip()}\n{heading}" + "\n".join(lines) + "\n    "
        return dataclass(cls)

    return decorate


def _described(declared: Property, name: str) -> str:
    info = declared.settings.model_fields[name]
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    unit = f"{extra['unit']}; " if "unit" in extra else ""
    return f"{unit}{info.description}."


def category_of_device(device: str | None) -> str:
    """``pet-cpu`` for cpu, ``pet-gpu`` for everything else."""
    return "pet-cpu" if str(device or "").startswith("cpu") else "pet-gpu"


def as_dict(given: BaseModel | Mapping[str, Any] | None) -> dict[str, Any]:
    """What was set of a model, as update_kwargs can change it."""
    if isinstance(given, BaseModel):
        return given.model_dump(mode="json", exclude_unset=True)
    if not isinstance(given, Mapping | None):
        raise PetFlowsError(
            f"settings and execution must be names with values, or models (got {given!r:.60})."
        )
    return dict(given or {})


def job_result_store() -> ResultStore:
    """The results beside the outputs of the running job; the configured store outside of one."""
    from pet_flows.store.results import ResultStore

    running = getattr(CURRENT_JOB, "store", None)
    return ResultStore.from_job_store(running) if running is not None else ResultStore.open()
