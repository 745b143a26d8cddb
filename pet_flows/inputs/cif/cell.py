"""Numbers of a CIF, and its cell."""

from __future__ import annotations

import math
import re

from pymatgen.core import Lattice

from pet_flows.inputs.cif.syntax import UNKNOWN, Items
from pet_flows.inputs.text import DamagedError, quoted

_NUMBER = re.compile(r"([+-]?)(\d*)(?:\.(\d*))?(?:e([+-]?\d+))?(?:\((\d+)\)?)?", re.IGNORECASE)
_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_SYSTEMS: dict[str, tuple[str | int, ...]] = {
    "cubic": ("a", "a", 90, 90, 90),
    "tetragonal": ("a", "c", 90, 90, 90),
    "hexagonal": ("a", "c", 90, 90, 120),
    "rhombohedral": ("a", "a", "alpha", "alpha", "alpha"),
    "orthorhombic": ("b", "c", 90, 90, 90),
    "monoclinic": ("b", "c", 90, "beta", 90),
}
"""Crystal system → what b, c, alpha, beta and gamma are where they are not written."""


def number(key: str, said: str) -> float:
    """Read a CIF number, its uncertainty in brackets left out.

    Raises
    ------
    DamagedError
        It is none (``unreadable``), or not finite (``not_finite``).
    """
    text = re.sub(r"\(.*", "", said.translate(_DASHES))
    try:
        found = float(re.sub(r"[^\x00-\x7f]+$", "", text))  # a unit, as in 90°
    except ValueError:
        raise DamagedError(
            f"says {key} {quoted(said)}, which is not a number: correct it."
        ) from None
    if not math.isfinite(found):
        raise DamagedError(f"says {key} {said}, which is not finite: correct it.", "not_finite")
    return found


def rounding(said: str) -> float:
    """Give how far a number may be from what was meant: half of its last digit, or as said.

    Numbers with less than two decimals are taken as exact: 0.5 is a half.

    >>> rounding("0.333"), rounding("0.3331(4)"), rounding("0.5")
    (0.0005, 0.0004, 0.0)
    """
    found = _NUMBER.fullmatch(said.strip())
    if not found or len(found[3] or "") < 2:
        return 0.0
    unit = 10.0 ** (int(found[4] or 0) - len(found[3]))
    return round(unit * max(0.5, int(found[5] or 0)), 15)


def lattice_of(items: Items) -> Lattice:
    """Give the lattice of a block.

    Raises
    ------
    DamagedError
        Lengths that are not positive, angles that cannot meet, or nothing.
    """
    said = {f"_cell_length_{x}": items.get(f"_cell_length_{x}") for x in "abc"}
    said |= {f"_cell_angle_{x}": items.get(f"_cell_angle_{x}") for x in ("alpha", "beta", "gamma")}
    absent = [key for key, values in said.items() if values is None]
    system = _system(items)
    if absent and system is None:
        raise DamagedError(f"does not say {', '.join(absent)}: add what is missing.")
    found: dict[str, float] = {}
    for key, values in said.items():
        axis = key.rpartition("_")[2]
        if values is not None:
            # the dictionary's default
            found[axis] = 90.0 if values == ["."] and "angle" in key else number(key, values[0])
        elif system is not None and axis != "a":
            rule = dict(zip(("b", "c", "alpha", "beta", "gamma"), system, strict=True))[axis]
            found[axis] = found.get(rule, math.nan) if isinstance(rule, str) else float(rule)
        if axis not in found or math.isnan(found[axis]):
            raise DamagedError(f"does not say {key}: add what is missing.")
        if "length" in key and found[axis] <= 0:
            raise DamagedError(
                f"says {key} {values and values[0]}: a length is positive; correct it.",
                "degenerate_cell",
            )
    angles = [found[x] for x in ("alpha", "beta", "gamma")]
    x, y, z = (math.cos(math.radians(angle)) for angle in angles)
    if 1 - x * x - y * y - z * z + 2 * x * y * z < 1e-6 or not all(0 < a < 180 for a in angles):
        listed = ", ".join(f"{angle:g}" for angle in angles)
        raise DamagedError(
            f"has cell angles {listed}, which no three independent lattice vectors have: correct "
            "them.",
            "degenerate_cell",
        )
    return Lattice.from_parameters(*(found[x] for x in "abc"), *angles)


def _system(items: Items) -> tuple[str | int, ...] | None:
    """Find the crystal system that completes the cell, in the order of b, c and the angles."""
    for key in ("_symmetry_cell_setting", "_space_group_crystal_system"):
        for said in items.get(key, []):
            if said not in UNKNOWN:
                return _SYSTEMS.get(said.lower())
    return None
