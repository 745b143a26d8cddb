"""Time that is not the model's: relaxations, phonons, MD and statics of a model that costs nothing.

    OMP_NUM_THREADS=1 python benchmarks/host.py [--batch 256] [--processes 2] [--json host.json]

Mixed crystals of 1 to 56 atoms go through the makers into an embedded store, with a raw model that
answers at once (`host_stages.Nothing`): constant energies, so that each relaxation takes all of its
steps, real graphs, the real form of results. All times are CPU seconds of this process on one
thread, which do not count what else the machine does. No crystal was seen before: each row has its
own. Beside them torch-sim's own L-BFGS on a model that gives the same numbers without looking for
neighbours, as many steps, one batch.

*per evaluation* is over structures × geometries, whatever number of rotations each takes; *per
structure* is what remains with a single geometry, records stored. At the end relaxations once more
with other processes that check, bind and make records, as beside a GPU; their CPU time by itself.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
import time
import warnings
from itertools import chain
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch_sim as ts
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from host_stages import STAGES, Clock, Nothing, watched
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.engines import potential as engines
from pet_flows.jobs import MDMaker, PhononMaker, RelaxMaker, StaticMaker
from pet_flows.jobs.batch import run_batch
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from pet_flows.store.results import ResultStore

STEPS = 8
METALS = ("Li", "Cu", "Nb", "Mo", "Ta", "W", "Ni")


def crystals(count: int, rattled: bool, seed: int = 5) -> list[Atoms]:
    """Simple, binary, perovskite and spinel crystals of 1 to 56 atoms, each strained a little."""
    rng = np.random.default_rng(seed)
    found: list[Atoms] = []
    while len(found) < count:
        one, two = rng.choice(METALS, 2, replace=False)
        a = float(rng.uniform(0.97, 1.03))
        spinel = [(0.125, 0.125, 0.125), (0.5, 0.5, 0.5), (0.262, 0.262, 0.262)]
        found += [
            bulk(one, "fcc", a=3.8 * a),
            bulk(one, "bcc", a=3.2 * a),
            bulk("Si", "diamond", a=5.43 * a),
            bulk(one, "hcp", a=2.8 * a, c=4.5 * a),
            bulk(f"{one}O", "rocksalt", a=4.3 * a, cubic=bool(rng.random() < 0.5)),
            bulk("ZnS", "wurtzite", a=3.8 * a, c=6.2 * a),
            crystal([one, two, "O"], [(0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)], spacegroup=221,
                    cellpar=[4.0 * a] * 3 + [90] * 3),
            crystal([one, "O"], [(0, 0, 0), (0.305, 0.305, 0)], spacegroup=136,
                    cellpar=[4.6 * a, 4.6 * a, 2.96 * a, 90, 90, 90]),
        ]  # fmt: skip
        if len(found) % 64 == 0:
            found.append(
                crystal([one, two, "O"], spinel, spacegroup=227, setting=2,
                        cellpar=[8.2 * a] * 3 + [90] * 3, primitive_cell=bool(rng.random() < 0.8))
            )  # fmt: skip
    plain = [Atoms(s.numbers, s.positions, cell=s.cell.array, pbc=True) for s in found[:count]]
    for atoms in plain:
        if rattled:
            atoms.rattle(0.03, rng=rng)
    return plain


def makers(symmetrization: str, steps: int = STEPS) -> dict[str, Any]:
    """Name → maker, and how many geometries of a structure it evaluates (None: ask the model)."""
    spec = PotentialSpec(model="pet-mvl", symmetrization=symmetrization)
    own = symmetrization == "crystal"
    found: dict[str, Any] = {
        "static": StaticMaker(potential=spec),
        "relax": RelaxMaker(potential=spec, fix_symmetry=own, steps=steps, max_strain=10.0),
    }
    if own:
        found["phonon"] = PhononMaker(potential=spec, min_length=8.0)
        found["md"] = MDMaker(potential=spec, steps=20, ensemble="nvt_langevin")
    return found


def run(maker: Any, given: list[Atoms], folder: str, processes: int = 0) -> dict[str, Any]:
    """One batch into a fresh store: CPU seconds by stage, beside the model."""
    from pet_flows.settings import get_settings

    os.environ["PET_FLOWS_PROCESSES"] = str(processes)
    os.environ["PET_FLOWS_STORE"] = str(Path(folder) / f"{len(os.listdir(folder))}.db")
    get_settings.cache_clear()
    structures = [AseAtomsAdaptor.get_structure(a) for a in given]
    raw, clock = Nothing(), Clock()
    resolved = resolve(maker.potential)
    engines._potential.cache_clear()
    with patch.object(engines, "_raw", lambda _: raw), ResultStore.open() as store:
        potential = engines.get_potential(resolved)
        evaluate, geometries = potential.evaluator.evaluate, 0

        def counted(systems: Any, forces: bool = True) -> Any:
            nonlocal geometries
            geometries += len(systems)
            return evaluate(systems, forces)

        potential.evaluator.evaluate = counted  # type: ignore[method-assign]
        gc.collect()
        start, before = time.process_time(), elsewhere()
        with watched(clock):
            slim = run_batch(maker, structures, resolved, store)
        total, others = time.process_time() - start, elsewhere() - before
    engines._potential.cache_clear()
    states = [s["state"] for s in slim]
    return {
        "structures": len(given),
        "geometries": geometries,
        "failed": states.count("failed"),
        "total_s": total,
        "elsewhere_s": others,
        "host_s": total - clock.seconds["model"],
        "stages_s": dict(clock.seconds),
    }


def elsewhere() -> float:
    """CPU seconds so far of the processes that this one has started and that are there."""
    found = 0
    for task in Path("/proc/self/task").iterdir():
        for child in (task / "children").read_text().split():
            fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
            found += int(fields[11]) + int(fields[12])
    return found / os.sysconf("SC_CLK_TCK")


class Constant(ts.models.interface.ModelInterface):
    """What torch-sim's own optimizer is given: the same numbers, made for the whole batch."""

    def __init__(self) -> None:
        super().__init__()
        self._device, self._dtype = torch.device("cpu"), torch.float64
        self._compute_forces = self._compute_stress = True
        self._memory_scales_with = "n_atoms"

    def forward(self, state: ts.SimState, **_: object) -> dict[str, torch.Tensor]:
        """Energies, forces and stresses."""
        counts = state.n_atoms_per_system.to(torch.float64)
        push = 1e-2 * counts / state.volume.abs()
        return {
            "energy": -counts,
            "forces": torch.zeros_like(state.positions),
            "stress": push[:, None, None] * torch.eye(3, dtype=torch.float64),
        }


