"""How exact each symmetrization is, how far from the O(3) mean, and what it costs.

    python benchmarks/symmetry.py --json symmetry.json --picture docs/img/symmetry.png

Every strategy on a perfect crystal, a rattled one, a molecule, a slab and a melt, in one run with
plain PET and metatomic's ``SymmetrizedCalculator``; then the same with a rough random PET (for
exactness alone), and the measurements of ``symmetry_claims.py``. Parts that are skipped are taken
from the JSON file if it holds them for the same weights; with all three skipped it is shown.

* *covariance error*: largest change of energy per atom, force component and stress component
  between the structure and turned and reflected copies of it (turned back), each bound anew;
* *distance from the mean*: rms over the same copies of the energy per atom and of all force
  components, from the O(3) mean of the raw model: Lebedev points of degree ``--mean`` times
  turns about them times inversion. How well that mean is known is measured too, by computing it
  again for a turned structure;
* *ms*: CPU time of one call with everything in it but loading the model and binding, the
  smallest of all copies. One thread, so that on an idle machine it is the wall time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from ase import Atoms
from symmetry_cases import (
    PEERS,
    STRATEGIES,
    evaluator,
    peer,
    rough,
    structures,
    trained,
    turned,
    turns,
)
from symmetry_tables import Row, show

from pet_flows.engines.evaluation import System
from pet_flows.engines.raw import RawModel
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.models.spec import PotentialSpec

#: evaluations × atoms that all copies together may take; two copies are always looked at
BUDGET = 6_000
#: evaluations × atoms of one call above which a strategy is counted but not run
LIMIT = 12_000


@dataclass(frozen=True)
class Result:
    """Energy and derivatives of one copy, turned back into the frame of the original."""

    energy: float
    """eV/atom"""
    forces: np.ndarray
    stress: np.ndarray | None
    milliseconds: float


def copies_of(atoms: Atoms, n: int) -> list[tuple[Atoms, np.ndarray]]:
    """The structure and ``n`` turned copies, with their matrices."""
    return [(atoms, np.eye(3)), *((turned(atoms, q), q) for q in turns(n))]


def back(
    energy: float,
    forces: np.ndarray,
    stress: np.ndarray | None,
    matrix: np.ndarray,
    milliseconds: float,
) -> Result:
    """Result of a turned copy in the frame of the original."""
    stress = None if stress is None else matrix @ stress @ matrix.T
    return Result(energy / len(forces), forces @ matrix.T, stress, milliseconds)


def enough(copies: int, work: int) -> bool:
    """Whether the next copy would go beyond the budget."""
    return copies >= 2 and (copies + 1) * work > BUDGET


def count(system: System) -> int:
    """Evaluations that a system will take."""
    positions, cell = torch.tensor(system.positions), torch.tensor(system.cell)
    return len(system.bound.plan(positions, cell).rotations)


def run_strategy(
    raw: RawModel, strategy: str, atoms: Atoms, n_turns: int, limit: int | None = None
) -> tuple[list[Result], int]:
    """Results of all copies (none above the limit) and the evaluations of the first one."""
    engine = evaluator(raw, strategy)
    results: list[Result] = []
    evaluations = 0
    for copy, matrix in copies_of(atoms, n_turns):
        system = System.of(copy, engine.bind(copy))
        if not evaluations and limit is not None:
            evaluations = count(system)
            if evaluations * len(atoms) > limit:
                return [], evaluations
        start = time.process_time()
        found = engine.evaluate([system])[0]
        ms = 1e3 * (time.process_time() - start)
        results.append(back(found.energy, found.forces, found.stress, matrix, ms))
        evaluations = evaluations or found.n_evaluations
        if enough(len(results), evaluations * len(atoms)):
            break
    return results, evaluations


def run_peer(
    name: str, spec: PotentialSpec, atoms: Atoms, n_turns: int
) -> tuple[list[Result], int]:
    """The same through metatomic's calculators."""
    calculator, evaluations = peer(name, spec)
    wanted = ["energy", "forces", *(["stress"] if atoms.pbc.all() else [])]
    results = []
    for copy, matrix in copies_of(atoms, n_turns):
        start = time.process_time()
        calculator.calculate(copy, wanted, ["positions", "cell"])
        ms = 1e3 * (time.process_time() - start)
        stress = calculator.results["stress"] if atoms.pbc.all() else None
        if stress is not None and np.shape(stress) != (3, 3):
            xx, yy, zz, yz, xz, xy = stress
            stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        energy = float(calculator.results["energy"])
        forces = np.array(calculator.results["forces"])
        results.append(back(energy, forces, stress, matrix, ms))
        if enough(len(results), evaluations * len(atoms)):
            break
    return results, evaluations


def row_of(
    structure: str, strategy: str, results: list[Result], evaluations: int, mean: Result | None
) -> Row:
    """Errors of one strategy on one structure."""
    first = results[0]
    stresses = [r.stress - first.stress for r in results if r.stress is not None]
    far = None if mean is None else [r.forces - mean.forces for r in results]
    return Row(
        structure=structure,
        strategy=strategy,
        evaluations=evaluations,
        milliseconds=min(r.milliseconds for r in results),
        energy_error=max(abs(r.energy - first.energy) for r in results),
        force_error=float(max(np.abs(r.forces - first.forces).max() for r in results)),
        stress_error=float(max(np.abs(s).max() for s in stresses)) if stresses else None,
        energy_distance=None
        if mean is None
        else float(np.sqrt(np.mean([(r.energy - mean.energy) ** 2 for r in results]))),
        force_distance=None if far is None else float(np.sqrt(np.mean(np.square(far)))),
        copies=len(results),
    )


