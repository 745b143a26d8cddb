"""Levels of theory that the rows of a table say, each its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pet_flows.dft.importers.given_level import checked, put_field
from pet_flows.dft.level import LevelOfTheory
from pet_flows.errors import PetFlowsError
from pet_flows.validate import unknown

#: begins what a column of a level is mapped to: ``level.functional``, ``level.u.Fe``
PREFIX = "level."


def level_columns(columns: Mapping[str, str]) -> dict[str, str]:
    """Column → field of a level, of those that are mapped to one.

    Raises
    ------
    PetFlowsError
        A level has no such field.
    """
    found = {
        name: field.removeprefix(PREFIX)
        for name, field in columns.items()
        if field.startswith(PREFIX)
    }
    known = [name for name in LevelOfTheory.model_fields if name != "digest"]
    for name, field in found.items():
        if (first := field.partition(".")[0]) not in known:
            raise PetFlowsError(
                unknown(first, known, "field of a level of theory", f"--map {name}: ")
            )
    return found


def level_of_row(row: Mapping[str, Any], columns: Mapping[str, str]) -> LevelOfTheory | None:
    """Level of theory of a row; None where no column says one.

    Parameters
    ----------
    row
        Column → cell; an empty one says nothing.
    columns
        Of `level_columns`.

    Raises
    ------
    PetFlowsError
        A cell is not what the field holds.
    """
    if not columns:
        return None
    found: dict[str, Any] = {}
    for name, field in columns.items():
        given = row.get(name)
        if given is not None and str(given).strip():
            put_field(found, field, str(given).strip(), f"Its {name}")
    # as of --level, what is not said is unknown: a U as well
    return checked({"functional": None, "u": None, **found})
