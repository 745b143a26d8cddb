"""Columns of a list of records: fields of the record, or text made of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pet_flows.errors import PetFlowsError
from pet_flows.properties.registry import properties
from pet_flows.records.schema import Record
from pet_flows.report.fields import fields_of, value_at
from pet_flows.report.find import identifiers, nearest


@dataclass(frozen=True)
class ListColumn:
    """One column.

    Parameters
    ----------
    name
        As it was asked for, and as the column is headed.
    path
        Field of the record by which it is sorted; None if there is no order.
    needs
        Fields of the record that must be loaded.
    value
        Record → cell.
    """

    name: str
    path: str | None
    needs: tuple[str, ...]
    value: Callable[[Mapping[str, Any]], Any]


def headline(record: Mapping[str, Any]) -> str:
    """One line that says most about a record, from the declaration of its property."""
    prop = properties().get(record["property"])
    if prop is not None:
        return prop.line(record)
    said = f"{record['reason']}: {record['message']}" if record["state"] != "ok" else ""
    return said or f"{record['property']} is not installed here"


_MADE = {
    "key": ListColumn("key", "_id", ("_id",), lambda record: record["_id"]),
    "material_id": ListColumn(
        "material_id",
        "sources.material_id",
        ("sources",),
        lambda record: ", ".join(identifiers(record)),
    ),
    "formula": ListColumn(
        "formula",
        "formula_pretty",
        ("formula_pretty",),
        lambda record: record.get("formula_pretty") or "",
    ),
    "headline": ListColumn(
        "headline", None, ("property", "state", "reason", "message", "result"), headline
    ),
}
#: of a list for which none are asked
DEFAULT = ("material_id", "formula", "property", "state", "headline", "key")


def column(name: str) -> ListColumn:
    """Column of a name: ``material_id``, a field (``potential.name``), one of a result (``b0``).

    Raises
    ------
    PetFlowsError
        Records have no such field; names the nearest.
    """
    if name in _MADE:
        return _MADE[name]
    head = {field.alias or key for key, field in Record.model_fields.items()}
    results = {field.path for prop in properties().values() for field in fields_of(prop.result)}
    first = name.partition(".")[0]
    if first in head:
        path = name
    elif any(path == name or path.split(".")[0] == first for path in results):
        path = f"result.{name}"
    else:
        near = nearest(name, {*head, *_MADE, *results})
        raise PetFlowsError(
            f"Records have no field {name!r}: "
            + (
                f"did you mean {near!r}?"
                if near
                else f"choose from {', '.join(sorted({*head, *_MADE}))} and the fields of results."
            )
        )
    return ListColumn(name, path, (_loadable(path),), lambda record: value_at(record, path))


def _loadable(path: str) -> str:
    """Give what of a path a database can be asked for: it knows no places in lists."""
    parts = path.split(".")
    numbers = [n for n, part in enumerate(parts) if part.isdigit()]
    return ".".join(parts[: numbers[0]] if numbers else parts)


def projection(columns: Sequence[ListColumn]) -> list[str]:
    """Fields to be loaded, none of them inside another one, which databases refuse."""
    needed = {name for column in columns for name in column.needs}
    return sorted(
        name for name in needed if not any(name.startswith(f"{other}.") for other in needed)
    )


def sort_order(text: str | None) -> dict[str, int]:
    """``-result.b0`` → the database's order; by formula and property without.

    Raises
    ------
    PetFlowsError
        Records have no such field, or it has no order.
    """
    if text is None:
        return {"formula_pretty": 1, "property": 1}
    name = text.removeprefix("-")
    found = column(name)
    if found.path is None:
        raise PetFlowsError(
            f"--sort must be a field of records, such as result.energy_per_atom (got {name})."
        )
    return {found.path: -1 if text.startswith("-") else 1}


def misspelt(columns: Sequence[ListColumn], empty: Iterable[str]) -> Iterator[str]:
    """Sentences about fields of results and settings that no record had and no model knows."""
    known = {
        f"{part}.{field.path}"
        for prop in properties().values()
        for part, model in (("result", prop.result), ("settings", prop.settings))
        for field in fields_of(model)
    }
    absent = set(empty)
    for one in columns:
        if one.name not in absent or one.path is None or "." not in one.path:
            continue
        if _without_places(one.path) in known or one.path.split(".")[0] not in (
            "result",
            "settings",
        ):
            continue
        near = nearest(one.path, known)
        yield f"No record has {one.path}" + (f": did you mean {near!r}?" if near else ".")


def _without_places(path: str) -> str:
    return ".".join(part for part in path.split(".") if not part.isdigit())


def plain_cell(value: Any) -> Any:
    """Give a value as JSON and CSV have it: dates as ISO 8601."""
    return value.isoformat() if isinstance(value, datetime) else value
