"""Trainings of one rival and what is measured of them, in the environment of its package.

``benchmark_potentials.py`` runs it; what is done already is not done again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import rivals
from rivals.data import load

#: symmetrizations that PET is measured with; the others are what they are
OF_PET = {"PET": "none", "PET+grid": "grid:tetrahedral", "PET+ECSE": "ecse"}


def rows_of(rival: str) -> dict[str, str]:
    """Name of each row → symmetrization."""
    return OF_PET if rival == "PET" else {rival: "none"}


@dataclass(frozen=True)
class Cell:
    """One training."""

    rival: str
    data: str
    size: int
    seed: int

    @property
    def name(self) -> str:
        """Of its folder; the rival comes first."""
        return f"{self.rival}:{self.data}:{self.size}:{self.seed}"

    @staticmethod
    def of(name: str) -> Cell:
        """Inverse of `name`."""
        rival, data, size, seed = name.split(":")
        return Cell(rival, data, int(size), int(seed))

    @property
    def rows(self) -> dict[str, str]:
        """Those measured; a second seed tells how much a training scatters, and no more."""
        found = rows_of(self.rival)
        return found if self.seed == 0 else {self.rival: found[self.rival]}

    def files(self, out: Path) -> dict[str, Path]:
        """What it leaves, by name."""
        folder = out / self.name.replace(":", "-")
        return {name: folder / f"{name}.json" for name in ("trained", *self.rows)}

    def failure(self, out: Path) -> Path:
        """Where it is written why it broke down."""
        return self.files(out)["trained"].with_name("failure.json")

    def read(self, out: Path) -> dict[str, dict[str, Any]]:
        """What there is of it; under ``failure`` why it broke down."""
        files = {**self.files(out), "failure": self.failure(out)}.items()
        return {name: json.loads(file.read_text()) for name, file in files if file.exists()}


def once(file: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What a file says, written first if it is not there."""
    if not file.exists():
        write(file, make())
    return json.loads(file.read_text())


def write(file: Path, found: dict[str, Any]) -> None:
    """Write JSON, whole or not at all."""
    file.with_suffix(".new").write_text(json.dumps(found, indent=1) + "\n")
    file.with_suffix(".new").rename(file)


def measured(model: str, symmetrization: str, test: list[Any]) -> dict[str, Any]:
    """All that is measured of one potential."""
    from rivals import measure

    potential = measure.potential_of(model, symmetrization)
    some = measure.few(test)
    found = {"few": measure.accuracy(potential, some)}
    # the frames of a large disordered cell are thousands: there ecse is shown on the few
    if symmetrization != "ecse" or not test[0].pbc.all():
        found["all"] = measure.accuracy(potential, test)
    found["rotation"] = measure.rotational_error(potential, measure.small(some))
    if test[0].pbc.all():
        found["silicon"] = measure.silicon(potential)
    return found


def run(cell: Cell, rival: Any, folder: Path, out: Path, seconds: float) -> None:
    """Train and measure what is not there yet."""
    files = cell.files(out)
    split = load(cell.data, folder, cell.size)

    def train() -> dict[str, Any]:
        place = files["trained"].parent
        found = rival.train(split.training, split.validation, seconds, place, cell.seed)
        return {**asdict(found), "budget": seconds}

    trained = once(files["trained"], train)
    for name, symmetrization in cell.rows.items():

        def measure(chosen: str = symmetrization) -> dict[str, Any]:
            return measured(trained["model"], chosen, split.test)

        once(files[name], measure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="of the data")
    parser.add_argument("out", type=Path)
    parser.add_argument("cells", nargs="+", help="RIVAL:DATA:SIZE:SEED, all of one rival")
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()

    cells = [Cell.of(name) for name in args.cells]
    rival = import_module(f"rivals.{rivals.MODULES[cells[0].rival]}")
    needed = rival.NEEDS.partition(".")[0]
    if find_spec(needed) is None:
        parser.exit(3, f"{cells[0].rival} needs the package {needed}: install it, or give the "
                    "interpreter that has it by --python.\n")  # fmt: skip
    import torch

    torch.set_num_threads(1)
    for cell in cells:
        cell.failure(args.out).parent.mkdir(parents=True, exist_ok=True)
        broken = cell.failure(args.out)
        broken.unlink(missing_ok=True)
        try:
            run(cell, rival, args.folder, args.out, args.seconds)
        except Exception as error:  # packages of others raise anything; the next may do better
            write(broken, {"message": f"{type(error).__name__}: {error}".splitlines()[0]})
        print(f"{cell.name} {'failed' if broken.exists() else 'done'}", flush=True)


if __name__ == "__main__":
    main()
