"""Campaigns that are written down: the same as by options and by script, and checked by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jobflow import run_locally

import pet_flows
from pet_flows.cli import main
from pet_flows.cli.campaign import Asked, read_campaign
from pet_flows.errors import PetFlowsError
from pet_flows.flows.campaign_file import CampaignFile, Draft
from pet_flows.flows.campaign_template import campaign_template
from pet_flows.properties.registry import properties
from pet_flows.settings import get_settings
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore
from pet_flows.yaml_file import read_yaml

SAMPLE = Path(__file__).parents[2] / "configs" / "campaign.yaml"
#: of a record, what the run and not the campaign says
OF_THE_RUN = ("last_updated", "provenance", "blobs")


def facts(store: ResultStore) -> dict[str, dict[str, Any]]:
    """Records without what differs from run to run."""
    found = {}
    for record in store.query({}):
        for source in record["sources"]:
            for key in ("job_uuid", "job_index", "fw_id"):
                source.pop(key)
        found[record["_id"]] = {k: v for k, v in record.items() if k not in OF_THE_RUN}
    return found


def test_file_options_and_script_are_one_campaign(tmp_path: Path, monkeypatch, capsys) -> None:
    ran = []
    for way in ("file", "options", "script"):
        monkeypatch.setenv("PET_FLOWS_STORE", str(tmp_path / f"{way}.db"))
        get_settings.cache_clear()
        if way == "file":
            run(["screen", str(SAMPLE)])
            assert "nothing computed" not in capsys.readouterr().out
            run(["screen", str(SAMPLE)])
            assert "nothing computed" in capsys.readouterr().out
        elif way == "options":
            words = ["screen", "prototypes:Si,Ge", "--name", "semiconductors", "--set"]
            words += ["relax.fmax=0.0005", "--set", "eos.n_volumes=9", "-p", "relax,eos,static"]
            run([*words, "--batch-size", "5"])
        else:
            store = open_job_store()
            maker = pet_flows.ScreenMaker(
                name="semiconductors",
                properties={"relax": {"fmax": 5e-4}, "eos": {"n_volumes": 9}, "static": {}},
                batch_size=5,
            )
            flow = maker.make(pet_flows.build_prototypes(["Si", "Ge"]))
            run_locally(flow, store=store, log=False, ensure_success=True)
            store.close()
        with ResultStore.open(read_only=True) as store:
            ran.append((facts(store), store.campaigns.get("semiconductors")["digest"]))
    assert len(ran[0][0]) > 20
    assert ran[0] == ran[1] == ran[2]


def run(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code in (0, 3)


def test_options_win_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "campaign.yaml"
    path.write_text(
        "name: one\ninputs: here\nproperties:\n  relax: {fmax: 0.01, steps: 5}\n  md: {steps: 7}\n"
        "potentials: [a, {model: b, dtype: float32}]\nexecution: {batch_size: 3}\n"
    )
    whole = read_campaign(Asked(inputs=[str(path)]))
    assert whole.properties == {"relax": {"fmax": 0.01, "steps": 5}, "md": {"steps": 7}}
    assert [p.model for p in whole.potentials] == ["a", "b"]
    changed = read_campaign(
        Asked(
            inputs=[str(path), "there"], name="two", properties="md,eos", settings=["md.steps=9"],
            dtype="float64", batch_size=4,
        )
    )  # fmt: skip
    assert (changed.name, changed.inputs) == ("two", ["there"])
    assert changed.properties == {"md": {"steps": 9}, "eos": {}}
    assert [p.dtype for p in changed.potentials] == ["float64", "float64"]
    assert changed.execution.batch_size == 4
    assert [p.model for p in read_campaign(Asked(inputs=[str(path)], model=["c"])).potentials] == [
        "c"
    ]


def test_paths_are_seen_from_the_file(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "mine.cif").touch()
    path = folder / "campaign.yaml"
    path.write_text("inputs: [mine.cif, 'more/*.cif', 'prototypes:Si', /abs.cif, gone]\n")
    seen = read_campaign(Asked(inputs=[str(path)])).inputs
    assert seen == [
        str(folder / "mine.cif"), str(folder / "more/*.cif"), "prototypes:Si", "/abs.cif",
        str(folder / "gone"),
    ]  # fmt: skip
    monkeypatch.chdir(folder)
    assert read_campaign(Asked(inputs=["campaign.yaml"])).inputs[0] == "mine.cif"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nmae: x\n", "Line 1 of {}: there is no setting 'nmae': did you mean 'name'?"),
        (
            "properties:\n  relax:\n    fmaxx: 1\n",
            "Line 3 of {}: relax: there is no",
        ),
        (
            "properties:\n  relax:\n    fmax: -1\n",
            "Line 3 of {}: relax: fmax must be",
        ),
        ("properties:\n  - relax\n  - elasti\n", "there is no property 'elasti': did you mean"),
        ("properties:\n  eos: 3\n", "Line 2 of {}: eos must be names with values (got 3)."),
        ("\nexecution:\n  batch_size: 0\n", "Line 3 of {}: batch_size must be at least 1 (got 0)."),
        ("potentials:\n  - model: a\n    dtyp: x\n", "Line 3 of {}: there is no setting 'dtyp'"),
        ("potentials:\n  - dtype: float32\n", "Line 2 of {}: model is missing"),
        ("name: [\n", "is not YAML"),
        ("- a\n", "must hold lines like `name: value`"),
        ("submit: {category: cpu}\n", "Line 1 of {}: category must be 'pet-gpu' or 'pet-cpu'"),
        ("properties:\n  md:\n    equilibration: 5000\n", "md: equilibration must be shorter"),
        ("name: a\nname: b\n", "is not YAML"),
        ("properties: [3]\n", "Line 1 of {}: properties must be names with values (got [3])."),
        ("properties: [relax, {eos: {n: 3}}]\n", "Line 1 of {}: eos: there is no setting 'n'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(PetFlowsError) as caught:
        read_campaign(Asked(inputs=[str(path)]))
    assert said.format(path) in str(caught.value)


def test_a_missing_file_says_how_to_write_one() -> None:
    with pytest.raises(PetFlowsError, match=r"no campaign file none\.yaml: .* pet-flows init"):
        read_campaign(Asked(inputs=["none.yaml"]))


def test_init_writes_what_screen_reads(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    main_ok(["init"])
    written = read_campaign(Asked(inputs=["campaign.yaml"]))
    assert written.properties == {
        "relax": {}, "eos": {}, "phonon": {}, "static": {"phase_comparison": True},
    }  # fmt: skip
    with pytest.raises(SystemExit, match="exists already"):
        main(["init"])
    main_ok(["init", "--force", "-p", "md"])


def main_ok(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code


def test_every_line_of_the_template_can_be_turned_on(tmp_path: Path) -> None:
    """Each default that is commented out is what the models have, and is read as such."""
    text = campaign_template(list(properties()))
    lines = []
    for line in text.splitlines():
        bare = line.lstrip()
        is_setting = bare.startswith("# ") and ":" in bare.split("  #")[0] and line[:2] == "  "
        is_setting = is_setting or line in ("# execution:", "# submit:")
        indent = line[: len(line) - len(bare)]
        lines.append(indent + bare[2:] if is_setting else line)
    path = tmp_path / "all.yaml"
    path.write_text("\n".join(lines))
    found = Draft.of(read_yaml(path)).campaign()
    for name, declared in properties().items():
        given = found.properties[name]
        assert set(given) == set(declared.settings.model_fields)
        wanted = declared.settings(**declared.in_campaign)
        assert declared.settings.model_validate(given) == wanted


def test_several_potentials_are_one_campaign(tmp_path: Path) -> None:
    campaign = CampaignFile(
        name="both", properties={"static": {}},
        potentials=[{"model": "pet-mvl"}, {"model": "pet-mvl", "symmetrization": "none"}],
    )  # fmt: skip
    maker = campaign.maker()
    store = open_job_store()
    flow = maker.make(pet_flows.build_prototypes(["Cu"])[:2])
    assert len(flow.jobs) == 2
    run_locally(flow, store=store, log=False, ensure_success=True)
    records = list(ResultStore.from_job_store(store).query({"sources.campaign": "both"}))
    store.close()
    assert {r["potential"]["symmetrization"] for r in records} == {"crystal:icosahedral", "none"}
    assert len(records) == 4


def test_options_reach_properties_however_the_file_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    for text in ("md", "[md]", "[{md: {}}]", "{md: null}"):
        path.write_text(f"properties: {text}\n")
        found = read_campaign(Asked(inputs=[str(path)], settings=["md.steps=9"]))
        assert found.properties == {"md": {"steps": 9}}
    with pytest.raises(
        PetFlowsError, match=r"--batch-size: batch_size must be at least 1 \(got 0\)"
    ):
        read_campaign(Asked(inputs=["x"], batch_size=0))


def test_only_what_was_said_of_the_execution_is_given_to_the_maker() -> None:
    campaign = CampaignFile(name="few", properties={"static": {}})
    assert not campaign.maker().run_options().model_fields_set
    campaign = CampaignFile(name="few", execution={"batch_size": 64, "device": "cpu"})
    assert campaign.maker().run_options().model_fields_set == {"batch_size"}
