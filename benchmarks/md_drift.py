"""Energy conservation of a deliberately rough potential, and what turning the input changes.

    python benchmarks/md_drift.py [--cell Si] [--temperature 300] [--timestep 0.5]
        [--crystal-timestep 0.1] [--orientation-steps 2000] [--crystal-steps 200]
        [--turned-steps 50] [--halve] [--json FILE]

64 atoms rattled by 0.05 Å, rough random PET with two GNN layers (``tests/rough.py``), float64, NVE.
Per strategy: drift (slope of a linear fit of the total energy) and standard deviation of the
energy, in eV/atom; what remains between the trajectory of a turned input and the turned trajectory;
seconds. ``--halve`` repeats each run with half the time step over the same time: the deviation of
a second-order integrator of a smooth potential falls by four. In a run as short as 200 steps the
slope is that of this bounded oscillation, not yet a drift: hence the shorter time step there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from scipy.spatial.transform import Rotation

sys.path.insert(0, str(Path(__file__).parents[1]))

from pet_flows.engines.pet import PETRaw
from pet_flows.engines.potential import Potential
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.md import md
from tests.rough import rough_model, unfiled

#: structures of 64 atoms
CELLS = {
    "Si": lambda: bulk("Si", "diamond", a=5.43, cubic=True) * 2,
    "MgO": lambda: bulk("MgO", "rocksalt", a=4.21, cubic=True) * 2,
}


def potential(symmetrization: str) -> Potential:
    """The rough random PET of the tests."""
    spec = PotentialSpec(
        model="rough", sha256="0" * 64, symmetrization=symmetrization, dtype="float64"
    )
    return Potential(unfiled(spec), PETRaw(rough_model(seed=0)))


def run(atoms: Atoms, symmetrization: str, settings: MDSettings) -> dict[str, Any]:
    """One NVE run."""
    start = time.perf_counter()
    (outcome,) = md([atoms], potential(symmetrization), settings)
    seconds = time.perf_counter() - start
    if outcome.state != "ok":
        return {"strategy": symmetrization, "failed": outcome.message}
    frames = outcome.blobs["trajectory"]
    energy = frames["conserved"] / len(atoms)
    return {
        "strategy": symmetrization,
        "timestep_fs": settings.timestep,
        "steps": settings.steps,
        "drift_eV_per_atom_ps": outcome.result["drift"],
        "std_eV_per_atom": float(energy.std()),
        "mean_temperature_K": outcome.result["temperature"]["mean"],
        "evaluations_per_step": outcome.n_evaluations / (settings.steps + 1),
        "seconds": seconds,
    }


def turned(atoms: Atoms, symmetrization: str, settings: MDSettings) -> dict[str, Any]:
    """Largest distance of the turned input's trajectory from the turned trajectory, Å."""
    turn = Rotation.random(random_state=7).as_matrix() @ np.diag([1.0, 1.0, -1.0])
    (outcome,) = md([atoms], potential(symmetrization), settings)
    first = outcome.blobs["trajectory"]
    other = atoms.copy()
    other.set_cell(atoms.cell.array @ turn)
    other.positions = atoms.positions @ turn
    momenta = [first["momenta"][0] @ turn]
    (outcome,) = md([other], potential(symmetrization), settings, momenta=momenta)
    again = outcome.blobs["trajectory"]
    return {
        "strategy": symmetrization,
        "steps": settings.steps,
        "largest_distance_A": float(np.abs(first["positions"] @ turn - again["positions"]).max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cell", choices=list(CELLS), default="Si")
    parser.add_argument("--temperature", type=float, default=300.0)
    parser.add_argument("--timestep", type=float, default=0.5)
    parser.add_argument("--crystal-timestep", type=float, default=0.1)
    parser.add_argument("--orientation-steps", type=int, default=2000)
    parser.add_argument("--crystal-steps", type=int, default=200)
    parser.add_argument("--turned-steps", type=int, default=50)
    parser.add_argument("--halve", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    atoms = CELLS[args.cell]()
    atoms.rattle(0.05, seed=3)
    report: list[dict[str, Any]] = []

    def say(row: dict[str, Any]) -> None:
        report.append(row)
        print(json.dumps(row), flush=True)

    plans = (
        ("crystal:orientation", args.orientation_steps, args.timestep),
        ("crystal", args.crystal_steps, args.crystal_timestep),
    )
    for symmetrization, steps, timestep in plans:
        for halving in (1, 2) if args.halve else (1,):
            if steps:
                settings = MDSettings(
                    ensemble="nve", temperature=args.temperature, steps=halving * steps,
                    timestep=timestep / halving, observe_every=1, stride=1, min_length=0,
                    rdf_cutoff=1.0, correlation_time=0.1, seed=1,
                )  # fmt: skip
                say(run(atoms, symmetrization, settings))
    if args.turned_steps:
        settings = MDSettings(
            ensemble="nve", temperature=args.temperature, steps=args.turned_steps,
            timestep=args.timestep, stride=args.turned_steps, min_length=0,
        )  # fmt: skip
        say(turned(atoms, "crystal:orientation", settings))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
