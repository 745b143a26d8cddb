"""The level of theory that a user gives: text of ``--level`` → fields of a level."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any

import yaml

from pet_flows.dft.functionals import KNOWN, is_known
from pet_flows.dft.level import FORCE_FIELD, MATERIALS_PROJECT_U, LevelOfTheory, is_mixture
from pet_flows.errors import PetFlowsError
from pet_flows.validate import Place, validated

_UNKNOWN = ("null", "unknown", "")
_NONE = ("none", "no", "false", "0")
#: commas, but those inside of brackets
_COMMA = re.compile(r",(?![^\[{]*[\]}])")
#: fields whose values may be given by element
_BY_ELEMENT = ("u", "pseudopotentials")
_LIKE = "write it like functional=PBE,spin=true,u.Fe=5.3"


def parse_level(text: str | None) -> dict[str, Any]:
    """Fields of a level of theory from ``functional=PBE,spin=true,u.Fe=5.3,cutoff=520``.

    Raises
    ------
    PetFlowsError
        A part is not of this form, or a field is none of a level.
    """
    found: dict[str, Any] = {}
    for part in _COMMA.split(text) if text else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not name:
            raise PetFlowsError(f"--level holds {part.strip()!r}: {_LIKE}.")
        put_field(found, name, value)
    if found:
        checked({"functional": "PBE", **found})
    return found


def put_field(found: dict[str, Any], name: str, value: str, where: str = "--level") -> None:
    """Add one field of a level, or its part of one element.

    Parameters
    ----------
    found
        Fields so far.
    name, value
        ``functional`` and ``PBE``, or ``u.Fe`` and ``5.3``.
    where
        Names the place where it is written, for a sentence.

    Raises
    ------
    PetFlowsError
        It is not of this form.
    """
    field, dot, element = name.partition(".")
    content = _content(field, value, where)
    if not dot:
        found[field] = content
    elif field in _BY_ELEMENT and element:
        if not isinstance(found.setdefault(field, {}), dict):
            raise PetFlowsError(f"{where} says {field} twice, {name}={value} too: {_LIKE}.")
        found[field][element] = content
    else:
        raise PetFlowsError(
            f"{where} holds {name}={value}, but only {' and '.join(_BY_ELEMENT)} are by "
            f"element: {_LIKE}."
        )


def checked(fields: Mapping[str, Any]) -> LevelOfTheory:
    """Level of fields that a user gave, or a sentence; see `completed`."""
    return validated(LevelOfTheory, completed(fields), _of_level)


def completed(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields in which a U that the functional's name says is none of its name.

    Parameters
    ----------
    fields
        ``functional`` may be ``PBE+U``, or a run type of the Materials Project such as
        ``GGA_GGA+U``, whose U is then the Materials Project's.

    Raises
    ------
    PetFlowsError
        The name says U, and ``u`` says that there is none.
    """
    name = fields.get("functional")
    if not isinstance(name, str) or not name.strip().upper().endswith("+U"):
        return dict(fields)
    if is_mixture(name):
        usual = {"u": MATERIALS_PROJECT_U, "u_with": ("F", "O")}
        given = {key: fields[key] for key in usual if fields.get(key)}
        return {**fields, **usual, **given, "functional": "PBE"}
    if "_" in name:
        raise PetFlowsError(
            f"The functional {name} mixes calculations of several functionals: give one of them."
        )
    if fields.get("u") == {}:
        raise PetFlowsError(
            f"The functional {name} is with U, and u says none: give u.Fe=5.3, or the functional "
            "alone."
        )
    return {**fields, "functional": name.strip()[:-2].strip()}


def doubt_of(fields: Mapping[str, Any]) -> str | None:
    """What may be wrong with a functional that a user gave: its name is none that is known."""
    name = completed(fields).get("functional")
    if not isinstance(name, str) or is_known(name) or fields.get("code") == FORCE_FIELD:
        return None
    near = difflib.get_close_matches(name.casefold(), [one.casefold() for one in KNOWN], n=1)
    meant = f"; {next(one for one in KNOWN if one.casefold() == near[0])}?" if near else ""
    return f"the functional {name} that was given is of no known name{meant}"


def _content(field: str, value: str, where: str) -> Any:
    if value.casefold() in _UNKNOWN:
        return None
    if value.casefold() in _NONE and field == "u":
        return {}
    if value.casefold() == "none":
        return None
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        raise PetFlowsError(
            f"{where} holds {field}={value}, which is not a value: {_LIKE}."
        ) from None


def _of_level(place: Place) -> str:
    return "In the level of theory "
