"""Every setting of every property, set in three ways: one validation, one digest."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from pydantic_core import PydanticUndefined

from pet_flows.cli.arguments import Asked
from pet_flows.cli.campaign import read_campaign
from pet_flows.errors import PetFlowsError
from pet_flows.jobs import maker_of
from pet_flows.properties.execution import Execution
from pet_flows.properties.registry import get_property, properties
from pet_flows.records.keys import settings_digest

#: what else must be said for a setting to be possible at all
COMPANIONS: dict[str, dict[str, Any]] = {
    "md.pressure": {"ensemble": "npt_langevin"},
    "md.final_pressure": {"ensemble": "npt_langevin"},
}
#: values where the next number or the other word will not do
VALUES: dict[str, Any] = {
    "elastic.strain_magnitudes": [0.003],
    "phonon.nac": {"born_charges": [[[1, 0, 0], [0, 1, 0], [0, 0, 1]]],
                   "dielectric": [[2, 0, 0], [0, 2, 0], [0, 0, 2]]},
    "eos.max_volume_change": 0.2,
    "static.phase_comparison": False,
    "qha.n_compressed": 4,
}  # fmt: skip
VALUES["kappa.nac"] = VALUES["phonon.nac"]
ALL = [f"{p.name}.{field}" for p in properties().values() for field in p.settings.model_fields]


def another(name: str) -> Any:
    """A value that a setting may have, and does not have by default."""
    if name in VALUES:
        return VALUES[name]
    of, _, field = name.partition(".")
    info = get_property(of).settings.model_fields[field]
    default = None if info.default is PydanticUndefined else info.default
    if isinstance(default, bool):
        return not default
    if isinstance(default, int):
        return default + 1
    if isinstance(default, float):
        return default * 1.25 if default else 1.0
    if isinstance(default, tuple):
        return [*default[:-1], default[-1] * 2]
    choices = [c for c in options(info.annotation) if c != default]
    if choices:
        return choices[-1]
    return [3, 3, 3] if "tuple" in str(info.annotation) else 350.0


def options(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    if get_origin(annotation) in (types.UnionType, Union):
        return [c for part in get_args(annotation) for c in options(part)]
    return []


@pytest.mark.parametrize("name", ALL)
def test_a_setting_is_reached_in_three_ways_and_changes_the_key(name: str, tmp_path: Path) -> None:
    of, _, field = name.partition(".")
    value, more = another(name), COMPANIONS.get(name, {})
    declared = get_property(of)
    plain = {**declared.in_campaign, **more}
    first, then = maker_of(of, settings=plain), maker_of(of, settings={**plain, field: value})
    wanted = then.physics()
    assert wanted != first.physics()
    if field not in plain:
        assert maker_of(of, **{**plain, field: getattr(wanted, field)}).physics() == wanted
    reached = maker_of(of, settings=dict(plain)).update_kwargs(
        {"_set": {f"settings->{field}": value}}, dict_mod=True
    )
    assert reached.physics() == wanted

    words = [f"{of}.{key}={json.dumps(v)}" for key, v in {**more, field: value}.items()]
    by_option = read_campaign(Asked(inputs=["x"], properties=of, settings=words))
    path = tmp_path / "campaign.yaml"
    path.write_text(json.dumps({"inputs": "x", "properties": {of: {**more, field: value}}}))
    by_file = read_campaign(Asked(inputs=[str(path)]))
    for campaign in (by_option, by_file):
        given = campaign.maker().makers[of].physics()
        assert given == wanted

    key = (settings_digest(wanted), then.spec().digest)
    assert key != (settings_digest(first.physics()), first.spec().digest)


def test_execution_is_in_no_key_and_reached_the_same_ways(tmp_path: Path) -> None:
    values = {
        "batch_size": 3, "chunk_atoms": 100, "checkpoint_every": 7, "checkpoints": "/c",
        "store_every": 70,
    }  # fmt: skip
    assert set(values) == set(Execution.model_fields)
    maker = maker_of("md", execution=values)
    assert maker.run_options().model_dump(mode="json") == values
    words = [f"execution.{key}={value}" for key, value in values.items()]
    by_option = read_campaign(Asked(inputs=["x"], properties="md", settings=words))
    path = tmp_path / "campaign.yaml"
    path.write_text(json.dumps({"properties": ["md"], "execution": values}))
    by_file = read_campaign(Asked(inputs=[str(path)]))
    for campaign in (by_option, by_file):
        given = campaign.maker().maker("md")
        assert given.run_options() == maker.run_options()
        assert settings_digest(given.physics()) == settings_digest(maker_of("md").physics())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("md.temprature=600", "--set md.temprature=600: md: there is no setting 'temprature': did"),
        ("md.temperature=-1", "temperature must be greater than 0 (got -1)"),
        ("md.temperature=hot", "temperature must be a number (got 'hot')"),
        ("md.temperature", "write PROPERTY.SETTING=VALUE"),
        ("dm.temperature=3", "There is no property 'dm': did you mean 'md'?"),
        ("eos.strain=0.01", "eos is not computed here (md are): add it to --properties"),
        ("execution.batchsize=3", "there is no setting 'batchsize': did you mean 'batch_size'?"),
        ("md.steps=[1", "the value must be a number, text, or a list"),
        ("md.equilibration=2000", "equilibration must be shorter than the 1000 steps (got 2000)"),
    ],
)
def test_a_wrong_setting_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(PetFlowsError) as caught:
        read_campaign(Asked(inputs=["x"], properties="md", settings=[text]))
    assert said in str(caught.value)
