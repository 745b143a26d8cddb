"""How far two descriptions of a crystal are from being one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from pymatgen.core import Structure

from pet_flows.records.keys import structure_digest

if TYPE_CHECKING:
    from pymatgen.analysis.structure_matcher import StructureMatcher


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
            found = _matcher().get_rms_dist(ours, theirs)
            self._known[pair] = None if found is None else float(found[0])
        return self._known[pair]
