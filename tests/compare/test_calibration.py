"""Uncertainties of energies beside errors that two zeros of energy do not enter."""

from __future__ import annotations

import numpy as np
import pytest

from pet_flows.compare.calibration import calibrate, calibrate_energies, calibration
from pet_flows.compare.campaign import compare_campaign
from pet_flows.compare.energies.phases import energies_of
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore
from tests.compare.stored import caesium_chloride, put_record, put_reference, rocksalt

#: eV/atom: errors of six oxides of three metals, beside zeros that are 2 eV apart
WRONG = (0.01, -0.03, 0.02, -0.04, 0.05, -0.02)


@pytest.fixture
def store():
    with ResultStore.open() as opened:
        yield opened


def test_the_error_of_an_energy_is_within_a_level_and_after_a_shift(store):
    sigma = {}
    structures = [
        rocksalt(4.2, "Mg"), caesium_chloride(2.6, "Mg"), rocksalt(4.8, "Ca"),
        caesium_chloride(3.0, "Ca"), rocksalt(5.2, "Sr"), caesium_chloride(3.2, "Sr"),
    ]  # fmt: skip
    for n, (structure, wrong) in enumerate(zip(structures, WRONG, strict=True)):
        put_reference(store, "static", structure, f"mp-{n}", energy_per_atom=-5.0 - n)
        key = put_record(
            store, "static", structure, f"mp-{n}", energy_per_atom=-5.0 - n + 2.0 + wrong
        )
        sigma[key] = 0.01 * (n + 1)
    compared = compare_campaign(store, "first")
    (digest,) = {one.potential["digest"] for one in energies_of(store, "first")}
    (found,) = calibrate_energies(compared.shelf, "first", sigma).items()
    assert found[0] == digest
    # two crystals of each formula: after its shift the errors are ± half of their difference
    wrong = np.array(WRONG).reshape(3, 2)
    left = (wrong - wrong.mean(1, keepdims=True)).ravel()
    expected = calibration(list(sigma.values()), left)
    assert found[1].n == 6
    assert found[1].scale == pytest.approx(expected.scale, rel=1e-6)
    assert sum(part.n for part in found[1].bins) == 6
    with pytest.raises(PetFlowsError, match="calibrate_energies"):
        calibrate(compared.documents(), sigma, "static", "energy_per_atom")
