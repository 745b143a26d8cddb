"""Jobs in folders of their own: what a user means by a path is what holds where they stand."""

from ase.build import bulk
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.jobs import StaticMaker
from pet_flows.models.spec import PotentialSpec
from pet_flows.settings import get_settings
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore

SPEC = PotentialSpec(symmetrization="crystal:orientation")


def test_jobs_in_other_folders_write_to_the_same_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PET_FLOWS_STORE", "results/mine.db")
    (tmp_path / "results").mkdir()
    get_settings.cache_clear()
    silicon = [AseAtomsAdaptor.get_structure(bulk("Si"))]
    job = StaticMaker(potential=SPEC).make(silicon)
    store = open_job_store()
    try:
        run_locally(job, store=store, log=False, create_folders=True, ensure_success=True)
        with ResultStore.from_job_store(store) as results:
            assert results.count({"state": "ok"}) == 1
    finally:
        store.close()
    files = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {str(path) for path in files if path.suffix == ".db"} == {
        "results/mine.db", "results/mine_data.db",
    }  # fmt: skip
