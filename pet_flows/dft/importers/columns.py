"""Columns of a table → numbers in the results of properties."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pet_flows.errors import PetFlowsError
from pet_flows.properties.registry import properties
from pet_flows.properties.result import Strict
from pet_flows.validate import inner_model, unknown

#: end of a field whose column is of the whole cell, while results are per atom
PER_CELL = "/cell"
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")


@dataclass(frozen=True)
class Column:
    """One column of a table, and the number of a result that it holds.

    Parameters
    ----------
    name
        Of the column.
    property
        Whose result.
    field
        Of it.
    temperature, inner
        Of a field that is a list over temperatures: K, and the field of its entries.
    per_cell
        Whether the number is of the whole cell.
    """

    name: str
    property: str
    field: str
    temperature: float | None = None
    inner: str | None = None
    per_cell: bool = False

    @classmethod
    def parse(cls, name: str, field: str) -> Column:
        """Column that holds ``elastic.k_vrh``, ``b0`` or ``phonon.thermal.300.cv/cell``.

        Raises
        ------
        PetFlowsError
            No result has such a number, or several have.
        """
        path = field.removesuffix(PER_CELL)
        first, *rest = path.split(".")
        known = properties()
        if first in known and rest:
            property = first
        else:
            first, rest = "", path.split(".")
            owners = [p for p, of in known.items() if rest[0] in of.result.model_fields]
            if len(owners) > 1:
                listed = " or ".join(f"{owner}.{path}" for owner in owners)
                raise PetFlowsError(f"--map {name}={field} could be several: write {listed}.")
            if not owners:
                every = [f for of in known.values() for f in of.result.model_fields]
                raise PetFlowsError(
                    unknown(rest[0], every, "number in the result of a property", f"--map {name}: ")
                )
            property = owners[0]
        fields = known[property].result.model_fields
        if rest[0] not in fields:
            raise PetFlowsError(
                unknown(rest[0], list(fields), f"number in {property}", f"--map {name}: ")
            )
        per_cell = field != path
        if len(rest) == 1 and _is_number(fields[rest[0]].annotation):
            return cls(name, property, rest[0], per_cell=per_cell)
        entry = inner_model(fields[rest[0]].annotation)
        if len(rest) == 3 and _is_over_temperatures(entry) and rest[2] in entry.model_fields:
            try:
                return cls(name, property, rest[0], float(rest[1]), rest[2], per_cell)
            except ValueError:
                pass
        raise PetFlowsError(
            f"--map {name}={field} does not name one number: write a field such as elastic.k_vrh, "
            "or with a temperature phonon.thermal.300.cv."
        )

    def put(self, result: dict[str, Any], given: Any, n_atoms: int) -> None:
        """Put the number of a row into its place.

        Raises
        ------
        PetFlowsError
            It is no finite number.
        """
        if isinstance(given, str) and _DECIMAL_COMMA.fullmatch(given.strip()):
            raise PetFlowsError(
                f"Its {self.name} is written with a decimal comma ({given.strip()!r:.40}): write "
                f"{given.strip().replace(',', '.'):.40}."
            )
        try:
            number = float(given)
        except (TypeError, ValueError):
            number = math.nan
        if isinstance(given, bool) or not math.isfinite(number):
            raise PetFlowsError(f"Its {self.name} is not a number ({given!r:.40}): correct it.")
        number /= n_atoms if self.per_cell else 1
        if self.temperature is None:
            result[self.field] = number
            return
        points = result.setdefault(self.field, [])
        for point in points:
            if point["T"] == self.temperature:
                point[self.inner] = number
                return
        points.append({"T": self.temperature, self.inner: number})
        points.sort(key=lambda point: point["T"])


def results(
    row: Mapping[str, Any], columns: Iterable[Column], n_atoms: int
) -> dict[str, dict[str, Any]]:
    """Property → what a row says of it; empty cells are left out.

    Raises
    ------
    PetFlowsError
        A cell holds something else than a number, or there is no number at all.
    """
    found: dict[str, dict[str, Any]] = {}
    names = []
    for column in columns:
        names.append(column.name)
        given = row.get(column.name)
        if given is None or (isinstance(given, str) and not given.strip()):
            continue
        column.put(found.setdefault(column.property, {}), given, n_atoms)
    if not found:
        listed = ", ".join(dict.fromkeys(names))
        raise PetFlowsError(f"It has no number in {listed}: fill it in, or remove the row.")
    return found


def _is_number(annotation: Any) -> bool:
    """Whether a field of a result is one number, or None."""
    if annotation in (int, float):
        return True
    if isinstance(annotation, UnionType) or get_origin(annotation) in (Annotated, Union):
        return any(map(_is_number, get_args(annotation)))
    return False


def _is_over_temperatures(entry: Any) -> bool:
    return isinstance(entry, type) and issubclass(entry, Strict) and "T" in entry.model_fields