def o3_mean(raw: RawModel, atoms: Atoms, degree: int) -> tuple[Result, dict[str, float]]:
    """O(3) mean of the raw model, and how far it is from the mean found in another frame."""
    found, evaluations = run_strategy(raw, f"grid:lebedev:{degree}", atoms, 1)
    here, there = found
    known = {
        "evaluations": evaluations,
        "energy": abs(here.energy - there.energy),
        "forces": float(np.sqrt(np.mean((here.forces - there.forces) ** 2))),
    }
    mean = Result(
        (here.energy + there.energy) / 2, (here.forces + there.forces) / 2, None, here.milliseconds
    )
    return mean, known


def measure(
    raw: RawModel,
    spec: PotentialSpec | None,
    cases: dict[str, Atoms],
    strategies: list[str],
    n_turns: int,
    degree: int | None,
) -> tuple[list[Row], dict[str, dict[str, float]]]:
    """Every strategy on every structure; how well each mean is known."""
    rows: list[Row] = []
    means: dict[str, dict[str, float]] = {}
    for structure, atoms in cases.items():
        mean = None
        if degree is not None:
            mean, means[structure] = o3_mean(raw, atoms, degree)
        for strategy in strategies:
            try:
                if strategy in PEERS:
                    assert spec is not None
                    found = run_peer(strategy, spec, atoms, n_turns)
                else:
                    found = run_strategy(raw, strategy, atoms, n_turns, LIMIT)
            except StructureError as error:
                rows.append(Row(structure, strategy, refused=error.message))
                continue
            if not found[0]:
                rows.append(Row(structure, strategy, evaluations=found[1]))
                continue
            rows.append(row_of(structure, strategy, *found, mean))
            print(".", end="", file=sys.stderr, flush=True)
    return rows, means


def versions() -> dict[str, str]:
    """What this was measured with."""
    from importlib.metadata import version

    names = ("torch", "metatrain", "metatomic-torch", "metatomic-ase", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pet-mvl", help="a trained model that knows Si")
    parser.add_argument("--trust", action="store_true", help="open this pickled checkpoint")
    parser.add_argument("--dtype", default="float64", choices=["float32", "float64"])
    parser.add_argument("--strategies", nargs="+", default=[*STRATEGIES, *PEERS])
    parser.add_argument("--structures", nargs="+", default=list(structures()))
    parser.add_argument("--turns", type=int, default=4, help="turned copies of each structure")
    parser.add_argument("--mean", type=int, default=11, help="Lebedev degree of the O(3) mean")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--skip", nargs="*", default=[], choices=["trained", "rough", "claims"])
    parser.add_argument("--json", type=Path, default=Path("symmetry.json"))
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)

    report: dict[str, Any] = {}
    if args.json.is_file():
        report = json.loads(args.json.read_text())
    if set(args.skip) != {"trained", "rough", "claims"}:
        try:
            raw, spec = trained(args.model, args.dtype, args.trust)
        except PetFlowsError as error:
            parser.error(str(error))
        if report.get("settings", {}).get("sha256") != spec.sha256:
            report = {}
        run(args, raw, spec, report)
    show(report)
    if args.picture is not None:
        from symmetry_picture import draw

        draw([Row(**row) for row in report["rows"]], args.picture)


def run(
    args: argparse.Namespace, raw: RawModel, spec: PotentialSpec, report: dict[str, Any]
) -> None:
    """Measure the parts that are not skipped; the file is written after each."""
    report["settings"] = {
        "model": Path(args.model).name,
        "sha256": spec.sha256,
        "dtype": args.dtype,
        "threads": args.threads,
        "mean": f"grid:lebedev:{args.mean}",
        "versions": versions(),
    }
    cases = {name: atoms for name, atoms in structures().items() if name in args.structures}
    ours = [s for s in args.strategies if s not in PEERS]
    # groups after each frame change nothing in exactness and cost the most
    few = [s for s in ours if not (s.startswith("ecse") and s.endswith("hedral"))]
    for name, atoms in cases.items():
        if "trained" not in args.skip:
            rows, known = measure(raw, spec, {name: atoms}, args.strategies, args.turns, args.mean)
            report["mean_known_to"] = {**report.get("mean_known_to", {}), **known}
            _keep(args.json, report, "rows", rows)
        if "rough" not in args.skip:
            rows, _ = measure(rough(), None, {name: atoms}, few, min(args.turns, 2), None)
            _keep(args.json, report, "rough_rows", rows)
    if "claims" not in args.skip:
        from symmetry_claims import claims

        report["claims"] = claims(raw, spec, args.mean)
        _keep(args.json, report, "rows", [])


def _keep(path: Path, report: dict[str, Any], key: str, rows: list[Row]) -> None:
    """Put rows into the report, in place of older ones of the same structure, and write it."""
    new = {row.structure for row in rows}
    older = [row for row in report.get(key, []) if row["structure"] not in new]
    report[key] = older + [asdict(row) for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
