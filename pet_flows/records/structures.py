"""Structures of pymatgen and ASE, one made of the other, with their charge and spin."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from typing import Any

import numpy as np
from ase import Atoms
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.geometry.electrons import NEUTRAL, told


def bare(structure: Structure) -> Structure:
    """Elements, cell, positions, in the same order, charge and spin; nothing else."""
    species = [site.species.element_composition for site in structure]
    kept = Structure(structure.lattice, species, structure.frac_coords)
    return with_electrons(kept, electrons_in(structure))


def electrons_in(structure: Structure) -> dict[str, int]:
    """Charge and spin multiplicity that a structure was given, as far as it is no neutral singlet.

    Nothing of what cannot be understood, which `said_of_electrons` still has.
    """
    return told(said_of_electrons(structure))


def said_of_electrons(structure: Structure) -> dict[str, Any]:
    """What a structure says of charge and spin, in the names of ``Atoms.info``, right or wrong.

    Oxidation states give no charge, nor does the total of them that pymatgen writes into JSON.
    """
    said, charge = dict(structure.properties), structure._charge
    if not charge:
        return said
    formal = sum(
        amount * (getattr(specie, "oxi_state", None) or 0)
        for site in structure
        for specie, amount in site.species.items()
    )
    if not isclose(charge, formal, abs_tol=1e-6):
        said["charge"] = charge
    return said


def with_electrons(structure: Structure, electrons: Mapping[str, int]) -> Structure:
    """The same structure, with the charge and spin multiplicity that it is given."""
    if "charge" in electrons:
        structure._charge = electrons["charge"]  # set_charge() is the same
    structure.properties |= {k: v for k, v in electrons.items() if k != "charge"}
    return structure


def atoms_of_structure(structure: Structure) -> Atoms:
    """Make ASE's atoms of a structure, with its charge and spin; inverse of the next."""
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    atoms.info = dict(electrons_in(structure))
    return atoms


def structure_of_atoms(atoms: Atoms) -> Structure:
    """Make a structure of ASE's atoms, neither wrapped nor reordered.

    Open axes without a vector get one of 1 Å, across the others: pymatgen has no lattice without.
    """
    lattice = _lattice(atoms.cell.complete().array, atoms.pbc)
    found = Structure(
        lattice, atoms.get_chemical_symbols(), atoms.positions, coords_are_cartesian=True
    )
    return with_electrons(found, told(atoms.info))


def structure_of_arrays(arrays: Mapping[str, np.ndarray]) -> Structure:
    """Inverse of `pet_flows.records.kept.Kept.arrays`."""
    lattice = _lattice(arrays["cell"], arrays["pbc"])
    species = [Composition(str(name)) for name in arrays["species"]]
    electrons = {name: int(arrays[name]) for name in NEUTRAL if name in arrays}
    return with_electrons(Structure(lattice, species, arrays["positions"]), electrons)


def _lattice(cell: np.ndarray, periodic: np.ndarray) -> Lattice:
    """Give pymatgen's lattice of a (3, 3) cell and three flags."""
    a, b, c = (bool(flag) for flag in periodic)
    return Lattice(cell, pbc=(a, b, c))
