"""MD killed with SIGKILL at random steps and run again: what is lost, and what differs at the end.

    python benchmarks/md_kills.py [--ensembles nve nvt_langevin ...] [--kills 10] [--steps 200]
        [--every 10] [--potential pet-mvl] [--seed 0]

A process forks one child after another; each runs the same trajectory (16 atoms of W in float64,
``crystal:orientation``; ``--potential springs``: 16 atoms on springs) and goes on from the
checkpoint that it finds, until it is killed from outside while a random evaluation runs. The last
one ends by itself. One line of JSON per ensemble: the steps at which it was killed and from which
it went on, the most steps that a kill has cost, and the largest difference to the uninterrupted
run in every array of the trajectory and of the observables.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk

sys.path.insert(0, str(Path(__file__).parents[1]))

from pet_flows.engines.potential import get_potential
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.md import md
from tests.properties.md.potentials import LawPotential, Springs

ENSEMBLES = ("nve", "nvt_langevin", "nvt_nose_hoover", "npt_langevin")


class Announced:
    """An evaluator that says through a pipe when it begins an evaluation."""

    def __init__(self, evaluator: Any, pipe: int):
        self._evaluator, self._pipe = evaluator, pipe

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evaluator, name)

    def evaluate(self, *given: Any, **options: Any) -> Any:
        """Announce, then evaluate."""
        os.write(self._pipe, b".")
        return self._evaluator.evaluate(*given, **options)


def crystal() -> Atoms:
    return bulk("W", cubic=True) * 2


def potential(name: str) -> Any:
    if name == "springs":
        return LawPotential(Springs(crystal()))
    return get_potential(name).with_(symmetrization="crystal:orientation", dtype="float64")


def arrays(
    given: Any, settings: MDSettings, folder: Path | None, every: int
) -> dict[str, np.ndarray]:
    """Every array that a run leaves."""
    (outcome,) = md([crystal()], given, settings, checkpoints=folder, checkpoint_every=every)
    if outcome.state != "ok":
        raise SystemExit(outcome.message)
    return {f"{b}.{k}": v for b, blob in outcome.blobs.items() for k, v in blob.items()}


def child(work: Callable[[int], None]) -> tuple[int, int]:
    """Process number and the pipe on which it announces its evaluations."""
    reading, writing = os.pipe()
    number = os.fork()
    if number == 0:
        os.close(reading)
        try:
            work(writing)
        finally:
            os._exit(0)
    os.close(writing)
    return number, reading


def checkpointed(folder: Path) -> int:
    """Step of the checkpoint on disk."""
    found = list(folder.glob("*.checkpoint.npz"))
    if not found:
        return 0
    with np.load(found[0]) as file:
        return int(file["step"])


def trial(name: str, settings: MDSettings, every: int, kills: int, seed: int) -> dict[str, Any]:
    """One ensemble."""
    given = potential(name)
    rng = np.random.default_rng(seed)
    steps = np.sort(rng.choice(np.arange(1, settings.steps), size=kills, replace=False))
    killed, resumed, lost = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        runs, answer = Path(folder) / "runs", Path(folder) / "answer.pickle"

        def work(pipe: int) -> None:
            given.evaluator = Announced(given.evaluator, pipe)
            answer.write_bytes(pickle.dumps(arrays(given, settings, runs, every)))

        for step in steps.tolist():
            start = checkpointed(runs)
            number, pipe = child(work)
            # the first evaluation is that of the step it goes on from
            begun = 0
            while begun <= step - start and os.read(pipe, 1):
                begun += 1
            os.kill(number, signal.SIGKILL)
            while os.read(pipe, 1):  # what it began before the signal arrived
                begun += 1
            os.waitpid(number, 0)
            os.close(pipe)
            done = start + begun - 2
            killed.append(done + 1)
            resumed.append(checkpointed(runs))
            lost.append(max(0, done) - resumed[-1])
        number, pipe = child(work)
        while os.read(pipe, 65536):
            pass
        os.waitpid(number, 0)
        os.close(pipe)
        again = pickle.loads(answer.read_bytes())
        whole_run = potential(name)
        whole = arrays(whole_run, settings, None, every)
    differences = {
        key: float(np.abs(values - again[key]).max())
        for key, values in whole.items()
        if values.dtype.kind == "f"
    }
    return {
        "ensemble": settings.ensemble,
        "potential": name,
        "steps": settings.steps,
        "checkpoint_every": every,
        "killed_at": killed,
        "went_on_from": resumed,
        "most_steps_lost": max(lost),
        "frames_equal": bool(np.array_equal(whole["trajectory.step"], again["trajectory.step"])),
        "largest_difference": max(differences.values()),
        "differences": {key: differences[f"trajectory.{key}"] for key in ("positions", "momenta")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ensembles", nargs="*", choices=ENSEMBLES, default=list(ENSEMBLES))
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--potential", default="pet-mvl")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)  # a fork inherits no thread pool
    for ensemble in args.ensembles:
        settings = MDSettings(
            ensemble=ensemble, steps=args.steps, stride=3,
            observe_every=2, timestep=2.0, min_length=0, seed=args.seed, correlation_time=0.1,
        )  # fmt: skip
        print(
            json.dumps(trial(args.potential, settings, args.every, args.kills, args.seed)),
            flush=True,
        )


if __name__ == "__main__":
    main()
