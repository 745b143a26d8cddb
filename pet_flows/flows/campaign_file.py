"""A campaign as a user writes it down: in a file, on the command line, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from pet_flows.errors import PetFlowsError
from pet_flows.flows.names import names_with_settings
from pet_flows.models.choose import completed
from pet_flows.models.family import family_of
from pet_flows.models.spec import Dtype
from pet_flows.properties.execution import Execution
from pet_flows.properties.registry import properties
from pet_flows.properties.result import Strict
from pet_flows.settings import get_settings
from pet_flows.validate import unknown, validated
from pet_flows.yaml_file import Place, YamlFile

if TYPE_CHECKING:
    from pet_flows.flows.screen import ScreenMaker

#: parts of a campaign file that hold names with values
SECTIONS = ("execution", "submit", "comparison", "report")
#: values that are paths, besides inputs and models
FILES = (("execution", "checkpoints"), ("comparison", "picture"), ("report", "output"))
#: what a campaign computes that names no property
DEFAULT_PROPERTIES = ("relax", "eos", "phonon", "static")


class FromStore(Strict):
    """Documents of the user's database that hold structures."""

    collection: str = Field(description="collection of the database of jobflow.yaml")
    query: dict[str, Any] = Field(default_factory=dict, description="MongoDB query")


class CampaignPotential(Strict):
    """One potential of a campaign."""

    model: str = Field(
        description="bundled name, upet name, path of a .ckpt or .pt file, or another family's, "
        "such as sevenn:7net-0"
    )
    variant: str | None = Field(
        default=None, description="which of the model's levels of theory, such as pbesol"
    )
    symmetrization: str | None = Field(
        default=None, description="crystal, ecse, none, grid:icosahedral, ..."
    )
    dtype: Dtype | None = Field(default=None, description="float64 or float32")
    sha256: str | None = Field(default=None, description="of the weights, to be sure of them")
    trust: bool = Field(default=False, description="open the pickled checkpoint that `model` names")


class CampaignExecution(Execution):
    """How a campaign is executed, apart from its physics."""

    device: str | None = Field(default=None, description="auto, cpu, cuda or cuda:N")
    retry_failed: bool = Field(
        default=False, description="compute failed records again, whatever their reason"
    )


class Submission(Strict):
    """What only `pet-flows submit` uses."""

    category: Literal["pet-gpu", "pet-cpu"] | None = Field(
        default=None, description="which workers take it; by default as the device says"
    )
    priority: int | None = Field(default=None, description="larger runs first")


class Comparison(Strict):
    """What `pet-flows screen` compares when it has ended."""

    show: bool = Field(default=False, description="print the comparison with DFT")
    picture: Path | None = Field(default=None, description="draw it into this file")


class Report(Strict):
    """What `pet-flows screen` writes when it has ended."""

    output: Path | None = Field(
        default=None,
        description="table of all structures (.csv, .json, .md, .txt), or a folder of pages",
    )


