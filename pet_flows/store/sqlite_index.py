"""Which documents can match: MongoDB criteria → SQL over a multikey index."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId

_OPERATORS = {"$eq": "=", "$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
#: values per ``$in`` that go into one statement; SQLite allows 32 766 variables
_MAX_IN = 10_000


@dataclass(frozen=True)
class Narrowed:
    """Condition on ``id`` that holds for every document that matches.

    Parameters
    ----------
    sql, arguments
        Empty where no index helps.
    exact
        Whether it holds for no other document, so that none needs to be looked at.
    """

    sql: str = ""
    arguments: list[Any] = field(default_factory=list)
    exact: bool = False


def indexed_values(document: Mapping[str, Any], path: str) -> set[Any]:
    """Scalars at the end of a dotted path, through lists as MongoDB goes through them."""
    there: list[Any] = [document]
    for part in path.split("."):
        step = []
        for value in there:
            if isinstance(value, list):
                step += [item[part] for item in value if isinstance(item, Mapping) and part in item]
                if part.isdigit() and int(part) < len(value):
                    step.append(value[int(part)])
            elif isinstance(value, Mapping) and part in value:
                step.append(value[part])
        there = step
    scalars = [item for value in there for item in (value if isinstance(value, list) else [value])]
    return {_column(value) for value in scalars if _is_indexable(value)}


def narrow(criteria: Mapping[str, Any], fields: set[str], table: str) -> Narrowed:
    """Translate what the index can answer; the rest is left to the filter.

    Parameters
    ----------
    criteria
        A MongoDB query.
    fields
        Paths that are indexed.
    table
        Quoted name of the index table ``(field, value, id)``.
    """
    parts: list[str] = []
    arguments: list[Any] = []
    exact = True
    for key, condition in criteria.items():
        if key in ("$and", "$or") and not _is_queries(condition):
            found = Narrowed()  # the filter will say what is wrong
        elif key == "$and":
            found = _joined([narrow(c, fields, table) for c in condition], " AND ")
        elif key == "$or":
            branches = [narrow(c, fields, table) for c in condition]
            # one branch without an index, and every document is a candidate
            found = _joined(branches, " OR ") if all(b.sql for b in branches) else Narrowed()
        else:
            found = _on_field(key, condition, fields, table)
        exact = exact and found.exact
        if found.sql:
            parts.append(f"({found.sql})")
            arguments += found.arguments
    return Narrowed(" AND ".join(parts), arguments, exact and bool(parts))


def _joined(found: list[Narrowed], operator: str) -> Narrowed:
    used = [item for item in found if item.sql]
    return Narrowed(
        operator.join(f"({item.sql})" for item in used),
        [argument for item in used for argument in item.arguments],
        bool(found) and all(item.exact for item in found),
    )


def _on_field(key: str, condition: Any, fields: set[str], table: str) -> Narrowed:
    """Narrow by what one field must be."""
    operators = (
        condition
        if isinstance(condition, Mapping)
        and any(str(operator).startswith("$") for operator in condition)
        else {"$eq": condition}
    )
    element = operators.get("$elemMatch")
    if isinstance(element, Mapping) and not any(operator.startswith("$") for operator in element):
        inner = narrow({f"{key}.{name}": value for name, value in element.items()}, fields, table)
        return Narrowed(inner.sql, inner.arguments)  # one element must match all: never exact
    if key not in fields:
        return Narrowed()
    parts: list[str] = []
    arguments: list[Any] = []
    # strings are compared with strings only, so the index alone is right for them
    exact = len(operators) == 1
    for operator, value in operators.items():
        if operator in _OPERATORS and _is_indexable(value):
            parts.append(
                f"id IN (SELECT id FROM {table} WHERE field=? AND value{_OPERATORS[operator]}?)"
            )
            arguments += [key, _column(value)]
            exact = exact and operator == "$eq" and isinstance(value, str)
        elif operator == "$in" and _is_short_list(value):
            marks = ",".join("?" * len(value))
            parts.append(f"id IN (SELECT id FROM {table} WHERE field=? AND value IN ({marks}))")
            arguments += [key, *map(_column, value)]
            exact = exact and all(isinstance(item, str) for item in value)
        else:
            exact = False
    return Narrowed(" AND ".join(parts), arguments, exact and bool(parts))


def _is_queries(condition: Any) -> bool:
    return isinstance(condition, list) and all(isinstance(item, Mapping) for item in condition)


def _is_short_list(value: Any) -> bool:
    return isinstance(value, list) and 0 < len(value) <= _MAX_IN and all(map(_is_indexable, value))


def _is_indexable(value: Any) -> bool:
    """Whether a value has a place in the index; None and NaN have none."""
    if isinstance(value, float):
        return not math.isnan(value)
    return isinstance(value, str | int | datetime | ObjectId)


def _column(value: Any) -> Any:
    """Give a value as SQLite stores it; equal values of MongoDB stay equal."""
    if isinstance(value, ObjectId):
        return value.binary
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=UTC)
        return math.floor(aware.timestamp() * 1000)
    if isinstance(value, str):
        return str(value)
    return float(value) if isinstance(value, float) else int(value)
