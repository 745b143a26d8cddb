"""Whether the atoms in the cell are those of the formula.

``_chemical_formula_sum`` times ``_cell_formula_units_Z`` is what a cell holds (cif_core). Programs
write the contents of the whole cell as the sum, with the Z of the reduced formula; people forget Z
when they choose another cell. So numbers that are all wrong by one factor are worth a note in the
record, and atoms that are missing from the rest are a reason to refuse.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from pymatgen.core import Composition, Element, Structure

from pet_flows.inputs.cif.cell import number
from pet_flows.inputs.cif.syntax import UNKNOWN, Items
from pet_flows.inputs.text import DamagedError

Amounts = dict[str, float]
"""Element (hydrogen for its isotopes) → number of atoms."""


@dataclass(frozen=True)
class Formula:
    """A formula of a block: the name under which it stands, how it is written, what it means."""

    key: str
    said: str
    amounts: Amounts


_FORMULAS = (
    "_chemical_formula_sum",
    "_chemical_formula_structural",
    "_chemical_formula_moiety",
)
_PART = re.compile(r"(?:(\d*\.?\d+)\s*[*x]?)?\s*([A-Z(\[{].*)")
"""Of ``Ca S O4, 2(H2 O)``: how often, and what."""
_CHARGE = re.compile(r"\s+\d*\.?\d*[+-](?=\s|$|[)\]}])|(?<=[\w)\]}])\d?[+-](?=\s|$)")
_CAPITALS = re.compile(r"[A-Z]{2}[\d.]*(?=\s|$)")
"""NI and CL, as files of the time before small letters have them."""


def formula_of(items: Items) -> Formula | None:
    """Give the formula of a block; None where it has none, or one that is no list of elements."""
    for key in _FORMULAS:
        for said in items.get(key, []):
            if said not in UNKNOWN and (amounts := parse_formula(said)):
                return Formula(key, said, amounts)
    symbols = items.get("_atom_type_symbol", [])
    numbers = items.get("_atom_type_number_in_cell", [])
    if symbols and len(symbols) == len(numbers) and not set(numbers) & set(UNKNOWN):
        said = " ".join(
            re.sub("[^A-Za-z]", "", symbol) + n for symbol, n in zip(symbols, numbers, strict=True)
        )
        if amounts := parse_formula(said):
            return Formula("_atom_type_number_in_cell", said, amounts)
    return None


def parse_formula(text: str) -> Amounts | None:
    """Read a formula: sums, brackets, parts with multipliers, charges, isotopes, decimals.

    >>> parse_formula("Ca S O4, 2(D2 O)")
    {'Ca': 1.0, 'S': 1.0, 'O': 6.0, 'H': 4.0}
    """
    capitals = _CAPITALS.findall(text)
    if capitals and not re.search("[a-z]", text):
        symbols = [re.sub(r"[\d.]", "", symbol) for symbol in capitals]
        if any(_is_element(s.title()) and _is_element(s[0]) and _is_element(s[1]) for s in symbols):
            return None  # NI may be nickel, and nitrogen with iodine
        text = _CAPITALS.sub(lambda found: found[0].title(), text)
    amounts: defaultdict[str, float] = defaultdict(float)
    for part in re.split(r"[,;·•]|\s\.\s|\*(?=\d*[A-Z(])", text):
        bare = re.sub(r"(?<=\d)\(\d+\)", "", _CHARGE.sub("", part))
        found = _PART.fullmatch(bare.strip(" '\""))
        if not found:
            return None
        try:
            composition = Composition(found[2])
        except (ValueError, TypeError, KeyError):
            return None
        for symbol, amount in composition.get_el_amt_dict().items():
            if not _is_element(symbol) or amount < 0:
                return None
            amounts[_plain(symbol)] += amount * float(found[1] or 1)
    return {symbol: amount for symbol, amount in amounts.items() if amount > 0} or None


def contents_of(structure: Structure) -> Amounts:
    """Count the atoms of a cell."""
    counts: defaultdict[str, float] = defaultdict(float)
    for site in structure:
        for specie, amount in site.species.items():
            counts[_plain(specie.symbol)] += amount
    return dict(counts)


def units_of(items: Items) -> float | None:
    """Give ``_cell_formula_units_Z``, where it is a number above 0."""
    for said in items.get("_cell_formula_units_z", []):
        try:
            found = number("_cell_formula_units_Z", said)
        except DamagedError:
            continue
        if found > 0:
            return found
    return None


def compare(
    formula: Formula, units: float | None, contents: Amounts
) -> tuple[str | None, str | None]:
    """Compare a cell with its formula.

    Parameters
    ----------
    formula
        From `formula_of`; all its elements must be in the cell.
    units
        From `units_of`.
    contents
        From `contents_of`, of whole atoms.

    Returns
    -------
    wrong, odd
        Which atoms are too few or too many, for a sentence; or what is worth a note in the record.
    """
    key, said, amounts = formula.key, formula.said, formula.amounts
    units = 1.0 if key == "_atom_type_number_in_cell" else units
    scale = _scale(amounts, units, contents)
    sure_scale = _alike(scale, _scales(amounts, units))
    named = f"{said!r} with Z {units:g}" if units else repr(said)
    wrong: list[str] = []
    odd: list[str] = []
    for symbol, amount in amounts.items():
        expected, found = scale * amount, contents[symbol]
        if abs(found - expected) <= 0.01 + 0.02 * expected:
            continue
        whole = math.isclose(amount, round(amount), abs_tol=1e-3)
        # Fe0.95 O is a mean: its cell may list whole atoms
        enough = 0.5 if whole else 0.5 + 0.15 * expected
        difference = f"{found:g} {symbol} instead of {expected:.4g}"
        # one element too much says that the formula is not to be relied on, if Z is wrong too
        sure = found < expected or sure_scale
        (wrong if sure and abs(found - expected) >= enough else odd).append(difference)
    also = sorted(set(contents) - set(amounts))
    if wrong and key in (_FORMULAS[0], "_atom_type_number_in_cell"):
        return f"{', '.join(wrong)} of its formula {named}", None
    odd = wrong + odd + [f"{contents[symbol]:g} {symbol}" for symbol in also]
    if odd:
        return None, f"the formula {named} (the cell holds {', '.join(odd)})"
    if key == _FORMULAS[0] and units and not sure_scale:
        cell = " ".join(f"{symbol}{count:g}" for symbol, count in contents.items())
        return None, f"the formula {named} (the cell holds {cell})"
    return None, None


def _scales(amounts: Amounts, units: float | None) -> list[float]:
    """Give how many of the formula the cell should hold."""
    if not units:
        return []
    whole = [round(amount) for amount in amounts.values()]
    divisor = math.gcd(*whole) if all(map(math.isclose, whole, amounts.values())) else 1
    return [units, units / max(divisor, 1)]


def _scale(amounts: Amounts, units: float | None, contents: Mapping[str, float]) -> float:
    """Find how many of the formula the cell holds: so that most elements agree."""
    ratios = [contents[symbol] / amount for symbol, amount in amounts.items()]
    scales = _scales(amounts, units) + sorted(ratios, reverse=True)

    def disagreeing(scale: float) -> int:
        return sum(not math.isclose(scale, ratio, rel_tol=0.02) for ratio in ratios)

    return min(scales, key=disagreeing)


def _alike(scale: float, scales: list[float]) -> bool:
    return any(math.isclose(scale, other, rel_tol=0.02) for other in scales)


def _plain(symbol: str) -> str:
    return "H" if symbol in ("D", "T") else symbol


def _is_element(symbol: str) -> bool:
    return Element.is_valid_symbol(symbol)
