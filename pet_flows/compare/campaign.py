"""A campaign of the store next to DFT, kept in ``pet_comparisons``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pet_flows.compare.match import Matched, match
from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


def compare_campaign(
    store: ResultStore, campaign: str, *, keep: bool = False, across_levels: bool = False
) -> Matched:
    """Match a campaign's records with the references there are.

    Parameters
    ----------
    store
        Where the records are.
    campaign
        Its name.
    keep
        Also write the comparisons and references they use into the store.
    across_levels
        Also compare where functional, U, spin or pseudopotentials differ; each row says in what.

    Raises
    ------
    PetFlowsError
        No record belongs to such a campaign.
    """
    records = list(store.query({"sources.campaign": campaign}))
    if not records:
        raise PetFlowsError(
            f"No record in this store belongs to a campaign {campaign!r}; list the records there "
            "are with pet-flows query."
        )
    phases = _training_phases({r["potential"]["sha256"] for r in records})
    matched = match(records, phases, across_levels=across_levels)
    if keep:
        store.put_references(matched.reference_documents())
        store.put_comparisons(matched.comparison_documents())
    return matched


def _training_phases(hashes: set[str]) -> dict[str, list[str]] | None:
    """Training phases from the card of the bundled model with one of these hashes."""
    from pet_flows.models.catalogue import card_of

    cards = [card for card in map(card_of, sorted(hashes)) if card is not None]
    return cards[0].get("training_phases") if cards else None
