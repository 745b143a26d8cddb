"""The script for GPUs does all that it does, on a CPU and with few structures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_part_runs_and_is_right(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    done = subprocess.run(
        ["sh", ROOT / "benchmarks" / "gpu.sh", "--device", "cpu", "--quick", "--json", file],
        env={**os.environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT), "WHEELS": "/none"},
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(file.read_text())
    rows = {(row["strategy"], row["dtype"]): row for row in found["correctness"]}
    assert len(rows) == 10
    assert all(row["good"] for row in rows.values())
    assert 0.0 < rows["crystal", "float32"]["force_eV_per_A"] < 1e-3
    assert all(0.5 < row["expected_over_peak"] < 5.0 for row in found["memory of a call"])
    assert found["out of memory"][0]["good"]
    kinds = {row["property"] for row in found["throughput"]}
    assert kinds == {"relax", "phonon", "md"}
    for row in (*found["throughput"], *found["single points by size"]):
        assert row["failed"] == 0
        assert 0.0 < row["share_in_model"] <= 1.0
    assert "All is right." in done.stdout
