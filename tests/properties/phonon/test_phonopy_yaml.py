from __future__ import annotations

from pathlib import Path

import numpy as np
import phonopy
import pytest
from ase import Atoms
from ase.build import bulk

from pet_flows.errors import PetFlowsError
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy, write_phonopy_yaml
from pet_flows.store.blobs import decode, encode
from tests.properties.stub import AsePotential

SMALL = PhononSettings(min_length=7.0, mesh=(4, 4, 4), band_structure=False)


@pytest.mark.parametrize(
    "atoms",
    [bulk("Cu", "hcp", a=2.6, c=4.2), bulk("Cu", cubic=True), bulk("Ni", "bcc", a=2.8)],
    ids=["hcp", "fcc", "bcc"],
)
def test_phonopy_reads_what_a_stored_blob_holds(
    emt: AsePotential, atoms: Atoms, tmp_path: Path
) -> None:
    blob = next(phonon([atoms], emt, SMALL)).blobs["phonon"]
    stored = decode(encode(blob))
    path = write_phonopy_yaml(stored, tmp_path / "phonopy.yaml")
    loaded = phonopy.load(path)
    for found in (loaded, to_phonopy(stored)):
        found.run_mesh((4, 4, 4), is_gamma_center=True)
        assert found.mesh.weights.sum() == 64
        ours = np.sort(np.repeat(blob["mesh_frequencies"], blob["mesh_weights"], axis=0).ravel())
        theirs = np.repeat(found.mesh.frequencies, found.mesh.weights, axis=0)
        # translations at Γ are the square root of round-off
        assert np.sort(theirs.ravel())[3:] == pytest.approx(ours[3:], abs=1e-6)


def test_other_arrays_are_refused() -> None:
    with pytest.raises(PetFlowsError, match="no force_constants, primitive_positions"):
        to_phonopy({"supercell_matrix": np.eye(3), "primitive_cell": np.eye(3)})
