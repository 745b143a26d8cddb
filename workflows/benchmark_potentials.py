"""PET, symmetrized or not, beside potentials that are equivariant by construction.

    python workflows/benchmark_potentials.py DATA --out runs/rivals --docs docs/rivals.md \
        --python NequIP=venvs/nequip/bin/python --python MACE=venvs/mace/bin/python

DATA holds ``mlearn_Si.extxyz.gz`` and ``acac_300K.extxyz.gz``. Each potential is trained on three
sizes of each set for the same CPU seconds, in a process of its own, and measured by pet_flows.
What is in ``--out`` is not done again; ``--docs`` puts the tables between the marks of a page.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rivals import MODULES
from rivals.cell import Cell
from rivals.data import DATA_SETS
from rivals.tables import Found, report

MARKS = ("<!-- tables: begin -->", "<!-- tables: end -->")


def cells(
    rivals: Sequence[str], sets: Sequence[str], sizes: Sequence[int] | None
) -> Iterator[Cell]:
    """All trainings; of the middle size there is a second seed of PET."""
    for rival in rivals:
        for data in sets:
            chosen = tuple(sizes or DATA_SETS[data].sizes)
            for size in chosen:
                yield Cell(rival, data, size, 0)
                if rival == "PET" and size == middle_of(chosen):
                    yield Cell(rival, data, size, 1)


def middle_of(sizes: Sequence[int]) -> int:
    """The one that all rivals are trained on first."""
    return sizes[len(sizes) // 2]


def rounds(wanted: Sequence[Cell]) -> Iterator[list[Cell]]:
    """Cells of one rival each: of all rivals the middle sizes, then the others."""
    sizes = {
        data: sorted({c.size for c in wanted if c.data == data})
        for data in dict.fromkeys(c.data for c in wanted)
    }
    for first in (True, False):
        for rival in dict.fromkeys(c.rival for c in wanted):
            own = [c for c in wanted if c.rival == rival]
            if chosen := [c for c in own if (c.size == middle_of(sizes[c.data])) is first]:
                yield chosen


def run(wanted: Sequence[Cell], folder: Path, out: Path, seconds: float, python: str) -> str | None:
    """Do what is not there yet of one rival, in a process of its own; why it failed."""
    command = [python, "-W", "ignore", "-m", "rivals.cell", str(folder), str(out)]
    command += [*(cell.name for cell in wanted), "--seconds", str(seconds)]
    path = [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")]
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    environment = {**os.environ, **one, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    done = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, check=False)
    if not done.returncode:
        return None
    return (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1][:200]


def put(page: Path, text: str) -> None:
    """Replace what stands between the marks of a page."""
    before, rest = page.read_text("utf-8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    page.write_text(f"{before}{MARKS[0]}\n\n{text}\n\n{MARKS[1]}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with both files")
    parser.add_argument("--out", type=Path, default=Path("runs/rivals"))
    parser.add_argument("--seconds", type=float, default=120.0, help="CPU s of each training")
    parser.add_argument("--rivals", nargs="+", default=list(MODULES), choices=list(MODULES))
    parser.add_argument("--sets", nargs="+", default=list(DATA_SETS), choices=list(DATA_SETS))
    parser.add_argument("--sizes", nargs="+", type=int, help="training structures, of one set")
    parser.add_argument(
        "--python", action="append", default=[], metavar="RIVAL=PYTHON",
        help="interpreter of a rival's environment; without it this one",
    )  # fmt: skip
    parser.add_argument("--tables", action="store_true", help="print what is there, train nothing")
    parser.add_argument("--docs", type=Path, help="page whose tables are replaced")
    args = parser.parse_args()

    pythons = dict(each.split("=", 1) for each in args.python)
    if unknown := set(pythons) - set(MODULES):
        parser.error(f"--python: no rival is called {', '.join(unknown)}; choose of {[*MODULES]}.")
    args.out.mkdir(parents=True, exist_ok=True)
    wanted = list(cells(args.rivals, args.sets, args.sizes))
    missing = {}
    for own in () if args.tables else rounds(wanted):
        rival = own[0].rival
        python = pythons.get(rival, sys.executable)
        if (why := run(own, args.data, args.out, args.seconds, python)) is not None:
            missing[rival] = why
            print(f"{rival}: {why}", file=sys.stderr, flush=True)
    text = report([Found(cell, cell.read(args.out)) for cell in wanted], missing)
    print(text)
    if args.docs is not None:
        put(args.docs, text)


if __name__ == "__main__":
    main()
