"""Two processes on one run: only one of them writes its files."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.lock import RunLock
from pet_flows.properties.md.md import md
from pet_flows.store.sqlite import SqliteStore
from tests.properties.md.potentials import LawPotential, Springs

SETTINGS = MDSettings(steps=40, stride=5, timestep=2.0, min_length=0, rdf_cutoff=2.6)
#: runs as far as two checkpoints, says so each time, and waits in the middle of an evaluation
FIRST = """
import sys
from pathlib import Path
from tests.properties.md.test_lock import SETTINGS, copper, springs
from pet_flows.properties.md.md import md

potential = springs()

def halt():
    if potential.evaluator.evaluated in (15, 35):
        print(potential.evaluator.evaluated, flush=True)
        sys.stdin.readline()

potential.evaluator.before = halt
list(md([copper()], potential, SETTINGS, checkpoints=Path(sys.argv[1]), checkpoint_every=10))
"""


def copper() -> Atoms:
    return bulk("Cu", cubic=True) * (2, 1, 1)


def springs() -> LawPotential:
    return LawPotential(Springs(copper()))


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_second_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    first = subprocess.Popen(
        [sys.executable, "-c", FIRST, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert first.stdin is not None
    assert first.stdout is not None
    try:
        assert first.stdout.readline() == "15\n"
        before = files(folder)
        assert sorted(Path(name).suffix for name in before) == [".frames", ".lock", ".npz"]
        other = copper()
        other.rattle(0.01)
        both = md([copper(), other], springs(), SETTINGS, checkpoints=folder, checkpoint_every=10)
        found = {o.index: o for o in both}
        refused = found[0]
        assert (refused.state, refused.reason) == ("failed", "run_in_use")
        assert refused.retryable
        assert f"by process {first.pid} on" in str(refused.message)
        assert found[1].state == "ok"
        assert files(folder) == before
        first.stdin.write("go on\n")
        first.stdin.flush()
        assert first.stdout.readline() == "35\n"
        os.kill(first.pid, signal.SIGKILL)
    finally:
        first.kill()
        first.communicate()

    assert any(name.endswith(".lock") for name in files(folder))
    potential = springs()
    (outcome,) = md([copper()], potential, SETTINGS, checkpoints=folder, checkpoint_every=10)
    assert outcome.state == "ok"
    assert potential.evaluator.evaluated == 11  # from the checkpoint at step 30
    alone = next(md([copper()], springs(), SETTINGS))
    for key, values in alone.blobs["trajectory"].items():
        assert np.array_equal(outcome.blobs["trajectory"][key], values), key
    assert not folder.exists()


def test_a_broken_device_costs_no_more_than_the_stride(tmp_path: Path) -> None:
    broken = springs()

    def fail() -> None:
        if broken.evaluator.evaluated >= 35:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    broken.evaluator.before = fail
    (outcome,) = md(
        [copper()], broken, SETTINGS, checkpoints=tmp_path / "runs", checkpoint_every=10
    )
    assert (outcome.state, outcome.reason) == ("failed", "device_error")
    assert outcome.retryable
    repaired = springs()
    (again,) = md(
        [copper()], repaired, SETTINGS, checkpoints=tmp_path / "runs", checkpoint_every=10
    )
    assert again.state == "ok"
    assert repaired.evaluator.evaluated == 11
    assert not (tmp_path / "runs").exists()


def test_what_is_given_up_can_be_gone_on_with(tmp_path: Path) -> None:
    """Outcomes that nobody asks for keep neither their files from others nor files open."""
    others = [copper(), copper()]
    others[1].rattle(0.01)
    started = md(others, springs(), SETTINGS, checkpoints=tmp_path / "runs", checkpoint_every=10)
    next(started)
    started.close()
    outcomes = list(
        md(others, springs(), SETTINGS, checkpoints=tmp_path / "runs", checkpoint_every=10)
    )
    assert [o.state for o in outcomes] == ["ok", "ok"]


def test_a_lock_file_that_was_removed_protects_nothing(tmp_path: Path) -> None:
    """Nor does it hinder: who opened it before its holder removed it has locked nothing."""
    path = tmp_path / "runs" / "md.lock"
    holder, late = RunLock(path), RunLock(path)
    holder.take()
    with pytest.raises(StructureError, match=f"computed in .* by process {os.getpid()} on"):
        late.take()
    old = os.open(path, os.O_RDWR)
    holder.remove()
    fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
    late.take()
    with pytest.raises(StructureError):
        holder.take()
    os.close(old)
    late.remove()
    assert not path.exists()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_where_there_are_no_locks_runs_go_on_without(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(file: int, operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    lock = RunLock(tmp_path / "md.lock")
    lock.take()
    lock.remove()
    assert "run each structure once" in caplog.text
    assert not list(tmp_path.iterdir())
    with pytest.raises(PetFlowsError, match="on a disk that has locks"):
        SqliteStore(str(tmp_path / "x.db")).connect()
