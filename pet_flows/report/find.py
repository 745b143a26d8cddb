"""Which records a person means: by key, the beginning of one, identifier, or campaign."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore

#: characters of a key that are enough to name a record, if no other begins with them
SHORTEST_KEY = 6
#: records whose identifiers are compared with one that there is not
_LOOKED_AT = 5000


@dataclass(frozen=True)
class Named:
    """What an argument on the command line names.

    Parameters
    ----------
    name
        As it was given.
    criteria
        A query for the records.
    is_campaign, is_identifier
        What it names; a record's key is neither.
    """

    name: str
    criteria: dict[str, Any]
    is_campaign: bool = False
    is_identifier: bool = False


def find(store: ResultStore, name: str) -> Named:
    """Find what an argument names.

    Raises
    ------
    PetFlowsError
        Nothing, or the beginning of several keys.
    """
    by_name = {
        "is_identifier": {"sources.material_id": name},
        "is_campaign": {"sources.campaign": name},
    }
    there = {
        kind: criteria
        for kind, criteria in by_name.items()
        if next(store.query(criteria, ["_id"], limit=1), None) is not None
    }
    if there:
        criteria = list(there.values())
        kinds = dict.fromkeys(there, True)
        return Named(name, criteria[0] if len(there) == 1 else {"$or": criteria}, **kinds)
    if re.fullmatch(rf"[0-9a-f]{{{SHORTEST_KEY},}}", name):
        # hexadecimal digits all come before g
        begins = {"_id": {"$gte": name, "$lt": f"{name}g"}}
        keys = list(store.query(begins, ["property", "formula_pretty"], limit=4))
        if len(keys) > 1:
            listed = ", ".join(
                f"{r['_id'][: len(name) + 4]}… ({r.get('property')} of {r.get('formula_pretty')})"
                for r in keys[:3]
            )
            more = " and more" * (len(keys) > 3)
            raise PetFlowsError(
                f"The keys of several records begin with {name}: {listed}{more}; give more of the "
                "one that you mean."
            )
        if keys:
            return Named(name, {"_id": keys[0]["_id"]})
    known = set(store.campaigns.names())
    for record in store.query({}, ["sources.material_id"], limit=_LOOKED_AT):
        known.update(identifiers(record))
    near = nearest(name, known)
    raise PetFlowsError(
        f"There is no record, identifier or campaign {name!r} in this store: "
        + (f"did you mean {near!r}?" if near else "list those there are with pet-flows query.")
    )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """What a misspelt name may have been meant to be."""
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1)), None)


def identifiers(record: Mapping[str, Any], campaign: str | None = None) -> list[str]:
    """Identifiers under which a record is known, in order; paths of what has none.

    Parameters
    ----------
    record
        With its ``sources``.
    campaign
        Where it has a source of this campaign, only those identifiers.
    """
    sources = record.get("sources", ())
    if campaign is not None:
        sources = [s for s in sources if s.get("campaign") == campaign] or sources
    return sorted({s.get("material_id") or s.get("path") or "" for s in sources} - {""})


def label(record: Mapping[str, Any], asked: str | None = None) -> str:
    """Give a record one name.

    Parameters
    ----------
    record
        With its ``sources``.
    asked
        The identifier by which it was asked for, or the campaign, whose name for it is taken.
    """
    names = identifiers(record, asked)
    if asked in names:
        return str(asked)
    return names[0] if names else str(record["_id"])[:12]
