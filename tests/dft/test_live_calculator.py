"""Properties computed by an ASE calculator in the place of a potential, and kept as references."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.eos import EquationOfState
from ase.units import GPa
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.dft.documents import document_of, reference_of
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.live.calculate import LIVE, calculate
from pet_flows.dft.live.calculator import calculator_potential
from pet_flows.dft.live.gpaw import GPAWSettings, k_points
from pet_flows.dft.reference import Origin
from pet_flows.errors import PetFlowsError
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
from pet_flows.properties.registry import get_property
from pet_flows.validate import validated

LEVEL = LevelOfTheory(functional="PBE", code="EMT")
COPPER = AseAtomsAdaptor.get_structure(bulk("Cu", cubic=True))


def of(name, structure=COPPER, prepare=lambda atoms: EMT, **settings):
    declared = get_property(name)
    whole = validated(declared.settings, {**LIVE[name], **settings})
    potential = calculator_potential("EMT", prepare)
    source = Origin(name=f"{name} of copper")
    return calculate(structure, declared, whole, potential, LEVEL, source, records=("key",))


def test_an_equation_of_state_is_that_of_the_calculator():
    found = of("eos")
    atoms = bulk("Cu")
    volumes, energies = [], []
    for strain in np.linspace(-0.02, 0.02, 9):
        strained = atoms.copy()
        strained.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
        strained.calc = EMT()
        volumes.append(strained.get_volume())
        energies.append(strained.get_potential_energy())
    v0, e0, b0 = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    # two fits of one curve over nearly the same volumes
    assert found.result["v0_per_atom"] == pytest.approx(v0, rel=1e-4)
    assert found.result["e0_per_atom"] == pytest.approx(e0, abs=1e-5)
    assert found.result["b0"] == pytest.approx(b0 / GPa, rel=5e-3)
    assert found.records == ("key",)
    assert len(found.result["volumes"]) == 7


def test_a_static_calculation_keeps_nothing_of_the_cell_it_was_given():
    found = of("static")
    atoms = bulk("Cu", cubic=True)
    atoms.calc = EMT()
    assert found.result["energy_per_atom"] == pytest.approx(atoms.get_potential_energy() / 4)
    assert found.result["stress"] == pytest.approx(atoms.get_stress(voigt=False) / GPa)
    assert "energy" not in found.result
    assert found.arrays["static"]["forces"].shape == (1, 3)
    assert found.entry["energy"] == pytest.approx(atoms.get_potential_energy() / 4)
    document, blobs = document_of(found)
    assert document["nsites_primitive"] == 1
    assert reference_of({**document, "blobs": {}}).id == found.id
    assert list(blobs) == ["static"]


def test_a_relaxation_ends_at_the_minimum():
    found = of("relax", COPPER.copy().apply_strain(0.01, inplace=False), fmax=1e-3, smax=1e-4)
    # where the curve of the same calculator has it; 1e-4 eV of V σ is 1e-4 in the volume
    assert found.structure.volume / 4 == pytest.approx(of("eos").result["v0_per_atom"], rel=1e-3)
    # of the primitive cell
    assert found.result["lattice"]["alpha"] == pytest.approx(60.0)
    volume = found.structure.volume / 4
    assert found.result["lattice"]["a"] == pytest.approx((2**0.5 * volume) ** (1 / 3))
    assert found.result["converged"]


def test_phonons_have_the_arrays_of_a_record():
    found = of("phonon", min_length=7.0)
    phonopy = to_phonopy(found.arrays["phonon"])
    gamma, edge = phonopy.run_qpoints([[0, 0, 0], [0.5, 0.5, 0]]).frequencies
    assert gamma == pytest.approx(0.0, abs=1e-3)
    assert edge.max() == pytest.approx(found.result["max_frequency"], rel=0.05)
    assert len(found.arrays["phonon"]["supercell_numbers"]) <= 64
    document, blobs = document_of(found)
    again = reference_of({**document, "blobs": {"phonon": "p"}}, lambda name: blobs["phonon"])
    assert (again.arrays["phonon"]["forces"] == found.arrays["phonon"]["forces"]).all()


class Broken(EMT):
    def calculate(self, *args, **kwargs):
        raise RuntimeError("Did not converge!\nlong story")


class Endless(EMT):
    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["energy"] = float("nan")


@pytest.mark.parametrize(
    ("calculator", "said"),
    [
        (Broken, r"static of Cu by EMT is failed \(model_error\): EMT ended without a result "
                 r"\(Did not converge!\); read its log"),
        (Endless, r"\(not_finite\): EMT gave a number that is not finite"),
    ],
)  # fmt: skip
def test_a_code_that_breaks_down_is_one_sentence(calculator, said):
    with pytest.raises(PetFlowsError, match=said):
        of("static", prepare=lambda atoms: calculator)


def test_what_did_not_converge_is_no_reference():
    with pytest.raises(PetFlowsError, match=r"is unconverged \(steps_exhausted\)"):
        of("relax", COPPER.copy().apply_strain(0.05, inplace=False), steps=1)


def test_calculators_are_prepared_for_the_first_geometry_and_for_each_supercell():
    prepared = []

    def prepare(atoms: Atoms):
        prepared.append(len(atoms))
        return EMT

    of("eos", prepare=prepare)
    assert prepared == [4]
    of("phonon", prepare=prepare, min_length=7.0)
    assert prepared[1:] == [4, 1, 27]


def test_meshes_are_as_dense_as_asked_for_and_follow_supercells():
    silicon = bulk("Si", a=5.47)
    everywhere = np.ones(3, bool)
    assert k_points(silicon.cell.array, everywhere, 0.35) == (6, 6, 6)
    assert k_points(2 * silicon.cell.array, everywhere, 0.35) == (3, 3, 3)
    # |b| = 2π/4: a point more only where the spacing does not divide it
    cubic = np.diag([4.0, 4.0, 20.0])
    assert k_points(cubic, everywhere, np.pi / 4) == (2, 2, 1)
    assert k_points(cubic, everywhere, np.pi / 4 - 1e-3) == (3, 3, 1)
    assert k_points(cubic, np.array([True, True, False]), 0.1) == (16, 16, 1)


def test_the_level_says_what_was_calculated():
    settings = GPAWSettings(cutoff=300)
    iron, silicon = settings.level({"Fe"}), settings.level({"Si"})
    assert (iron.spin, silicon.spin) == (True, False)
    assert GPAWSettings(spin=True).level({"Si"}).spin is True
    assert (silicon.functional, silicon.code, silicon.cutoff) == ("PBE", "GPAW", 300)
    assert silicon.u == {}
    assert silicon.digest != GPAWSettings(cutoff=300, k_spacing=0.3).level({"Si"}).digest
