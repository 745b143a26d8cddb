"""The rows of a CIF's table of atoms: what stands where, and what of them is no atom."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np
from pymatgen.core import DummySpecies, Element, Species
from pymatgen.core.periodic_table import get_el_sp

from pet_flows.inputs.cif.cell import number, rounding
from pet_flows.inputs.cif.elements import Meaning, Symbols
from pet_flows.inputs.cif.formula import Formula
from pet_flows.inputs.cif.syntax import UNKNOWN, Items
from pet_flows.inputs.text import DamagedError

_POSITION = tuple(f"_atom_site_fract_{x}" for x in "xyz")
_TYPE, _OCCUPANCY = "_atom_site_type_symbol", "_atom_site_occupancy"
_HYDROGENS = "_atom_site_attached_hydrogens"
_THIRD = 1e-4
"""Positions that are so near to 1/3 or 2/3 (relatively) mean that."""


@dataclass(frozen=True)
class Row:
    """One atom of the table.

    Parameters
    ----------
    species
        With its oxidation state, where the block says one.
    position, rounding
        Fractional (3,), and how far each number may be from what was meant.
    """

    label: str
    species: Element | Species | DummySpecies
    occupancy: float
    position: np.ndarray
    rounding: np.ndarray


@dataclass
class Table:
    """The table of atoms of one block.

    Parameters
    ----------
    rows
        Its atoms.
    empty
        Label → element of the atoms with occupancy 0.
    dropped
        What it holds besides atoms, for a sentence.
    bare
        Label → elements of atoms that belong to it and have no place there: hydrogen of OH.
    attached
        Those labels of which the dictionary says that the hydrogen has no row at all.
    """

    rows: list[Row] = field(default_factory=list)
    empty: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    bare: dict[str, tuple[str, ...]] = field(default_factory=dict)
    attached: set[str] = field(default_factory=set)


def read_table(items: Items, formula: Formula | None) -> Table:
    """Read the table of atoms.

    Parameters
    ----------
    items
        Of one block.
    formula
        Of the same block: its elements tell what ambiguous labels mean.

    Raises
    ------
    DamagedError
        Says which value of which atom is wrong; its reasons are ``unreadable``, ``not_finite``,
        ``incomplete``, ``partial_occupancy`` and ``unknown_species``.
    """
    labels = _labels(items)
    known = set(formula.amounts) if formula else set()
    if formula and re.search(r"\bT(?![a-z])", formula.said):
        known.add("T")
    symbols = Symbols(known | _listed_types(items), labels)
    oxidation = _oxidation_states(items)
    table = Table()
    dummies, vacant = [], []
    for n, label in enumerate(labels):
        if _value(items, "_atom_site_calc_flag", n).lower().startswith("dum"):
            dummies.append(label)
            continue
        position, said = _position(items, n, label)
        symbol = _value(items, _TYPE, n)
        meaning = _meaning(symbols, symbol, label)
        if meaning.element is None:
            vacant.append(label)
            continue
        occupancy = _occupancy(items, n, label)
        if occupancy == 0:
            table.empty[label] = "H" if meaning.element in ("D", "T") else meaning.element
            continue
        if attached := math.ceil(_attached(items, n)):
            table.attached.add(label)
        if others := ("H",) * attached or meaning.others:
            table.bare[label] = others
        species = _species(meaning.element, oxidation.get(symbol), oxidation)
        table.rows.append(Row(label, species, occupancy, position, said))
    _refuse_alternatives(items, labels)
    for what, found in {
        "dummy sites": dummies,
        "vacant sites": vacant,
        "sites of occupancy 0": list(table.empty),
    }.items():
        if found:
            table.dropped.append(f"{what} ({', '.join(found[:5])}{', ...' * (len(found) > 5)})")
    return table


def _labels(items: Items) -> list[str]:
    """Give the labels; refuse a table without them, without positions, or of unequal columns."""
    if "_atom_site_label" not in items:
        raise DamagedError("does not label its atoms: add the column _atom_site_label.")
    absent = [key for key in _POSITION if key not in items]
    if absent:
        why = " (only Cartesian positions)" if "_atom_site_cartn_x" in items else ""
        raise DamagedError(
            f"lists its atoms without {', '.join(absent)}{why}: add the fractional positions.",
            "incomplete",
        )
    labels = items["_atom_site_label"]
    for key in (*_POSITION, _TYPE, _OCCUPANCY):
        if len(items.get(key, labels)) != len(labels):
            raise DamagedError(
                f"labels {len(labels)} atoms, but has {len(items[key])} values of {key}: correct "
                "the table."
            )
    return labels


def _value(items: Items, key: str, n: int) -> str:
    """Give the value of a row in a column; ``?`` where there is none."""
    values = items.get(key, [])
    return values[n] if n < len(values) else "?"


def _meaning(symbols: Symbols, symbol: str, label: str) -> Meaning:
    if symbol in UNKNOWN:
        return symbols.of_label(label)
    meaning = symbols.of_type(symbol)
    if meaning.element == "O" and label.lower().startswith("wat"):
        return Meaning("O", ("H", "H"))
    return meaning


def _position(items: Items, n: int, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Give the position of a row, and how far its numbers may be from what was meant."""
    position, said = [], []
    for key in _POSITION:
        text = items[key][n]
        if text in UNKNOWN:
            raise DamagedError(
                f"does not know where {label} is ({key} is {text!r}): add its position or "
                "remove the atom.",
                "incomplete",
            )
        found = number(f"{key} of {label}", text)
        for third in (1 / 3, 2 / 3):
            if math.isclose(found / third, 1, abs_tol=_THIRD, rel_tol=0):
                found = third
        position.append(found)
        said.append(rounding(text))
    return np.array(position), np.array(said)


