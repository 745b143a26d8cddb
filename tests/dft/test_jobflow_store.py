"""A jobflow store: documents of real flows, field by field, on both kinds of server."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.units import GPa
from jobflow import JobStore
from phonopy import Phonopy
from pymatgen.core import Structure
from pymatgen.core.elasticity.elastic import ElasticTensor
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.phonopy import get_phonopy_structure

from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
from pet_flows.store.locate import BLOBS, OUTPUTS
from pet_flows.store.results import ResultStore
from pet_flows.store.sqlite import SqliteStore
from tests.dft.jobs import LINKS, bring_in, fill, only


@pytest.fixture(scope="module")
def all_of_them(emt_jobs, tmp_path_factory) -> Iterator[ResultStore]:
    """What the flows gave, once for the tests that only look at it."""
    folder = tmp_path_factory.mktemp("store")
    data = SqliteStore(str(folder / "data.db"), BLOBS, key="blob_uuid")
    store = JobStore(SqliteStore(str(folder / "all.db"), OUTPUTS), {"data": data})
    store.connect()
    fill(store, *emt_jobs)
    with ResultStore.from_job_store(store) as opened:
        bring_in(opened, store)
        yield opened
    store.close()


def outputs(emt_jobs, name: str) -> list[dict]:
    return [job["output"] for job in emt_jobs[0] if job["name"].startswith(name)]


def test_flows_give_references_and_their_parts_none(imported, results):
    assert not imported.problems
    # two relaxations, each with its static, the static after one and that of the supercell
    assert imported.new == 2 + 2 + 2 + 3
    found = Counter(one["property"] for one in results.references.find())
    assert found == {"static": 4, "relax": 2, "elastic": 1, "phonon": 1, "eos": 1}
    assert imported.left_out == {"strained cell": 6, "displaced cell": 2, "scaled cell": 6}
    assert str(imported) == (
        "9 new, 0 changed, 0 the same, left out 6 strained cells, left out 2 displaced cells, "
        "left out 6 scaled cells"
    )
    for found in results.references.find():
        assert found["material_ids"][0] == "mp-ft"  # of the job, as it wrote it
        assert found["records"] == [LINKS["pet_record"]]
        assert found["formula_pretty"] == "Cu3Au"
        assert found["level"]["functional"] == "EMT"
        assert found["level"]["code"] == "force field"


def test_energies_forces_and_stress_are_those_of_the_calculator(all_of_them):
    found = only(all_of_them, "relax", **{"source.name": {"$regex": "^Force field relax"}})
    assert found["material_ids"] == ["mp-ft", "mine-7"]  # the latter of the structure itself
    structure = Structure.from_dict(found["structure"])
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.calc = EMT()
    result = found["result"]
    assert result["energy_per_atom"] == pytest.approx(atoms.get_potential_energy() / 4, abs=1e-9)
    assert result["max_force"] == pytest.approx(0.0, abs=1e-4)
    stress = atoms.get_stress(voigt=False) / GPa  # tension positive, as in a record
    assert np.array(result["stress"]) == pytest.approx(stress, abs=1e-6)
    assert abs(result["pressure"]) < 0.05
    assert result["lattice"]["a"] == pytest.approx(structure.lattice.a, abs=1e-9)
    assert found["entry"]["energy"] == pytest.approx(4 * result["energy_per_atom"])


@pytest.mark.parametrize("job_store", ["embedded"], indirect=True)
def test_pressure_of_a_compressed_cell_is_positive(emt_jobs, job_store, results):
    """EMT's copper-gold five per cent too short is under some 30 GPa."""
    jobs = [job for job in emt_jobs[0] if job["name"] == "Force field relax deformation 0"]
    fill(job_store, jobs, [])
    bring_in(results, job_store)
    assert only(results, "static")["result"]["pressure"] > 10


def test_the_elastic_tensor_is_the_raw_one_in_our_units(all_of_them, emt_jobs):
    found = only(all_of_them, "elastic")["result"]
    (document,) = outputs(emt_jobs, "fit_elastic_tensor")
    raw = np.array(document["elastic_tensor"]["raw"])
    assert np.array(found["tensor"]) == pytest.approx(0.5 * (raw + raw.T), abs=1e-9)
    theirs = ElasticTensor.from_voigt(document["elastic_tensor"]["raw"])
    derived = document["derived_properties"]
    for name in ("k_voigt", "g_voigt", "k_reuss", "g_reuss", "k_vrh", "g_vrh"):
        assert found[name] == pytest.approx(derived[name], rel=1e-4)
    assert found["young"] == pytest.approx(derived["y_mod"] / 1e9, rel=1e-4)  # atomate2: in Pa
    assert found["k_vrh"] == pytest.approx(theirs.k_vrh, rel=1e-9)
    assert found["debye_temperature"] == pytest.approx(derived["debye_temperature"], rel=1e-4)
    # cubic: the axes of the cell are those of IEEE, up to their names
    ieee = np.array(found["tensor_ieee"])
    assert ieee[0, 0] == pytest.approx(raw[0, 0], rel=1e-3)
    assert ieee[3, 3] == pytest.approx(raw[3, 3], rel=1e-3)
    assert (found["stable"], found["ions_relaxed"], found["n_strains"]) == (True, True, 6)


