"""What an operator sees of a campaign and does with it."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from fireworks import FWAction, FWorker

from pet_flows.cli import main
from pet_flows.launch.heartbeat import HEARTBEAT_SAID
from pet_flows.launch.status import status_of
from pet_flows.settings import get_settings
from pet_flows.store import clock
from tests.launch.test_live import WORDS
from tests.launch.test_worker import states
from tests.store.examples import crystal, record


@pytest.fixture
def said(site, launchpad, capsys):
    """Run a command; what it printed."""
    get_settings.cache_clear()

    def run(*words, code=0, pad=True):
        given = ["--launchpad", str(site.launchpad_file)] if pad else []
        with pytest.raises(SystemExit) as ended:
            main([*words, *given])
        out, err = capsys.readouterr()
        assert (ended.value.code or 0) == code or str(ended.value.code).startswith("Error"), err
        return out + (str(ended.value.code) if isinstance(ended.value.code, str) else "")

    return run


def store(site, n, name, reason=None):
    """Records of the campaign, as its jobs would write them; failed ones for a reason."""
    with site.results() as results:
        for k in range(n):
            document, blobs = record(
                state="failed" if reason else "ok",
                input_structure=crystal(k), property=name, sources=[{"campaign": "c"}],
            )  # fmt: skip
            if reason:
                document |= {"reason": reason, "retryable": False}
            results.put(document, blobs)


def test_done_failed_running_waiting_and_fizzled_are_counted(said, site, launchpad):
    said(*WORDS)
    assert "0 of 20 records" in said("status", "c")
    store(site, 3, "static")
    store(site, 2, "relax", "exploded")
    with site.results() as results:
        (first, *_) = results.query({"property": "static"})
        before = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=15)
        changed = {"$set": {"last_updated": before}}
        results.records.update_one({"_id": first["_id"]}, changed)
    worker = FWorker("w", "pet-gpu", env={HEARTBEAT_SAID: 20})
    launchpad.checkout_fw(worker, "/one", 1)
    _, launch_id = launchpad.checkout_fw(worker, "/two", 3)
    trace = "Traceback (most recent call last):\n  File x\nMemoryError: no more"
    data = {"_exception": {"_stacktrace": trace}}
    launchpad.complete_launch(launch_id, FWAction(stored_data=data), "FIZZLED")
    with site.results() as results:
        found = status_of(results, "c", launchpad)
    assert {n: dict(+c) for n, c in found.records.items()} == {
        "relax": {"failed": 2}, "static": {"ok": 3},
    }  # fmt: skip
    assert (found.expected, found.done, found.without_start) == (20, 5, 2)
    assert found.per_hour == pytest.approx(20, rel=0.05)  # five in a quarter of an hour
    assert found.hours_left == pytest.approx((20 - 2 - 5) / 20, rel=0.05)
    assert found.reasons == {"relax exploded": 2}
    assert found.fireworks == {"RUNNING": 1, "FIZZLED": 1, "READY": 1, "WAITING": 3}
    (running,) = found.running
    assert (running.fw_id, running.name) == (1, "c relax 1")
    assert 0 <= running.minutes < 5
    assert running.silent is None
    assert found.fizzled == {"MemoryError: no more": 1}
    shown = said("status", "c")
    for part in ("5 of 20 records, 2 cannot begin", "20 records per hour", "2 relax exploded",
                 "3 WAITING", "1 c relax 1 on ", "1 fizzled: MemoryError: no more"):  # fmt: skip
        assert part in shown, part
    assert "5 of 20" in said("status")


def test_a_campaign_without_a_launchpad_has_records(said, site, monkeypatch):
    monkeypatch.setattr("fireworks.fw_config.LAUNCHPAD_LOC", None)
    store(site, 2, "static")
    with site.results() as results:
        results.campaigns.add_keys("c", [r["_id"] for r in results.query({})])
    shown = said("status", "c", pad=False)
    assert "c: 2 records" in shown
    assert "fireworks" not in shown
    assert "There is no campaign 'd' in this store: choose from c." in said(
        "status", "d", pad=False
    )


def test_pause_resume_cancel_and_retry(said, site, launchpad):
    said(*WORDS)
    _, launch_id = launchpad.checkout_fw(FWorker("w", "pet-gpu"), "/one", 1)
    assert "Campaign c: 5 fireworks paused." in said("pause", "c")
    assert states(launchpad) == ["RUNNING"] + ["PAUSED"] * 5
    assert "10 of 10 structures wait or run" in said(*WORDS)
    assert "5 fireworks resumed" in said("resume", "c")
    assert states(launchpad) == ["RUNNING", "WAITING", "READY", "WAITING", "READY", "WAITING"]
    launchpad.complete_launch(launch_id, FWAction(), "FIZZLED")
    assert "1 fizzled firework ready again" in said("retry", "c")
    assert states(launchpad)[0] == "READY"
    assert "6 fireworks archived" in said("cancel", "c")
    assert states(launchpad) == ["ARCHIVED"] * 6
    assert "10 structures in 6 fireworks (7 to 12)" in said(*WORDS)
    assert "no campaign 'd' on this LaunchPad: choose from c." in said("pause", "d")


def test_records_that_failed_for_a_reason_are_computed_again(said, site, launchpad):
    said(*WORDS)
    store(site, 1, "relax", "exploded")
    store(site, 2, "static", "not_finite")
    with site.results() as results:
        keys = {r["reason"]: r["_id"] for r in results.query({})}
        assert results.needs(list(keys.values())) == []
        assert "1 record that failed for exploded" in said("retry", "c", "--reason", "exploded")
        assert results.needs(list(keys.values())) == [keys["exploded"]]


def test_recover_says_what_it_brought_back(said, site, launchpad, monkeypatch, capsys):
    assert "Brought back: nothing, all is well." in said("recover")
    said(*WORDS)
    worker = FWorker("w", "pet-gpu", env={HEARTBEAT_SAID: 0.1})
    launchpad.checkout_fw(worker, "/one", 3)
    assert "Brought back: of 1 it is not known yet whether" in said("recover", "--seconds", "0")
    monkeypatch.setattr(clock, "CONFIRMED", 0.5)
    start = time.monotonic()
    assert "1 firework of dead workers (3)." in said("recover")
    assert time.monotonic() - start < 20
    assert states(launchpad).count("RUNNING") == 0
