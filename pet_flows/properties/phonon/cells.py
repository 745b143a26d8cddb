"""A crystal on the way to its force constants: primitive cell and supercells, one reference."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import perf_counter
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.primitive import Primitive, find_primitive
from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.geometry.electrons import refuse_in_supercells
from pet_flows.properties.phonon.declaration import SupercellSettings
from pet_flows.properties.phonon.force_constants import Harmonic, harmonic
from pet_flows.properties.specimen import Specimen
from pet_flows.symmetrization.crystal import inherited_by_supercell
from pet_flows.symmetrization.strategy import Bound

#: eV/Å; forces that a relaxed structure does not have
NOT_RELAXED = 0.02
#: atoms of displaced cells evaluated together; the evaluator bounds memory by itself
BATCH_ATOMS = 4000
#: Å; round-off of displacements
SPARE = 1e-4
#: what phonopy, symfc and spglib raise for a cell that they cannot handle
LIBRARY_ERRORS = (
    np.linalg.LinAlgError, ArithmeticError, AssertionError, LookupError, RuntimeError, ValueError,
)  # fmt: skip

logger = logging.getLogger(__name__)


def harmonic_crystal(
    specimen: Specimen,
    potential: Potential,
    settings: SupercellSettings,
    max_atoms: int | None = None,
) -> tuple[Specimen, Harmonic]:
    """Reduce a crystal to its primitive cell, choose its supercell, bind it.

    Parameters
    ----------
    specimen
        Whose symmetry is exact.
    potential
        Its strategy keeps the reference that the structure came with.
    settings
        Supercell and displacement.
    max_atoms
        Of the supercell, instead of ``settings.max_atoms``.

    Returns
    -------
    primitive, crystal
        The primitive cell in place of the structure, and its supercell with the displacements.
    """
    start = perf_counter()
    most = settings.max_atoms if max_atoms is None else max_atoms
    crystal = harmonic(
        primitive_of(specimen.atoms), settings.displacement, settings.min_length, most
    )
    inherited, notes = _inherited(specimen, crystal.primitive)
    notes += shortened(crystal, settings.min_length, most)
    if crystal.shortest < potential.reach:
        notes += (
            f"The model reaches {potential.reach:.1f} Å, and atoms of a supercell of "
            f"{crystal.shortest:.1f} Å feel their own images: sound velocities and weak "
            "instabilities need a longer one (min_length, max_atoms).",
        )
    bound = potential.bind(crystal.primitive, inherited, crystal.group)
    primitive = Specimen(
        specimen.index,
        crystal.primitive,
        bound,
        notes=(*specimen.warnings, *notes),
        wall_time=specimen.wall_time + perf_counter() - start,
    )
    return primitive, crystal


def shortened(crystal: Harmonic, min_length: float, max_atoms: int) -> tuple[str, ...]:
    """What is said of a supercell that is not as long as was asked for; nothing of others."""
    if crystal.shortest >= min_length - 1e-6:
        return ()
    return (
        f"The supercell's shortest vector is {crystal.shortest:.1f} Å, less than the "
        f"{min_length:g} Å asked for, to stay within {max_atoms} atoms.",
    )


def displaced_systems(
    potential: Potential,
    bound: Bound,
    group: SpaceGroup,
    supercell: Atoms,
    matrix: np.ndarray,
    displaced: Iterable[np.ndarray],
) -> list[System]:
    """The perfect supercell and then the displaced ones, with the reference of the primitive cell.

    Parameters
    ----------
    potential, bound, group
        ``bound`` and ``group`` are of the primitive cell.
    supercell, matrix
        ``(3, 3)`` int, rows: ``matrix @ cell`` of the primitive cell. The copies of each atom stand
        together.
    displaced
        Positions ``(N, 3)`` Å of each.
    """
    inherited = inherited_by_supercell(bound.as_dict(), matrix)
    larger = potential.bind(supercell, inherited, _repeated(group, supercell, matrix))
    perfect, cells = System.of(supercell, larger), list(displaced)
    moved = [float(np.linalg.norm(x - perfect.positions, axis=1).max(initial=0.0)) for x in cells]
    # any two of them are at most twice as far apart, and a pair's atoms move both
    near = perfect.near(4.0 * max(moved, default=0.0) + SPARE)
    return [perfect, *(near.displaced(positions) for positions in cells)]


def _repeated(group: SpaceGroup, supercell: Atoms, matrix: np.ndarray) -> SpaceGroup:
    """The space group of a primitive cell as that of its supercell."""
    basis, n = np.linalg.inv(matrix), len(group.primitive.atoms)
    copies = len(supercell) // n
    primitive = Primitive(np.arange(n) * copies, basis, np.repeat(np.arange(n), copies))
    fractional = supercell.positions @ np.linalg.inv(basis @ supercell.cell.array)
    # phonopy has wrapped what was outside the cell
    return group.in_cell(primitive, fractional)


def primitive_of(atoms: Atoms) -> Atoms:
    """Primitive cell of a crystal whose symmetry is exact, neither rotated nor shifted.

    Raises
    ------
    StructureError
        ``charged_supercell``: it has a charge or spin that the model takes.
    """
    refuse_in_supercells(atoms.info, "What vibrates in supercells")
    found = find_primitive(atoms.numbers, atoms.cell.array, atoms.positions)
    return Atoms(
        numbers=atoms.numbers[found.atoms],
        positions=atoms.positions[found.atoms],
        cell=found.basis @ atoms.cell.array,
        pbc=True,
    )


def no_phonons(error: Exception) -> StructureError:
    """What a library's error becomes, whose traceback goes to the log; our own stay as they are."""
    if isinstance(error, StructureError):
        return error
    logger.error("no phonons for one structure of a batch", exc_info=error)
    return StructureError(
        "no_force_constants",
        f"Supercell or force constants could not be made ({type(error).__name__}: {error}); check "
        "that the structure is a sensible crystal, or try another symprec or min_length.",
    )


def _inherited(
    specimen: Specimen, primitive: Atoms
) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
    """What the primitive cell takes along: N is known from how it was cut, never searched.

    None, and a warning, for a crystal that has become more symmetric than its reference knows:
    that lattice has no setting of the smaller cell.
    """
    inherited = specimen.bound.as_dict()
    if "N" not in inherited:
        return inherited, ()
    matrix = primitive.cell.array @ np.linalg.inv(specimen.atoms.cell.array)
    exact = matrix @ np.array(inherited["N"])
    setting = np.rint(exact).astype(int)
    if np.abs(exact - setting).max() > 1e-3:
        return None, (
            "The crystal has a smaller primitive cell than the reference of its relaxation, whose "
            "lattice cannot describe it: a new reference was derived.",
        )
    return {"reference": inherited["reference"], "N": setting.tolist()}, ()
