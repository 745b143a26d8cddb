"""Records that are written while others are computed."""

import threading
import time
from functools import partial

import pytest

from pet_flows.errors import PetFlowsError
from pet_flows.store.writer import Writer
from tests.store.examples import large, record


def test_all_is_written_at_the_end_and_early_ones_before_it(results):
    with Writer(results) as writer:
        writer.put(lambda: large(*record(0)))
        end = time.monotonic() + 10
        while results.count() < 1 and time.monotonic() < end:
            time.sleep(0.01)
        assert results.count() == 1  # while the next is computed
        for number in range(1, 150):
            writer.put(partial(record, number))
    assert results.count() == 150
    assert results.blob(record(0)[0]["_id"], "static")["forces"].shape == (1000, 3)


def test_what_ends_a_job_loses_nothing_that_was_computed(results):
    def job():
        with Writer(results) as writer:
            for number in range(5):
                writer.put(partial(record, number))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job()
    assert results.count() == 5


def test_what_cannot_be_written_is_said_and_nobody_waits_for_ever(results):
    document, blobs = record()
    document["warnings"] = ["x" * 1_100_000]

    def job(n):
        with Writer(results) as writer:
            for number in range(n):
                made = (document, blobs) if number == 0 else record(number % 50)
                writer.put(lambda made=made: made)

    for n in (1, 10_000):
        with pytest.raises(PetFlowsError, match="more than the 1 MB of a document"):
            job(n)
    assert not [t for t in threading.enumerate() if t.name == "records"]
