"""VASP's documents in a jobflow store, as emmet makes them of a recorded run."""

from __future__ import annotations

import copy
import json
from datetime import datetime

import bson
import pytest

from pet_flows.dft.importers import vasp_task
from pet_flows.dft.importers.options import Options
from tests.dft.jobs import LINKS, bring_in, fill, only, vasp_document


@pytest.fixture
def document(tmp_path):
    return vasp_document(tmp_path / "run")


def test_a_relaxation_is_a_relax_reference_too(document, job_store, results):
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


def test_a_document_of_years_ago(document, job_store, results):
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


def test_the_last_run_of_a_folder_says_the_level(document, job_store, results):
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
        ({"task_type": "Molecular Dynamics"}, "fewer than two"),
        ({"run_type": "LDA"}, "LDA"),
        ({"run_type": None, "calcs_reversed": [], "entry": None}, "no run_type"),
    ],
)
def test_what_is_no_reference_is_a_problem(change, reason, document, job_store, results):
    document["output"] |= change
    fill(job_store, [document], [])
    found = bring_in(results, job_store)
    assert found.new == 0
    assert reason in found.problems[0].reason


def test_a_functional_that_is_given_counts(document, job_store, results):
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
