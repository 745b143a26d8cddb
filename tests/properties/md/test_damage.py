"""Files that a run cannot go on from, disks that are full: that run fails, and it alone."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.md import md
from pet_flows.properties.outcome import Outcome
from tests.properties.md.potentials import LawPotential, Springs

SETTINGS = MDSettings(steps=40, stride=2, timestep=2.0, min_length=0, rdf_cutoff=2.6)


def copper() -> Atoms:
    return bulk("Cu", cubic=True) * (2, 1, 1)


def neighbour() -> Atoms:
    atoms = copper()
    atoms.rattle(0.01)
    return atoms


def springs() -> LawPotential:
    return LawPotential(Springs(copper()))


def halted(folder: Path, settings: MDSettings = SETTINGS) -> tuple[Path, Path]:
    """Checkpoint and frames of a run of copper that was killed at its 25th step."""
    broken = springs()

    def stop() -> None:
        if broken.evaluator.evaluated > 25:
            raise KeyboardInterrupt

    broken.evaluator.before = stop
    with pytest.raises(KeyboardInterrupt):
        list(md([copper()], broken, settings, checkpoints=folder, checkpoint_every=10))
    (checkpoint,), (frames,) = folder.glob("*.npz"), folder.glob("*.frames")
    return checkpoint, frames


def run(folder: Path) -> dict[int, Outcome]:
    """Copper and its neighbour."""
    found = md(
        [copper(), neighbour()], springs(), SETTINGS, checkpoints=folder, checkpoint_every=10
    )
    return {outcome.index: outcome for outcome in found}


def same(outcome: Outcome, other: Outcome) -> bool:
    ours, theirs = outcome.blobs["trajectory"], other.blobs["trajectory"]
    return all(np.array_equal(ours[key], theirs[key]) for key in ours)


def unlocked(folder: Path) -> bool:
    """Whether nobody holds a lock in it."""
    for path in folder.glob("*.lock"):
        file = os.open(path, os.O_RDWR)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(file)
    return True


def contents(folder: Path) -> dict[str, bytes]:
    """Of its files, of a lock only that it is there: it says since when it is held."""
    return {
        path.name: b"" if path.suffix == ".lock" else path.read_bytes() for path in folder.iterdir()
    }


def rewritten(checkpoint: Path, **changed: object) -> None:
    with np.load(checkpoint) as file:
        state = {key: file[key] for key in file.files}
    np.savez(checkpoint, **{**state, **changed})  # type: ignore[arg-type]


DAMAGES: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "frames gone": (lambda c, f: f.unlink(), "frames are missing"),
    "frames short": (
        lambda c, f: os.truncate(f, 1000),
        "1 frames where the checkpoint tells of 11",
    ),
    "frames zero": (lambda c, f: f.write_bytes(bytes(f.stat().st_size)), "not those of"),
    "frames newer": (lambda c, f: rewritten(c, step=np.array(7)), "not those of"),
    "checkpoint cut": (lambda c, f: os.truncate(c, 3000), "cannot be read"),
    "checkpoint empty": (lambda c, f: os.truncate(c, 0), "cannot be read"),
    "checkpoint of text": (lambda c, f: c.write_text("nothing of the kind"), "cannot be read"),
    "checkpoint of a pickle": (lambda c, f: c.write_bytes(np.eye(3).dumps()), "cannot be read"),
    "other atoms": (lambda c, f: rewritten(c, positions=np.zeros((3, 3))), "such a run"),
    "not finite": (lambda c, f: rewritten(c, momenta=np.full((8, 3), np.nan)), "such a run"),
    "other generator": (lambda c, f: rewritten(c, generator=np.zeros(3, np.uint8)), "such a run"),
    "another run": (lambda c, f: rewritten(c, run="md-0123"), "of another run"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_run_fails_alone_and_keeps_its_files(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "runs"
    checkpoint, frames = halted(folder)
    whole = {path: path.read_bytes() for path in (checkpoint, frames)}
    harm, said = DAMAGES[damage]
    harm(checkpoint, frames)
    left = contents(folder)

    outcomes = run(folder)
    failed = outcomes[0]
    assert (failed.state, failed.reason) == ("failed", "checkpoint_damaged")
    assert failed.retryable
    assert said in str(failed.message)
    assert str(folder) in str(failed.message)
    assert not failed.result
    assert outcomes[1].state == "ok"
    assert contents(folder) == left
    assert unlocked(folder)

    # what the sentence says helps: whole files, or none
    alone = next(md([copper()], springs(), SETTINGS))
    for path, content in whole.items():
        path.write_bytes(content)
    assert same(run(folder)[0], alone)
    halted(folder)
    for path in folder.iterdir():
        path.unlink()
    assert same(run(folder)[0], alone)
    assert not folder.exists()


def test_frames_that_vanish_under_a_run_are_missed(tmp_path: Path) -> None:
    """Not begun anew with the later ones alone."""
    folder = tmp_path / "runs"
    potential = springs()

    def steal() -> None:
        if potential.evaluator.evaluated == 15:
            next(folder.glob("*.frames")).unlink()

    potential.evaluator.before = steal
    (outcome,) = md([copper()], potential, SETTINGS, checkpoints=folder, checkpoint_every=10)
    assert (outcome.state, outcome.reason) == ("failed", "checkpoint_damaged")
    assert "while it ran" in str(outcome.message)


@contextmanager
def full_disk(free: int) -> Iterator[None]:
    """No file may become longer than ``free`` bytes: what a full disk says, with another number."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_costs_nothing_that_was_done(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    large = neighbour() * (2, 2, 2)
    # 30 small frames and all checkpoints of the small crystal fit, not those of the large one
    small_law, large_law = Springs(copper()), Springs(large)
    potential = springs()
    potential.evaluator.law = lambda r, h: (small_law if len(r) == 8 else large_law)(r, h)
    settings = SETTINGS.model_copy(update={"correlation_time": 0.01})
    given = [copper(), large]
    with full_disk(50_000):
        outcomes = {
            o.index: o
            for o in md(given, potential, settings, checkpoints=folder, checkpoint_every=10)
        }
    assert outcomes[0].state == "ok"
    failed = outcomes[1]
    assert (failed.state, failed.reason) == ("failed", "storage_error")
    assert failed.retryable
    assert os.strerror(errno.EFBIG) in str(failed.message)
    assert failed.result["exploded"] is False
    assert unlocked(folder)
    assert not list(folder.glob("*.part"))

    again = {
        o.index: o for o in md(given, potential, settings, checkpoints=folder, checkpoint_every=10)
    }
    alone = next(md([large], LawPotential(large_law), settings))
    assert same(again[1], alone)
    assert not folder.exists()


def test_a_folder_that_cannot_be_made_fails_its_runs(tmp_path: Path) -> None:
    """Whatever the permissions of who tests: a file is in its place."""
    (tmp_path / "runs").write_text("")
    outcomes = run(tmp_path / "runs" / "md")
    for outcome in outcomes.values():
        assert (outcome.state, outcome.reason) == ("failed", "storage_error")
        assert outcome.retryable
        assert os.strerror(errno.ENOTDIR) in str(outcome.message)


def test_a_broken_device_is_no_explosion() -> None:
    broken = springs()

    def fail() -> None:
        if broken.evaluator.evaluated >= 15:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    broken.evaluator.before = fail
    (outcome,) = md([copper()], broken, SETTINGS)
    assert outcome.reason == "device_error"
    assert outcome.result["exploded"] is False
