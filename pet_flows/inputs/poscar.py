"""POSCAR files: read by pymatgen; what is wrong with the others is said line by line."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from pet_flows.inputs.identifiers import name_of_file
from pet_flows.inputs.structure import InputStructure, make_input, make_source
from pet_flows.inputs.text import DamagedError, quoted, read_text


def read_poscar(path: Path) -> Iterator[InputStructure]:
    """Read a POSCAR; one without element symbols is refused, never guessed.

    Raises
    ------
    DamagedError
        Names the line that is not as it should be.
    """
    from pymatgen.io.vasp.inputs import Poscar

    lines = read_text(path).splitlines()
    end = _check(lines)
    lines[2:5] = [" ".join(line.split()[:3]) for line in lines[2:5]]  # remarks may follow
    # velocities and what else an MD run appends say nothing here, so they may be damaged
    words = chain.from_iterable(line.split() for line in lines[end:])
    dropped = ["velocities"] if any(_numbers([word]) and float(word) for word in words) else []
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*cannot be determined.*")
        try:
            poscar = Poscar.from_str("\n".join(lines[:end]))
        except Warning as warning:
            if "cannot be determined" not in str(warning):
                raise
            raise DamagedError("names no elements: add the line of symbols of VASP 5.") from None
    source = make_source(material_id=name_of_file(path), path=path)
    yield make_input(poscar.structure, source, dropped)


def _check(lines: list[str]) -> int:
    """Refuse a POSCAR whose lines are not those that its own counts ask for; give their number."""
    _demand(lines, 1, "one scaling factor", lambda words: len(words) == 1 and _numbers(words))
    for at in (2, 3, 4):
        _demand(lines, at, "a lattice vector", lambda words: _numbers(words[:3]) == 3)
    counts_at = next((n for n in range(5, len(lines)) if _integers(lines[n])), len(lines))
    symbols = sum(len(re.split("[!#]", line)[0].split()) for line in lines[5:counts_at])
    _demand(lines, counts_at, "how many atoms there are of each element", lambda words: bool(words))
    counts: list[int] = []
    for at in range(counts_at, counts_at + max(1, counts_at - 5)):  # lines as those of symbols
        counts += _integers(lines[at]) or [] if at < len(lines) else []
    at += 1
    if symbols and symbols != len(counts):
        raise DamagedError(
            f"names {symbols} elements in line 6, but counts the atoms of {len(counts)} in line "
            f"{counts_at + 1}: correct one of them."
        )
    if min(counts) < 0:
        raise DamagedError(
            f"asks for {min(counts)} atoms of an element in line {counts_at + 1}: correct it."
        )
    selective = at < len(lines) and lines[at].strip()[:1] in ("s", "S")
    at += selective
    _demand(lines, at, "Direct or Cartesian", lambda words: bool(words) and words[0][0].isalpha())
    first = at + 1
    for at in range(first, first + sum(counts)):
        what = f"position {at - first + 1} of {sum(counts)}"
        _demand(lines, at, what, lambda words: _numbers(words[:3]) == 3)
        if selective:
            _demand(lines, at, f"T or F for each axis of {what}", lambda words: len(words) > 5)
    after = first + sum(counts)  # velocities come after an empty line
    if after < len(lines) and _numbers(lines[after].split()[:3]) == 3:
        raise DamagedError(
            f"counts {sum(counts)} atoms, but goes on with another position in line {after + 1}: "
            "correct the counts or the positions."
        )
    return after


def _demand(lines: list[str], at: int, what: str, holds: Callable[[list[str]], Any]) -> None:
    """Raise unless line ``at`` (from 0) is there and holds what it should."""
    if at >= len(lines):
        raise DamagedError(
            f"ends after line {len(lines)}, where {what} should follow: it was cut off; restore it."
        )
    if not holds(lines[at].split()):
        raise DamagedError(
            f"should give {what} in line {at + 1}, but says {quoted(lines[at].strip())}: correct "
            "it."
        )


def _numbers(words: list[str]) -> int:
    """Count the leading words that are numbers (NaN is one, and refused later)."""
    for n, word in enumerate(words):
        try:
            float(word)
        except ValueError:
            return n
    return len(words)


def _integers(line: str) -> list[int] | None:
    """Give the integers that a line consists of, up to a remark."""
    words = line.partition("!")[0].partition("#")[0].split()
    try:
        return [int(word) for word in words] or None
    except ValueError:
        return None
