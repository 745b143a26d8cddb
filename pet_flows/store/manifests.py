"""What a campaign is about, and how it may grow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.records.keys import FIRST, digest

#: settings that manifests held before they became execution, which no campaign is about
RETIRED = {"md": ("checkpoint_every",)}


def merged(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
    """Manifest of a campaign to which another one is added.

    Raises
    ------
    PetFlowsError
        Of the same property they have other settings, or one of them relaxes the structures that
        the other takes as they are.
    """
    if old is None:
        return dict(new)
    there = _today(old)
    relaxed = [FIRST in of["properties"] for of in (there, new) if of.get("properties")]
    if relaxed == [True, False]:
        raise PetFlowsError(
            f"There is a campaign {new['name']!r} already, which relaxes its structures first: "
            f"name {FIRST} among the properties, or choose another name."
        )
    if relaxed == [False, True]:
        raise PetFlowsError(
            f"There is a campaign {new['name']!r} already, of structures as they are: leave out "
            f"{FIRST}, or choose another name."
        )
    settings = dict(there.get("settings") or {})
    for name, of in (new.get("settings") or {}).items():
        if name in settings and digest(settings[name]) != digest(of):
            raise PetFlowsError(
                f"There is a campaign {new['name']!r} already, with other settings of {name}: "
                "repeat those it was made with, or choose another name."
            )
        settings[name] = of
    properties = {*there.get("properties", ()), *new.get("properties", ())}
    potentials = _potentials(there)
    for one in _potentials(new):
        for n, known in enumerate(potentials):
            if _is_one(known, one):
                potentials[n] = {**known, **one}
                break
        else:
            potentials.append(one)
    whole = {**old, **{key: value for key, value in new.items() if key not in old}}
    if properties:
        whole["properties"] = sorted(properties)
    if settings:
        whole["settings"] = settings
    if potentials:
        whole["potentials"] = potentials[0] if len(potentials) == 1 else potentials
    if "n_inputs" in old and "n_inputs" in new:
        whole["n_inputs"] = max(old["n_inputs"], new["n_inputs"])
    return whole


def _potentials(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Per potential, by property, what is used."""
    given = manifest.get("potentials") or []
    return [dict(one) for one in (given if isinstance(given, list) else [given])]


def _is_one(known: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two entries are of one potential: what they share they have alike."""
    if shared := known.keys() & other.keys():
        return all(known[name] == other[name] for name in shared)
    fields = ("sha256", "dtype")
    kinds = {tuple(of[f] for f in fields) for one in (known, other) for of in one.values()}
    return len(kinds) == 1


def _today(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A stored manifest without the settings that are execution by now."""
    settings = {
        name: {key: v for key, v in of.items() if key not in RETIRED.get(name, ())}
        for name, of in manifest.get("settings", {}).items()
    }
    return {**manifest, **({"settings": settings} if settings else {})}
