"""Supercells against elastic tensors, which no supercell enters."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.units import _amu

from pet_flows.engines.potential import Potential
from pet_flows.properties.elastic.elastic import elastic
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
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


def test_the_soft_shear_of_silicon_comes_out_at_20_angstroms(pet: Potential) -> None:
    relaxed = next(relax([bulk("Si", a=5.47)], pet))
    outcome = next(phonon([relaxed.atoms], pet, LEAN, [relaxed.inherited]))
    assert len(outcome.blobs["phonon"]["supercell_numbers"]) == 216
    long = LEAN.model_copy(update={"min_length": 20.0, "max_atoms": 500})
    outcome = next(phonon([relaxed.atoms], pet, long, [relaxed.inherited]))
    expected = softest(next(elastic([relaxed.atoms], pet)).result["tensor_ieee"])
    assert slow_shear(outcome.blobs["phonon"]) == pytest.approx(expected, rel=0.06)
