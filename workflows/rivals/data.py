"""The two data sets, split once: the test set depends on nothing, training sets are nested."""

from __future__ import annotations

import gzip
import io
import random
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import read

#: Å, of the box around a molecule that some codes ask for; nothing is periodic in it
BOX = 40.0


@dataclass(frozen=True)
class DataSet:
    """A file and how it is divided."""

    title: str
    file: str
    n_test: int
    n_validation: int
    sizes: tuple[int, ...]
    """training structures"""


DATA_SETS = {
    "Si": DataSet("silicon (mlearn)", "mlearn_Si.extxyz.gz", 24, 10, (20, 60, 180)),
    "acac": DataSet("acetylacetone, 300 K", "acac_300K.extxyz.gz", 50, 20, (25, 100, 400)),
}


@dataclass(frozen=True)
class Split:
    """Structures with ``ref_energy`` (eV) and ``ref_forces`` (eV/Å)."""

    training: list[Atoms]
    validation: list[Atoms]
    test: list[Atoms]


def load(name: str, folder: Path, size: int) -> Split:
    """The first ``size`` training structures of a data set, and the others.

    Raises
    ------
    ValueError
        There are not so many.
    """
    data = DATA_SETS[name]
    with gzip.open(folder / data.file, "rt") as stream:
        frames: Any = read(io.StringIO(stream.read()), ":", format="extxyz")
    order = mixed([str(frame.info.get("group", "")) for frame in frames])
    found = [labelled(frames[k]) for k in order]
    first, rest = data.n_test, data.n_test + data.n_validation
    if not 0 < size <= len(found) - rest:
        raise ValueError(f"{data.file} leaves {len(found) - rest} training structures, not {size}.")
    return Split(found[rest : rest + size], found[first:rest], found[:first])


def labelled(frame: Atoms) -> Atoms:
    """The structure with its labels under our names."""
    periodic = bool(frame.pbc.all())
    cell = frame.cell.array if periodic else BOX * np.eye(3)
    atoms = Atoms(frame.numbers, positions=frame.positions, cell=cell, pbc=periodic)
    atoms.info["ref_energy"] = float(frame.calc.results["energy"])
    atoms.info["ref_stress"] = np.full((3, 3), np.nan)
    atoms.info["group"] = str(frame.info.get("group", "all"))
    atoms.arrays["ref_forces"] = frame.calc.results["forces"]
    return atoms


def mixed(groups: list[str]) -> list[int]:
    """A fixed random order in which every stretch holds each group in about its share."""
    members = defaultdict(list)
    for k, group in enumerate(groups):
        members[group].append(k)
    rng = random.Random(0)
    places = []
    for group in sorted(members):
        rng.shuffle(members[group])
        n = len(members[group])
        places += [((i + rng.random()) / n, k) for i, k in enumerate(members[group])]
    return [k for _, k in sorted(places)]


def baseline(frames: list[Atoms]) -> dict[int, float]:
    """Energy of an atom of each element, eV, fitted to total energies."""
    elements = sorted({int(z) for atoms in frames for z in atoms.numbers})
    counts = np.array([[np.sum(atoms.numbers == z) for z in elements] for atoms in frames])
    totals = np.array([atoms.info["ref_energy"] for atoms in frames])
    return dict(zip(elements, np.linalg.lstsq(counts, totals)[0].tolist(), strict=True))
