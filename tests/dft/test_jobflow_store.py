"""A jobflow store: documents of real flows, field by field, on both kinds of server."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import bson
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

from pet_flows.cli import main
from pet_flows.dft.importers import jobflow_store, vasp_task
from pet_flows.dft.importers.importing import Imported, store_all
from pet_flows.dft.importers.jobflow_store import read_job_store
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
from pet_flows.store.locate import BLOBS, OUTPUTS, embedded_job_store
from pet_flows.store.results import ResultStore
from pet_flows.store.sqlite import SqliteStore
from tests.dft.jobs import LINKS, fill, vasp_document


def bring_in(results, job_store, options: Options = Options()) -> Imported:  # noqa: B008
    known = Known(results.references, options)
    return store_all(results, read_job_store(job_store, options, known))


@pytest.fixture
def imported(emt_jobs, job_store, results) -> Imported:
    fill(job_store, *emt_jobs)
    return bring_in(results, job_store)


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


def only(results, property: str, **more) -> dict:
    (found,) = results.references.find({"property": property, **more})
    return found


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


def test_only_the_last_run_of_a_job_counts(emt_jobs, job_store, results):
    (first,) = [job for job in emt_jobs[0] if job["name"] == "Force field relax"][:1]
    again = copy.deepcopy(first)
    again["index"] = 2
    again["output"]["output"]["energy"] += 4.0
    fill(job_store, [again, first], [])
    bring_in(results, job_store)
    found = only(results, "relax")
    assert found["source"]["index"] == 2
    expected = first["output"]["output"]["energy"] / 4 + 1.0
    assert found["result"]["energy_per_atom"] == pytest.approx(expected)


def test_a_job_may_give_a_list_of_documents(emt_jobs, job_store, results):
    """As atomate2's force fields do of several structures."""
    (first, second) = [
        job for job in emt_jobs[0] if job["name"].startswith("Force field relax de")
    ][:2]
    several = {**copy.deepcopy(first), "output": [first["output"], second["output"], None]}
    fill(job_store, [several], [])
    assert bring_in(results, job_store).new == 2
    pressures = [
        found["result"]["pressure"] for found in results.references.find({"property": "static"})
    ]
    expected = [np.trace(job["output"]["output"]["stress"]) / 30 for job in (first, second)]
    assert sorted(pressures) == pytest.approx(sorted(expected))
    assert bring_in(results, job_store).same == 2


def test_what_has_not_changed_is_not_read_again(
    imported, emt_jobs, job_store, results, monkeypatch
):
    read = []
    original = jobflow_store._Documents.read

    def counted(self, kind, heads):
        read.extend(head.uuid for head in heads)
        return original(self, kind, heads)

    monkeypatch.setattr(jobflow_store._Documents, "read", counted)
    before = {one["_id"]: one for one in results.references.find()}
    assert bring_in(results, job_store).same == imported.new
    assert not read
    later = copy.deepcopy(next(j for j in emt_jobs[0] if j["name"] == "Force field relax"))
    later["completed_at"] = datetime(2030, 1, 1).isoformat()
    fill(job_store, [later], [])
    assert bring_in(results, job_store).changed == 2  # its static and its relaxation
    assert read == [later["uuid"]]
    now = {one["_id"]: one for one in results.references.find()}
    assert sum(before[key] != now[key] for key in before) == 2


