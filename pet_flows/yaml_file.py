"""YAML that a user wrote, with the line of every value for the sentences about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pet_flows.errors import PetFlowsError

#: path of a value: keys of mappings and places in lists
Place = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """Content of a YAML file.

    Parameters
    ----------
    path
        Where it lies.
    values
        Plain dicts, lists and scalars.
    lines
        Line (from 1) of each value, by its path.
    """

    path: Path
    values: dict[str, Any]
    lines: dict[Place, int]

    def where(self, place: Sequence[str | int]) -> str:
        """Beginning of a sentence about a value: ``Line 7 of oxides.yaml: ``."""
        known = tuple(place)
        while known and known not in self.lines:
            known = known[:-1]
        return f"Line {self.lines[known]} of {self.path}: " if known else f"{self.path}: "


def read_yaml(path: Path) -> YamlFile:
    """Read a file of names with values.

    Raises
    ------
    PetFlowsError
        It cannot be read, is not YAML, or holds anything else than names with values; names the
        line.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        content = YAML().load(path.read_text(encoding="utf-8"))  # round trip: it remembers lines
    except YAMLError as error:
        mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
        where = f"Line {mark.line + 1} of {path}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise PetFlowsError(f"{where} is not YAML ({problem}): correct it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PetFlowsError(f"{path} cannot be read ({error}): give a text file.") from None
    if content is None:
        return YamlFile(path, {}, {})
    if not isinstance(content, dict):
        raise PetFlowsError(f"{path} must hold lines like `name: value` and nothing else.")
    lines: dict[Place, int] = {}
    return YamlFile(path, _plain(content, (), lines), lines)


def _plain(value: Any, place: Place, lines: dict[Place, int]) -> Any:
    """The value without ruamel's own types; its lines are noted on the way."""
    if isinstance(value, dict):
        known = getattr(getattr(value, "lc", None), "data", None) or {}
        for key in value:
            if key in known:
                lines[(*place, str(key))] = known[key][0] + 1
        return {str(k): _plain(v, (*place, str(k)), lines) for k, v in value.items()}
    if isinstance(value, list):
        known = getattr(getattr(value, "lc", None), "data", None) or {}
        for n in range(len(value)):
            if n in known:
                lines[(*place, n)] = known[n][0] + 1
        return [_plain(v, (*place, n), lines) for n, v in enumerate(value)]
    if isinstance(value, bool) or value is None:
        return value
    if value == "None":
        return None  # as Python, and the descriptions of settings, have it
    for kind in (int, float, str):  # ruamel's scalars remember how they were written
        if isinstance(value, kind):
            return kind(value)
    return str(value)
