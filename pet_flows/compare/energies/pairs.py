"""Energies of a campaign beside those of its references, potential by potential."""

from __future__ import annotations

from collections.abc import Iterator

from pet_flows.compare.energies.phases import (
    Energies,
    ReferenceEnergies,
    energies_of,
    reference_energies,
)
from pet_flows.compare.energies.shift import Material, materials
from pet_flows.compare.shelf import Shelf


def energy_pairs(
    shelf: Shelf, campaign: str
) -> Iterator[tuple[Energies, ReferenceEnergies, list[Material]]]:
    """Energies of each potential, of the references of its level, and of both the pairs.

    Parameters
    ----------
    shelf
        With comparisons that are up to date.
    campaign
        Its name.
    """
    for ours in energies_of(shelf, campaign):
        theirs = reference_energies(shelf.store, ours)
        keys = {key for crystal in ours.crystals.values() for key in crystal.records}
        pairs = materials(
            (d for d in shelf.comparisons([campaign]) if d["record"] in keys),
            {key: phase.energy for key, phase in theirs.phases.items()},
        )
        yield ours, theirs, pairs
