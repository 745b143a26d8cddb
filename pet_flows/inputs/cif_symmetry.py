"""Symmetry operations of a CIF block that names its space group and lists none.

pymatgen takes the first setting that a symbol fits: origin 1 of ``F d -3 m``, hexagonal axes of
``R -3 m``, whatever the Hall symbol beside it says, and makes another crystal of the other one.
Here the setting is the one that the block says, or the only one that its cell can have.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Lattice

from pet_flows.crystallography.standard import full_symbols
from pet_flows.inputs.text import DamagedError, quoted

LISTED_AS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
"""Names of the column of operations; pymatgen knows them in lower case, and with ``_`` behind."""

_NAME = r"_(?:symmetry|space_group)[._](?:space_group_)?name_"
_HALL = re.compile(_NAME + "hall_?")
_HERMANN_MAUGUIN = re.compile(_NAME + r"h-?_?m(?:_alt|_full|_ref)?_?")
_NUMBER = re.compile(r"_(?:space_group_it_number|symmetry_int_tables_number)_?")
_CODE = re.compile(r"_space_group_it_coordinate_system_code_?")
_SAYS_NOTHING = ("", "?", ".")
_CHOICE = {"1": "1", "2": "2", "h": "h", "r": "r", "s": "1", "z": "2", "o1": "1", "o2": "2"}
"""What is written behind a symbol → origin or axes; ICSD writes S and Z for the origins."""
_E_GLIDES = (39, 41, 64, 67, 68)
"""Numbers of the groups whose symbols have an e since 1992."""
_ALIKE, _NOT_ALIKE = 1e-3, 2e-2
"""Largest relative change of the metric under its operations: of a cell, and of none."""
NOT_IN_TABLES = (
    "names the space group {}, which is in no table of ours, and lists no operations: correct the "
    "symbol, or list them (_symmetry_equiv_pos_as_xyz)."
)


def symmetry_of(data: Mapping[str, Any]) -> str | None:
    """Give what a block says of its space group; None where that is nothing, or P1.

    Parameters
    ----------
    data
        Name → value, or list of values, of one block.
    """
    for pattern in (_HERMANN_MAUGUIN, _HALL):
        for said in _said(data, pattern):
            return None if _squeezed(said) == "p1" else said
    return None


def operations_of(data: Mapping[str, Any], lattice: Lattice) -> list[str] | None:
    """Find the operations of a block that names its space group and lists no operations.

    The Hall symbol counts most, then the international one, then the number in the tables.

    Parameters
    ----------
    data
        Name → value, or list of values, of one block.
    lattice
        Its cell, which tells rhombohedral from hexagonal axes, and one unique axis from another.

    Returns
    -------
    ``x,y,z`` strings; None where pymatgen finds them in the block, or nothing is known.

    Raises
    ------
    DamagedError
        More than one setting has this symbol, or none, or the cell cannot have it.
    """
    if any(key in data for name in LISTED_AS for key in (name, f"{name}_")):
        return None
    for key, value in data.items():
        if key.lower().rstrip("_") in LISTED_AS:
            return [value] if isinstance(value, str) else list(value)
        if "_magn" in key.lower():
            return None  # pymatgen has tables of magnetic groups
    said, settings = _settings(data)
    if not settings:
        return None
    strains = [_misfit(setting["symops"], lattice) for setting in settings]
    if min(strains) > _NOT_ALIKE:
        raise DamagedError(
            f"names the space group {quoted(said)}, which a cell of these lengths and angles "
            "cannot have: correct one of them, or list the operations."
        )
    fitting = [s for s, strain in zip(settings, strains, strict=True) if strain <= _ALIKE]
    fitting = fitting or [settings[int(np.argmin(strains))]]
    if 3 <= fitting[0]["number"] <= 15:
        fitting = fitting[:1]  # the short symbol means unique axis b where the cell allows it
    if len({frozenset(setting["symops"]) for setting in fitting}) > 1:
        names = ", ".join(setting["universal_h_m"].replace(" :", ":") for setting in fitting)
        raise DamagedError(
            f"names the space group {quoted(said)}, which may be {names}, and lists no operations: "
            "write which of them it is, or list the operations (_symmetry_equiv_pos_as_xyz)."
        )
    return list(fitting[0]["symops"])


def _settings(data: Mapping[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    """Find the settings that a block may mean, and the word it says them with."""
    for said in _said(data, _HALL):
        if setting := _by_hall().get(_hall(said)):
            return said, [setting]
    code = _squeezed(next(_said(data, _CODE), ""))
    code = code[:1] if code[:1].isdigit() else code  # 2cab: origin 2, other axes
    for said in _said(data, _HERMANN_MAUGUIN):
        symbol, choice = _split(said)
        if found := _chosen(_by_symbol().get(symbol, []), choice or _CHOICE.get(code)):
            return said, found
    number = next(_said(data, _NUMBER), "").partition("(")[0]
    rows = [r for r in _table() if number.isdecimal() and r["number"] == int(number)]
    if not rows:
        return "", []
    symbols = {_squeezed(row["hermann_mauguin"]) for row in rows if "(" not in row["universal_h_m"]}
    unknown = symmetry_of(data)
    if unknown and len(symbols) > 1:  # the number would take one of its settings for all others
        raise DamagedError(NOT_IN_TABLES.format(quoted(unknown)))
    of_symbol = _by_symbol()[_squeezed(rows[0]["hermann_mauguin"])]
    return f"number {int(number)}", _chosen(of_symbol, _CHOICE.get(code))


def _chosen(settings: list[dict[str, Any]], choice: str | None) -> list[dict[str, Any]]:
    """Keep the settings of one origin or of one kind of axes, where there are several."""
    if choice is None or not any(":" in setting["universal_h_m"] for setting in settings):
        return settings
    return [s for s in settings if s["universal_h_m"].lower().partition(":")[2] == choice]


def _split(said: str) -> tuple[str, str | None]:
    """Part an international symbol from the setting behind it: ``F d -3 m :2``, ``R -3 m H``."""
    symbol, _, choice = _squeezed(said).partition(":")
    if not choice and (behind := re.search("(?:[hrsz]|o[12])$", symbol)):
        choice = behind[0]
        symbol = symbol.removesuffix(choice)
    return symbol, _CHOICE.get(choice)


@cache
def _table() -> list[dict[str, Any]]:
    """All settings that pymatgen has in its tables, the standard one of each group first."""
    import pymatgen.symmetry
    from monty.serialization import loadfn

    rows: list[dict[str, Any]] = loadfn(Path(pymatgen.symmetry.__path__[0]) / "symm_ops.json")
    return rows


@cache
def _by_hall() -> dict[str, dict[str, Any]]:
    return {_hall(row["hall"]): row for row in reversed(_table())}


@cache
def _by_symbol() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in _table():
        for name in dict.fromkeys(_names(row)):
            found.setdefault(name, []).append(row)
    return found


@cache
def _full_symbols() -> dict[str, str]:
    """Hall symbol → full international one, as ``P 2_1/n 2_1/m 2_1/a``."""
    return {_hall(symbol): full for symbol, full in full_symbols().items()}


def _names(row: Mapping[str, Any]) -> Iterator[str]:
    """Every spelling of the international symbol of a setting."""
    if "(" in row["universal_h_m"]:  # other vectors than those of the tables
        yield _squeezed(row["universal_h_m"])
        return
    symbol = row["hermann_mauguin"]
    full = _full_symbols().get(_hall(row["hall"]), symbol)
    yield from (_squeezed(symbol), _squeezed(row["short_h_m"]), _squeezed(full))
    if row["number"] in _E_GLIDES:
        centring, *parts = symbol.split()
        for letter in "eabc":
            parts["ABC".index(centring)] = letter
            yield _squeezed(centring + "".join(parts))
            yield _squeezed(full.replace("e", letter))
    if row["number"] >= 200 and "-3" in symbol:
        yield _squeezed(symbol.replace("-3", "3"))  # F m 3 m, as before 1983


def _said(data: Mapping[str, Any], pattern: re.Pattern[str]) -> Iterator[str]:
    """Find what a block says under a name and its variants."""
    for key, value in data.items():
        if pattern.fullmatch(key.lower()):
            text = value[0] if isinstance(value, list) and len(value) == 1 else value
            if isinstance(text, str) and text.strip() not in _SAYS_NOTHING:
                yield text.strip()


def _squeezed(symbol: str) -> str:
    """Spell an international symbol without what is left to taste; ``(No. 1)`` is a remark."""
    return re.sub(r"\(no\.?\s*\d+\)|[\s_]", "", symbol.lower())


def _hall(symbol: str) -> str:
    """Spell a Hall symbol in one way; its spaces count (``P 32`` is not ``P 3 2``)."""
    return " ".join(symbol.lower().replace("''", '"').replace("_", " ").split())


def _misfit(operations: list[str], lattice: Lattice) -> float:
    """Largest change of a cell's metric under operations, relative to the lengths."""
    metric = lattice.matrix @ lattice.matrix.T
    scale = np.sqrt(np.outer(metric.diagonal(), metric.diagonal()))
    turns = np.unique([_rotation(operation) for operation in operations], axis=0)
    # columns of an operation are images of the lattice vectors
    images = turns.transpose(0, 2, 1) @ metric @ turns
    return float((np.abs(images - metric) / scale).max())


@cache
def _rotation(operation: str) -> np.ndarray:
    from pymatgen.core.operations import SymmOp

    return np.array(SymmOp.from_xyz_str(operation).rotation_matrix)