def test_a_phonon_document_gives_our_mesh_of_its_force_constants(all_of_them, emt_jobs):
    reference = only(all_of_them, "phonon")
    found, arrays = reference["result"], all_of_them.references.blob(reference, "phonon")
    (document,) = outputs(emt_jobs, "generate_frequencies")
    blob = document["force_constants"]["blob_uuid"]
    (constants,) = [
        one["data"]["force_constants"] for one in emt_jobs[1] if one["blob_uuid"] == blob
    ]
    theirs = Phonopy(
        get_phonopy_structure(Structure.from_dict(document["structure"])),
        supercell_matrix=document["supercell_matrix"],
        primitive_matrix=document["primitive_matrix"],
    )
    theirs.force_constants = np.array(constants)
    points = [[0.1, 0.2, 0.3], [0.5, 0.5, 0.5]]
    theirs.run_qpoints(points)
    ours = to_phonopy(arrays)
    ours.run_qpoints(points)
    assert ours.qpoints.frequencies == pytest.approx(theirs.qpoints.frequencies, abs=1e-6)
    theirs.run_mesh(found["mesh"], is_gamma_center=True)
    theirs.run_thermal_properties(temperatures=[300], cutoff_frequency=1e-3)
    free = float(theirs.thermal_properties.free_energy[0])
    (at_300,) = [row for row in found["thermal"] if row["T"] == 300]
    assert at_300["f"] == pytest.approx(free / 4, abs=1e-4)  # of four atoms
    # the document's own, per formula unit and on a coarser mesh
    n = document["temperatures"].index(300)
    assert at_300["f"] == pytest.approx(document["free_energies"][n] / 4000, abs=0.1)
    assert at_300["s"] == pytest.approx(document["entropies"][n] / 4, abs=0.3)
    assert not reference["problems"]
    assert found["has_imaginary_modes"] is False
    assert found["max_frequency"] == pytest.approx(np.max(arrays["mesh_frequencies"]))


@pytest.mark.parametrize("job_store", ["embedded"], indirect=True)
def test_without_force_constants_the_curves_count_per_atom(emt_jobs, job_store, results):
    jobs = [copy.deepcopy(j) for j in emt_jobs[0] if j["name"].startswith("generate_frequencies")]
    static = [job for job in emt_jobs[0] if job["name"] == "Force field static 1/2"]
    fill(job_store, [*jobs, *static], emt_jobs[1])
    bring_in(results, job_store)
    (whole,) = [row for row in only(results, "phonon")["result"]["thermal"] if row["T"] == 300]
    jobs[0]["output"]["force_constants"] = None
    jobs[0]["index"] = 2
    fill(job_store, jobs, [])
    assert bring_in(results, job_store).changed == 1
    found = only(results, "phonon")
    (at_300,) = [row for row in found["result"]["thermal"] if row["T"] == 300]
    assert at_300["f"] == pytest.approx(whole["f"], abs=0.1)
    assert at_300["cv"] == pytest.approx(whole["cv"], abs=0.1)
    assert "no force constants" in found["problems"][0]
    # from the density of states alone
    jobs[0] |= {"index": 3}
    jobs[0]["output"] |= {"free_energies": None, "phonon_bandstructure": None}
    fill(job_store, jobs, [])
    bring_in(results, job_store)
    (at_300,) = [row for row in only(results, "phonon")["result"]["thermal"] if row["T"] == 300]
    assert at_300["f"] == pytest.approx(whole["f"], abs=0.1)
    assert at_300["s"] == pytest.approx(whole["s"], abs=0.3)


def test_an_equation_of_state_is_fitted_again(all_of_them, emt_jobs):
    found = only(all_of_them, "eos")["result"]
    (document,) = outputs(emt_jobs, "Forcefield EOS Maker postprocessing")
    theirs = document["relax"]["EOS"]["birch_murnaghan"]
    assert found["b0"] == pytest.approx(theirs["b0 GPa"], rel=1e-4)
    assert found["v0_per_atom"] == pytest.approx(theirs["v0"] / 4, rel=1e-5)
    assert found["e0_per_atom"] == pytest.approx(theirs["e0"] / 4, abs=1e-6)
    assert len(found["volumes"]) == 7
    # the bulk modulus of another flow, over smaller strains
    assert found["b0"] == pytest.approx(only(all_of_them, "elastic")["result"]["k_vrh"], rel=0.03)


def test_of_an_equation_of_state_the_cell_that_was_scaled_is_kept(all_of_them, emt_jobs):
    (document,) = outputs(emt_jobs, "Forcefield EOS Maker postprocessing")
    points = document["relax"]
    folders = set(points["dir_name"])
    assert len(folders) == 7
    kept = [
        one
        for one in all_of_them.references.find({"property": "static"})
        if one["source"]["dir_name"] in folders
    ]
    # the jobs themselves say which cell is whose: atomate2 sorts the volumes alone
    volumes = {
        job["output"]["dir_name"]: Structure.from_dict(job["output"]["structure"]).volume
        for job in emt_jobs[0]
        if isinstance(job["output"], dict) and job["output"].get("dir_name") in folders
    }
    unscaled = document["initial_relax"]["V0"]
    assert len(volumes) == 7
    nearest = min(volumes, key=lambda folder: abs(volumes[folder] - unscaled))
    assert [one["source"]["dir_name"] for one in kept] == [nearest]
    assert Structure.from_dict(kept[0]["structure"]).volume == pytest.approx(unscaled, rel=1e-4)
