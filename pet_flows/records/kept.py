"""What a record keeps of a structure: elements, cell, positions, charge and spin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import acos, degrees
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from pymatgen.core import Composition, Lattice, Structure

from pet_flows.geometry.electrons import told
from pet_flows.geometry.faces import volume_of
from pet_flows.records.structures import electrons_in, with_electrons

#: of each site, elements and how much of it they have
Sites = tuple[dict[str, float], ...]


@dataclass(frozen=True, eq=False)
class Kept:
    """Elements, cell, positions, in the order of what was given, charge and spin; nothing else.

    pymatgen makes an object of each site; most records need none of them.

    Attributes
    ----------
    sites
        Of each, its elements and their occupancies.
    cell, fractional
        ``(3, 3)`` Å, rows; ``(N, 3)``, not wrapped.
    pbc
        Which axes are periodic.
    electrons
        Charge and spin multiplicity, as far as it is no neutral singlet.
    """

    sites: Sites
    cell: np.ndarray
    fractional: np.ndarray
    pbc: tuple[bool, bool, bool]
    electrons: dict[str, int]

    def __len__(self) -> int:
        return len(self.sites)

    @classmethod
    def of(cls, structure: Structure) -> Kept:
        """Of pymatgen's structure; oxidation states, moments and properties of sites are left."""
        lattice = structure.lattice
        sites = tuple(site.species.get_el_amt_dict() for site in structure)
        fractional = np.array(structure.frac_coords, dtype=float).reshape(-1, 3)
        cell = np.array(lattice.matrix, dtype=float)
        return cls(sites, cell, fractional, _flags(lattice.pbc), electrons_in(structure))

    @classmethod
    def of_atoms(cls, atoms: Atoms) -> Kept:
        """Of ASE's atoms, neither wrapped nor reordered.

        Open axes without a vector get one of 1 Å, across the others.
        """
        cell = atoms.cell.array
        if not volume_of(cell):
            cell = atoms.cell.complete().array
        sites: Sites = tuple({str(chemical_symbols[z]): 1} for z in atoms.numbers.tolist())
        inverse = np.linalg.inv(cell)
        fractional = np.array([place @ inverse for place in atoms.positions]).reshape(-1, 3)
        return cls(sites, cell, fractional, _flags(atoms.pbc), told(atoms.info))

    @cached_property
    def symbols(self) -> tuple[str, ...] | None:
        """``(N,)`` elements; None where a site has several, or not the whole of one."""
        whole = all(len(site) == 1 and 1 in site.values() for site in self.sites)
        return tuple(next(iter(site)) for site in self.sites) if whole else None

    @cached_property
    def positions(self) -> np.ndarray:
        """``(N, 3)`` Å."""
        # one by one, as pymatgen: together they can differ in the last digit
        return np.array([place @ self.cell for place in self.fractional]).reshape(-1, 3)

    @cached_property
    def volume(self) -> float:
        """Å³."""
        return abs(volume_of(self.cell))

    def atoms(self) -> Atoms:
        """ASE's atoms, with charge and spin; every site must be a whole atom."""
        return Atoms(self.symbols, self.positions, cell=self.cell, pbc=self.pbc,
                     info=dict(self.electrons))  # fmt: skip

    def structure(self) -> Structure:
        """Pymatgen's structure."""
        species = [Composition(site) for site in self.sites]
        lattice = Lattice(self.cell, pbc=self.pbc)
        return with_electrons(Structure(lattice, species, self.fractional), self.electrons)

    def document(self) -> dict[str, Any]:
        """What pymatgen's ``as_dict`` gives of `structure`, in BSON's own types.

        The volume of the lattice may differ in its last digit.
        """
        if self.symbols is None:
            made = self.structure().as_dict()
            return {**made, "lattice": {**made["lattice"], "pbc": list(self.pbc)}}
        rows = zip(
            self.sites, self.symbols, self.fractional.tolist(), self.positions.tolist(), strict=True
        )
        return {
            "@module": Structure.__module__,
            "@class": Structure.__name__,
            "charge": self.electrons.get("charge", 0.0),
            "lattice": self._lattice(),
            "properties": {k: v for k, v in self.electrons.items() if k != "charge"},
            "sites": [
                {
                    "species": [{"element": symbol, "occu": site[symbol]}],
                    "abc": fractional,
                    "properties": {},
                    "label": symbol,
                    "xyz": position,
                }
                for site, symbol, fractional, position in rows
            ],
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays for a blob.

        Returns
        -------
        dict
            ``species`` (N,) text, ``cell`` (3, 3) Å, ``positions`` (N, 3) fractional, ``pbc``
            (3,), and ``charge`` and ``spin_multiplicity`` of what is no neutral singlet; see
            `structure_of_arrays`.
        """
        names = self.symbols or [Composition(site).formula for site in self.sites]
        return {
            **{name: np.array(value) for name, value in self.electrons.items()},
            "species": np.array(names),
            "cell": self.cell,
            "positions": self.fractional,
            "pbc": np.array(self.pbc),
        }

    def _lattice(self) -> dict[str, Any]:
        lengths = np.sqrt((self.cell**2).sum(1)).tolist()
        rows = self.cell.tolist()
        angles = []
        for j, k in ((1, 2), (2, 0), (0, 1)):
            product = sum(x * y for x, y in zip(rows[j], rows[k], strict=True))
            cosine = product / (lengths[j] * lengths[k])
            angles.append(degrees(acos(min(1.0, max(-1.0, cosine)))))
        names = ("a", "b", "c", "alpha", "beta", "gamma")
        parameters = dict(zip(names, (*lengths, *angles), strict=True))
        return {"matrix": rows, "pbc": list(self.pbc), **parameters, "volume": self.volume}


def _flags(periodic: Any) -> tuple[bool, bool, bool]:
    a, b, c = (bool(flag) for flag in periodic)
    return a, b, c
