"""Convex hulls of the chemical systems of a campaign, of its own energies and of DFT's."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pet_flows.compare.energies.above import AboveHull, above_hull
from pet_flows.compare.energies.hull import Hull, Phase
from pet_flows.compare.energies.phases import Energies, energies_of, reference_energies
from pet_flows.errors import PetFlowsError
from pet_flows.report.table import Row
from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)

#: eV/atom up to which a phase is on the hull: round-off of its plane
_ON_HULL = 1e-9


def hulls(store: ResultStore, campaign: str, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Hull of each chemical system and potential.

    Parameters
    ----------
    store
        Where energies and references are.
    campaign
        Its name.
    rows
        Of its table, whose numbers the hulls name.

    Yields
    ------
    dict
        ``system``, ``elements``, ``potential``, ``source`` (property of the energies), ``missing``
        (elements without an energy, without which there is no hull) and ``row``. Where nothing is
        missing, per structure ``formation`` and ``above`` (eV/atom), ``fractions`` (of `elements`)
        and ``stable``; ``above_dft`` (eV/atom above DFT's hull, which stays fixed; null without
        one), and ``dft``, its phases in the same fields with the ``row`` beside each.
    """
    places = {m.key: number for number, row in reversed(list(enumerate(rows))) for m in row.members}
    for energies in energies_of(store, campaign):
        yield from _of_potential(store, energies, places, rows)


def _of_potential(
    store: ResultStore, energies: Energies, places: Mapping[str, int], rows: Sequence[Row]
) -> Iterator[dict[str, Any]]:
    by_system: dict[frozenset[str], list[tuple[int, Phase]]] = {}
    twins: dict[str, int] = {}
    for crystal in energies.crystals.values():
        number = next((places[key] for key in sorted(crystal.records) if key in places), None)
        if number is None or crystal.phase is None:
            continue
        try:
            there = crystal.phase.elements
        except ValueError:  # of a formula that is none
            logger.warning("%r is no formula: the hulls are without it.", crystal.phase.formula)
            crystal.phase = None
            continue
        by_system.setdefault(there, []).append((number, crystal.phase))
        if crystal.twin is not None:
            twins.setdefault(crystal.twin, number)
    own, fixed = Hull(energies.phases), _fixed(store, energies)
    inside = {element for system in by_system if len(system) > 1 for element in system}
    for system in sorted(by_system, key=lambda s: (len(s), sorted(s))):
        if len(system) == 1 and system <= inside and len(by_system[system]) == 1:
            continue  # it is seen in the diagrams of its compounds
        elements = sorted(system)
        about: dict[str, Any] = {
            "system": "-".join(elements),
            "elements": elements,
            "potential": rows[by_system[system][0][0]].potential,
            "source": energies.of,
            "missing": own.missing(system),
        }
        if about["missing"]:
            yield about | {"row": [number for number, _ in by_system[system]]}
            continue
        members = [one for part, found in by_system.items() if part <= system for one in found]
        about |= _phases(own, [phase for _, phase in members], elements)
        about["row"] = [number for number, _ in members]
        about["above_dft"] = [
            None if fixed.missing(phase.elements) else fixed.distance(phase, own.formation(phase))
            for _, phase in members
        ]
        if not fixed.missing(system):
            theirs = [
                phase for part, found in fixed.phases.items() if part <= system for phase in found
            ]
            about["dft"] = _phases(fixed, theirs, elements) | {
                "row": [twins.get(phase.key) for phase in theirs],
                "formula": [phase.formula for phase in theirs],
            }
        yield about


class _Fixed(Hull):
    """DFT's hull, with its phases by their elements."""

    def __init__(self, phases: Sequence[Phase]):
        super().__init__(phases)
        self.phases: dict[frozenset[str], list[Phase]] = {}
        for phase in phases:
            self.phases.setdefault(phase.elements, []).append(phase)


def _fixed(store: ResultStore, energies: Energies) -> _Fixed:
    """Hull of the references of the potential's level of theory; empty where that is not known."""
    try:
        found = reference_energies(store, energies)
    except PetFlowsError as error:
        logger.warning("The hulls are without DFT: %s", error)
        return _Fixed(())
    return _Fixed(list(found.phases.values()))


def _phases(hull: Hull, phases: Sequence[Phase], elements: list[str]) -> dict[str, Any]:
    from pymatgen.core import Composition

    above = [hull.above(phase) for phase in phases]
    fractions = [Composition(phase.formula) for phase in phases]
    return {
        "formation": [hull.formation(phase) for phase in phases],
        "above": above,
        "stable": [distance < _ON_HULL for distance in above],
        "fractions": [[one.get_atomic_fraction(e) for e in elements] for one in fractions],
    }


def stabilities(store: ResultStore, campaign: str) -> list[dict[str, Any]]:
    """How well each potential tells what is stable on DFT's hull, which stays fixed.

    Returns
    -------
    list of dict
        ``potential``, ``n``, ``missing``, ``f1``, ``precision``, ``recall``, ``daf``, ``mae``
        (eV/atom) and the four ``counts``.
    """
    try:
        found = above_hull(store, campaign, "dft")
    except (PetFlowsError, ValueError) as error:
        logger.warning("Nothing is said of stability: %s", error)
        return []
    return [_stability(one) for one in found if one.stability is not None]


def _stability(found: AboveHull) -> dict[str, Any]:
    said = found.stability
    assert said is not None
    counts = said.counts
    return {
        "potential": found.potential,
        "level": str(found.references.method) if found.references is not None else "",
        "n": counts.n,
        "missing": said.missing,
        "f1": counts.f1,
        "precision": counts.precision,
        "recall": counts.recall,
        "daf": counts.daf,
        "mae": said.mae,
        "counts": asdict(counts),
    }
