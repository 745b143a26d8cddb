"""Which simple structure a crystal of one element is, whatever its cell, name or origin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pymatgen.core import Structure

from pet_flows.crystallography.standard import standard_cell

PROTOTYPES = ("sc", "bcc", "fcc", "hcp", "diamond")

SYMPREC = 0.01
"""Å; relaxed cells are exact far beyond, read ones often rounded to 1e-3."""

HCP_RANGE = (1.3, 2.0)
"""Range of c/a that is still hcp: Be has 1.57, Cd 1.89, the ideal is 1.633."""

_PROTOTYPES = {(221, 1): "sc", (229, 2): "bcc", (225, 4): "fcc", (227, 8): "diamond"}
"""(space group, atoms in the conventional cell) → name. In these cubic groups the numbers leave one
Wyckoff position: 1a, 2a, 4a, 8a (b is the same at another origin)."""


@dataclass(frozen=True)
class Crystal:
    """What a crystal is called in a table.

    Parameters
    ----------
    element
        Symbol; of a compound its reduced formula.
    prototype
        Of `PROTOTYPES`; else the symbol of its space group, empty where that is not known.
    """

    element: str
    prototype: str

    def __str__(self) -> str:
        """Say it as people do."""
        return f"{self.element} {self.prototype}".rstrip()


def identify(structure: Structure) -> Crystal | None:
    """Recognize sc, bcc, fcc, hcp and diamond crystals of one element.

    Space group and primitive cell decide, so supercells, other settings, rotated and strained
    (hydrostatically) crystals are the same; a crystal distorted by more than `SYMPREC` is not.

    Returns
    -------
    Crystal or None
        None for compounds and for every other structure.
    """
    elements = {specie.symbol for specie in structure.composition.elements}
    if len(elements) != 1:
        return None
    element = elements.pop()
    lattice = structure.lattice.matrix
    alike = np.ones(len(structure), dtype=int)
    found = standard_cell(lattice, structure.frac_coords, alike, SYMPREC)
    if found is None:
        return None
    kind = (found.number, round(len(structure) * abs(np.linalg.det(found.basis))))
    prototype = _PROTOTYPES.get(kind)
    if kind == (194, 2):
        # 2a and 2b would have a smaller cell, so this is 2c or 2d
        a, _, c = np.linalg.norm(found.basis @ lattice, axis=1)
        prototype = "hcp" if HCP_RANGE[0] < c / a < HCP_RANGE[1] else None
    return Crystal(element=element, prototype=prototype) if prototype else None
