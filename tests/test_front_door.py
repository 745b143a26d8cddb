"""`import pet_flows`: quick, flat, typed results."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from ase.build import bulk
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

import pet_flows
from pet_flows.properties.registry import properties


def test_importing_is_quick() -> None:
    """CPU seconds: of Python itself and of ours; nothing heavy comes along."""
    code = (
        "import sys, time; before = time.process_time(); import pet_flows; "
        "print(time.process_time() - before, "
        "[m for m in ('torch', 'ase', 'pymatgen', 'jobflow', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, _, heavy = done.stdout.strip().partition(" ")
    assert heavy == "[]"
    assert float(seconds) < 0.3


def test_every_name_is_there() -> None:
    for name in pet_flows.__all__:
        assert getattr(pet_flows, name) is not None
    assert set(properties()) <= set(dir(pet_flows))
    with pytest.raises(AttributeError, match="no attribute 'relaxx'"):
        _ = pet_flows.relaxx


def test_structures_of_both_kinds_and_lists_of_either() -> None:
    atoms = bulk("Cu")
    structure = AseAtomsAdaptor.get_structure(atoms)
    one = pet_flows.static(atoms)
    assert one.state == "ok"
    assert one.energy_per_atom == one.result.energy_per_atom
    both = pet_flows.static([atoms, structure], "pet-mvl")
    assert [found.energy_per_atom for found in both] == pytest.approx(
        [one.energy_per_atom] * 2, abs=1e-12
    )
    assert isinstance(both[0].structure, Structure)
    assert np.shape(one.arrays["static"]["forces"]) == (1, 3)
    assert pet_flows.static([]) == []
    with pytest.raises(pet_flows.PetFlowsError, match="A str is not a structure: give a pymatgen"):
        pet_flows.static(["Cu"])


def test_a_chain_keeps_the_crystal_frame_and_failures_stay_alone() -> None:
    potential = pet_flows.load_potential("pet-mvl")
    mixed = Structure(Lattice.cubic(4.0), [{"Cu": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    relaxed = pet_flows.relax([bulk("Cu"), mixed, bulk("Xe", "fcc", a=6.0)], potential)
    assert [found.state for found in relaxed] == ["ok", "failed", "failed"]
    assert [found.reason for found in relaxed[1:]] == ["partial_occupancy", "unknown_element"]
    curves = pet_flows.eos(relaxed, potential, {"n_volumes": 5})
    assert [found.state for found in curves] == ["ok", "failed", "failed"]
    assert curves[1].reason == "parent_failed"
    assert len(curves[0].volumes) >= 5
    with pytest.raises(AttributeError, match="no 'b0'"):
        _ = curves[1].b0
    said = curves[0].to_dict()
    assert said["result"]["b0"] == curves[0].b0
    assert said["settings"]["n_volumes"] == 5


def test_the_potential_suits_the_property() -> None:
    potential = pet_flows.load_potential("pet-mvl", dtype="float32", symmetrization="crystal")
    run = pet_flows.md(bulk("Cu"), potential, steps=2, min_length=0, ensemble="nve")
    assert run.potential.symmetrization == "crystal:orientation"
    assert run.potential.dtype == "float32"
    phases = pet_flows.static(bulk("Cu"), potential, phase_comparison=True)
    assert phases.potential.symmetrization == "crystal:icosahedral"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"settings": {"n_volume": 7}}, "eos: there is no setting 'n_volume': did you mean"),
        ({"n_volumes": 2}, "n_volumes must be at least 5 (got 2)"),
        ({"potential": "pet-nothing"}, "No model is called 'pet-nothing'"),
        ({"execution": {"chunk": 3}}, "there is no setting 'chunk'"),
    ],
)
def test_mistakes_are_one_sentence(given, said) -> None:
    with pytest.raises(pet_flows.PetFlowsError) as caught:
        pet_flows.eos(bulk("Cu"), **given)
    assert said in str(caught.value)
