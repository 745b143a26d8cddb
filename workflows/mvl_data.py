"""Structures for the bundled model: read, made comparable, and split.

The data are the training sets of Zuo et al., J. Phys. Chem. A 124, 731 (2020) (``mlearn``) and
Li et al., npj Comput. Mater. 6, 70 (2020) (``monbtaw``) as gzipped extended XYZ.
"""

from __future__ import annotations

import gzip
import io
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read

from pet_flows.crystallography.primitive import find_primitive

VALIDATION_FRACTION = 0.08


def load(folder: Path) -> list[Atoms]:
    """Every labelled structure, with ``ref_energy``, ``ref_forces``, ``ref_stress``, ``group``."""
    structures = []
    for file in sorted([*folder.glob("mlearn_*.extxyz.gz"), folder / "monbtaw.extxyz.gz"]):
        with gzip.open(file, "rt") as stream:
            frames = read(io.StringIO(stream.read()), ":", format="extxyz")
        for frame in frames:
            labels = frame.calc.results
            atoms = Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=True)
            atoms.info["ref_energy"] = float(labels["energy"])
            atoms.info["ref_stress"] = full_stress(labels.get("stress"))
            atoms.info["group"] = f"{file.name.split('.')[0]}:{frame.info.get('group', 'all')}"
            atoms.arrays["ref_forces"] = labels["forces"]
            structures.append(atoms)
    return structures


def full_stress(stress: np.ndarray | None) -> np.ndarray:
    """3x3 stress; NaN where the source has none."""
    if stress is None:
        return np.full((3, 3), np.nan)
    if np.shape(stress) == (3, 3):
        return np.asarray(stress)
    xx, yy, zz, yz, xz, xy = stress
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def primitive(atoms: Atoms) -> Atoms:
    """The primitive cell of a labelled structure, in the same orientation.

    Strained perfect crystals of 54 to 108 atoms are one or two atoms, with the same labels. Left as
    it is where forces of translated copies differ by more than 5 meV/Å.
    """
    forces = atoms.arrays["ref_forces"]
    found = find_primitive(atoms.numbers, atoms.cell.array, atoms.positions, 1e-3)
    if (
        len(found.atoms) == len(atoms)
        or np.abs(forces - forces[found.atoms][found.image]).max() > 5e-3
    ):
        return atoms
    small = atoms[found.atoms]
    small.set_cell(found.basis @ atoms.cell.array)
    small.info = {**atoms.info, "ref_energy": atoms.info["ref_energy"] * len(small) / len(atoms)}
    return small


def align_molybdenum(structures: list[Atoms]) -> float:
    """Shift ``mlearn`` Mo so that its bcc ground state has the energy of ``monbtaw``'s.

    The two sources used different pseudopotentials. Returns the shift in eV/atom.
    """

    def ground_state(group: str) -> float:
        return min(a.info["ref_energy"] / len(a) for a in structures if a.info["group"] == group)

    shift = ground_state("monbtaw:Mo_Elastic") - ground_state("mlearn_Mo:Elastic")
    for atoms in structures:
        if atoms.info["group"].startswith("mlearn_Mo"):
            atoms.info["ref_energy"] += shift * len(atoms)
    return shift


def split(structures: list[Atoms], seed: int = 0) -> tuple[list[Atoms], list[Atoms]]:
    """(training, validation), stratified by group."""
    groups = defaultdict(list)
    for atoms in structures:
        groups[atoms.info["group"]].append(atoms)
    rng = random.Random(seed)
    training, validation = [], []
    for name in sorted(groups):
        members = groups[name]
        rng.shuffle(members)
        n = max(1, round(VALIDATION_FRACTION * len(members)))
        validation += members[:n]
        training += members[n:]
    rng.shuffle(training)
    return training, validation
