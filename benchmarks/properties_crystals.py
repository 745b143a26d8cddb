"""Crystals of the elements that the bundled model knows, for benchmarks."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.build import bulk

#: ground states of the bundled model's elements: structure and lattice constant in Å
GROUND_STATES = {
    "Li": ("bcc", 3.43), "Si": ("diamond", 5.47), "Ni": ("fcc", 3.52), "Cu": ("fcc", 3.63),
    "Ge": ("diamond", 5.76), "Nb": ("bcc", 3.31), "Mo": ("bcc", 3.16), "Ta": ("bcc", 3.32),
    "W": ("bcc", 3.18),
}  # fmt: skip


def crystals(n: int, seed: int = 0, at_most: int = 16) -> list[Atoms]:
    """Mixed crystals: a third perfect, a third ordered or random alloys, a third without symmetry.

    All of 1 to ``at_most`` atoms, strained by up to 3 %; rattled ones by 0.05 Å.
    """
    rng = np.random.default_rng(seed)
    metals = ("Nb", "Mo", "Ta", "W")
    found = []
    for k in range(n):
        symbol = metals[k % 4] if k % 3 == 1 else list(GROUND_STATES)[k % len(GROUND_STATES)]
        structure, a = GROUND_STATES[symbol]
        cubic = k % 3 == 1 or bool(rng.integers(2))
        atoms = bulk(symbol, structure, a=a * rng.uniform(0.97, 1.03), cubic=cubic)
        repeats = rng.integers(1, 3, size=3)
        if len(atoms) * repeats.prod() <= at_most:
            atoms = atoms * tuple(int(r) for r in repeats)
        if k % 3 == 1:
            atoms.symbols = [metals[(k + int(i)) % 4] for i in rng.integers(2, size=len(atoms))]
        if k % 3 == 2:
            atoms.rattle(0.05, rng=rng)
        found.append(atoms)
    return found
