"""Molecular dynamics of a model that costs nothing: what a step, a sample and a frame take.

    OMP_NUM_THREADS=1 python benchmarks/md_host.py [--structures 64] [--repeats 2] [--steps 128]
        [--ensembles nve nvt_langevin ...] [--json FILE]

Silicon of 8 × ``--repeats``³ atoms, rattled, ``crystal:orientation``, evaluated by a raw model that
answers at once (`host_stages.Nothing`), all structures in one batch, every step a sample and a
stored frame. CPU microseconds for each structure and step, on one thread: the evaluation without
the model; the integrator with all that is beside it; averages of a sample; pair distributions of a
frame; the frame. And for each structure, once, its result.
"""

from __future__ import annotations

import argparse
import json
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from ase import Atoms
from ase.build import bulk
from host_stages import Clock, Nothing

from pet_flows.engines import potential as engines
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.potential import Potential
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.integrate import Integration
from pet_flows.properties.md.kept import Trajectory
from pet_flows.properties.md.md import md
from pet_flows.properties.md.observables import Observables
from pet_flows.properties.md.structure import RadialDistribution

ENSEMBLES = ("nve", "nvt_langevin", "nvt_nose_hoover", "npt_langevin")
#: what is timed, without what is timed inside of it
STAGES = {
    "evaluation": (Evaluator, "evaluate"),
    "integrator": (Integration, "_advance"),
    "sample": (Observables, "add"),
    "pair distribution": (RadialDistribution, "add"),
    "frame": (Trajectory, "append"),
}


def potential() -> Potential:
    """Of a model that costs nothing."""
    spec = PotentialSpec(model="pet-mvl", symmetrization="crystal:orientation")
    engines._potential.cache_clear()
    with patch.object(engines, "_raw", lambda _: Nothing()):
        found = engines.get_potential(resolve(spec))
    engines._potential.cache_clear()
    return found


def silicon(count: int, repeats: int) -> list[Atoms]:
    """Rattled cells."""
    found = []
    for n in range(count):
        atoms = bulk("Si", "diamond", a=5.43, cubic=True) * repeats
        atoms.rattle(0.03, seed=n)
        found.append(atoms)
    return found


def measured(given: list[Atoms], ensemble: str, steps: int) -> dict[str, Any]:
    """One row."""
    dynamics: Any = {"ensemble": ensemble, "steps": steps, "observe_every": 1, "stride": 1}
    settings = MDSettings(**dynamics, min_length=0)
    clock, each = Clock(), 1e6 / len(given)
    calculator = potential()
    with ExitStack() as patched:
        for name, (owner, method) in STAGES.items():
            timed = clock.of(getattr(owner, method), name)
            patched.enter_context(patch.object(owner, method, timed))
        with clock.stage("before"):
            runs = md(given, calculator, settings)
            first = next(runs)
        with clock.stage("result"):
            outcomes = [first, *runs]
    failed = [outcome.message for outcome in outcomes if outcome.state != "ok"]
    if failed:
        raise SystemExit(str(failed[0]))
    row = {name: each * clock.seconds[name] / steps for name in STAGES}
    return {
        "ensemble": ensemble, "structures": len(given), "atoms": len(given[0]), "steps": steps,
        **row, "together": sum(row.values()), "result": each * clock.seconds["result"],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--ensembles", nargs="*", choices=ENSEMBLES, default=list(ENSEMBLES))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    given = silicon(args.structures, args.repeats)
    measured(given[:2], "nve", 2)
    rows = []
    for ensemble in args.ensembles:
        rows.append(measured(given, ensemble, args.steps))
        shown = ", ".join(
            f"{name} {rows[-1][name]:.0f}" for name in (*STAGES, "together", "result")
        )
        print(f"{ensemble}: {shown}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