def torch_sim(given: list[Atoms]) -> dict[str, Any]:
    """torch-sim's own L-BFGS, one batch, as many steps."""
    model = Constant()
    start = time.process_time()
    ts.optimize(
        [a.copy() for a in given], model, optimizer=ts.Optimizer.lbfgs, max_steps=STEPS,
        convergence_fn=ts.generate_force_convergence_fn(force_tol=1e-9, include_cell_forces=True),
        steps_between_swaps=STEPS, init_kwargs={"cell_filter": ts.CellFilter.frechet},
    )  # fmt: skip
    total = time.process_time() - start
    return {"host_s": total, "structures": len(given), "geometries": len(given) * (STEPS + 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--symmetrization", nargs="+",
                        default=["none", "crystal", "crystal:orientation", "ecse"])  # fmt: skip
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    print(
        f"{'':32}{'ms/structure':>13}{'elsewhere':>10}{'ms/evaluation':>14}   of it, ms/evaluation"
    )

    def measure(symmetrization: str, name: str, maker: Any, processes: int) -> None:
        rattled = symmetrization == "crystal:orientation"
        given = crystals(args.batch, rattled, seed=len(rows))
        if symmetrization == "ecse":
            given = [a for a in given if len(a) <= 8][: args.batch // 8]
        some = given if name in ("static", "relax") else given[: max(2, args.batch // 32)]
        # processes are started, and modules imported
        run(maker, crystals(64 if processes else 2, rattled, seed=10_000), folder, processes)
        row = {"symmetrization": symmetrization, "property": name, "processes": processes}
        rows.append(row | run(maker, some, folder, processes))
        show(rows[-1])

    with tempfile.TemporaryDirectory() as folder:
        for symmetrization in args.symmetrization:
            for name, maker in makers(symmetrization).items():
                measure(symmetrization, name, maker, 0)
        row = {"symmetrization": "", "property": "torch-sim L-BFGS"}
        rows.append(row | torch_sim(crystals(args.batch, False, seed=len(rows))))
        show(rows[-1])
        if args.processes:
            for symmetrization in args.symmetrization:
                if symmetrization != "ecse":
                    maker = makers(symmetrization)["relax"]
                    measure(symmetrization, "relax", maker, args.processes)
    relaxed = [r for r in rows if r["property"] == "relax" and r["symmetrization"] != "ecse"]
    tables([r for r in relaxed if not r["processes"]], [r for r in relaxed if r["processes"]])
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


def show(row: dict[str, Any]) -> None:
    """One line."""
    each = 1e3 * row["host_s"] / row["geometries"]
    others = 1e3 * row.get("elsewhere_s", 0.0) / row["structures"]
    several = f", {row['processes']} processes" if row.get("processes") else ""
    name = f"{row['symmetrization']} {row['property']}".strip() + several
    stages = row.get("stages_s", {})
    order = [s for s in (*STAGES, "rest") if s != "model" and stages.get(s, 0) > 0]
    parts = [f"{s} {1e3 * stages[s] / row['geometries']:.2f}" for s in order]
    failed = f"   {row['failed']} failed" if row.get("failed") else ""
    print(f"{name:32}{1e3 * row['host_s'] / row['structures']:13.2f}{others:10.2f}{each:14.2f}   "
          + ", ".join(parts) + failed, flush=True)  # fmt: skip


#: line of a table → stages; of each geometry, and of each structure once
EACH = {"plan": ["plan"], "neighbours": ["neighbours"], "layout, sums": ["layout"],
        "energies, forces, stress": ["finish"], "projection, guards": ["project"]}  # fmt: skip
ONCE = {"read": ["read"], "check, make symmetric": ["prepare"], "bind": ["bind"],
        "enter a batch": ["admit"], "record": ["record"], "store": ["store"],
        "the rest": ["rest"]}  # fmt: skip


def tables(alone: list[dict[str, Any]], beside: list[dict[str, Any]]) -> None:
    """Relaxations as tables of Markdown."""

    def line(name: str, rows: list[dict[str, Any]], stages: list[str], by: str, n: int) -> None:
        found = [1e3 * sum(r["stages_s"].get(s, 0.0) for s in stages) / r[by] for r in rows]
        print(f"| {name} |" + "".join(f" {value:.{n}f} |" for value in found))

    def head(name: str, rows: list[dict[str, Any]]) -> None:
        print(f"\n| {name} |" + "".join(f" `{r['symmetrization']}` |" for r in rows))
        print("|---|" + "---:|" * len(rows))

    head("for each structure and geometry", alone)
    for name, stages in EACH.items():
        line(name, alone, stages, "geometries", 2)
    line("**the evaluation, without the model**", alone, [*chain(*EACH.values())], "geometries", 2)
    line("the step of our L-BFGS", alone, ["optimizer"], "geometries", 2)
    every = [*chain(*ONCE.values())]
    head("for each structure, once", alone)
    for name, stages in ONCE.items():
        line(name, alone, stages, "structures", 2)
    line("**together**", alone, every, "structures", 1)
    if not beside:
        return
    head(f"for each structure, once, with {beside[0]['processes']} processes", beside)
    line("**this process**", beside, every, "structures", 1)
    for row in beside:
        row["stages_s"]["elsewhere"] = row["elsewhere_s"]
    line("the others", beside, ["elsewhere"], "structures", 1)


if __name__ == "__main__":
    main()
