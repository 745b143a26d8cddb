"""The campaign of a file and of options, and the flow made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pet_flows.cli.arguments import Asked, parse_query
from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    from jobflow import Flow, JobStore

    from pet_flows.flows.campaign_file import CampaignFile, Draft
    from pet_flows.flows.screen import ScreenMaker
    from pet_flows.inputs.structure import InputStructure

#: endings of campaign files
YAML = (".yaml", ".yml")


def read_campaign(asked: Asked) -> CampaignFile:
    """The campaign of a file, of options, or of a file with options that win over it.

    Raises
    ------
    PetFlowsError
        Names the line or the option that is wrong.
    """
    from pet_flows.flows.campaign_file import DEFAULT_PROPERTIES, Draft
    from pet_flows.yaml_file import read_yaml

    inputs = list(asked.inputs or [])
    draft = Draft()
    if inputs and Path(inputs[0]).suffix.lower() in YAML:
        path = Path(inputs.pop(0))
        if not path.is_file():
            raise PetFlowsError(
                f"There is no campaign file {path}: check the path, or write one with pet-flows "
                f"init {path}."
            )
        draft = Draft.of(read_yaml(path))
    if inputs:
        draft.put(("inputs",), inputs, "INPUTS")
    if asked.name is not None:
        draft.put(("name",), asked.name, "--name")
    if asked.from_store is not None:
        draft.put(("from_store", "collection"), asked.from_store, "--from-store")
    if asked.query is not None:
        if "from_store" not in draft.values:
            raise PetFlowsError(
                "--query says which documents of a collection are meant: name it with --from-store."
            )
        draft.put(("from_store", "query"), parse_query(asked.query), "--query")
    if asked.structure_path is not None:
        draft.put(("structure_path",), asked.structure_path, "--structure-path")
    for name in ("device", "batch_size", "retry_failed"):
        value = getattr(asked, name)
        if value is not None and value is not False:
            draft.put(("execution", name), value, f"--{name.replace('_', '-')}")
    _put_potentials(asked, draft)
    _put_properties(asked, draft, DEFAULT_PROPERTIES)
    return draft.campaign()


def _put_potentials(asked: Asked, draft: Draft) -> None:
    """``--model`` replaces the potentials; the other options change each of them."""
    if asked.model is not None:
        draft.put(("potentials",), [{"model": model} for model in asked.model], "--model")
    changes = {
        "variant": asked.variant,
        "symmetrization": asked.symmetrize,
        "dtype": asked.dtype,
        "trust": asked.trust,
    }
    changes = {name: value for name, value in changes.items() if value}
    if not changes:
        return
    from pet_flows.settings import get_settings

    there = draft.values.get("potentials") or [get_settings().model]
    several = there if isinstance(there, list) else [there]
    whole = [{"model": one} if isinstance(one, str) else one for one in several]
    draft.values["potentials"] = [
        {**one, **changes} if isinstance(one, dict) else one for one in whole
    ]
    for n in range(len(whole)):
        for name in changes:
            option = "symmetrize" if name == "symmetrization" else name
            draft.origins["potentials", n, name] = f"--{option}"


def _put_properties(asked: Asked, draft: Draft, default: tuple[str, ...]) -> None:
    """``--properties`` chooses, keeping what the file says of those it has; ``--set`` adds."""
    if asked.properties is not None:
        there = draft.values.get("properties")
        known = there if isinstance(there, dict) else {}
        chosen = [name.strip() for name in asked.properties.split(",") if name.strip()]
        settings = {name: known.get(name) or {} for name in chosen}
        draft.values["properties"] = settings
        for name in set(chosen) - set(known):
            draft.origins["properties", name] = "--properties"
    chosen = list(draft.values.get("properties") or default)
    for text in asked.settings or []:
        place, value = parse_setting(text)
        if place[0] != "execution":
            if place[0] not in chosen:
                _refuse_unused(text, place[0], chosen)
            if "properties" not in draft.values:
                draft.values["properties"] = {name: {} for name in default}
            place = ("properties", *place)
        draft.put(place, value, f"--set {text}")


def _refuse_unused(text: str, name: str, chosen: list[str]) -> None:
    """Refuse a setting of a property that is not computed."""
    from pet_flows.properties.registry import get_property

    get_property(name)  # or the sentence that there is none
    raise PetFlowsError(
        f"--set {text}: {name} is not computed here ({', '.join(chosen)} are): add it to "
        "--properties, or leave the setting out."
    )


def parse_setting(text: str) -> tuple[tuple[str, ...], Any]:
    """``md.temperature=600`` → (("md", "temperature"), 600).

    Raises
    ------
    PetFlowsError
        It has another form, or its value is no YAML.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    name, equals, value = text.partition("=")
    place = tuple(name.strip().split("."))
    if not equals or len(place) < 2 or not all(place):
        raise PetFlowsError(
            f"--set {text}: write PROPERTY.SETTING=VALUE, such as md.temperature=600."
        )
    try:
        return place, None if value.strip() == "None" else YAML(typ="safe").load(value)
    except YAMLError:
        raise PetFlowsError(
            f"--set {text}: the value must be a number, text, or a list such as [4, 4, 4]."
        ) from None


@dataclass
class Campaign:
    """A flow, the store it writes to, and how many structures it has."""

    asked: CampaignFile
    flow: Flow
    store: JobStore
    n_inputs: int
    n_results: int
    properties: tuple[str, ...]


def build_campaign(campaign: CampaignFile) -> Campaign:
    """Read the inputs, register the campaign, and make its flow.

    Raises
    ------
    PetFlowsError
        Anything about it that cannot be done.
    """
    maker = checked_maker(campaign)
    from pet_flows.jobs.entries import by_reference
    from pet_flows.launch.remaining import Plan
    from pet_flows.store.locate import open_job_store
    from pet_flows.store.results import ResultStore

    job_store = open_job_store()
    structures = list(read(campaign, job_store))
    results = ResultStore.from_job_store(job_store)
    n_results = len(structures) * len(maker.properties) * len(maker.specs())
    results.campaigns.put(maker.manifest(len(structures)), n_results)
    inputs = by_reference(structures, results)
    asked = Plan(maker, results).of(inputs)
    results.campaigns.spread(maker.name, n_results)
    results.campaigns.add_keys(maker.name, asked.keys, asked.starts)
    results.campaigns.count(maker.name)
    return Campaign(
        campaign, maker.make(inputs), job_store, len(inputs), n_results, tuple(maker.properties)
    )


def checked_maker(campaign: CampaignFile) -> ScreenMaker:
    """The campaign's maker, after all that can be known to be wrong was refused."""
    maker = campaign.maker()
    for name in maker.properties:
        maker.makers[name].check()
    return maker


def read(campaign: CampaignFile, job_store: JobStore) -> Iterator[InputStructure]:
    """Read the inputs, one after the other.

    Raises
    ------
    PetFlowsError
        There are none, or something named is not there.
    """
    from pet_flows.inputs.sources import iter_inputs

    none = True
    if campaign.inputs:
        for given in iter_inputs(campaign.inputs, structure_path=campaign.structure_path):
            none = False
            yield given
    if campaign.from_store is not None:
        from pet_flows.inputs.database import iter_store

        for given in iter_store(
            job_store.docs_store,
            campaign.from_store.query,
            campaign.structure_path or "structure",
            collection=campaign.from_store.collection,
        ):
            none = False
            yield given
    if none:
        raise PetFlowsError(
            "There is nothing to screen: give files, folders, prototypes:Li,Si or --from-store."
        )
