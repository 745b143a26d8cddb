"""The real campaign through FireWorks: two workers find what ``screen`` finds."""

import pytest

from pet_flows.cli import main
from pet_flows.settings import get_settings
from pet_flows.store.results import ResultStore

INPUTS = ("prototypes:Si,Cu,W", "--properties", "relax,eos,static", "--name", "both")

#: the same, written down
FILE = """\
name: both
inputs: ["prototypes:Si,Cu,W"]
properties: [relax, eos, static]
execution:
  batch_size: 3
"""

#: a worker that tells how often it loaded weights
WORKER = """
from pet_flows.cli import main
try:
    main(["worker", "--idle-timeout", "1", "--launchpad", {launchpad!r}])
finally:
    from pet_flows.models.load import _load
    print("loaded", _load.cache_info().misses)
"""


def records(store):
    return {r["_id"]: r for r in store.query({"sources.campaign": "both"})}


@pytest.mark.slow
def test_submit_and_two_workers_find_what_screen_finds(site, launchpad, monkeypatch, capsys):
    campaign = site.folder / "campaign.yaml"
    campaign.write_text(FILE)

    def run(*words):
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        said = capsys.readouterr()
        assert ended.value.code in (None, 0, 3), said.err
        return said.out

    for name in ("JOBFLOW_CONFIG_FILE", "PET_FLOWS_RECONNECT_SECONDS"):
        monkeypatch.setenv(name, site.environment[name])
    get_settings.cache_clear()
    asked = ["submit", str(campaign), "--launchpad", str(site.launchpad_file)]
    run(*asked)
    names = [fw["name"] for fw in launchpad.fireworks.find({}, sort=[("fw_id", 1)])]
    assert "both relax 1" in names
    assert len(names) == 15
    code = WORKER.format(launchpad=str(site.launchpad_file))
    workers = [site.fork(code) for _ in range(2)]
    for worker in workers:
        said = worker.communicate(timeout=250)[0]
        assert worker.returncode == 0, said
        loads = int(said.rsplit("loaded ", 1)[1])
        assert loads <= 1, said  # one model, however many jobs
    assert launchpad.fireworks.count_documents({"state": "COMPLETED"}) == 15
    with site.results() as results:
        by_workers = records(results)
        assert all(record["attempts"] == 1 for record in by_workers.values())
        assert {s["fw_id"] for r in by_workers.values() for s in r["sources"]} <= set(range(1, 16))

    # again: nothing is left; without one record, only its structure is
    assert "15 of 15 structures are done already; nothing is left" in run(*asked)
    assert launchpad.fireworks.count_documents({}) == 15
    with site.results() as results:
        lost = next(r["_id"] for r in by_workers.values() if r["property"] == "static")
        results.records.delete_one({"_id": lost})
    again = run(*asked)
    assert "1 structure in 1 firework " in again
    assert "14 of 15 structures are done already" in again
    assert site.fork(code).wait(250) == 0
    with site.results() as results:
        assert records(results).keys() == by_workers.keys()
        assert results.campaigns.head("both")["n_structures"] == 15

    # the same campaign in one process, into the embedded store
    monkeypatch.delenv("JOBFLOW_CONFIG_FILE")
    get_settings.cache_clear()
    run("screen", *INPUTS)
    with ResultStore.open(read_only=True) as results:
        by_screen = records(results)
    assert by_workers.keys() == by_screen.keys()
    for key, record in by_screen.items():
        other = by_workers[key]
        assert other["state"] == record["state"]
        if "energy_per_atom" in record["result"]:
            assert other["result"]["energy_per_atom"] == pytest.approx(
                record["result"]["energy_per_atom"], abs=1e-6
            )
