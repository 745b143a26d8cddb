"""The audit on calculators whose symmetry is known: EMT, and EMT spoilt in one way at a time."""

import json

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.io import write

from pet_flows.audit.audit import TRANSFORMATIONS, audit, rotational_mean
from pet_flows.audit.table import audit_all
from pet_flows.cli import main
from pet_flows.engines.ase import SymmetrizedCalculator


class Spoilt(EMT):
    """EMT with one symmetry broken."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, list(properties), list(system_changes))
        x = self.atoms.positions
        energy, force = 0.0, np.zeros_like(x)
        if self.how == "oriented":
            energy = 1e-3 * ((x - x.mean(0))[:, 0] ** 2).sum()
        elif self.how == "anchored":
            energy = 1e-3 * np.linalg.norm(x.mean(0))
        elif self.how == "chiral":
            energy = 1e-3 * np.linalg.det((x - x[0])[1:4])
        elif self.how == "first":
            energy = 1e-3 * np.linalg.norm(x[1] - x[0])
        elif self.how == "forced":
            force[0, 1] = 1e-3
        self.results["energy"] += energy
        self.results["free_energy"] = self.results["energy"]
        self.results["forces"] = self.results["forces"] + force


def rattled():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def test_emt_has_all_symmetries():
    found = audit(EMT(), rattled())
    assert set(found.errors) == set(TRANSFORMATIONS)
    for name, errors in found.errors.items():
        assert errors.energy < 1e-12, name
        assert errors.forces < 1e-11, name
        assert errors.stress < 1e-12, name
    assert found.conservation < 1e-7
    assert found.n_evaluations is None
    assert found.milliseconds > 0
    assert audit(EMT(), bulk("Cu", cubic=True)).site_symmetry < 1e-12


def test_emt_against_its_own_mean():
    ethanol = molecule("CH3CH2OH")
    found = audit(EMT(), ethanol, mean=rotational_mean(EMT(), ethanol, 3))
    assert "cell setting" not in found.errors
    assert found.errors["rotation"].stress is None
    assert found.mean_distance.energy < 1e-12


def test_mean_over_orientations_is_the_analytic_one():
    """Σ x² turned at random is Σ r² / 3, its forces isotropic; EMT's own part does not change."""
    atoms = molecule("CH3CH2OH")
    mean = rotational_mean(Spoilt("oriented"), atoms, 200)
    atoms.calc = EMT()
    x = atoms.positions - atoms.positions.mean(0)
    # the standard deviation of cos² over the sphere is 0.3; a mirror image tells nothing new
    tolerance = 5 * 0.3 * 1e-3 * (x**2).sum() / np.sqrt(200)
    assert abs(mean.energy - atoms.get_potential_energy() - 1e-3 * (x**2).sum() / 3) < tolerance
    assert mean.forces == pytest.approx(atoms.get_forces(), abs=tolerance)
    assert mean.stress is None


def test_mean_of_a_structure_is_found_once():
    """Each strategy of a table is set beside the same mean, which costs its 2 n calls once."""
    calls = []

    class Counted(EMT):
        def calculate(self, *arguments):
            calls.append(self)
            super().calculate(*arguments)

    made = {}

    def make(strategy):
        return made.setdefault(strategy, Counted())

    structures = {"a": bulk("Cu"), "b": bulk("Al")}
    few = {"n_rotations": 1, "n_mean": 5}
    table = audit_all(make, ["one", "other"], structures, **few)
    assert calls.count(made["none"]) == 2 * 5 * len(structures)
    for row in table.values():
        for found in row.values():
            assert found.mean_distance.energy < 1e-12


@pytest.mark.parametrize(
    ("how", "broken", "intact"),
    [("oriented", "rotation", "translation"), ("anchored", "translation", "rotation"),
     ("chiral", "inversion", "rotation"), ("first", "permutation", "inversion")],
)  # fmt: skip
def test_what_is_broken_is_seen(how, broken, intact):
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.1, seed=0)
    errors = audit(Spoilt(how), atoms).errors
    assert errors[broken].energy > 1e-6
    assert errors[intact].energy < 1e-12


def test_forces_that_are_no_derivative_are_seen():
    assert audit(Spoilt("forced"), rattled()).conservation > 1e-5
    assert audit(Spoilt("forced"), bulk("Cu", cubic=True)).site_symmetry > 1e-4


def test_refusals_stand_in_the_table():
    def make(strategy):
        return SymmetrizedCalculator("pet-mvl", symmetrization=strategy, dtype="float64")

    table = audit_all(make, ["none", "crystal"], {"atoms": bulk("Cu")}, n_rotations=1, n_mean=1)
    assert table["none"]["atoms"].errors["rotation"].energy > 1e-8
    assert table["crystal"]["atoms"].errors["rotation"].energy < 1e-12
    assert table["crystal"]["atoms"].n_evaluations == 1
    open_ = bulk("Cu")
    open_.pbc = False
    assert "three independent" in audit_all(make, ["crystal"], {"atoms": open_})["crystal"]["atoms"]


def test_a_calculator_that_does_not_know_an_element(capsys):
    """EMT of ASE says of no element that it lacks it before it is asked."""
    words = ["--model", "ase:ase.calculators.emt.EMT()", "--symmetrize", "none"]
    with pytest.raises(SystemExit) as done:
        main(["audit", *words, "--structures", "prototypes:Si", "--format", "json"])
    assert not done.value.code
    said = next(iter(json.loads(capsys.readouterr().out)["none"].values()))
    assert "No EMT-potential for Si" in said
    assert "Traceback" not in said


def test_command_keeps_structures_of_one_name_apart(tmp_path, capsys):
    sources = []
    for n, a in enumerate((3.6, 3.8)):
        (tmp_path / str(n)).mkdir()
        write(tmp_path / str(n) / "Cu.vasp", bulk("Cu", a=a))
        sources += ["--structures", str(tmp_path / str(n) / "Cu.vasp")]
    picture = tmp_path / "audit.png"
    words = ["--symmetrize", "crystal:orientation", "--format", "json", "--picture", str(picture)]
    with pytest.raises(SystemExit) as done:
        main(["audit", *sources, *words])
    assert not done.value.code
    found = json.loads(capsys.readouterr().out)["crystal:orientation"]
    assert len(found) == 2
    assert all(one["errors"]["rotation"]["energy"] < 1e-12 for one in found.values())
    assert picture.stat().st_size > 1000
