"""Workers that are killed while they work: a short form of ``benchmarks/dispatch_kills.py``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mongodb_server.start import NoServer, built

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "dispatch_kills.py"


@pytest.mark.slow
def test_killed_workers_leave_nothing_missing_stuck_or_done_twice(tmp_path):
    try:
        built()
    except NoServer as problem:
        pytest.skip(str(problem))
    words = "--kills 4 --structures 28 --workers 3 --batch-sizes 4 --server-kills 0 --seconds 0.5"
    words += " --heartbeat 4"  # what is dead is noticed after four of them
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words.split(), "--pause", "1", "--folder", str(tmp_path)],
        capture_output=True, text=True, timeout=270,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["sound"], found
    assert found["records"] == found["ok"] == 28
    assert found["again"], "nobody was killed with anything in hand"
    # the last of them was silent for 16 s, and late for 5 s more
    assert 15 < found["seconds_until_recovered"] < 60
