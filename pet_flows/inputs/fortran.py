"""Numbers of a line as Fortran reads them: list-directed, up to the first entry that is none."""

from __future__ import annotations

import re

_D_EXPONENT = re.compile(r"(?<=[\d.])[dDqQ](?=[+-]?\d+$)")
_REPEATED = re.compile(r"([1-9]\d?)\*(.+)")
_SEPARATING_COMMA = re.compile(r",(?=\s|$)")
"""A comma inside of a number may be a decimal one, which Fortran would cut the number at."""


def leading_numbers(line: str) -> list[float]:
    """Give the numbers that a line begins with.

    ``1.0d0`` is a number, ``3*0.5`` is three of them, NaN is one too (and refused later). Numbers
    are parted by blanks, with a comma or without.

    >>> leading_numbers("5.43D0, 2*0 ! Angstrom")
    [5.43, 0.0, 0.0]
    """
    found: list[float] = []
    for entry in _SEPARATING_COMMA.sub(" ", line).split():
        repeated = _REPEATED.fullmatch(entry)
        try:
            number = float(_D_EXPONENT.sub("e", repeated[2] if repeated else entry))
        except ValueError:
            return found
        found += [number] * (int(repeated[1]) if repeated else 1)
    return found


def integers(line: str) -> list[int] | None:
    """Give the integers that a line consists of, up to a remark; None if it does not."""
    try:
        return [int(entry) for entry in without_remark(line).split()] or None
    except ValueError:
        return None


def without_remark(line: str) -> str:
    """Cut a line at ``!`` or ``#``."""
    return re.split("[!#]", line, maxsplit=1)[0]
