"""Energies above a convex hull: DFT's, which stays fixed, or the potential's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram


#: eV/atom below which a phase is on the hull; energies have some 1e-12
ROUND_OFF = 1e-9


@dataclass(frozen=True)
class Phase:
    """A crystal with its energy.

    Parameters
    ----------
    key
        Of the record or reference.
    formula
        Any formula of its composition.
    energy
        eV/atom.
    """

    key: str
    formula: str
    energy: float

    @property
    def elements(self) -> frozenset[str]:
        """Symbols."""
        from pymatgen.core import Composition

        return frozenset(element.symbol for element in Composition(self.formula).elements)


class Hull:
    """The hull of some phases, of one kind of energy.

    Parameters
    ----------
    phases
        Of one method, or one potential: energies of two zeros must not meet here.
    """

    def __init__(self, phases: Iterable[Phase]):
        self._phases: dict[frozenset[str], list[Phase]] = {}
        for phase in phases:
            self._phases.setdefault(phase.elements, []).append(phase)
        self._diagrams: dict[frozenset[str], PhaseDiagram] = {}

    def missing(self, elements: Iterable[str]) -> list[str]:
        """Elements without an energy of their own, without which there is no hull."""
        return sorted(e for e in elements if frozenset([e]) not in self._phases)

    def above(self, phase: Phase) -> float:
        """Energy of a phase above the hull in eV/atom, zero on it; the phase is one of it."""
        return max(self.distance(phase), 0.0)

    def distance(self, phase: Phase, formation: float | None = None) -> float:
        """Energy of a phase above the hull in eV/atom; negative below it.

        Parameters
        ----------
        phase
            Need not be one of those that the hull is made of.
        formation
            Its energy of formation from other elements than the hull's, eV/atom: then this and
            not its energy is set beside the hull. For a potential and DFT this is the hull distance
            of matbench-discovery (J. Riebesell et al., Nat. Mach. Intell. 7, 836, 2025):
            e_hull,PET = e_hull,DFT + e_form,PET − e_form,DFT.

        Raises
        ------
        KeyError
            An element is `missing`.
        """
        if absent := self.missing(phase.elements):
            raise KeyError(absent[0])
        diagram = self._diagram(phase.elements)
        entry = _entry(phase)
        own = diagram.get_form_energy_per_atom(entry) if formation is None else formation
        hull = diagram.get_hull_energy_per_atom(entry.composition)
        zero = entry.energy_per_atom - diagram.get_form_energy_per_atom(entry)
        found = float(own - (hull - zero))
        return found if abs(found) > ROUND_OFF else 0.0

    def formation(self, phase: Phase) -> float:
        """Energy of formation from the elements of this hull, eV/atom; KeyError as `distance`."""
        if absent := self.missing(phase.elements):
            raise KeyError(absent[0])
        return float(self._diagram(phase.elements).get_form_energy_per_atom(_entry(phase)))

    def _diagram(self, elements: frozenset[str]) -> PhaseDiagram:
        from pymatgen.analysis.phase_diagram import PhaseDiagram

        if elements not in self._diagrams:
            entries = [
                _entry(phase)
                for there, phases in self._phases.items()
                if there <= elements
                for phase in phases
            ]
            self._diagrams[elements] = PhaseDiagram(entries)
        return self._diagrams[elements]


def _entry(phase: Phase) -> PDEntry:
    from pymatgen.analysis.phase_diagram import PDEntry
    from pymatgen.core import Composition

    composition = Composition(phase.formula)
    return PDEntry(composition, phase.energy * composition.num_atoms, name=phase.key)
