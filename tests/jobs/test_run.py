"""What a job asks of the computer it runs on: the user's store, and the weights once."""

from ase.build import bulk
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.jobs import StaticMaker
from pet_flows.models import catalogue
from pet_flows.models.catalogue import find, sha256_of
from pet_flows.models.spec import PotentialSpec
from pet_flows.settings import get_settings
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore
from tests.rough import save_checkpoint

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


def test_a_job_finds_and_hashes_its_weights_once(tmp_path, monkeypatch):
    """However often it needs to know which potential it has: keys, records, model, document."""
    path = save_checkpoint(tmp_path / "mine.ckpt")
    monkeypatch.setenv("PET_FLOWS_TRUSTED", sha256_of(path))
    catalogue._hash.cache_clear()
    found = []

    def counted(*words):
        found.append(words)
        return find(*words)

    monkeypatch.setattr("pet_flows.models.resolve.find", counted)
    job = StaticMaker(potential=str(path), symmetrization="none").make(
        AseAtomsAdaptor.get_structure(bulk("Si"))
    )
    monkeypatch.chdir(tmp_path)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(job, store=store, log=False, ensure_success=True)
    assert [model for model, *_ in found] == [str(path)]
    assert catalogue._hash.cache_info().misses == 1
