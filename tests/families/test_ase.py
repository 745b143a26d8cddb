"""Any ASE calculator as a potential: EMT, which is there wherever ASE is."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.batch import evaluate_each

EMT_NAME = "ase:ase.calculators.emt.EMT()"
PET_NAME = 'ase:pet_flows.engines.ase.SymmetrizedCalculator("pet-mvl", symmetrization="none")'


def alloy():
    atoms = bulk("Cu", cubic=True)
    atoms.numbers[0] = 13
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.diag([0.03, 0.02], 1)), scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def values(atoms, calculator):
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()


@pytest.mark.parametrize("symmetrization", [None, "crystal", "grid:tetrahedral"])
def test_a_calculator_says_the_same_through_pet_flows(symmetrization):
    ours = values(alloy(), SymmetrizedCalculator(EMT_NAME, symmetrization=symmetrization))
    for one, other in zip(ours, values(alloy(), EMT()), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-11)


def test_what_is_not_invariant_becomes_so_with_exact_derivatives():
    # plain PET as somebody else's calculator: its symmetric stress leaves out the torque, without
    # which the stress of a sheared crystal is wrong by 4e-7 eV/Å³
    atoms = bulk("Si", cubic=True)
    shear = np.array([[0.02, 0.01, -0.03], [0.0, -0.01, 0.02], [0.01, 0.0, 0.03]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + shear), scale_atoms=True)
    atoms.rattle(0.05, seed=1)
    ours = values(atoms, SymmetrizedCalculator(PET_NAME, symmetrization="crystal"))
    for one, other in zip(ours, values(atoms, SymmetrizedCalculator("pet-mvl")), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_a_refused_structure_is_refused_again():
    """ASE's calculators remember what they failed with: EMT went on with gold's parameters."""
    alloy = bulk("Cu", "bcc", a=2.9, cubic=True)
    alloy.symbols[0] = "Au"
    unknown = alloy.copy()
    unknown.symbols[:] = ["Hf", "Si"]
    potential = get_potential(EMT_NAME)
    systems = [System.of(atoms, potential.bind(atoms)) for atoms in (alloy, unknown, alloy)]
    for _ in range(3):
        found = evaluate_each(potential.evaluator, systems)
        assert found[0].energy == found[2].energy
        assert isinstance(found[1], StructureError)
        assert found[1].reason == "model_error"
        assert "No EMT-potential for" in found[1].message


def test_default_symmetrization_is_that_of_the_family():
    assert PotentialSpec(model=EMT_NAME).symmetrization == "none"
    assert PotentialSpec(model=EMT_NAME, symmetrization="Crystal").symmetrization == "Crystal"
    assert PotentialSpec(model="pet-mvl").symmetrization == "crystal"


def test_ecse_needs_energies_by_atom():
    with pytest.raises(PetFlowsError, match=r"EMT gives no energies by atom.*use crystal or none"):
        get_potential(PotentialSpec(model=EMT_NAME, symmetrization="ecse"))


def test_identity_is_the_call_the_code_and_the_files_it_names(tmp_path):
    lj = "ase:ase.calculators.lj.LennardJones"
    one = resolve(f"{lj}(rc=8.0, sigma=3.4)")
    assert one.spec.model == f"{lj}(rc=8.0, sigma=3.4)"
    assert resolve(f"{lj}( sigma = 3.4, rc=8.0 )").digest == one.digest
    assert resolve(f"{lj}(rc=8.0, sigma=3.5)").digest != one.digest
    assert resolve(EMT_NAME.removesuffix("()")).digest == resolve(EMT_NAME).digest
    weights = tmp_path / "weights.json"
    weights.write_text("1")
    with pytest.raises(PetFlowsError, match="--trust"):
        resolve(f"{lj}(label={str(weights)!r})")
    before = resolve(f"{lj}(label={str(weights)!r})", trust=True).digest
    weights.write_text("22")
    assert resolve(f"{lj}(label={str(weights)!r})", trust=True).digest != before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ase:os.system('true')", "os has no file"),
        ("ase:subprocess.Popen('true')", r"subprocess.Popen is not a subclass of ase"),
        ("ase:ase.calculators.emt.EMT(x=open('/etc/passwd'))", "not of the form ase:MODULE.CLASS"),
        ("ase:EMT()", "not of the form"),
        ("ase:nowhere_at_all.EMT()", "no module nowhere_at_all"),
        ("ase:ase.calculators.emtt.EMT()", "has no module ase.calculators.emtt"),
        ("ase:ase.calculators.emt.Emt()", "is not a subclass"),
        ("ase:ase.calculators.lj.LennardJones(5)", "cannot be made .*correct what it is called"),
        ("ase:", "names no model"),
    ],
)
def test_what_is_no_calculator_is_said(name, sentence):
    with pytest.raises(PetFlowsError, match=sentence):
        get_potential(name)


def test_a_precision_that_nobody_imposes_is_refused():
    with pytest.raises(PetFlowsError, match="leave dtype at float64"):
        get_potential(PotentialSpec(model=EMT_NAME, dtype="float32"))


def test_structures_that_a_calculator_does_not_know_fail_alone(tmp_path):
    from pet_flows.api import compute

    good, bad = compute("static", [bulk("Cu"), bulk("Si")], EMT_NAME)
    assert good.state == "ok"
    assert (bad.state, bad.reason) == ("failed", "model_error")
    assert "No EMT-potential for Si" in bad.message
