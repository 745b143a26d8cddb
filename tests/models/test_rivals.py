"""Rivals of PET: what each fits is what pet_flows then computes, and the harness reads it all."""

import gzip
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon

WORKFLOWS = Path(__file__).parents[2] / "workflows"
NAMES = ("pet", "nequip", "painn", "mace", "soap_bpnn")


@pytest.fixture(scope="module")
def workflows():
    sys.path.insert(0, str(WORKFLOWS))
    yield import_module
    sys.path.remove(str(WORKFLOWS))


def labelled(atoms, calculator, seed):
    """A rattled copy with energy and forces."""
    copy = atoms.copy()
    copy.rattle(0.05, seed=seed)
    copy.calc = calculator
    found = {"energy": copy.get_potential_energy(), "forces": copy.get_forces()}
    copy.calc = SinglePointCalculator(copy, **found)
    return copy


def silicon(n):
    lj = LennardJones(sigma=2.0, epsilon=0.5, rc=4.0)
    return [labelled(bulk("Si", cubic=True), lj, seed) for seed in range(n)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Molecules of four atoms under the name of the data of acetylacetone."""
    made = tmp_path_factory.mktemp("data")
    frames = [labelled(molecule("H2CO"), EMT(), seed) for seed in range(74)]
    with gzip.open(made / "acac_300K.extxyz.gz", "wt") as stream:
        write(stream, frames, format="extxyz")
    return made


@pytest.mark.parametrize("name", NAMES)
def test_what_is_trained_is_what_pet_flows_computes(workflows, name, tmp_path):
    """Atomic energies, scales and conventions of edges go through a file unchanged."""
    rival = workflows(f"rivals.{name}")
    package = rival.NEEDS.partition(".")[0]
    if find_spec(package) is None:
        pytest.skip(f"{package} is not installed: docs/rivals.md says how")
    measure, data = workflows("rivals.measure"), workflows("rivals.data")
    frames = [data.labelled(frame) for frame in silicon(5)]
    trained = rival.train(frames[:3], frames[3:], 0.2, tmp_path, seed=0)
    assert trained.steps >= 1
    found = measure.accuracy(measure.potential_of(trained.model, "none"), frames[3:])
    # trained in float32, of forces of some eV/Å
    assert found["energy"] == pytest.approx(1e3 * trained.validation[0], rel=1e-3, abs=0.05)
    assert found["force"] == pytest.approx(1e3 * trained.validation[1], rel=1e-3, abs=0.05)


def test_the_same_weights_do_not_notice_a_rotation_once_they_are_symmetrized(workflows, tmp_path):
    pet, measure, data = (workflows(f"rivals.{name}") for name in ("pet", "measure", "data"))
    frames = [data.labelled(labelled(molecule("H2CO"), EMT(), seed)) for seed in range(4)]
    trained = pet.train(frames[:3], frames[3:], 0.1, tmp_path, seed=0)
    plain, exact = (
        measure.rotational_error(measure.potential_of(trained.model, spec), frames[3:])
        for spec in ("none", "ecse")
    )
    assert plain["energy_rotation"] > 0.01
    assert plain["force_rotation"] > 1
    assert exact["energy_rotation"] < 1e-9
    assert exact["force_rotation"] < 1e-9


def test_a_round_shows_every_structure_and_fills_its_last_batch(workflows):
    loop = workflows("rivals.loop")
    round_ = loop.batches(7, 3, np.random.default_rng(0))
    assert [len(batch) for batch in round_] == [3, 3, 3]
    assert set(np.concatenate(round_)) == set(range(7))


def test_training_sets_are_nested_and_the_test_set_is_always_the_same(workflows, folder):
    load = workflows("rivals.data").load
    small, large = load("acac", folder, 2), load("acac", folder, 4)
    energies = [[a.info["ref_energy"] for a in one.training] for one in (small, large)]
    assert energies[0] == energies[1][:2]
    test = [[a.info["ref_energy"] for a in one.test] for one in (small, large)]
    assert test[0] == test[1]
    assert not set(test[0]) & set(energies[1])
    with pytest.raises(ValueError, match="leaves 4 training structures, not 5"):
        load("acac", folder, 5)


def test_groups_are_spread_over_every_stretch(workflows):
    order = workflows("rivals.data").mixed(["a"] * 40 + ["b"] * 20)
    assert sorted(order) == list(range(60))
    assert 4 <= sum(k >= 40 for k in order[:15]) <= 6


@pytest.mark.slow
def test_tables_of_a_run_and_nothing_done_twice(workflows, folder, tmp_path, monkeypatch, capfd):
    script = workflows("benchmark_potentials")
    page, out = tmp_path / "page.md", tmp_path / "runs"
    page.write_text(f"before\n{script.MARKS[0]}\nold\n{script.MARKS[1]}\nafter\n")
    options = f"--out {out} --docs {page} --seconds 0.2 --sets acac --sizes 3 --rivals PET"
    command = ["benchmark_potentials.py", str(folder), *options.split()]
    monkeypatch.setattr(sys, "argv", command)
    script.main()
    said = capfd.readouterr().err
    assert "PET: " not in said, said  # how its process ended
    assert not [file.read_text() for file in out.rglob("failure.json")], said
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    for name in ("PET", "PET+grid", "PET+ECSE"):
        assert f"\n| {name} | " in text
    assert "| PET, 3, second seed |" in text
    written = {file: file.stat().st_mtime_ns for file in out.rglob("*.json")}
    assert len(written) == 6
    assert {file.name for file in written} == {
        "trained.json", "PET.json", "PET+grid.json", "PET+ECSE.json"
    }  # fmt: skip
    capfd.readouterr()
    monkeypatch.setattr(sys, "argv", [*command, "--tables"])
    script.main()
    assert capfd.readouterr().out.strip() in page.read_text()
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*.json")} == written


def test_rotational_errors_are_those_of_the_largest_size_that_was_measured(workflows):
    tables, cell = workflows("rivals.tables"), workflows("rivals.cell")
    tested = {"energy": 1.0, "force": 2.0, "ms_per_atom": 3.0}
    row = {"all": tested, "rotation": {"energy_rotation": 4.0, "force_rotation": 5.0}}
    found = [
        tables.Found(cell.Cell("MACE", "acac", 25, 0), {"MACE": row}),
        tables.Found(cell.Cell("MACE", "acac", 100, 0), {}),
    ]
    assert "| MACE | 1.0 · 2.0 | – | 4.00 · 5.00 | 3.00 |" in tables.report(found, {})


def test_a_frozen_mode_is_that_of_the_phonons(workflows):
    measure = workflows("rivals.measure")
    settings = PhononSettings(min_length=7.0, mesh=(1, 1, 1), band_structure=False, dos=False)
    pet = measure.potential_of("pet-mvl", "crystal")
    (found,) = phonon([bulk("Si", a=5.45)], pet, settings)
    # a twentieth of a bond is not harmonic
    for moved, tolerance in zip(measure.MOVED, (2e-3, 0.05), strict=True):
        mode = measure.frozen_mode(pet, 5.45, moved)
        assert mode == pytest.approx(found.result["max_frequency"], rel=tolerance)


def test_what_is_missing_stands_in_the_table(workflows, tmp_path):
    tables, cell = workflows("rivals.tables"), workflows("rivals.cell")
    found = [tables.Found(cell.Cell("NequIP", "Si", 20, 0), {})]
    text = tables.report(found, {"NequIP": "NequIP needs the package nequip: install it."})
    assert "needs the package nequip" in text