#: beginning of a job's name, what of its output is replaced, what is said then
DAMAGE = (
    ("Force field relax", {"structure": None}, "no structure"),
    ("Force field relax", {"output": {"energy": "high"}}, "damaged"),
    ("Force field relax", {"is_force_converged": False}, "did not converge"),
    ("fit_elastic_tensor", {"elastic_tensor": {"raw": [[1.0, 2.0]]}}, "not 6×6 numbers"),
    ("fit_elastic_tensor", {"elastic_tensor": None}, "no elastic_tensor.raw"),
    ("generate_frequencies", {"supercell_matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "shape"),
    ("Forcefield EOS", {"relax": {"energy": [1.0], "volume": [9.0]}}, "no structures"),
)


@pytest.mark.parametrize("job_store", ["embedded"], indirect=True)
def test_damaged_documents_are_problems_and_stop_no_other(emt_jobs, job_store, results):
    jobs = copy.deepcopy(emt_jobs[0])
    for n, (name, damage, _) in enumerate(DAMAGE):
        (damaged,) = [copy.deepcopy(job) for job in jobs if job["name"].startswith(name)][:1]
        damaged["uuid"] = f"damaged {n}"
        damaged["output"] = {**damaged["output"], **damage}
        jobs.append(damaged)
    fill(job_store, jobs, emt_jobs[1])
    found = bring_in(results, job_store)
    assert found.new == 9
    said = {problem.name[-1]: problem.reason for problem in found.problems}
    for n, (_, _, reason) in enumerate(DAMAGE):
        assert reason in said[str(n)]
    assert len(found.problems) == len(DAMAGE)


@pytest.mark.parametrize("job_store", ["embedded"], indirect=True)
def test_force_constants_in_another_order_are_noticed(emt_jobs, job_store, results):
    jobs, data = copy.deepcopy(emt_jobs[0]), copy.deepcopy(emt_jobs[1])
    (document,) = [j["output"] for j in jobs if j["name"].startswith("generate_frequencies")]
    (blob,) = [one for one in data if one["blob_uuid"] == document["force_constants"]["blob_uuid"]]
    constants = np.array(blob["data"]["force_constants"])
    order = np.roll(np.arange(len(constants)), 8)  # gold where copper is
    blob["data"]["force_constants"] = constants[order][:, order].tolist()
    fill(job_store, jobs, data)
    bring_in(results, job_store)
    (problem,) = only(results, "phonon")["problems"]
    assert "in another order" in problem


@pytest.mark.parametrize("job_store", ["embedded"], indirect=True)
def test_missing_blobs_are_a_problem(emt_jobs, job_store, results):
    fill(job_store, emt_jobs[0], [])
    (problem,) = bring_in(results, job_store).problems
    assert "additional store 'data' has no" in problem.reason


def test_parts_that_a_query_leaves_out_still_say_the_level(emt_jobs, job_store, results):
    fill(job_store, *emt_jobs)
    query = {"output.@class": "ElasticDocument"}
    assert str(bring_in(results, job_store, Options(query=query))) == "1 new, 0 changed, 0 the same"
    assert only(results, "elastic")["level"]["functional"] == "EMT"


class TestVasp:
    @pytest.fixture
    def document(self, tmp_path):
        return vasp_document(tmp_path / "run")

    def test_a_relaxation_is_a_relax_reference_too(self, document, job_store, results):
        document["output"]["task_type"] = "Structure Optimization"
        fill(job_store, [document], [])
        assert bring_in(results, job_store).new == 2
        for found in results.references.find():
            assert found["records"] == [LINKS["pet_record"]]
            assert found["material_ids"] == ["mp-ft"]
            assert found["source"]["completed_at"] == datetime(2026, 3, 1, 12, 0, 0, 123000)
            assert found["source"]["dir_name"] == document["output"]["dir_name"]
            assert found["entry"]["data"]["oxide_type"] == "None"
        assert only(results, "relax")["result"]["lattice"]["a"] == pytest.approx(10.9, abs=0.1)

    def test_a_document_of_years_ago(self, document, job_store, results):
        """emmet kept the types of a calculation in its runs, PBEsol in another spelling."""
        output = document["output"]
        for name in ("run_type", "task_type", "calc_type"):
            output.pop(name)
        output["entry"]["parameters"]["run_type"] = "PBESol"
        run = output["calcs_reversed"][0]
        run["run_type"], run["task_type"] = "PBESol", "Structure Optimization"
        fill(job_store, [document], [])
        assert bring_in(results, job_store).new == 2
        found = only(results, "relax")
        assert found["level"]["functional"] == "PBEsol"
        assert found["entry"]["parameters"]["run_type"] == "PBESol"
        # or it is not said at all
        run.pop("task_type")
        run["input"]["incar"] |= {"NSW": 99, "IBRION": 2, "ISIF": 3}
        document["index"] = 2
        fill(job_store, [document], [])
        assert bring_in(results, job_store).changed == 2

    def test_the_last_run_of_a_folder_says_the_level(self, document, job_store, results):
        """``input`` is that of the first, here of a cheaper one without U."""
        output = document["output"]
        last = copy.deepcopy(output["input"])
        last["hubbards"] = {"Si": 2.0}
        last["incar"] |= {"ISPIN": 2, "ENCUT": 520.0, "IVDW": 12}
        output["calcs_reversed"][0]["input"] = last
        output["run_type"] = "GGA+U"
        fill(job_store, [document], [])
        bring_in(results, job_store)
        level = only(results, "static")["level"]
        assert (level["u"], level["spin"], level["cutoff"]) == ({"Si": 2.0}, True, 520.0)
        assert level["dispersion"] == "D3(BJ)"

    @pytest.mark.parametrize("job_store", ["embedded"], indirect=True)
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"state": "failed"}, "did not end successfully"),
            ({"task_type": "NSCF Line"}, "NSCF Line"),
            ({"task_type": "Molecular Dynamics"}, "Molecular Dynamics"),
            ({"run_type": "LDA"}, "LDA"),
            ({"run_type": None, "calcs_reversed": [], "entry": None}, "no run_type"),
        ],
    )
    def test_what_is_no_reference_is_a_problem(self, change, reason, document, job_store, results):
        document["output"] |= change
        fill(job_store, [document], [])
        found = bring_in(results, job_store)
        assert found.new == 0
        assert reason in found.problems[0].reason

    def test_a_functional_that_is_given_counts(self, document, job_store, results):
        document["output"]["run_type"] = None
        for run in (document["output"], document["output"]["calcs_reversed"][0]):
            run["input"]["incar"]["IVDW"] = 12
        fill(job_store, [document], [])
        options = Options(level={"functional": "r2SCAN"})
        assert bring_in(results, job_store, options).new == 1
        level = only(results, "static")["level"]
        assert (level["functional"], level["cutoff"]) == ("r2SCAN", 300.0)
        assert level["dispersion"] == "D3(BJ)"  # the calculation still says the rest
        assert bring_in(results, job_store, options).same == 1


