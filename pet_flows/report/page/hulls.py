"""Convex hulls of the chemical systems of a campaign, from its own energies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pet_flows.report.table import Row

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PDEntry

#: with its columns of energies, the one that compares phases best first
ENERGIES = ("static.energy_per_atom", "relax.energy_per_atom")
#: elements of a system that are drawn; in larger ones only the table says what is above the hull
LARGEST_DRAWN = 3


def elements_of(formula: str) -> list[str]:
    """Symbols in a formula, in alphabetical order."""
    return sorted(set(re.findall(r"[A-Z][a-z]?", formula)))


def energy_column(rows: Sequence[Row]) -> str | None:
    """Column whose energies are set beside each other: what most rows have, at a tie the first."""
    counts = {key: sum(row.cells.get(key) is not None for row in rows) for key in ENERGIES}
    best = max(ENERGIES, key=lambda key: counts[key])
    return best if counts[best] else None


def hulls(rows: Sequence[Row], energies: Mapping[int, float], source: str) -> Iterator[dict]:
    """Hull of each chemical system and potential that has all of its elements.

    Parameters
    ----------
    rows
        Of the campaign's table.
    energies
        Number of a row → eV/atom, all of one method.
    source
        What they are called.

    Yields
    ------
    dict
        ``system``, ``elements``, ``potential``, ``source``, ``missing`` (elements without an
        energy, without which there is no hull), ``row``, and per structure ``formation`` and
        ``above`` (eV/atom), ``fractions`` (of `elements`), ``stable``.
    """
    groups: dict[str, dict[tuple[str, ...], list[int]]] = {}
    for number in energies:
        system = tuple(elements_of(rows[number].formula))
        if system:
            groups.setdefault(rows[number].potential, {}).setdefault(system, []).append(number)
    for potential, systems in groups.items():
        inside = {element for system in systems if len(system) > 1 for element in system}
        for system in sorted(systems, key=lambda s: (len(s), s)):
            if len(system) == 1 and system[0] in inside and len(systems[system]) == 1:
                continue  # it is seen in the diagrams of its compounds
            yield _hull(system, systems, rows, energies) | {
                "potential": potential, "source": source,
            }  # fmt: skip


def _hull(
    system: tuple[str, ...],
    systems: Mapping[tuple[str, ...], list[int]],
    rows: Sequence[Row],
    energies: Mapping[int, float],
) -> dict[str, Any]:
    from pymatgen.analysis.phase_diagram import PhaseDiagram

    missing = [element for element in system if (element,) not in systems]
    members = [
        number
        for other, numbers in systems.items()
        if set(other) <= set(system)
        for number in numbers
    ]
    found: dict[str, Any] = {
        "system": "-".join(system), "elements": list(system), "missing": missing, "row": members,
    }  # fmt: skip
    if missing:
        return found | {"row": systems[system]}
    entries = [_entry(rows[number].formula, energies[number]) for number in members]
    diagram = PhaseDiagram(entries)
    stable = set(map(id, diagram.stable_entries))
    return found | {
        "formation": [diagram.get_form_energy_per_atom(entry) for entry in entries],
        "above": [diagram.get_e_above_hull(entry) for entry in entries],
        "fractions": [
            [entry.composition.get_atomic_fraction(element) for element in system]
            for entry in entries
        ],
        "stable": [id(entry) in stable for entry in entries],
    }


def _entry(formula: str, energy: float) -> PDEntry:
    from pymatgen.analysis.phase_diagram import PDEntry
    from pymatgen.core import Composition

    composition = Composition(formula)
    return PDEntry(composition, energy * composition.num_atoms)
