"""A property of another package, found by its entry point, in everything that the house does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ase.build import bulk
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

import pet_flows
from pet_flows.cli import main
from pet_flows.errors import PetFlowsError
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import forget, get_property, properties
from pet_flows.records.build import build_record
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore

SITE = Path(__file__).parent / "site"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(SITE))
    forget()
    yield
    forget()
    sys.modules.pop("pet_flows_stretch", None)


def test_it_is_small_and_nothing_of_the_house_names_it() -> None:
    assert len((SITE / "pet_flows_stretch.py").read_text().splitlines()) < 60
    house = Path(pet_flows.__file__).parent
    assert not any("pet_flows_stretch" in path.read_text() for path in house.rglob("*.py"))


def test_every_command_knows_it(
    installed: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["screen", "prototypes:Cu", "--properties", "stretch", "--name", "far"]
    main_ok([*words, "--set", "stretch.stretches=[0.98, 1.0, 1.02]"])
    assert "stretch  5 ok" in capsys.readouterr().out
    (record,) = ResultStore.open(read_only=True).query(
        {"property": "stretch", "sources.material_id": "Cu-fcc"}
    )
    assert record["settings"] == {"stretches": [0.98, 1.0, 1.02]}
    assert record["result"]["softest"] == min(record["result"]["energies"])
    main_ok(["query", "far"])
    assert "at its softest" in capsys.readouterr().out
    main_ok(["plot", record["_id"], "-o", str(tmp_path / "far.png")])
    assert (tmp_path / "far.png").stat().st_size > 5000
    main_ok(["show", record["_id"]])
    assert "softest" in capsys.readouterr().out
    main_ok(["report", "far", "--format", "csv"])
    assert "softest" in capsys.readouterr().out.splitlines()[0]
    main_ok(["settings", "stretch"])
    assert "of each length" in capsys.readouterr().out


def main_ok(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert not ended.value.code


def test_makers_and_the_front_door_know_it(installed: None) -> None:
    maker = pet_flows.maker_of("stretch", settings={"stretches": [1.0, 1.1]}, campaign="c")
    store = open_job_store()
    copper = AseAtomsAdaptor.get_structure(bulk("Cu"))
    job = maker.make(copper)
    record = run_locally(job, store=store, log=False, ensure_success=True)[job.uuid][1].output
    store.close()
    assert (record["property"], record["state"]) == ("stretch", "ok")
    found = pet_flows.stretch(copper, "pet-mvl", stretches=(1.0, 1.1))
    assert found.energies == pytest.approx(record["result"]["energies"], abs=1e-9)
    assert found.plot().axes[0].get_ylabel() == "energy (eV/atom)"


@pytest.mark.parametrize("how", ["raises", "forgets", "nonsense"])
def test_what_breaks_down_on_one_structure_leaves_its_record_and_the_others(
    installed: None, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    get_property("stretch").function()
    module = sys.modules["pet_flows_stretch"]
    sound = module.compute

    def broken(structures, potential, settings, inherited=None, *, progress=None):
        for index, atoms in enumerate(structures):
            if atoms.symbols[0] == "Si":
                if how == "raises":
                    raise ZeroDivisionError("of silicon")
                if how == "nonsense":
                    yield Outcome(index=index, state="ok", result={"softest": object()})
                continue
            (outcome,) = sound([atoms], potential, settings)
            yield Outcome(index=index, state="ok", result=outcome.result, atoms=atoms)

    monkeypatch.setattr(module, "compute", broken)
    structures = [AseAtomsAdaptor.get_structure(bulk(name)) for name in ("Cu", "Si", "W")]
    store = open_job_store()
    job = pet_flows.maker_of("stretch").make(structures)
    slims = run_locally(job, store=store, log=False, ensure_success=True)[job.uuid][1].output
    assert [slim["state"] for slim in slims] == ["ok", "failed", "ok"]
    record = ResultStore.from_job_store(store).get(slims[1]["key"])
    store.close()
    assert record["reason"] == ("invalid_result" if how == "nonsense" else "property_error")
    assert record["formula_pretty"] == "Si"


def test_a_property_that_is_not_installed_here_fails_in_a_record() -> None:
    record, _ = build_record(
        Outcome(index=0, state="ok", result={"softest": 1.0}),
        input_structure=AseAtomsAdaptor.get_structure(bulk("Cu")),
        property="stretch", settings={}, sources=[{"campaign": "c"}],
        potential={"digest": "d", "name": "n", "sha256": "s", "symmetrization": "none",
                   "dtype": "float64"},
    )  # fmt: skip
    assert (record["state"], record["reason"]) == ("failed", "invalid_result")
    assert "'stretch'" in record["message"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_at_all", "cannot be imported (ModuleNotFoundError"),
        ("PROPERTY = 3", "does not give the Property 'stretch'"),
        ("from pet_flows.properties.eos.declaration import PROPERTY", "does not give the Property"),
    ],
)
def test_a_broken_package_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    (tmp_path / "broken.py").write_text(text)
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pet_flows.properties]\nstretch = broken:PROPERTY\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    try:
        assert "eos" in properties()  # one broken package stops no other
        with pytest.raises(PetFlowsError) as caught:
            get_property("stretch")
    finally:
        forget()
        sys.modules.pop("broken", None)
    assert said in str(caught.value)
    assert "package broken" in str(caught.value)


def test_ours_are_not_replaced_and_twins_of_others_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    for package in ("twin", "other"):
        (tmp_path / f"{package}.py").write_text(
            "from dataclasses import replace\n"
            "from pet_flows.properties.eos.declaration import PROPERTY as EOS\n"
            'PROPERTY = replace(EOS, name="same")\n'
        )
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[pet_flows.properties]\neos = {package}:EOS\nsame = {package}:PROPERTY\n"
        )
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    try:
        assert get_property("eos").settings.__module__.startswith("pet_flows.")
        assert "pet-flows and twin both have a property 'eos'" in caplog.text
        with pytest.raises(PetFlowsError, match="both have a property 'same': uninstall one"):
            get_property("same")
    finally:
        forget()


def test_json_output_of_settings(installed: None, capsys) -> None:
    main_ok(["settings", "stretch", "--format", "json"])
    (row,) = json.loads(capsys.readouterr().out)
    assert row == {"setting": "stretches", "default": "[0.99, 1, 1.01]", "unit": "",
                   "meaning": "of each length"}  # fmt: skip
