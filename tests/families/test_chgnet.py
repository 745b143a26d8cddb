"""CHGNet beside its own calculator."""

import numpy as np
import pytest
from ase.build import bulk

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.errors import PetFlowsError
from pet_flows.models.resolve import resolve
from tests.families.atoms import salt, silicon, values

pytest.importorskip("chgnet", reason="needs pip install 'pet-flows[chgnet]'")

#: eV, eV/Å, eV/Å³: round-off of float32, in which CHGNet's own calculator computes
TOLERANCES = (5e-5, 1e-4, 5e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("version", ["0.3.0", "0.2.0", "r2scan"])
def test_energies_forces_and_stress_are_those_of_its_calculator(version, dtype):
    from chgnet.model import CHGNet, CHGNetCalculator

    own = CHGNet.load(model_name=version, use_device="cpu", verbose=False)
    calculator = CHGNetCalculator(own, use_device="cpu")
    ours = SymmetrizedCalculator(f"chgnet:{version}", dtype=dtype)
    for atoms in (salt(), silicon()):
        theirs = values(atoms, calculator)
        for one, other, tolerance in zip(values(atoms, ours), theirs, TOLERANCES, strict=True):
            np.testing.assert_allclose(one, other, atol=tolerance)


def test_a_crystal_without_angles():
    # no two atoms within the 3 Å of its bonds
    ours = SymmetrizedCalculator("chgnet:0.3.0")
    atoms = bulk("Xe", a=6.2)
    found = values(atoms, ours)
    assert np.isfinite(found[0])
    np.testing.assert_allclose(found[1], 0.0, atol=1e-10)


def test_its_functional_is_known():
    assert resolve("chgnet:0.3.0").run_type == "GGA_GGA+U"
    assert resolve("chgnet:r2scan").functional == "r2SCAN"
    with pytest.raises(PetFlowsError, match=r"no model '0\.9'.*choose 0\.3\.0"):
        resolve("chgnet:0.9")
