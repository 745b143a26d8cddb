"""The elastic property on the bundled model, against ASE and pymatgen on the same potential."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.optimize import BFGS
from ase.units import GPa
from pymatgen.core.elasticity.elastic import ElasticTensor
from pymatgen.core.elasticity.strain import Strain
from pymatgen.core.elasticity.stress import Stress
from scipy.spatial.transform import Rotation

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import Potential
from pet_flows.properties.elastic.declaration import ElasticSettings
from pet_flows.properties.elastic.elastic import elastic
from pet_flows.properties.eos.declaration import EOSSettings
from pet_flows.properties.eos.eos import eos
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax

CRYSTALS = {
    "copper": bulk("Cu", a=3.6),
    "silicon": bulk("Si"),
    "hexagonal": bulk("Cu", "hcp", a=2.55, c=4.16),
}


@pytest.fixture(scope="module")
def relaxed(pet: Potential) -> dict[str, Outcome]:
    names = list(CRYSTALS)
    tight = RelaxSettings(fmax=1e-5, smax=1e-6)
    done = {names[o.index]: o for o in relax(list(CRYSTALS.values()), pet, tight)}
    assert all(o.state == "ok" for o in done.values())
    return done


def computed(
    pet: Potential, given: list[Outcome], settings: ElasticSettings | None = None
) -> list[Outcome]:
    outcomes = elastic([o.atoms for o in given], pet, settings, [o.inherited for o in given])
    ordered = sorted(outcomes, key=lambda o: o.index)
    for outcome in ordered:
        assert outcome.state == "ok", outcome.message
        get_property("elastic").result.model_validate(outcome.result)
    return ordered


def with_ase(pet: Potential, start: Outcome, relax_ions: bool) -> np.ndarray:
    """(6, 6) GPa: pymatgen's fit to ASE's stresses of all six strains, without symmetry."""
    calculator = SymmetrizedCalculator(pet, inherited=start.inherited)
    strains, stresses = [], []
    for state in np.eye(6):
        for magnitude in (-0.002, -0.001, 0.001, 0.002):
            strain = Strain.from_voigt(magnitude * state)
            deform = strain.get_deformation_matrix()
            atoms = Atoms(start.atoms.numbers, start.atoms.positions, cell=start.atoms.cell,
                          pbc=True)  # fmt: skip
            atoms.set_cell(atoms.cell.array @ np.array(deform).T, scale_atoms=True)
            atoms.calc = calculator
            if relax_ions:
                BFGS(atoms, logfile=None).run(fmax=1e-4, steps=100)
            stress = Stress(atoms.get_stress(voigt=False) / GPa)
            strains.append(strain)
            stresses.append(stress.piola_kirchoff_2(deform))
    return ElasticTensor.from_diff_fit(strains, stresses, order=2).voigt


@pytest.mark.parametrize(
    ("name", "relax_ions"),
    [("copper", False), ("silicon", False), ("silicon", True), ("hexagonal", True)],
)
def test_agrees_with_pymatgen_and_ase(
    pet: Potential, relaxed: dict[str, Outcome], name: str, relax_ions: bool
) -> None:
    settings = ElasticSettings(relax_ions=relax_ions)
    (outcome,) = computed(pet, [relaxed[name]], settings)
    ours = np.array(outcome.result["tensor"])
    theirs = with_ase(pet, relaxed[name], relax_ions)
    np.testing.assert_allclose(ours, theirs, atol=0.001 * np.abs(ours).max())


def test_relaxing_ions_softens_silicon_in_shear_only(
    pet: Potential, relaxed: dict[str, Outcome]
) -> None:
    free, clamped = (
        computed(pet, [relaxed["silicon"]], ElasticSettings(relax_ions=relax_ions))[0].result
        for relax_ions in (True, False)
    )
    a, b = np.array(free["tensor_ieee"]), np.array(clamped["tensor_ieee"])
    np.testing.assert_allclose(a[:3, :3], b[:3, :3], atol=1e-6)
    assert a[3, 3] < 0.9 * b[3, 3]


def test_constants_are_the_second_derivatives_of_the_energy(
    pet: Potential, relaxed: dict[str, Outcome]
) -> None:
    """Energies know nothing of the stress and its way through the crystal frame."""
    start = relaxed["copper"]
    calculator = SymmetrizedCalculator(pet, inherited=start.inherited)

    def curvature(strain: np.ndarray, h: float = 0.001) -> float:
        energies = []
        for n in (-2, -1, 0, 1, 2):
            atoms = start.atoms.copy()
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + n * h * strain), scale_atoms=True)
            atoms.calc = calculator
            energies.append(atoms.get_potential_energy())
        second = np.dot([-1, 16, -30, 16, -1], energies) / (12 * h**2)
        return float(second / start.atoms.get_volume() / GPa)

    (outcome,) = computed(pet, [start])
    tensor = np.array(outcome.result["tensor"])
    assert tensor[0, 0] == pytest.approx(curvature(np.diag([1.0, 0, 0])), rel=2e-3)
    shear = np.array([[0, 0, 0], [0, 0, 0.5], [0, 0.5, 0]])
    assert tensor[3, 3] == pytest.approx(curvature(shear), rel=2e-3)


def test_bulk_modulus_is_that_of_the_equation_of_state(
    pet: Potential, relaxed: dict[str, Outcome]
) -> None:
    """Over the same small strains: the model's energy bends over larger ones, copper's most."""
    given = [relaxed["copper"], relaxed["silicon"]]
    curves = eos(
        [o.atoms for o in given], pet, EOSSettings(strain=0.002), [o.inherited for o in given]
    )
    fitted = [o.result["b0"] for o in sorted(curves, key=lambda o: o.index)]
    moduli = [o.result["k_vrh"] for o in computed(pet, given)]
    assert moduli[0] == pytest.approx(fitted[0], rel=0.01)
    assert moduli[1] == pytest.approx(fitted[1], rel=0.001)


def test_turned_inputs_and_float32_change_nothing(
    pet: Potential, relaxed: dict[str, Outcome]
) -> None:
    """A reference of its own, made from the turned crystal; the property asks for float64."""
    (straight,) = computed(pet, [relaxed["silicon"]])
    expected = np.array(straight.result["tensor_ieee"])
    turned = relaxed["silicon"].atoms.copy()
    turn = Rotation.random(random_state=7).as_matrix()
    turned.set_cell(turned.cell.array @ turn, scale_atoms=True)
    (outcome,) = elastic([turned], pet.with_(dtype="float32"))
    np.testing.assert_allclose(outcome.result["tensor_ieee"], expected, atol=1e-6)
    assert not np.allclose(outcome.result["tensor"], expected, atol=1.0)


def test_one_reference_serves_all_strains(pet: Potential, relaxed: dict[str, Outcome]) -> None:
    """The one of the relaxation, with as many evaluations as the crystals' symmetry needs."""
    (outcome,) = computed(pet, [relaxed["copper"]])
    assert outcome.reference_digest == relaxed["copper"].reference_digest
    assert outcome.inherited["reference"] == relaxed["copper"].inherited["reference"]
    # holohedry over point group: 1 unstrained, 48/16 for an axial strain, 48/8 for a shear
    assert outcome.n_evaluations == 1 + 4 * 3 + 2 * 6