def _occupancy(items: Items, n: int, label: str) -> float:
    text = _value(items, _OCCUPANCY, n)
    if text in UNKNOWN:
        return 1.0  # the dictionary's default
    occupancy = number(f"{_OCCUPANCY} of {label}", text)
    if occupancy < 0:
        raise DamagedError(f"gives {label} the occupancy {text}: correct it.", "partial_occupancy")
    return occupancy


def _attached(items: Items, n: int) -> float:
    """Give how many hydrogen atoms a row has that have no row of their own (the dictionary)."""
    text = _value(items, _HYDROGENS, n)
    try:
        return 0.0 if text in UNKNOWN else max(0.0, number(_HYDROGENS, text))
    except DamagedError:
        return 0.0


def _refuse_alternatives(items: Items, labels: list[str]) -> None:
    """Refuse atoms that can only be there instead of one another, although each is said whole."""
    groups: dict[str, dict[str, str]] = {}
    for n, label in enumerate(labels):
        group = _value(items, "_atom_site_disorder_group", n)
        if group not in (*UNKNOWN, "0"):
            assembly = _value(items, "_atom_site_disorder_assembly", n)
            groups.setdefault(assembly, {}).setdefault(group, label)
    for found in groups.values():
        if len(found) > 1:
            first, second = list(found.values())[:2]
            raise DamagedError(
                f"lists {first} and {second} as alternatives (_atom_site_disorder_group): "
                "remove all groups but one, because a potential needs whole atoms.",
                "partial_occupancy",
            )


def _listed_types(items: Items) -> set[str]:
    """Give the elements of ``_atom_type_symbol``."""
    symbols = items.get("_atom_type_symbol", [])
    found = {"".join(filter(str.isalpha, symbol)) for symbol in symbols}
    return {symbol for symbol in found if Element.is_valid_symbol(symbol)} - {"T"}


def _oxidation_states(items: Items) -> dict[str, float]:
    """Give symbol, with and without its charge → oxidation state, of all types or of none."""
    symbols = items.get("_atom_type_symbol", [])
    said = items.get("_atom_type_oxidation_number", [])
    if not symbols or len(symbols) != len(said):
        return {}
    states: dict[str, float] = {}
    for symbol, text in zip(symbols, said, strict=True):
        if text.strip("+-").lower() in ("nan", "inf", "infinity"):
            raise DamagedError(f"says an oxidation number {text}: correct it.", "not_finite")
        try:
            state = 0.0 if text == "." else number("_atom_type_oxidation_number", text)
        except DamagedError:
            return {}
        states[symbol] = state
        states.setdefault("".join(filter(str.isalpha, symbol)), state)
    return states


def _species(
    element: str, state: float | None, states: dict[str, float]
) -> Element | Species | DummySpecies:
    """Make the species of an element; with a state wherever the block says any."""
    if not states:
        found: Element | Species | DummySpecies = get_el_sp(element)
        return found
    return Species(element, states.get(element, 0.0) if state is None else state)
