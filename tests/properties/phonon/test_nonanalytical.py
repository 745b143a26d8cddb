"""Non-analytical correction: LO-TO splitting of a cubic crystal by hand, tensors in any cell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk
from ase.units import _amu, _e, _eps0
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonon.declaration import NonAnalytical, PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy, write_phonopy_yaml
from tests.properties.stub import AsePotential

CUBIC = bulk("CuAu", "cesiumchloride", a=3.0)
LAYERED = Atoms(  # L1_0, tensors of two components
    "CuAu", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2.8, 2.8, 3.6], pbc=True
)
EYE = np.eye(3)


def polar(charges: list[np.ndarray], dielectric: np.ndarray) -> NonAnalytical:
    return NonAnalytical(born_charges=[c.tolist() for c in charges], dielectric=dielectric.tolist())


def settings(nac: NonAnalytical | None, **changes: object) -> PhononSettings:
    known = {"min_length": 7.0, "mesh": (4, 4, 4), "band_structure": False, **changes}
    return PhononSettings(nac=nac, **known)


def compute(emt: AsePotential, atoms: Atoms, given: PhononSettings) -> Outcome:
    outcome = next(phonon([atoms], emt, given))
    assert outcome.state == "ok", outcome.message
    return outcome


def test_splitting_of_a_cubic_crystal(emt: AsePotential) -> None:
    """ω_LO² - ω_TO² = Z² e² / (ε₀ ε V μ)."""
    charge, epsilon = 1.3, 4.0
    nac = polar([charge * EYE, -charge * EYE], epsilon * EYE)
    outcome = compute(emt, CUBIC, settings(nac, band_structure=True))
    assert outcome.result["has_nac"]
    blob = outcome.blobs["phonon"]
    volume = abs(np.linalg.det(blob["primitive_cell"])) * 1e-30
    masses = CUBIC.get_masses() * _amu
    split = charge**2 * _e**2 / (_eps0 * epsilon * volume) * (1 / masses).sum()
    gamma = blob["mesh_frequencies"][np.abs(blob["mesh_qpoints"]).sum(1).argmin()]
    assert np.ptp(gamma[3:]) < 1e-6  # no direction, no splitting
    expected = np.sqrt(gamma[5] ** 2 + split / (2e12 * np.pi) ** 2)
    start, _ = blob["band_segments"][0]
    assert blob["band_labels"][0][0] == "GAMMA"
    assert blob["band_frequencies"][start][3:5] == pytest.approx(gamma[3:5], abs=1e-5)
    assert blob["band_frequencies"][start][5] == pytest.approx(expected, rel=1e-6)
    assert expected > 1.02 * gamma[5]


def test_phonopy_by_hand_with_the_same_numbers(emt: AsePotential, tmp_path: Path) -> None:
    charges = [np.diag([1.1, 1.1, 1.6]), np.diag([-1.1, -1.1, -1.6])]
    dielectric = np.diag([3.0, 3.0, 5.0])
    # a cell of four atoms in another order: tensors follow their atoms
    larger = LAYERED.repeat((1, 1, 2))[[3, 0, 2, 1]]
    given = polar([charges[0 if z == 29 else 1] for z in larger.numbers], dielectric)
    outcome = compute(emt, larger, settings(given))
    blob = outcome.blobs["phonon"]
    hand = to_phonopy({k: v for k, v in blob.items() if k not in ("born_charges", "dielectric")})
    plain = hand.run_qpoints(blob["mesh_qpoints"]).frequencies
    hand.nac_params = {
        "factor": 14.39965172592227,  # e² / (4πε₀) in eV Å
        "born": np.array([charges[0 if z == 29 else 1] for z in blob["primitive_numbers"]]),
        "dielectric": dielectric,
    }
    theirs = hand.run_qpoints(blob["mesh_qpoints"]).frequencies
    assert blob["mesh_frequencies"][1:] == pytest.approx(theirs[1:], abs=1e-9)
    assert np.abs(theirs - plain).max() > 0.1
    loaded = phonopy.load(write_phonopy_yaml(blob, tmp_path / "phonopy.yaml"))
    again = loaded.run_qpoints(blob["mesh_qpoints"]).frequencies
    assert blob["mesh_frequencies"][1:] == pytest.approx(again[1:], abs=1e-6)


def test_tensors_turn_with_their_crystal(emt: AsePotential) -> None:
    turn = Rotation.random(rng=8).as_matrix()
    turned = LAYERED.copy()
    turned.set_cell(LAYERED.cell.array @ turn, scale_atoms=True)
    charge, dielectric = np.diag([1.1, 1.1, 1.6]), np.diag([3.0, 3.0, 5.0])
    straight = polar([charge, -charge], dielectric)
    oblique = turn.T @ charge @ turn
    other = polar([oblique, -oblique], turn.T @ dielectric @ turn)
    pair = phonon([LAYERED, turned], emt, settings(None), nac=[straight, other])
    one, two = (np.sort(o.blobs["phonon"]["mesh_frequencies"].ravel())[3:] for o in pair)
    assert one == pytest.approx(two, abs=1e-5)


def test_charges_are_made_to_add_up_and_that_is_said(emt: AsePotential) -> None:
    outcome = compute(emt, CUBIC, settings(polar([1.4 * EYE, -1.0 * EYE], 4 * EYE)))
    assert outcome.blobs["phonon"]["born_charges"].sum(0) == pytest.approx(0.0, abs=1e-12)
    assert any("0.20 e" in w for w in outcome.warnings)


def test_values_of_another_structure_are_refused(emt: AsePotential) -> None:
    one, two = polar([EYE], 4 * EYE), polar([EYE, -EYE], -4 * EYE)
    found = list(phonon([CUBIC, CUBIC, CUBIC], emt, settings(None), nac=[one, two, None]))
    reasons = {o.index: o.reason for o in found}
    assert reasons == {0: "born_charges", 1: "dielectric", 2: None}
    assert not next(o for o in found if o.index == 2).result["has_nac"]
    with pytest.raises(ValidationError):
        polar([EYE * np.nan], EYE)
