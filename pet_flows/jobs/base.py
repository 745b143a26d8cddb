"""What the makers of all properties share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jobflow import CURRENT_JOB, JobConfig, Maker, job
from pydantic import BaseModel, ValidationError

from pet_flows.errors import PetFlowsError
from pet_flows.jobs.batch import run_batch
from pet_flows.jobs.items import JobInput, refuse_ase
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.registry import get_property

if TYPE_CHECKING:
    from ase import Atoms

    from pet_flows.engines.potential import Potential
    from pet_flows.properties.batch import Progress
    from pet_flows.properties.outcome import Outcome
    from pet_flows.store.results import ResultStore

#: a job of ours writes its records beside the job outputs, so it must know that store
STORE_EXPOSED = JobConfig(expose_store=True)


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
        from pet_flows.models.resolve import resolve

        spec = with_settings(self.potential)
        wanted = {"symmetrization": self.symmetrization, "dtype": self.dtype, "device": self.device}
        return resolve(spec.with_(**{k: v for k, v in wanted.items() if v is not None})).spec

    def compute(
        self,
        structures: Sequence[Atoms],
        potential: Potential,
        inherited: Sequence[dict[str, Any] | None],
        progress: Progress | None = None,
    ) -> Iterator[Outcome]:
        """Call the property's function."""
        compute = get_property(self.property_name).function()
        outcomes: Iterator[Outcome] = compute(
            structures, potential, self.settings(), inherited, progress=progress
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

    settings = get_settings()  # in any case: its paths start here, not in the folder of a job
    if isinstance(potential, PotentialSpec):
        return potential
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
