"""POSCAR files as VASP reads them; what is wrong with one is said line by line.

Format: the VASP manual, POSCAR. pymatgen multiplies Cartesian positions by a negative factor, which
is a volume, and refuses three factors; so the positions are put together here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Element, Lattice, Structure
from pymatgen.core.periodic_table import get_el_sp

from pet_flows.inputs.fortran import integers, leading_numbers, without_remark
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
    lines = read_text(path).splitlines()
    scaling, vectors = _cell(lines)
    symbols, counts, at = _elements(lines)
    selective = at < len(lines) and lines[at].strip()[:1] in ("s", "S")
    at += selective
    _demand(lines, at, "Direct or Cartesian", lambda line: line.strip()[:1].isalpha())
    cartesian = lines[at].strip()[0] in "cCkK"
    if cartesian and not np.linalg.det(vectors * scaling):
        raise DamagedError(
            "has lattice vectors that lie in a plane: correct them, three must be independent.",
            "degenerate_cell",
        )
    positions, end = _positions(lines, at + 1, sum(counts), selective)
    named = [symbol for symbol, count in zip(symbols, counts, strict=False) for _ in range(count)]
    structure = Structure(
        Lattice(vectors * scaling),
        named or _named_behind_positions(lines[at + 1 : end], 6 if selective else 3),
        positions * scaling if cartesian else positions,
        coords_are_cartesian=cartesian,
    )
    # velocities and what else an MD run appends say nothing here, so they may be damaged
    after = chain.from_iterable(leading_numbers(line) for line in lines[end:])
    flags = chain.from_iterable(line.split()[3:6] for line in lines[at + 1 : end])
    fixed = selective and any(flag.upper().strip(".")[:1] != "T" for flag in flags)
    dropped = ["selective dynamics"] if fixed else []
    dropped += ["velocities"] if any(after) else []
    yield make_input(structure, make_source(material_id=name_of_file(path), path=path), dropped)


def _cell(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Give the factors of the x, y and z components, and the vectors (3, 3) that they multiply."""
    what = "three scaling factors or one scaling factor"
    _demand(lines, 1, what, lambda line: len(leading_numbers(line)) in (1, 3))
    for at in (2, 3, 4):
        _demand(lines, at, "a lattice vector", lambda line: len(leading_numbers(line)) >= 3)
    vectors = np.array([leading_numbers(line)[:3] for line in lines[2:5]])
    factors = np.array(leading_numbers(lines[1]))
    if (factors == 0).any() or (len(factors) == 3 and (factors < 0).any()):
        raise DamagedError(
            f"scales by {quoted(lines[1].strip())} in line 2: a factor is not 0, and only a single "
            "one may be negative (it is the volume then); correct it.",
            "degenerate_cell",
        )
    if factors[0] < 0 and (volume := abs(np.linalg.det(vectors))):
        factors = np.cbrt(-factors / volume)
    return np.resize(factors, 3), vectors


def _elements(lines: list[str]) -> tuple[list[str], list[int], int]:
    """Give symbols (none in the format of VASP 4), counts, and the line (from 0) behind them."""
    start = next((n for n in range(5, len(lines)) if integers(lines[n])), len(lines))
    entries = chain.from_iterable(without_remark(line).split() for line in lines[5:start])
    # VASP 6 writes the potential and its hash: Si_pv/79d9987ad87
    symbols = [entry.partition("/")[0].partition("_")[0] for entry in entries]
    _demand(lines, start, "how many atoms there are of each element", lambda line: bool(line))
    counts: list[int] = []
    end = start + max(1, start - 5)  # as many lines as those of symbols
    for line in lines[start:end]:
        counts += integers(line) or []
    for symbol in symbols:
        try:
            get_el_sp(symbol)  # Fe3+ is one, too
        except Exception:  # of several types
            raise DamagedError(
                f"names {quoted(symbol)} in line 6, which is not an element: correct it.",
                "unknown_species",
            ) from None
    if symbols and len(symbols) != len(counts):
        raise DamagedError(
            f"names {len(symbols)} elements in line 6, but counts the atoms of {len(counts)} in "
            f"line {start + 1}: correct one of them."
        )
    if min(counts) < 0:
        raise DamagedError(
            f"asks for {min(counts)} atoms of an element in line {start + 1}: correct it."
        )
    return symbols, counts, end


def _positions(
    lines: list[str], first: int, n_atoms: int, selective: bool
) -> tuple[np.ndarray, int]:
    """Give the positions ``(n_atoms, 3)`` as written, and the line (from 0) behind them."""
    end = first + n_atoms
    for at in range(first, end):
        what = f"position {at - first + 1} of {n_atoms}"
        _demand(lines, at, what, lambda line: len(leading_numbers(line)) >= 3)
        if selective:
            _demand(
                lines, at, f"T or F for each axis of {what}", lambda line: len(line.split()) > 5
            )
    # velocities come after an empty line
    if end < len(lines) and len(leading_numbers(lines[end])) >= 3:
        raise DamagedError(
            f"counts {n_atoms} atoms, but goes on with another position in line {end + 1}: "
            "correct the counts or the positions."
        )
    found = [leading_numbers(line)[:3] for line in lines[first:end]]
    return np.array(found).reshape(n_atoms, 3), end


def _named_behind_positions(lines: list[str], column: int) -> list[str]:
    """Take the symbols from behind the positions, where there is one behind each."""
    entries = [line.split()[column : column + 1] for line in lines]
    symbols = [entry[0] for entry in entries if entry and Element.is_valid_symbol(entry[0])]
    if len(symbols) != len(lines):
        raise DamagedError("names no elements: add the line of symbols of VASP 5.")
    return symbols


def _demand(lines: list[str], at: int, what: str, holds: Callable[[str], Any]) -> None:
    """Raise unless line ``at`` (from 0) is there and holds what it should."""
    if at >= len(lines):
        raise DamagedError(
            f"ends after line {len(lines)}, where {what} should follow: it was cut off; restore it."
        )
    if not holds(lines[at]):
        raise DamagedError(
            f"should give {what} in line {at + 1}, but says {quoted(lines[at].strip())}: correct "
            "it."
        )
