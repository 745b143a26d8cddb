"""Values of results and settings as lines for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pet_flows.report.fields import number_text

#: entries of a list that are written out
_LISTED = 10
#: of the largest entry of a matrix: smaller ones are what symmetry makes zero
_ZERO = 1e-12


def scalar_text(value: Any, unit: str = "") -> str:
    """Number or short list with its unit, of a long list its size and range."""
    after = f" {unit}" if unit not in ("", "°") else unit
    if value is None:
        return "none"
    if isinstance(value, list):
        numbers = all(isinstance(x, int | float) for x in value)
        if len(value) > _LISTED and numbers:
            ends = f"{number_text(min(value))} to {number_text(max(value))}"
            return f"{len(value)} values, {ends}{after}"
        return (", ".join(number_text(x, 6) or "none" for x in value) or "none") + after
    return (number_text(value) or "none") + after


def is_matrix(value: Any) -> bool:
    """Whether a value is a list of rows of numbers."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], list)


def is_table(value: Any) -> bool:
    """Whether a value is a list of nested results."""
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def matrix_lines(matrix: Sequence[Sequence[Any]]) -> list[str]:
    """Rows with their columns below each other; what is zero but for round-off is 0."""
    flat = [abs(x) for row in matrix for x in row if isinstance(x, int | float)]
    smallest = _ZERO * max(flat, default=0.0)

    def text(x: Any) -> str:
        if isinstance(x, float):
            return f"{x:.5g}" if abs(x) > smallest else "0"
        return number_text(x)

    return aligned([[text(x) for x in row] for row in matrix])


def table_lines(entries: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> list[str]:
    """Nested results as rows under heads with units; their matrices are left out.

    Parameters
    ----------
    entries
        At least one.
    units
        By name of the field.
    """
    names = [name for name, value in entries[0].items() if not is_matrix(value)]
    heads = [f"{name} ({units[name]})" if units.get(name) else name for name in names]
    rows = [[scalar_text(entry.get(name)) for name in names] for entry in entries[:_LISTED]]
    more = len(entries) - _LISTED
    return aligned([heads, *rows]) + [f"and {more} more"] * (more > 0)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells to the right of their columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def counted(number: int, what: str) -> str:
    """``1 atom``, ``2 atoms``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
