"""Relaxations and phonons of many crystals, with this code and with that of another checkout.

    git worktree add /tmp/before 030c526
    OMP_NUM_THREADS=1 python benchmarks/before.py /tmp/before [--turns 3] [--json before.json]

Both trees run the cases ``200 relaxations`` and ``20 phonons`` of ``benchmarks/properties.py``, in
processes of their own, in turns, with the same weights and the same interpreter, on one thread.
Seconds are CPU seconds of those processes, without imports and without what loads and warms up.
The phonons of each tree are of what that tree has relaxed.

Printed are seconds of both (medians of the turns) and their ratio, how much of ours is in the model
(the search for neighbours is not), and which energies and frequencies agree; for energies that do
not, what made them stop: how many steps they took, and how large the largest force was.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import pkgutil
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
MANY, FEW = "200 relaxations", "20 phonons"
#: eV/atom and THz within which two results are the same
SAME_ENERGY, SAME_FREQUENCY = 1e-9, 1e-4


def named(package: str, *names: str) -> list[Any]:
    """Classes or functions of a package, in whatever module a tree has them."""
    found: dict[str, Any] = {}
    root = importlib.import_module(package)
    for module in pkgutil.walk_packages(root.__path__, f"{package}."):
        if module.name.rpartition(".")[2] in ("declaration", "settings", "relax", "phonon"):
            content = vars(importlib.import_module(module.name))
            found |= {name: content[name] for name in names if name in content}
    return [found[name] for name in names]


def child(model: str, crystals: int, phonons: int) -> dict[str, Any]:
    """What one process measures and finds, with the package that it imports."""
    import torch
    from properties_clock import Clock
    from properties_crystals import crystals as mixed

    from pet_flows.engines.potential import get_potential
    from pet_flows.models.spec import PotentialSpec

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    relax, phonon, relax_settings, phonon_settings = named(
        "pet_flows.properties", "relax", "phonon", "RelaxSettings", "PhononSettings"
    )
    digest = hashlib.sha256(Path(model).read_bytes()).hexdigest()
    potential = get_potential(PotentialSpec(model=model, sha256=digest, device="cpu"))
    clock = Clock(torch.device("cpu"))

    def results(outcomes: Any) -> list[Any]:
        found = sorted(outcomes, key=lambda outcome: outcome.index)
        bad = [o.message for o in found if o.state == "failed"]
        if bad:
            raise SystemExit(f"a structure failed: {bad[0]}")
        return found

    def measured(call: Any) -> tuple[dict[str, float], list[Any]]:
        clock.inside = 0.0
        with clock.watching(potential.raw):
            seconds, found = clock.time(lambda: results(call()))
        return {"s": seconds, "inside_s": clock.inside}, found

    def vibrations(relaxed: list[Any]) -> Any:
        # what a relaxation hands on had another name
        carried = [o.inherited if hasattr(o, "inherited") else o.carried for o in relaxed]
        atoms = [o.atoms for o in relaxed]
        return phonon(atoms, potential, phonon_settings(min_length=10.0), carried)

    small = results(relax(mixed(phonons, seed=2, at_most=4), potential, relax_settings()))
    results(vibrations(small[:1]))
    seconds, relaxed = measured(
        lambda: relax(mixed(crystals, seed=1), potential, relax_settings(steps=200))
    )
    more_seconds, spectra = measured(lambda: vibrations(small))
    return {
        MANY: seconds,
        FEW: more_seconds,
        "energies": [o.result["energy_per_atom"] for o in relaxed],
        "steps": [o.result["n_steps"] for o in relaxed],
        "max_force": [o.result["max_force"] for o in relaxed],
        "highest": [o.result["max_frequency"] for o in spectra],
    }


def ask(tree: Path, args: argparse.Namespace, model: Path) -> dict[str, Any]:
    """What a process finds that imports the package of a tree, and the benchmarks of this one."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(tree), str(HERE)]),
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        subprocess.run(
            [sys.executable, "-P", __file__, str(tree), "--child", str(found),
             "--model", str(model), "--crystals", str(args.crystals),
             "--phonons", str(args.phonons)],
            env=environment, cwd=folder, check=True,
        )  # fmt: skip
        answer: dict[str, Any] = json.loads(found.read_text())
    return answer


def table(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> str:
    """Medians of the turns."""

    def middle(runs: list[dict[str, Any]], *names: str, of: str = "s") -> float:
        return statistics.median(sum(run[name][of] for name in names) for run in runs)

    lines = ["| | before, s | now, s | before / now | now in the model |", "|---|---|---|---|---|"]
    for title, names in ((MANY, (MANY,)), (FEW, (FEW,)), ("both", (MANY, FEW))):
        before, now = middle(theirs, *names), middle(ours, *names)
        share = middle(ours, *names, of="inside_s") / now
        lines.append(
            f"| {title} | {before:.2f} | {now:.2f} | {before / now:.2f} | {100 * share:.1f} % |"
        )
    return "\n".join(lines)


def agreement(ours: dict[str, Any], theirs: dict[str, Any]) -> str:
    """How many results are the same, and why others are not."""
    apart = [abs(a - b) for a, b in zip(ours["energies"], theirs["energies"], strict=True)]
    same = [d <= SAME_ENERGY for d in apart]
    lines = [f"{sum(same)} of {len(same)} energies agree within {SAME_ENERGY:g} eV/atom."]
    for k in (k for k, found in enumerate(same) if not found):
        lines.append(
            f"  crystal {k}: {apart[k]:.1e} eV/atom; steps before {theirs['steps'][k]}, now "
            f"{ours['steps'][k]}; largest force in eV/Å before {theirs['max_force'][k]:.1e}, now "
            f"{ours['max_force'][k]:.1e}"
        )
    off = [abs(a - b) for a, b in zip(ours["highest"], theirs["highest"], strict=True)]
    close = sum(d <= SAME_FREQUENCY for d in off)
    lines.append(
        f"{close} of {len(off)} highest frequencies agree within {SAME_FREQUENCY:g} THz, all "
        f"within {max(off):.1e} THz."
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", type=Path, help="the other checkout")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--crystals", type=int, default=200)
    parser.add_argument("--phonons", type=int, default=20)
    parser.add_argument("--model", type=Path, help="weights; the bundled pet-mvl of this tree")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        args.child.write_text(json.dumps(child(str(args.model), args.crystals, args.phonons)))
        return
    model = args.model or HERE.parent / "pet_flows" / "models" / "data" / "pet-mvl.ckpt"
    trees = {"now": HERE.parent, "before": args.tree.resolve()}
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in trees}
    for turn in range(args.turns):
        for name in list(trees)[:: -1 if turn % 2 else 1]:
            runs[name].append(ask(trees[name], args, model.resolve()))
            print(name, {k: runs[name][-1][k] for k in (MANY, FEW)}, flush=True)
    print(table(runs["now"], runs["before"]))
    print(agreement(runs["now"][-1], runs["before"][-1]))
    if args.json:
        args.json.write_text(json.dumps(runs, indent=1) + "\n")


if __name__ == "__main__":
    main()
