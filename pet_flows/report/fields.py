"""Dotted paths into documents, and what the models of the properties say about them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from pet_flows.properties.property import Column, Property
from pet_flows.properties.settings import unit_of

#: what no quantity in any of our units can be told from zero by
_ROUND_OFF = 1e-15


def value_at(document: Any, path: str) -> Any:
    """Value of a dotted path; None where there is none.

    A number picks an entry of a list (``kappa.0.mean``); a name goes into all of them and gives a
    list (``sources.campaign``).
    """
    name, _, rest = path.partition(".")
    if isinstance(document, list):
        if name.isdigit():
            inner = document[int(name)] if int(name) < len(document) else None
        else:
            found = [value_at(item, path) for item in document]
            return [value for value in found if value is not None] or None
    elif isinstance(document, Mapping):
        inner = document.get(name)
    else:
        return None
    return value_at(inner, rest) if rest and inner is not None else inner


@dataclass(frozen=True)
class Described:
    """What a model says about one of its fields."""

    path: str
    unit: str = ""
    description: str = ""


def fields_of(model: type[BaseModel], above: Described | None = None) -> Iterator[Described]:
    """All fields of a model that hold no further model, those of nested ones by dotted paths.

    A nested field without unit or description has that of the field it is in.
    """
    for name, field in model.model_fields.items():
        here = Described(
            f"{above.path}.{name}" if above else name,
            unit_of(field) or (above.unit if above else ""),
            field.description or (above.description if above else ""),
        )
        inner = _model_in(field.annotation)
        if inner is None:
            yield here
        else:
            yield from fields_of(inner, here)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Model that an annotation holds, be it optional or a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def columns_of(prop: Property) -> list[Column]:
    """Columns that a property has in a table of many structures."""
    known = {described.path: described for described in fields_of(prop.result)}

    def of_path(path: str) -> Column:
        described = known.get(path, Described(path))
        return Column(path, lambda result: value_at(result, path), described.unit)

    return [entry if isinstance(entry, Column) else of_path(entry) for entry in prop.table]


def cell_of(column: Column, result: Mapping[str, Any]) -> Any:
    """Value of a column; None where a result, of what did not converge, lacks it."""
    try:
        return column.value(result)
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def number_text(value: Any, digits: int = 6) -> str:
    """Write a value for people: so many significant digits, yes and no, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        if abs(value) < _ROUND_OFF:
            return "0"
        return f"{value:.{digits}g}"
    if isinstance(value, list | tuple):
        return " ".join(number_text(item, digits) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {number_text(item, digits)}" for key, item in value.items())
    return str(value)
