"""Exact symmetrization of crystals by a frozen reference lattice: one to a few evaluations.

A cell ``h = N h0 F`` with ``F = S R`` (S symmetric positive definite, R orthogonal) is rotated to
``X Rᵀ``, which no rotation or reflection of X can change; another setting of the cell multiplies
that by an element g of the reference's holohedry H. The average over ``Q = Rᵀ g k``, g in H, k in
K, is therefore invariant, and smooth because R is. H is the holohedry of the *lattice*: averaging
over the point group of the crystal would leave a dependence on the setting.

Operations G of the structure itself make evaluations equal: one representative of each coset of
G in H is enough, forces and stress being averaged over G afterwards.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.primitive import Primitive, find_primitive, is_primitive_by_formula
from pet_flows.crystallography.spacegroups import is_p1
from pet_flows.errors import StructureError
from pet_flows.geometry.connectivity import periodic_rank
from pet_flows.geometry.faces import lengths_of, volume_of
from pet_flows.symmetrization.crystal_batch import LIMIT
from pet_flows.symmetrization.crystal_bound import CrystalBound
from pet_flows.symmetrization.reference import TOLERANCE, CrystalReference, make_reference
from pet_flows.symmetrization.setting import find_setting, smallest_setting
from pet_flows.symmetrization.spec import StrategySpec

#: Å, for the translations that define the reference lattice of an input with round-off in it, or
#: with the displacement of a phonon: 0.01 Å, by which two of its atoms can differ twice
LOOSE = 3e-2
#: so many formula units without any symmetry between them, even at a tolerance (Å), are no crystal
DISORDERED, BLURRED = 8, 0.1


@dataclass(frozen=True)
class Crystal:
    """Strategy for 3D-periodic crystals.

    Parameters
    ----------
    group
        None for one orientation per phase, ``tetrahedral`` or ``icosahedral`` to average over
        that group as well (energies compared between phases).
    oriented
        The oriented frame alone: one evaluation, invariant, without the crystal's own symmetry.
    tolerance
        Lattice strain that counts as symmetric when a reference is made.
    cutoff
        Å, of the model; decides what is called vacuum.
    """

    group: str | None = None
    oriented: bool = False
    tolerance: float = TOLERANCE
    cutoff: float = 5.0

    @property
    def spec(self) -> str:
        """Canonical spec string."""
        return StrategySpec("crystal", self.group, oriented=self.oriented).canonical

    def configure(self, cutoff: float, n_layers: int) -> Crystal:
        """The same with the model's cutoff."""
        return replace(self, cutoff=cutoff)

    def bind(
        self,
        atoms: Atoms,
        inherited: dict[str, Any] | None = None,
        group: SpaceGroup | None = None,
    ) -> CrystalBound:
        """Reference and setting, derived here or inherited from an earlier binding.

        Parameters
        ----------
        atoms
            A crystal.
        inherited
            ``as_dict()`` of its parent, or that through :func:`inherited_by_supercell`. With
            ``reference`` alone N is found from the atoms' own translations; with neither both are
            derived.
        group
            The space group that the atoms have exactly, if it is known.

        Raises
        ------
        StructureError
            ``symmetrization_refused``: not a 3D crystal, or not a strain of the reference.
        """
        warnings = _check(atoms, self.cutoff, group)
        inherited = inherited or {}
        primitive = None
        if "reference" in inherited:
            reference = CrystalReference.from_dict(inherited["reference"])
            given = inherited.get("N")
            setting = _find(reference, atoms) if given is None else _checked(given)
        else:
            reference, setting, primitive = derive(atoms, self.tolerance, group)
            warnings += reference.warnings
        bound = CrystalBound(
            reference, setting, self.group, self.oriented, atoms, warnings,
            inherited.get("group"), primitive, group,
        )  # fmt: skip
        if "reference" not in inherited and len(bound.symmetry.operations) == 1:
            bound.warnings += _disorder(atoms)
        return bound


def derive(
    atoms: Atoms, tolerance: float = TOLERANCE, group: SpaceGroup | None = None
) -> tuple[CrystalReference, np.ndarray, Primitive]:
    """Reference and setting N ``(3, 3)`` int of a structure, the same for any cell of it.

    With them the primitive cell they were taken from, in which atoms repeat within 0.03 Å.
    """
    cell = atoms.cell.array
    known = group is not None and is_primitive_by_formula(atoms.numbers[group.primitive.atoms])
    if group is not None and known:
        primitive = group.primitive
    else:
        primitive = find_primitive(atoms.numbers, cell, atoms.positions, LOOSE)
    content = repr(
        (atoms.numbers.tolist(), atoms.positions.round(6).tolist(), cell.round(6).tolist())
    )
    source = hashlib.sha256(content.encode()).hexdigest()[:16]
    reference, basis = make_reference(primitive.basis @ cell, tolerance, source)
    return reference, smallest_setting(cell @ np.linalg.inv(basis), reference), primitive


