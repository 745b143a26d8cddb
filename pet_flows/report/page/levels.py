"""Levels of theory on the pages: short names that tell several of one functional apart."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pet_flows.dft.level import LevelOfTheory
from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)


class Levels:
    """The levels of theory of comparisons, as they come along.

    Parameters
    ----------
    store
        Whose references say all about a level.
    """

    def __init__(self, store: ResultStore):
        self._store = store
        self._functionals: dict[str, str] = {}

    def add(self, level: Mapping[str, Any]) -> str:
        """Take note of the level of a comparison, and give its digest."""
        key = str(level.get("digest"))
        self._functionals.setdefault(
            key, str(level.get("functional") or "unknown functional").strip()
        )
        return key

    def named(self) -> tuple[dict[str, str], dict[str, str]]:
        """Short name of each digest, and all that is known of each short name."""
        whole = {
            key: self._whole(key) or functional for key, functional in self._functionals.items()
        }
        short: dict[str, str] = {}
        for functional in dict.fromkeys(self._functionals.values()):
            group = {k: whole[k] for k, name in self._functionals.items() if name == functional}
            short |= told_apart(functional, group)
        return short, {short[key]: said for key, said in whole.items()}

    def _whole(self, digest: str) -> str:
        """All that is known of a level, from one of its references."""
        for document in self._store.references.find({"level.digest": digest}, ["level"]):
            return level_text(document["level"])
        return ""


def told_apart(functional: str, levels: Mapping[str, str]) -> dict[str, str]:
    """Names of levels of one functional: it, and what not all of them share.

    >>> told_apart("PBE", {"a": "PBE, non-magnetic"})
    {'a': 'PBE'}
    >>> told_apart("PBE", {"a": "PBE, 520 eV, non-magnetic", "b": "PBE, non-magnetic"})
    {'a': 'PBE, 520 eV', 'b': 'PBE'}
    """
    parts = {key: said.split(", ") for key, said in levels.items()}
    shared = set.intersection(*(set(found) for found in parts.values()))
    names: dict[str, str] = {}
    for key, found in parts.items():
        own = [part for part in found if part not in shared and part != functional]
        name = ", ".join([functional, *own])
        same = sum(there == name or there.startswith(f"{name} #") for there in names.values())
        names[key] = f"{name} #{same + 1}" if same else name
    return names


def level_text(level: Mapping[str, Any]) -> str:
    """Level of theory of a document on one line."""
    try:
        return str(LevelOfTheory(**{k: v for k, v in level.items() if k != "digest"}))
    except (ValidationError, TypeError):
        logger.warning("A reference has a level of theory that cannot be read: %s.", level)
        return str(level.get("functional") or "unknown functional")
