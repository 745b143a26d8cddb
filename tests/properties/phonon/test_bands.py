"""Band structures along seekpath's path; and that nothing is said on the way."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.spatial.transform import Rotation

from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from tests.properties.stub import AsePotential

SETTINGS = PhononSettings(min_length=7.0, mesh=(3, 3, 3), band_spacing=0.1, dos=False)
TRICLINIC = Atoms(
    "CuAu",
    positions=[[0, 0, 0], [1.2, 1.4, 1.7]],
    cell=[[3, 0.2, 0.1], [0.4, 3.3, 0], [0.3, 0.7, 3.9]],
    pbc=True,
)


def skewed() -> Atoms:
    """Face-centred cubic, in a cell that nobody would choose, turned."""
    atoms = bulk("Cu", a=3.6)
    cell = np.array([[1, 1, 0], [0, 1, 1], [0, 0, 1]]) @ atoms.cell.array
    turned = cell @ Rotation.random(rng=2).as_matrix()
    return Atoms("Cu", cell=turned, pbc=True)


@pytest.mark.parametrize("atoms", [bulk("Cu", a=3.6), skewed()], ids=["usual", "skewed"])
def test_labels_are_those_of_the_points(emt: AsePotential, atoms: Atoms) -> None:
    blob = next(phonon([atoms], emt, SETTINGS)).blobs["phonon"]
    n = len(blob["band_qpoints"])
    assert blob["band_frequencies"].shape == (n, 3)
    assert blob["band_segments"][-1][1] == n - 1
    assert (np.diff(blob["band_distances"]) >= 0).all()
    assert ["-".join(pair) for pair in blob["band_labels"]] == [
        "GAMMA-X", "X-U", "K-GAMMA", "GAMMA-L", "L-W", "W-X",
    ]  # fmt: skip
    # distances from Γ in units of 2π / a, of some image of each point
    known = {"GAMMA": 0, "X": 1, "L": np.sqrt(3) / 2, "W": np.sqrt(5) / 2, "K": np.sqrt(9 / 8)}
    known["U"] = known["K"]
    reciprocal = np.linalg.inv(blob["primitive_cell"]).T * 3.6
    shifts = np.stack(np.meshgrid(*[range(-2, 3)] * 3), -1).reshape(-1, 3)
    for ends, names in zip(blob["band_segments"], blob["band_labels"], strict=True):
        for at, name in zip(ends, names, strict=True):
            images = (blob["band_qpoints"][at] + shifts) @ reciprocal
            assert np.linalg.norm(images, axis=1).min() == pytest.approx(known[name], abs=1e-9)
            if name == "GAMMA":
                assert np.abs(blob["band_frequencies"][at]).max() < 1e-3


def test_nothing_is_printed(emt: AsePotential, capfd: pytest.CaptureFixture[str]) -> None:
    settings = SETTINGS.model_copy(update={"mesh": (3, 3, 2), "dos": True})
    crystals = [bulk("Cu", "diamond", a=5.2), TRICLINIC, skewed()]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", module="ase")
        found = list(phonon(crystals, emt, settings))
    assert [o.state for o in found] == ["ok"] * 3
    assert capfd.readouterr() == ("", "")