class CampaignFile(Strict):
    """Everything that a campaign file may hold."""

    name: str = Field(default="screen", description="of the campaign")
    inputs: list[str] = Field(
        default_factory=list, description="files, folders, globs, prototypes:Li,Si,..."
    )
    from_store: FromStore | None = Field(
        default=None, description="structures of your own database"
    )
    structure_path: str | None = Field(
        default=None, description="where in a JSON document the structure is"
    )
    potentials: list[CampaignPotential] = Field(
        default_factory=list, description="one, or several to be compared; a name alone will do"
    )
    properties: dict[str, dict[str, Any]] = Field(
        default_factory=lambda: {name: dict[str, Any]() for name in DEFAULT_PROPERTIES},
        description="names, or names with settings",
    )
    execution: CampaignExecution = Field(
        default_factory=CampaignExecution, description="how it runs"
    )
    submit: Submission = Field(default_factory=Submission, description="for pet-flows submit")
    comparison: Comparison = Field(default_factory=Comparison, description="when it has ended")
    report: Report = Field(default_factory=Report, description="when it has ended")

    @field_validator("inputs", mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        return [given] if isinstance(given, str) else given

    @field_validator("potentials", mode="before")
    @classmethod
    def _names_or_more(cls, given: Any) -> Any:
        several = given if isinstance(given, list) else [given]
        return [{"model": one} if isinstance(one, str) else one for one in several]

    @field_validator("properties", mode="before")
    @classmethod
    def _names_or_settings(cls, given: Any) -> Any:
        return names_with_settings(given)

    def maker(self) -> ScreenMaker:
        """The campaign's maker, its potentials resolved to the hashes of their weights.

        Raises
        ------
        PetFlowsError
            A potential cannot be found, or is not to be trusted.
        """
        from pet_flows.models.resolve import resolve

        # says what is wrong with a name before jobflow and the stores are imported
        own = get_settings()
        specs = []
        for given in self.potentials or [CampaignPotential(model=own.model)]:
            spec = completed(
                model=given.model,
                sha256=given.sha256,
                variant=given.variant,
                symmetrization=given.symmetrization,
                dtype=given.dtype,
                device=self.execution.device,
            )
            specs.append(resolve(spec, trust=given.trust).spec)
        from pet_flows.flows.screen import ScreenMaker

        # only what was said: what was not may be chosen by what there is to do
        execution = self.execution.model_dump(
            include=set(Execution.model_fields), exclude_unset=True
        )
        return ScreenMaker(
            name=self.name,
            properties=self.properties,
            potential=specs[0] if len(specs) == 1 else list(specs),
            execution=Execution(**execution),
            retry_failed=self.execution.retry_failed,
        )


@dataclass
class Draft:
    """Values of a campaign with where each comes from, before they are validated.

    What is put in later wins: a file first, then the options of the command line.
    """

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Place, str] = field(default_factory=dict)
    file: YamlFile | None = None

    @classmethod
    def of(cls, file: YamlFile) -> Draft:
        """Draft of a file; its relative paths are those seen from the folder it lies in."""
        # a section with nothing but comments in it is None
        values = {
            name: {} if value is None and name in SECTIONS else value
            for name, value in file.values.items()
        }
        lines = {
            (place[0], *place[2:])  # a list of properties becomes names with settings
            if place[0] == "properties" and len(place) > 2 and isinstance(place[1], int)
            else place: line
            for place, line in file.lines.items()
        }
        draft = cls(values, {}, YamlFile(file.path, file.values, lines))
        if "properties" in values:
            try:
                values["properties"] = names_with_settings(values["properties"])
            except ValueError as error:
                raise PetFlowsError(f"{draft.where(('properties',))}{error}") from None
        folder = file.path.parent
        if "inputs" in values:
            values["inputs"] = _from(folder, values["inputs"])
        if "potentials" in values:
            values["potentials"] = _models_from(folder, values["potentials"])
        for section, name in FILES:
            inside = values.get(section)
            if isinstance(inside, dict) and isinstance(inside.get(name), str):
                values[section] = {**inside, name: _from(folder, inside[name])}
        return draft

    def put(self, place: Sequence[str], value: Any, origin: str) -> None:
        """Set a value; ``origin`` is how the user calls it, such as ``--name``."""
        found = self.values
        for step in place[:-1]:
            inner = found.get(step)
            found[step] = dict(inner) if isinstance(inner, dict) else {}
            found = found[step]
        found[place[-1]] = value
        self.origins[tuple(place)] = origin

    def where(self, place: Sequence[str | int]) -> str:
        """Beginning of a sentence about a value."""
        known = tuple(place)
        while known and known not in self.origins:
            known = known[:-1]
        if known:
            return f"{self.origins[known]}: "
        return self.file.where(place) if self.file is not None else ""

    def _inside(self, name: str, place: Sequence[str | int]) -> str:
        return f"{self.where(('properties', name, *place))}{name}: "

    def campaign(self) -> CampaignFile:
        """Validated campaign, the settings of its properties included.

        Raises
        ------
        PetFlowsError
            Names the line or option that is wrong, and the nearest known name.
        """
        found = validated(CampaignFile, self.values, self.where)
        known = properties()
        for name, settings in found.properties.items():
            place = ("properties", name)
            if name not in known:
                raise PetFlowsError(unknown(name, list(known), "property", self.where(place)))
            validated(known[name].settings, settings, partial(self._inside, name))
        return found


def _from(folder: Path, given: Any) -> Any:
    """Paths as seen from the folder; what is wrong stays as it is."""
    if isinstance(given, list):
        return [_from(folder, one) for one in given]
    if not isinstance(given, str) or folder == Path():
        return given
    return given if given.startswith(("prototypes:", "/", "~")) else str(folder / given)


def _models_from(folder: Path, given: Any) -> Any:
    """Potentials whose models are files, as seen from the folder; names stay as they are."""
    if isinstance(given, list):
        return [_models_from(folder, one) for one in given]
    if isinstance(given, dict):
        return {k: _models_from(folder, v) if k == "model" else v for k, v in given.items()}
    if isinstance(given, str) and (named := family_of(given)) is not None:
        family, which = named
        return f"{family.name}:{folder / which}" if (folder / which).is_file() else given
    is_file = isinstance(given, str) and ("/" in given or given.endswith((".ckpt", ".pt")))
    return _from(folder, given) if is_file else given
