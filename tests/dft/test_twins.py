"""atomate2's own flows and ours with one potential, EMT, beside each other: units and definitions.

Neither side knows of the other: theirs are documents of atomate2 in a jobflow store, read by the
importers; ours are records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.compare.build import build
from pet_flows.dft.importers.importing import store_all
from pet_flows.dft.importers.jobflow_store import read_job_store
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.properties.comparison import Value
from pet_flows.properties.property import Property
from pet_flows.properties.registry import get_property
from pet_flows.records.build import build_record
from pet_flows.store.locate import embedded_job_store
from pet_flows.store.results import ResultStore
from tests.dft.jobs import copper_gold, fill
from tests.properties.stub import AsePotential

POTENTIAL = {
    "digest": "e" * 16, "name": "EMT", "sha256": "ab" * 32, "symmetrization": "none",
    "dtype": "float64", "functional": None, "run_type": None,
}  # fmt: skip
#: the supercells and the range of volumes that atomate2's flows were told to take
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "relax": {"fmax": 1e-4},
    "static": {},
    "eos": {"strain": 0.02},
    "elastic": {},
    "phonon": {"min_length": 7.0, "band_structure": False, "dos": False},
}


def compute(store: ResultStore, declared: Property, structure: Structure, parent: str | None):
    """A record of ours, stored; gives its key and its final structure."""
    settings = declared.settings(**SETTINGS[declared.name])
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    (outcome,) = declared.function()([atoms], AsePotential(), settings, [None])
    assert outcome.state == "ok", outcome.message
    record, blobs = build_record(
        outcome, input_structure=structure, property=declared.name, settings=settings,
        potential=POTENTIAL, parent=parent, sources=[{"campaign": "twins"}],
    )  # fmt: skip
    assert record["state"] == "ok", record["message"]
    store.put(record, blobs)
    return record["_id"], Structure.from_dict(record["structure"])


@pytest.fixture(scope="module")
def twins(emt_jobs, tmp_path_factory) -> Mapping[str, Mapping[str, Value]]:
    """Property → the values of its comparison."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PET_FLOWS_STORE", str(tmp_path_factory.mktemp("twins") / "pet_flows.db"))
        job_store = embedded_job_store()
        job_store.connect()
        fill(job_store, *emt_jobs)
        with ResultStore.from_job_store(job_store) as store:
            # as a code's, because another potential is a column beside references and never one
            options = Options(level={"code": "EMT"})
            known = Known(store.references, options)
            assert not store_all(store, read_job_store(job_store, options, known)).problems
            parent, relaxed = compute(store, get_property("relax"), copper_gold(), None)
            for name in ("static", "eos", "elastic", "phonon"):
                compute(store, get_property(name), relaxed, parent)
            # EMT is the level of theory of the references, and no potential's
            built = build(store, ["twins"], across_levels=True)
            assert not built.problems
            found: dict[str, dict[str, Value]] = {}
            for document in store.comparisons.find({"record": {"$ne": None}}):
                assert document["reason"] is None
                assert document["matched_by"] == "structure"
                names = ("name", "unit", "pet", "dft", "difference")
                values = [Value(*(one[n] for n in names)) for one in document["values"]]
                found[document["property"]] = {value.name: value for value in values}
        job_store.close()
    return found


def test_moduli_constants_and_eigenvalues_agree(twins) -> None:
    """Theirs are fits over strains of 0.5 and 1 %, ours slopes at 0.1 and 0.2 %: 1e-4 apart."""
    found = twins["elastic"]
    constants = ("c11", "c12", "c44", *(f"eigenvalue_{n}" for n in range(1, 7)))
    for name in ("k_vrh", "g_vrh", "young", *constants):
        assert abs(found[name].relative) < 1e-3
    assert 100 < found["k_vrh"].dft < 200  # GPa
    assert (found["stable"].pet, found["stable"].dft) == (True, True)


def test_frequencies_agree_mode_by_mode(twins) -> None:
    """One supercell; displacements on one side only leave odd orders of 0.01 Å in theirs."""
    found = twins["phonon"]
    for name in ("max_frequency", "min_frequency", "mean_frequency"):
        assert abs(found[name].difference) < 0.003
    assert found["frequencies_largest"].difference < 0.003
    assert found["spectrum_w1"].difference < 0.003
    assert 3 < found["max_frequency"].dft < 12
    assert (found["stable"].pet, found["stable"].dft) == (True, True)


def test_thermal_properties_agree_per_atom(twins) -> None:
    """Theirs are J per mole of Cu3Au: a factor 4 or 1000 is 3 to 5000 kJ/mol."""
    found = twins["phonon"]
    assert abs(found["f_300K"].difference) < 0.003  # kJ/mol
    assert abs(found["f_300K"].dft) > 1
    assert abs(found["s_300K"].relative) < 1e-3
    assert abs(found["cv_300K"].relative) < 1e-3
    assert 20 < found["cv_300K"].dft < 24.95  # Dulong and Petit, J/K/mol


def test_equations_of_state_agree(twins) -> None:
    """Theirs are refitted by us; their volumes are others."""
    found = twins["eos"]
    assert abs(found["v0_per_atom"].relative) < 1e-3
    assert abs(found["b0"].relative) < 0.02
    assert found["nu"].difference < 0.33
    assert found["epsilon"].difference < 0.2


def test_relaxed_structures_and_energies_agree(twins) -> None:
    found = twins["relax"]
    assert abs(found["volume_per_atom"].relative) < 1e-4
    assert found["rmsd"].difference < 1e-4
    assert found["spacegroup_1e-5"].pet == found["spacegroup_1e-5"].dft == 221
    assert abs(found["a"].difference) < 1e-3
    assert abs(twins["static"]["energy_per_atom"].difference) < 1e-6
    assert twins["static"]["forces_largest"].difference < 1e-3
    assert twins["static"]["stress_mae"].difference < 0.05
