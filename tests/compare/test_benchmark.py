"""A sample of a public set through EMT, beside values that are EMT's own but for 5 GPa."""

import gzip
import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.cli import main
from pet_flows.compare.benchmark import take_sample
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore

NAME = "ase:ase.calculators.emt.EMT()"
OFF = 5.0


def bulk_modulus(atoms):
    """GPa, from EMT's pressures of slightly larger and smaller cells."""
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-5)
    step, pressures = 1e-4, []
    for sign in (1, -1):
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array * (1 + sign * step), scale_atoms=True)
        strained.calc = EMT()
        pressures.append(-np.trace(strained.get_stress(voigt=False)) / 3)
    return -(pressures[0] - pressures[1]) / (6 * step) * 160.21766


@pytest.fixture
def public_set(tmp_path):
    entries = []
    for number, (element, a) in enumerate([("Cu", 3.65), ("Al", 4.05), ("Ni", 3.5), ("Ag", 4.1)]):
        atoms = bulk(element, a=a)
        structure = AseAtomsAdaptor.get_structure(atoms).as_dict()
        entries.append(
            {
                "mp_id": f"mp-{number}",
                "formula": element,
                "structure": structure,
                "bulk_modulus_vrh": bulk_modulus(atoms.copy()) + OFF,
                "shear_modulus_vrh": 40.0,
            }
        )
    path = tmp_path / "elasticity.json"
    path.write_text(json.dumps(entries))
    return path


def test_errors_are_those_of_the_sample(public_set, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", str(public_set), "--model", NAME, "--sample", "3", "--format", "json"])
    assert not ended.value.code
    told = json.loads(capsys.readouterr().out)
    assert (told["kind"], told["n"], told["of"]) == ("elasticity", 3, 4)
    (line,) = told["potentials"]
    assert line["potential"] == "EMT"
    assert line["states"] == {"relax": {"ok": 3}, "elastic": {"ok": 3}}
    assert line["unstable"] == 0
    errors = {error["name"]: error for error in line["errors"]}
    assert errors["k_vrh"]["n"] == 3
    assert errors["k_vrh"]["bias"] == pytest.approx(-OFF, abs=0.3)
    assert errors["k_vrh"]["mae"] == pytest.approx(OFF, abs=0.3)


def test_heat_capacities_are_told(tmp_path, monkeypatch, capsys):
    """Of copper at 300 K a little below 3 R, which is the value of the set."""
    monkeypatch.chdir(tmp_path)
    entry = {"mp_id": "mp-30", "formula": "Cu", "heat_capacity": 3 * 8.314462618,
             "structure": AseAtomsAdaptor.get_structure(bulk("Cu", a=3.6)).as_dict()}  # fmt: skip
    (tmp_path / "phonon.json").write_text(json.dumps([entry]))
    with pytest.raises(SystemExit) as ended:
        main(["benchmark", "phonon.json", "--model", NAME, "--format", "json"])
    assert not ended.value.code
    (line,) = json.loads(capsys.readouterr().out)["potentials"]
    assert line["states"] == {"relax": {"ok": 1}, "phonon": {"ok": 1}}
    (error,) = line["errors"]
    assert (error["name"], error["n"], error["unit"]) == ("cv_300K", 1, "J/K/mol")
    assert -2.5 < error["bias"] < -0.5


def test_the_precision_is_asked_for(tmp_path, monkeypatch, capsys):
    """Of a campaign of its own, so that means are never of both."""
    monkeypatch.chdir(tmp_path)
    entry = {"mp_id": "wbm-1", "formula": "Cu", "corrected_energy": -4.0,
             "structure": AseAtomsAdaptor.get_structure(bulk("Cu", a=3.6)).as_dict()}  # fmt: skip
    (tmp_path / "wbm.json").write_text(json.dumps([entry]))
    for dtype in ("float32", "float64"):
        with pytest.raises(SystemExit) as ended:
            main(["benchmark", "wbm.json", "--dtype", dtype, "--format", "json"])
        assert not ended.value.code
        (line,) = json.loads(capsys.readouterr().out)["potentials"]
        assert line["states"] == {"relax": {"ok": 1}}
        with ResultStore.open(read_only=True) as store:
            (record,) = store.query({"sources.campaign": f"equilibrium-1-0-{dtype}"})
        assert record["potential"]["dtype"] == dtype


def test_a_seed_gives_the_same_sample(public_set, tmp_path):
    texts = [
        take_sample(public_set, 2, seed, tmp_path / str(n)).file.read_text()
        for n, seed in enumerate((0, 0, 1))
    ]
    assert texts[0] == texts[1] != texts[2]
    assert take_sample(public_set, 99, 0, tmp_path).n == 4
    samples = [json.loads(take_sample(public_set, n, 5, tmp_path).file.read_text()) for n in (1, 3)]
    assert samples[0][0] in samples[1]


def test_what_is_no_set_is_said(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('[{"structure": {}, "band_gap": 1.0}]')
    with pytest.raises(PetFlowsError, match="must have one of bulk_modulus_vrh, heat_capacity"):
        take_sample(path, 1, 0, tmp_path)
    path.write_text('{"Si": 1.0}')
    with pytest.raises(PetFlowsError, match="holds no list of JSON documents"):
        take_sample(path, 1, 0, tmp_path)
    cut = tmp_path / "cut.json.gz"
    cut.write_bytes(gzip.compress(b'[{"bulk_modulus_vrh": 1.0}]' * 99)[:-20])
    with pytest.raises(PetFlowsError, match=r"cannot be read .*end-of-stream.*download it again"):
        take_sample(cut, 1, 0, tmp_path)
    with pytest.raises(PetFlowsError, match="download a set"):
        take_sample(tmp_path / "nowhere.json.gz", 1, 0, tmp_path)
