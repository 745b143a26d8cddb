"""Supercells against elastic tensors, which no supercell enters."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from ase.units import _amu

from pet_flows.engines.potential import Potential
from pet_flows.properties.elastic.elastic import elastic
from pet_flows.properties.kappa.declaration import ConductivitySettings
from pet_flows.properties.phonon.cells import primitive_of
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.force_constants import harmonic
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.relax.relax import relax

LEAN = PhononSettings(band_structure=False, dos=False)
#: 1/Å, of a wave along [110]
WAVE = 0.01


def slow_shear(blob: dict[str, np.ndarray]) -> float:
    """ρv² in GPa of the slowest wave along [110]."""
    phonopy = to_phonopy(blob)
    cell = phonopy.primitive
    q = WAVE * np.array([1.0, 1.0, 0.0]) / np.sqrt(2) @ cell.cell.T / (2 * np.pi)
    phonopy.run_qpoints([q])
    speed = 100 * 2 * np.pi * phonopy.qpoints.frequencies.min() / WAVE  # m/s
    density = cell.masses.sum() * _amu / (cell.volume * 1e-30)
    return float(np.sign(speed) * density * speed**2 / 1e9)


def softest(tensor: list[list[float]]) -> float:
    """The same of a cubic crystal's elastic constants."""
    c = np.array(tensor)
    return float(min(c[3, 3], (c[0, 0] - c[0, 1]) / 2))


def test_the_soft_shear_of_niobium_is_not_hidden(pet: Potential) -> None:
    relaxed = next(relax([bulk("Nb", a=3.31)], pet))
    given = ([relaxed.atoms], pet)
    strained = next(elastic(*given, inherited=[relaxed.inherited])).result
    expected = softest(strained["tensor_ieee"])
    outcome = next(phonon(*given, LEAN, [relaxed.inherited]))
    assert slow_shear(outcome.blobs["phonon"]) == pytest.approx(expected, abs=2.0)
    assert not any("their own images" in w for w in outcome.warnings)

    short = next(phonon(*given, LEAN.model_copy(update={"min_length": 10.0}), [relaxed.inherited]))
    assert abs(slow_shear(short.blobs["phonon"]) - expected) > 10.0
    assert any("their own images" in w for w in short.warnings)


def test_the_soft_shear_of_silicon_comes_out(pet: Potential) -> None:
    relaxed = next(relax([bulk("Si", a=5.47)], pet))
    outcome = next(phonon([relaxed.atoms], pet, LEAN, [relaxed.inherited]))
    assert len(outcome.blobs["phonon"]["supercell_numbers"]) == 432
    expected = softest(next(elastic([relaxed.atoms], pet)).result["tensor_ieee"])
    assert slow_shear(outcome.blobs["phonon"]) == pytest.approx(expected, rel=0.06)


CORUNDUM = crystal(
    ["Al", "O"], [(0, 0, 0.3522), (0.3062, 0, 0.25)], spacegroup=167,
    cellpar=[4.759, 4.759, 12.991, 90, 90, 120],
)  # fmt: skip
QUARTZ = crystal(
    ["Si", "O"], [(0.4697, 0, 1 / 3), (0.4135, 0.2669, 0.7858)], spacegroup=152,
    cellpar=[4.916, 4.916, 5.405, 90, 90, 120],
)  # fmt: skip


@pytest.mark.parametrize(
    ("atoms", "size"),
    [
        (bulk("Ni", "hcp", a=2.49, c=4.07), 750), (bulk("C", a=3.57), 1024),
        (CORUNDUM, 1250), (QUARTZ, 900),
    ],
    ids=["nickel", "diamond", "corundum", "quartz"],
)  # fmt: skip
def test_usual_crystals_are_as_long_as_asked_for(atoms: Atoms, size: int) -> None:
    found = harmonic(primitive_of(atoms), LEAN.displacement, LEAN.min_length, LEAN.max_atoms)
    assert len(found.supercell) == size
    assert found.shortest >= LEAN.min_length


def test_settings_of_everything_that_has_force_constants() -> None:
    for settings in (PhononSettings(), QHASettings(), ConductivitySettings()):
        assert (settings.min_length, settings.max_atoms) == (20.0, 1300)