def test_the_store_of_ones_own_is_read_and_written_by_one_command(emt_jobs, capsys):
    """Without a jobflow.yaml: job outputs and references lie in the same file."""
    own = embedded_job_store()
    own.connect()
    fill(own, *emt_jobs)
    own.close()
    with pytest.raises(SystemExit) as ended:
        main(["reference", "add", "jobflow"])
    assert ended.value.code == 0
    assert "jobflow: 9 new" in capsys.readouterr().out


def test_little_of_a_vasp_document_is_read(tmp_path, job_store):
    """Of what VASP writes, a part that does not grow with its steps and k-points."""
    document = vasp_document(tmp_path / "run")
    fill(job_store, [document], [])
    fields = [f"output.{name}" for name in vasp_task.FIELDS]
    (found,) = job_store.docs_store.query({}, fields)
    whole, read = len(bson.encode(document)), len(bson.encode(found))
    structure = len(bson.encode(found["output"]["structure"]))
    assert read - structure < 0.2 * whole
    assert "eigenvalues" not in json.dumps(found, default=str)


def test_a_store_of_a_server_is_read_by_the_command(
    mongodb_uri, mongodb_database, tmp_path, capsys
):
    from tests.store.conftest import mongodb_job_store

    store = mongodb_job_store(mongodb_uri, mongodb_database)
    store.connect()
    fill(store, [vasp_document(tmp_path / "run")], [])
    store.close()
    (tmp_path / "theirs.yaml").write_text(
        f"JOB_STORE:\n  docs_store:\n    type: MongoURIStore\n    uri: {mongodb_uri}\n"
        f"    database: {mongodb_database}\n    collection_name: outputs\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["reference", "add", str(tmp_path / "theirs.yaml")])
    assert ended.value.code == 0
    assert "1 new, 0 changed, 0 the same" in capsys.readouterr().out
