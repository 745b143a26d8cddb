"""Symmetry operations of the space group that a CIF block names.

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
from pet_flows.inputs.cif.operations import NOT_ALIKE, metric_changes, parse
from pet_flows.inputs.cif.syntax import UNKNOWN, Items
from pet_flows.inputs.text import DamagedError, quoted

_NAME = "_(?:symmetry|space_group)_(?:space_group_)?name_"
_HALL = re.compile(_NAME + "hall")
_HERMANN_MAUGUIN = re.compile(_NAME + "h-?_?m(?:_alt|_full|_ref)?")
_NUMBER = re.compile("_(?:space_group_it_number|symmetry_int_tables_number)")
_CODE = re.compile("_space_group_it_coordinate_system_code")
_CHOICE = {"1": "1", "2": "2", "h": "h", "r": "r", "s": "1", "z": "2", "o1": "1", "o2": "2"}
"""What is written behind a symbol → origin or axes; ICSD writes S and Z for the origins."""
_E_GLIDES = (39, 41, 64, 67, 68)
"""Numbers of the groups whose symbols have an e since 1992."""
_ALIKE = 1e-3
"""Largest relative change of the metric of a cell that is surely meant by a setting."""
NOT_IN_TABLES = (
    "names the space group {}, which is in no table of ours, and lists no operations: correct the "
    "symbol, or list them (_symmetry_equiv_pos_as_xyz)."
)


def symmetry_of(items: Items) -> str | None:
    """Give what a block says of its space group; None where that is nothing, or P1."""
    for pattern in (_HERMANN_MAUGUIN, _HALL):
        for said in _said(items, pattern):
            return None if _squeezed(said) == "p1" else said
    return None


def operations_of(items: Items, lattice: Lattice) -> tuple[str, ...]:
    """Find the operations of a block that names its space group and lists no operations.

    The Hall symbol counts most, then the international one, then the number in the tables.

    Parameters
    ----------
    items
        Of one block.
    lattice
        Its cell, which tells rhombohedral from hexagonal axes, and one unique axis from another.

    Returns
    -------
    ``x,y,z`` strings; the identity where nothing is said.

    Raises
    ------
    DamagedError
        More than one setting has this symbol, or none, or the cell cannot have it.
    """
    said, settings = named_settings(items)
    if not settings:
        if unknown := symmetry_of(items):
            raise DamagedError(NOT_IN_TABLES.format(quoted(unknown)))
        return ("x,y,z",)
    fitting = fitting_settings(settings, lattice)
    if not fitting:
        raise DamagedError(
            f"names the space group {quoted(said)}, which a cell of these lengths and angles "
            "cannot have: correct one of them, or list the operations."
        )
    if 3 <= fitting[0]["number"] <= 15:
        fitting = fitting[:1]  # the short symbol means unique axis b where the cell allows it
    if len({frozenset(setting["symops"]) for setting in fitting}) > 1:
        names = ", ".join(setting["universal_h_m"].replace(" :", ":") for setting in fitting)
        raise DamagedError(
            f"names the space group {quoted(said)}, which may be {names}, and lists no operations: "
            "write which of them it is, or list the operations (_symmetry_equiv_pos_as_xyz)."
        )
    return tuple(fitting[0]["symops"])


def fitting_settings(settings: list[dict[str, Any]], lattice: Lattice) -> list[dict[str, Any]]:
    """Keep the settings whose operations the cell can have, or the best of them."""
    strains = [
        metric_changes(parse(tuple(setting["symops"])).rotations, lattice).max()
        for setting in settings
    ]
    if min(strains) > NOT_ALIKE:
        return []
    fitting = [s for s, strain in zip(settings, strains, strict=True) if strain <= _ALIKE]
    return fitting or [settings[int(np.argmin(strains))]]


def named_settings(items: Items) -> tuple[str, list[dict[str, Any]]]:
    """Find the settings that a block may mean, and what it calls them.

    Raises
    ------
    DamagedError
        It gives a number of the tables, and a symbol that no setting has.
    """
    for said, settings in _of_symbols(items):
        return said, settings
    number, rows = _of_number(items)
    if not rows:
        return "", []
    symbols = {_squeezed(row["hermann_mauguin"]) for row in rows if "(" not in row["universal_h_m"]}
    unknown = symmetry_of(items)
    if unknown and len(symbols) > 1:  # the number would take one of its settings for all others
        raise DamagedError(NOT_IN_TABLES.format(quoted(unknown)))
    of_symbol = _by_symbol()[_squeezed(rows[0]["hermann_mauguin"])]
    return number, _chosen(of_symbol, _CHOICE.get(_code(items)))


def all_named(items: Items) -> list[tuple[str, list[dict[str, Any]]]]:
    """Find the settings of each symbol and number that a block gives, those it may mean first."""
    number, rows = _of_number(items)
    return [*_of_symbols(items), *([(number, rows)] if rows else [])]


def contradiction_of_names(items: Items) -> str | None:
    """Say which symbol or number of a block means another space group than the first of them."""
    named = all_named(items)
    for said, settings in named[1:]:
        if not {s["number"] for s in settings} & {s["number"] for s in named[0][1]}:
            return f"the space group {said} (it is read as {named[0][0]})"
    return None


def _of_symbols(items: Items) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Find the settings of the Hall symbols, then of the international ones."""
    for said in _said(items, _HALL):
        if setting := _by_hall().get(_hall(said)):
            yield said, [setting]
    for said in _said(items, _HERMANN_MAUGUIN):
        symbol, choice = _split(said)
        if found := _chosen(_by_symbol().get(symbol, []), choice or _CHOICE.get(_code(items))):
            yield said, found


def _of_number(items: Items) -> tuple[str, list[dict[str, Any]]]:
    """Find the settings of the number in the tables."""
    number = next(_said(items, _NUMBER), "").partition("(")[0]
    rows = [r for r in _table() if number.isdecimal() and r["number"] == int(number)]
    return f"number {number}", rows


def _code(items: Items) -> str:
    """Give the coordinate system of the tables: 2 for 2cab, origin 2 with other axes."""
    code = _squeezed(next(_said(items, _CODE), ""))
    return code[:1] if code[:1].isdigit() else code


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


def _said(items: Items, pattern: re.Pattern[str]) -> Iterator[str]:
    """Find what a block says under a name and its variants."""
    for key, values in items.items():
        if pattern.fullmatch(key) and len(values) == 1 and values[0] not in UNKNOWN:
            yield values[0]


def _squeezed(symbol: str) -> str:
    """Spell an international symbol without what is left to taste; ``(No. 1)`` is a remark."""
    return re.sub(r"\(no\.?\s*\d+\)|[\s_]", "", symbol.lower())


def _hall(symbol: str) -> str:
    """Spell a Hall symbol in one way; its spaces count (``P 32`` is not ``P 3 2``)."""
    return " ".join(symbol.lower().replace("''", '"').replace("_", " ").split())
