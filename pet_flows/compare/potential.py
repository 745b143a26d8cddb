"""The level of theory of the potential that a record was made with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pet_flows.dft.level import FORCE_FIELD, LevelOfTheory
from pet_flows.models import hub
from pet_flows.models.catalogue import card_of, card_of_variant
from pet_flows.models.family import card_of_name


def is_force_field(reference: Mapping[str, Any]) -> bool:
    """Whether a reference is of another potential, and not of DFT."""
    return bool(reference["level"].get("code") == FORCE_FIELD)


def level_of(potential: Mapping[str, Any]) -> LevelOfTheory:
    """Level of the training data, from the card of the model where it is ours or the hub's.

    Parameters
    ----------
    potential
        As in a record. Of a model without a card its ``functional`` and ``run_type`` are all that
        is known.
    """
    names = ("sha256", "name", "variant", "functional", "run_type")
    return _level(*(None if (said := potential.get(name)) is None else str(said) for name in names))


@lru_cache(maxsize=64)
def _level(
    sha256: str | None,
    name: str | None,
    variant: str | None,
    functional: str | None,
    run_type: str | None,
) -> LevelOfTheory:
    said = {"functional": functional, "run_type": run_type}
    card = card_of(str(sha256))
    if card is None:
        card = card_of_name(str(name)) or hub.card(Path(f"{name}.ckpt"))
        card = card_of_variant(card, variant)
        if card.get("functional") != said["functional"]:  # another model that is called alike
            card = {}
    return LevelOfTheory.from_card({**said, **card})
