"""Reduce a structure to what a potential sees; find what makes it impossible to compute."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ase import Atoms
from pymatgen.core import Composition, Lattice, Species, Structure
from pymatgen.core.periodic_table import DummySpecies, Element

from pet_flows.errors import StructureError
from pet_flows.geometry.electrons import SAID
from pet_flows.geometry.sound import refuse_crowded, refuse_flat
from pet_flows.records.structures import electrons_in, with_electrons

_CALLED = {
    "magmom": "magnetic moments",
    "magmoms": "magnetic moments",
    "initial_magmoms": "magnetic moments",
    "charge": "charges",
    "charges": "charges",
    "initial_charges": "charges",
    "selective_dynamics": "selective dynamics",
    "momenta": "velocities",
    "velocities": "velocities",
}
_MAY_BE_ZERO = {"magnetic moments", "charges", "velocities"}
"""Where zeros say nothing, so that leaving them out is not worth a warning."""


def strip(structure: Structure) -> tuple[Structure, list[str]]:
    """Keep elements, cell, positions, charge and spin of a structure; name what it held besides.

    Oxidation states and moments go *before* symmetry is sought: they would make bcc iron with
    Fe²⁺ and Fe³⁺ a primitive cubic crystal.

    Parameters
    ----------
    structure
        Left as it is. Periodicity and the order of atoms are kept.

    Returns
    -------
    structure, dropped
        Sites may still be partially occupied (`find_problem` says so).
    """
    dropped: list[str] = []

    def drop(name: str) -> None:
        if name not in dropped:
            dropped.append(name)

    species = []
    for site in structure:
        if all(map(_is_bare, site.species)):
            species.append(site.species)
            continue
        amounts: dict[Element | DummySpecies, float] = {}
        for specie, occupancy in site.species.items():
            if isinstance(specie, Species | DummySpecies):
                if specie.oxi_state:
                    drop("oxidation states")
                if getattr(specie, "spin", None):
                    drop("spins")
            element = _element(specie)
            if isinstance(element, Element) and element.name != Element.from_Z(element.Z).name:
                drop("isotopes")  # pymatgen's D and T
                element = Element.from_Z(element.Z)
            amounts[element] = amounts.get(element, 0.0) + occupancy
        species.append(Composition(amounts))
    for name, values in structure.site_properties.items():
        called = _CALLED.get(name, f"site property {name}")
        if _says_something(values, zeros_count=called not in _MAY_BE_ZERO):
            drop(called)
    bare = Structure(structure.lattice, species, structure.frac_coords)
    return with_electrons(bare, electrons_in(structure)), dropped


def find_problem(structure: Structure) -> tuple[str, str] | None:
    """Find why a stripped structure cannot be computed by any potential.

    Returns
    -------
    (reason, message) or None
        Reasons: ``empty``, ``not_finite``, ``degenerate_cell``, ``not_periodic``,
        ``unknown_species``, ``partial_occupancy``, ``overlapping_atoms``.
    """
    if len(structure) == 0:
        return "empty", "The structure has no atoms: restore or remove it."
    cell, positions = structure.lattice.matrix, structure.frac_coords
    if not (np.isfinite(cell).all() and np.isfinite(positions).all()):
        return "not_finite", "Its cell or positions hold NaN or infinity: write the file again."
    try:
        refuse_flat(cell, (True, True, True))  # also along open axes: positions are fractional
    except StructureError as error:
        return error.reason, error.message
    if not any(structure.lattice.pbc):
        return (
            "not_periodic",
            "It is not periodic in any direction: give a crystal, because only these are computed.",
        )
    for site in structure:
        for specie in site.species:
            if isinstance(specie, DummySpecies):
                return "unknown_species", f"{specie.symbol!r} is not an element: name one there."
    for site in structure:
        if not site.is_ordered:
            where = ", ".join(f"{x:.3f}" for x in site.frac_coords)
            return (
                "partial_occupancy",
                f"The site at ({where}) holds {site.species_string or 'nothing'}: a potential "
                "needs whole atoms; make an ordered cell first (pymatgen's OrderDisorderedStructure"
                "Transformation does).",
            )
    symbols = [site.specie.symbol for site in structure]
    try:
        refuse_crowded(symbols, structure.cart_coords, cell, structure.lattice.pbc)
    except StructureError as error:
        return error.reason, error.message
    return None


def structure_from_atoms(atoms: Atoms) -> tuple[Structure | None, list[str]]:
    """Make a structure of ASE's atoms, without wrapping or reordering.

    Parameters
    ----------
    atoms
        Left as it is.

    Returns
    -------
    structure, dropped
        The structure is None where there are not three lattice vectors.
    """
    dropped = []
    per_atom = dict(atoms.arrays)
    results = getattr(atoms.calc, "results", {}) if atoms.calc is not None else {}
    per_atom |= {name: results[name] for name in ("magmoms", "charges") if name in results}
    for name, values in per_atom.items():
        if name in ("numbers", "positions"):
            continue
        called = _CALLED.get(name, f"site property {name}")
        if _says_something(values, zeros_count=False) and called not in dropped:
            dropped.append(called)
    if atoms.constraints:
        dropped.append("constraints")
    cell = np.array(atoms.cell)
    if not np.isfinite(cell).all():
        lattice = Lattice(np.full((3, 3), np.nan))
        return Structure(lattice, atoms.symbols, np.zeros((len(atoms), 3))), dropped
    if atoms.cell.rank < 3:
        return None, dropped
    # solved here because ASE's get_scaled_positions completes and wraps
    scaled = np.linalg.solve(cell.T, atoms.positions.T).T
    symbols = ["X0+" if symbol == "X" else symbol for symbol in atoms.symbols]
    structure = Structure(Lattice(cell, pbc=tuple(atoms.pbc)), symbols, scaled)
    # as it is said: `make_input` refuses what cannot be understood
    said = {name: atoms.info[name] for name in SAID if name in atoms.info}
    structure.properties |= said
    return structure, dropped


@lru_cache(maxsize=1024)
def _is_bare(specie: Element | Species | DummySpecies) -> bool:
    """Whether it says what element it is and nothing else."""
    return isinstance(specie, Element) and specie.name == Element.from_Z(specie.Z).name


def _element(specie: Element | Species | DummySpecies) -> Element | DummySpecies:
    """Take oxidation state and spin off."""
    if isinstance(specie, DummySpecies):
        return DummySpecies(specie.symbol, 0)
    return specie.element if isinstance(specie, Species) else specie


def _says_something(values: object, *, zeros_count: bool) -> bool:
    """Whether an array of site values holds more than None (and, unless they count, zeros)."""
    flat = [value for value in np.ravel(np.array(values, dtype=object)) if value is not None]
    if zeros_count:
        return bool(flat)
    return any(not (isinstance(value, int | float | np.number) and value == 0) for value in flat)
