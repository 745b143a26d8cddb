"""What of a jobflow store is read: last runs, what changed, and what is damaged."""

from __future__ import annotations

import copy
from datetime import datetime

import numpy as np
import pytest

from pet_flows.cli import main
from pet_flows.dft.importers import jobflow_store
from pet_flows.dft.importers.options import Options
from pet_flows.store.locate import embedded_job_store
from tests.dft.jobs import bring_in, fill, only, vasp_document


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
