"""How far two descriptions of a crystal are from being one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pymatgen.core import Structure

from pet_flows.records.keys import structure_digest

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher


#: atoms of a primitive cell that pymatgen's matcher would need seconds to minutes for
LARGE = 40
#: RMSD of what is still alike, the matcher's own ``stol``
FARTHEST = 0.3


@cache
def _matcher() -> StructureMatcher:
    from pymatgen.analysis.structure_matcher import ElementComparator, StructureMatcher

    # the cells are primitive already; reducing them again for each pair takes most of its time
    return StructureMatcher(primitive_cell=False, comparator=ElementComparator())


class Distances:
    """RMSDs of primitive cells, each pair once.

    The records of one relaxed crystal (relaxation, statics, equation of state) have one structure,
    and so have the references of one calculation.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], float | None] = {}
        self._strains: dict[tuple[str, str], float | None] = {}

    def rmsd(self, ours: Structure, theirs: Structure) -> float | None:
        """Root mean square displacement in units of (volume/atom)^(1/3), at one volume.

        A match says nothing about volumes: those are compared as values.

        Parameters
        ----------
        ours, theirs
            Primitive cells, ordered and with three periodic axes.

        Returns
        -------
        float or None
            None where pymatgen's `StructureMatcher` finds that they are different crystals.
        """
        if len(ours) != len(theirs):
            return None
        pair = (structure_digest(ours), structure_digest(theirs))
        if pair not in self._known:
            large = len(ours) > LARGE
            self._known[pair] = _of_large(ours, theirs) if large else _of_small(ours, theirs)
        return self._known[pair]

    def strain(self, ours: Structure, theirs: Structure) -> float | None:
        """Largest strain between two primitive cells at one volume, which no RMSD shows.

        None where one cannot be laid onto the other.
        """
        pair = (structure_digest(ours), structure_digest(theirs))
        if pair not in self._strains:
            from pet_flows.crystallography.alignment import PrimitiveCell, align

            laid = align(PrimitiveCell.of(ours), PrimitiveCell.of(theirs))
            self._strains[pair] = None if laid is None else laid.strain
        return self._strains[pair]


def _of_small(ours: Structure, theirs: Structure) -> float | None:
    found = _matcher().get_rms_dist(ours, theirs)
    return None if found is None else float(found[0])


def _of_large(ours: Structure, theirs: Structure) -> float | None:
    """The same number, for the one way that lays one cell best onto the other."""
    from pet_flows.crystallography.alignment import PrimitiveCell, align
    from pet_flows.properties.relax.compare import rmsd_of_alignment

    one, other = PrimitiveCell.of(ours), PrimitiveCell.of(theirs)
    laid = align(one, other)
    if laid is None:
        return None
    found = rmsd_of_alignment(one, other, laid)
    return found if found <= FARTHEST else None
