"""What is said of a structure in records: chemistry, volume, space group."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from pymatgen.core import Composition
from pymatgen.core.periodic_table import get_el_sp

from pet_flows.crystallography.nearby import Cell, number_as
from pet_flows.crystallography.spacegroups import space_groups
from pet_flows.records.kept import Kept

#: symprec of the two space groups, Å
TIGHT, LOOSE = 1e-5, 0.1
#: g/cm³ of one u/Å³
DENSITY = 1.66053906892
#: larger structures get no space group: the search would take longer than the calculation
MAX_SYMMETRY_ATOMS = 2000


def space_group(kept: Kept | None, near: Kept | None = None) -> dict[str, int | None] | None:
    """Space group numbers at the tight and the loose tolerance; None without a crystal.

    Parameters
    ----------
    kept
        The structure; None where there is none.
    near
        Another one of the same atoms, if one is known, whose space group it has where the two are
        so near each other that there can be no other.
    """
    content = None if kept is None else _content(kept)
    if content is None:
        return None
    other = None if near is None else _content(near)
    number = None
    if other is not None and other[2] == content[2]:
        number = number_as(_arrays(other), _arrays(content), TIGHT, LOOSE)
    tight, loose = _numbers(*content) if number is None else (number, number)
    return {"tight": tight, "loose": loose}


def metadata(structure: Kept | None, final: Kept | None) -> dict[str, Any]:
    """Chemistry and volume of a record, under emmet's names.

    Parameters
    ----------
    structure
        The input; None where it could not be read.
    final
        Where it ended; volume and density are of this one if it is there.
    """
    if structure is None:
        names = (
            "formula_pretty", "formula_anonymous", "chemsys", "nelements", "nsites",
            "composition_reduced", "density", "volume", "volume_per_atom",
        )  # fmt: skip
        return {"elements": [], **dict.fromkeys(names)}
    amounts: dict[str, float] = {}
    for site in structure.sites:
        for element, amount in site.items():
            amounts[element] = amounts.get(element, 0.0) + amount
    chemistry = _chemistry(tuple(amounts.items()))
    last = structure if final is None else final
    volume = last.volume if all(last.pbc) else 0.0
    solid = volume > 0
    return {
        **chemistry.names,
        "elements": list(chemistry.elements),
        "nelements": len(chemistry.elements),
        "nsites": len(structure),
        "composition_reduced": dict(chemistry.reduced),
        "density": chemistry.weight * DENSITY / volume if solid else None,
        "volume": volume if solid else None,
        "volume_per_atom": volume / len(last) if solid else None,
    }


class _Chemistry(NamedTuple):
    """What amounts of elements say."""

    names: dict[str, str]
    elements: tuple[str, ...]
    reduced: dict[str, float]
    weight: float
    """u"""


@lru_cache(maxsize=4096)  # crystals of a campaign have few compositions
def _chemistry(amounts: tuple[tuple[str, float], ...]) -> _Chemistry:
    composition = Composition(dict(amounts))
    elements = tuple(sorted(element.symbol for element in composition))
    names = {
        "formula_pretty": composition.reduced_formula,
        "formula_anonymous": composition.anonymized_formula,
        "chemsys": "-".join(elements),
    }
    reduced = {str(element): n for element, n in composition.reduced_composition.items()}
    weight = sum(amount * _mass(element.symbol) for element, amount in composition.items())
    return _Chemistry(names, elements, reduced, weight)


@lru_cache(maxsize=256)
def _mass(symbol: str) -> float:
    """In u; pymatgen looks at units each time."""
    return float(get_el_sp(symbol).atomic_mass)


#: bytes of cell and fractional positions; atomic numbers
_Content = tuple[bytes, bytes, tuple[int, ...]]


def _content(kept: Kept) -> _Content | None:
    """What a space group depends on; None of what is asked for none."""
    if kept.symbols is None or not all(kept.pbc) or len(kept) > MAX_SYMMETRY_ATOMS:
        return None
    return kept.cell.tobytes(), kept.fractional.tobytes(), tuple(map(_number, kept.symbols))


@lru_cache(maxsize=256)
def _number(symbol: str) -> int:
    return int(get_el_sp(symbol).Z)


def _arrays(content: _Content) -> Cell:
    """``(3, 3)``, ``(N, 3)`` and ``(N,)``."""
    lattice, scaled, numbers = content
    cell, places = np.frombuffer(lattice).reshape(3, 3), np.frombuffer(scaled).reshape(-1, 3)
    return cell, places, np.array(numbers)


@lru_cache(maxsize=4096)  # the crystal that a relaxation ends with begins several other records
def _numbers(*content: Any) -> tuple[int | None, int | None]:
    """Space group numbers at the two tolerances, None where there is none."""
    found = space_groups(*_arrays(content), TIGHT, LOOSE)
    tight, loose = (None if group is None else group.number for group in found)
    return tight, loose