def inherited_by_supercell(
    inherited: dict[str, Any], supercell_matrix: np.ndarray
) -> dict[str, Any]:
    """What a supercell inherits from the cell it was built from.

    Parameters
    ----------
    inherited
        ``Bound.as_dict()`` of the smaller cell; returned as it is if it holds no reference.
    supercell_matrix
        ``(3, 3)`` int P with ``supercell = P @ cell`` (rows; ASE's ``make_supercell``). The
        transpose of phonopy's ``supercell_matrix``.
    """
    if "reference" not in inherited or "N" not in inherited:
        return dict(inherited)
    setting = np.rint(np.asarray(supercell_matrix)).astype(int) @ np.array(inherited["N"])
    return {"reference": inherited["reference"], "N": setting.tolist()}


def _find(reference: CrystalReference, atoms: Atoms) -> np.ndarray:
    """N of a structure whose own primitive cell is one cell of the reference.

    The cell alone does not decide: sublattices can be isometric without being equal by the
    holohedry (3×3×3 of a cubic lattice, twins), so the atoms must say what the primitive cell is.
    """
    cell = atoms.cell.array
    primitive = find_primitive(atoms.numbers, cell, atoms.positions, LOOSE).basis @ cell
    found = find_setting(reference, primitive, LIMIT)
    if found is None:
        raise StructureError(
            "symmetrization_refused",
            "The cell is not a supercell of the inherited crystal reference, even within a "
            f"strain of {LIMIT}: it is another crystal, which must be given as a structure of its "
            "own, without a parent.",
        )
    if abs(round(np.linalg.det(found))) > 1:
        raise StructureError(
            "symmetrization_refused",
            "The structure is a supercell of the inherited crystal reference whose atoms no "
            "longer repeat, so the cell alone does not say how it was built: give that to it as "
            "well, with inherited_by_supercell.",
        )
    return smallest_setting(np.rint(cell @ np.linalg.inv(primitive)) @ found, reference)


def _checked(setting: list[list[int]]) -> np.ndarray:
    """N as inherited, if it can be one."""
    given = np.array(setting, dtype=float)
    integer = np.rint(given).astype(int)
    if given.shape != (3, 3) or np.abs(given - integer).max() > 1e-3 or not _regular(integer):
        raise StructureError(
            "symmetrization_refused",
            "The matrix of the inherited cell must be 3×3 integers with a determinant (got "
            f"{setting}): leave what the parent gave as it is.",
        )
    return integer


def _disorder(atoms: Atoms) -> tuple[str, ...]:
    """A warning about melts and glasses, which no lattice describes."""
    units = int(np.gcd.reduce(np.unique(atoms.numbers, return_counts=True)[1]))
    if units < DISORDERED:
        return ()
    cell, numbers = atoms.cell.array, atoms.numbers
    if not is_p1(cell, atoms.get_scaled_positions(), numbers, BLURRED):
        return ()
    return (
        f"No symmetry, even within {BLURRED} Å, relates the {units} formula units of this cell: "
        "the box of a melt or glass says little about its orientation (prefer ecse); a distorted "
        "crystal should inherit the reference of the perfect one.",
    )


def _regular(matrix: np.ndarray) -> bool:
    return bool(abs(round(np.linalg.det(matrix))) >= 1)


def _check(atoms: Atoms, cutoff: float, group: SpaceGroup | None) -> tuple[str, ...]:
    """Warnings about a structure; refuses what is not a crystal.

    Its primitive cell, where that is known, is connected as it is itself.
    """
    cell = atoms.cell.array
    volume = abs(volume_of(cell))
    if not atoms.pbc.all() or not volume > 1e-6 * max(prod(lengths_of(cell)), 1e-6):
        raise StructureError(
            "symmetrization_refused",
            "The crystal symmetrization needs three independent periodic lattice vectors; use "
            "ecse for molecules, clusters and slabs.",
        )
    if not np.isfinite(atoms.positions).all():
        raise StructureError(
            "not_finite", "The structure has positions that are not finite: correct it."
        )
    if group is not None and len(group.primitive.atoms) < len(atoms):
        atoms = atoms[group.primitive.atoms]
        atoms.cell[:] = group.primitive.basis @ cell
    rank = periodic_rank(atoms, cutoff)
    if rank == 0:
        raise StructureError(
            "symmetrization_refused",
            f"No atoms are linked through the cell within {cutoff:g} Å: for molecules in a box "
            "the lattice says nothing about orientation; use ecse.",
        )
    if rank < 3:
        kind = "slab" if rank == 2 else "chain"
        return (f"This is a {kind} in vacuum, whose frame follows the empty cell; prefer ecse.",)
    return ()
