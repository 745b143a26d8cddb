"""Our makers, unedited, in atomate2's phonon, Grüneisen and quasi-harmonic force-field flows."""

import numpy as np
import pytest
from ase.build import bulk
from atomate2.forcefields.flows.gruneisen import GruneisenMaker
from atomate2.forcefields.flows.phonons import PhononMaker
from atomate2.forcefields.flows.qha import ForceFieldQhaMaker
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from phonopy import load
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.jobs import RelaxMaker, StaticMaker
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.qha.qha import qha
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax

#: as little as atomate2 lets one ask for: its files and plots take most of the time
BARE = {"npoints_band": 2, "kpoint_density_dos": 400, "tmax": 400, "tstep": 20}
TIGHT = RelaxSettings(fmax=1e-5)


def phonon_maker(**changes):
    return PhononMaker(
        **{
            "bulk_relax_maker": None,
            "static_energy_maker": None,
            "phonon_displacement_maker": StaticMaker(),
            "min_length": 5.0,
            "get_supercell_size_kwargs": {"force_diagonal": True},
            "generate_frequencies_eigenvectors_kwargs": BARE,
            "store_force_constants": False,
            **changes,
        }
    )


def run(flow, tmp_path, monkeypatch):
    """Outputs by the name of their type."""
    monkeypatch.chdir(tmp_path)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    done = run_locally(flow, store=store, log=False, raise_immediately=True)
    outputs = [response[max(response)].output for response in done.values()]
    return {type(output).__name__: output for output in outputs}


def test_phonon_flow_gives_our_gamma_mode(pet, tmp_path, monkeypatch):
    """One-sided displacements are harmless where the residual force vanishes by symmetry."""
    silicon = bulk("Si")
    flow = phonon_maker(
        bulk_relax_maker=RelaxMaker(fmax=1e-5), static_energy_maker=StaticMaker()
    ).make(AseAtomsAdaptor.get_structure(silicon))
    document = run(flow, tmp_path, monkeypatch)["PhononBSDOSDoc"]
    assert not document.has_imaginary_modes
    theirs = load("phonopy.yaml", primitive_matrix="P", log_level=0)
    theirs.run_qpoints([[0, 0, 0]])
    gamma = np.sort(theirs.qpoints.frequencies[0])
    relaxed = next(relax([silicon], pet, TIGHT))
    settings = PhononSettings(min_length=7.0, mesh=(3, 3, 3), band_structure=False)
    outcome = next(phonon([relaxed.atoms], pet, settings, [relaxed.inherited]))
    assert outcome.result["supercell_matrix"] == theirs.supercell_matrix.tolist()
    assert document.total_dft_energy == pytest.approx(relaxed.result["energy_per_atom"], abs=1e-8)
    # 0.004 THz: an odd order of 0.01 Å that one-sided displacements leave in
    assert gamma[3:] == pytest.approx(outcome.result["max_frequency"], abs=0.004)
    assert np.abs(gamma[:3]).max() < 1e-4


def test_gruneisen_flow_gives_our_mode_parameters(pet, tmp_path, monkeypatch):
    niobium = bulk("Nb")
    flow = GruneisenMaker(
        bulk_relax_maker=RelaxMaker(fmax=1e-5),
        const_vol_relax_maker=RelaxMaker(fmax=1e-5, relax_cell=False),
        phonon_maker=phonon_maker(),
        mesh=400,
    ).make(AseAtomsAdaptor.get_structure(niobium))
    document = run(flow, tmp_path, monkeypatch)["GruneisenParameterDocument"]
    found = document.gruneisen_parameter
    weights = np.array(found.multiplicities)
    mesh = round(float(weights.sum()) ** (1 / 3))
    ours = quasi_harmonic(pet, niobium, mesh=(mesh,) * 3, volume_step=0.01)
    assert mesh % 2 == 1  # then phonopy's mesh has Γ in it, as ours
    real = found.frequencies.T > 1e-3
    mean = (weights[:, None] * np.where(real, found.gruneisen.T, 0.0)).sum()
    mean /= (weights[:, None] * real).sum()
    assert ours["mode_gruneisen_mean"] == pytest.approx(mean, rel=0.02)


def test_quasi_harmonic_flow_gives_our_expansion(pet, tmp_path, monkeypatch):
    niobium = bulk("Nb")
    flow = ForceFieldQhaMaker(
        initial_relax_maker=RelaxMaker(fmax=1e-5),
        eos_relax_maker=RelaxMaker(fmax=1e-5, relax_cell=False),
        phonon_maker=phonon_maker(static_energy_maker=StaticMaker()),
        linear_strain=(-0.01, 0.02),
        number_of_frames=4,
        min_length=5.0,
        get_supercell_size_kwargs={"force_diagonal": True},
    ).make(AseAtomsAdaptor.get_structure(niobium))
    document = run(flow, tmp_path, monkeypatch)["PhononQHADoc"]
    at = document.temperatures.index(300.0)
    ours = quasi_harmonic(pet, niobium, mesh=(7, 7, 7), volume_step=0.02)
    assert np.array(document.supercell_matrix).tolist() == ours["supercell_matrix"]
    assert ours["thermal_expansion"][0] == pytest.approx(document.thermal_expansion[at], rel=0.02)
    assert ours["volume_per_atom"][0] == pytest.approx(document.volume_temperature[at], rel=1e-3)


def quasi_harmonic(pet, crystal, **changes):
    relaxed = next(relax([crystal], pet, TIGHT))
    settings = QHASettings(
        min_length=5.0, n_compressed=2, n_expanded=3, temperatures=(300.0,), **changes
    )
    outcome = next(qha([relaxed.atoms], pet, settings, [relaxed.inherited]))
    assert outcome.state == "ok", outcome.message
    return outcome.result
