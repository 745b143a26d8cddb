"""Structures inside records: what is kept of them, and what is said about them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import isclose
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.crystallography.spacegroups import space_groups
from pet_flows.geometry.electrons import NEUTRAL, told

#: symprec of the two space groups, Å
TIGHT, LOOSE = 1e-5, 0.1
#: g/cm³ of one u/Å³
DENSITY = 1.66053906892
#: larger structures get no space group: the search would take longer than the calculation
MAX_SYMMETRY_ATOMS = 2000


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
    formal = sum(
        amount * (getattr(specie, "oxi_state", None) or 0)
        for site in structure
        for specie, amount in site.species.items()
    )
    if charge and not isclose(charge, formal, abs_tol=1e-6):
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


def structure_arrays(structure: Structure) -> dict[str, np.ndarray]:
    """Arrays of a bare structure, for a blob.

    Returns
    -------
    dict
        ``species`` (N,) text, ``cell`` (3, 3) Å, ``positions`` (N, 3) fractional, ``pbc`` (3,), and
        ``charge`` and ``spin_multiplicity`` of what is no neutral singlet.
    """
    electrons = {name: np.array(value) for name, value in electrons_in(structure).items()}
    return {
        **electrons,
        "species": np.array(
            [site.specie.symbol if site.is_ordered else site.species.formula for site in structure]
        ),
        "cell": np.array(structure.lattice.matrix),
        "positions": np.array(structure.frac_coords),
        "pbc": np.array(structure.lattice.pbc),
    }


def structure_of_arrays(arrays: Mapping[str, np.ndarray]) -> Structure:
    """Inverse of `structure_arrays`."""
    lattice = _lattice(arrays["cell"], arrays["pbc"])
    species = [Composition(str(name)) for name in arrays["species"]]
    electrons = {name: int(arrays[name]) for name in NEUTRAL if name in arrays}
    return with_electrons(Structure(lattice, species, arrays["positions"]), electrons)


def space_group(structure: Structure | None) -> dict[str, int | None] | None:
    """Space group numbers at the tight and the loose tolerance; None without a crystal."""
    if structure is None or not structure.is_ordered or not all(structure.lattice.pbc):
        return None
    if len(structure) > MAX_SYMMETRY_ATOMS:
        return None
    content = (
        np.asarray(structure.lattice.matrix, dtype=float).tobytes(),
        np.asarray(structure.frac_coords, dtype=float).tobytes(),
        tuple(structure.atomic_numbers),
    )
    tight, loose = _numbers(*content)
    return {"tight": tight, "loose": loose}


def metadata(structure: Structure | None, final: Structure | None) -> dict[str, Any]:
    """Chemistry and volume of a record, under emmet's names.

    Parameters
    ----------
    structure
        The input; None where it could not be read.
    final
        Where it ended; volume and density are of this one if it is there.
    """
    if structure is None:
        names = (
            "formula_pretty", "formula_anonymous", "chemsys", "nelements", "nsites",
            "composition_reduced", "density", "volume", "volume_per_atom",
        )  # fmt: skip
        return {"elements": [], **dict.fromkeys(names)}
    amounts = structure.composition.element_composition.get_el_amt_dict()
    chemistry = _chemistry(tuple(amounts.items()))
    last = structure if final is None else final
    volume = float(last.volume) if all(last.lattice.pbc) else 0.0
    solid = volume > 0
    return {
        **chemistry.names,
        "elements": list(chemistry.elements),
        "nelements": len(chemistry.elements),
        "nsites": len(structure),
        "composition_reduced": dict(chemistry.reduced),
        "density": chemistry.weight * DENSITY / volume if solid else None,
        "volume": volume if solid else None,
        "volume_per_atom": volume / len(last) if solid else None,
    }


class _Chemistry(NamedTuple):
    """What amounts of elements say."""

    names: dict[str, str]
    elements: tuple[str, ...]
    reduced: dict[str, float]
    weight: float
    """u"""


@lru_cache(maxsize=4096)  # crystals of a campaign have few compositions
def _chemistry(amounts: tuple[tuple[str, float], ...]) -> _Chemistry:
    composition = Composition(dict(amounts))
    elements = tuple(sorted(element.symbol for element in composition))
    names = {
        "formula_pretty": composition.reduced_formula,
        "formula_anonymous": composition.anonymized_formula,
        "chemsys": "-".join(elements),
    }
    reduced = {str(element): n for element, n in composition.reduced_composition.items()}
    return _Chemistry(names, elements, reduced, float(composition.weight))


def _lattice(cell: np.ndarray, periodic: np.ndarray) -> Lattice:
    """Give pymatgen's lattice of a (3, 3) cell and three flags."""
    a, b, c = (bool(flag) for flag in periodic)
    return Lattice(cell, pbc=(a, b, c))


@lru_cache(maxsize=4096)  # the crystal that a relaxation ends with begins several other records
def _numbers(
    lattice: bytes, scaled: bytes, numbers: tuple[int, ...]
) -> tuple[int | None, int | None]:
    """Space group numbers at the two tolerances, None where there is none."""
    cell, positions = np.frombuffer(lattice).reshape(3, 3), np.frombuffer(scaled).reshape(-1, 3)
    found = space_groups(cell, positions, np.array(numbers), TIGHT, LOOSE)
    tight, loose = (None if group is None else group.number for group in found)
    return tight, loose
