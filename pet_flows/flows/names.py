"""Properties as users name them: one, several, or with settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def names_with_settings(given: Any) -> Any:
    """Properties as a dict, however they were written; what is no form of it stays as it is.

    >>> names_with_settings("relax")
    {'relax': {}}
    >>> names_with_settings(["relax", {"eos": {"n_volumes": 9}}])
    {'relax': {}, 'eos': {'n_volumes': 9}}

    Raises
    ------
    ValueError
        A property is named twice with different settings.
    """
    if isinstance(given, str):
        return {name.strip(): {} for name in given.split(",") if name.strip()}
    if isinstance(given, list | tuple):
        found: dict[str, Any] = {}
        for one in given:
            if not isinstance(one, str | Mapping):
                return given
            for name, settings in names_with_settings(one).items():
                if found.get(name, settings) != settings:
                    raise ValueError(
                        f"{name} is named twice in properties, with other settings: name it once."
                    )
                found[name] = settings
        return found
    if isinstance(given, Mapping):  # `relax:` with nothing but comments behind it is None
        return {name: {} if value is None else value for name, value in given.items()}
    return given
