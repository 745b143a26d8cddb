"""What pymatgen's CIF reader stumbles over without saying where, or silently takes for something.

A table with a missing value ends there in a modulo by zero, a position ``.`` becomes 0, a negative
length positive, an unknown space group P1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from pet_flows.inputs.cif_symmetry import LISTED_AS
from pet_flows.inputs.text import DamagedError, quoted

_OPERATION = re.compile(r"[xyz\d+\-*/.\s]*(?:,[xyz\d+\-*/.\s]*){2}", re.IGNORECASE)
_LONGEST_OPERATION = 200
"""Characters; pymatgen takes minutes for very long ones."""
_UNKNOWN = ("", "?", ".")


def check_tables(text: str) -> None:
    """Refuse a block one of whose tables (``loop_``) or texts has no proper end.

    Parameters
    ----------
    text
        Of one block.

    Raises
    ------
    DamagedError
        Names the table by its first column.
    """
    from pymatgen.io.cif import CifBlock

    if sum(line.startswith(";") for line in text.splitlines()) % 2:
        raise DamagedError(
            "begins a text with ; in a line of its own and never ends it: add that ;."
        )
    tokens = CifBlock._process_string(text)  # the words that pymatgen will make tables of
    while tokens:
        if not tokens.popleft()[0].startswith("loop_"):
            continue
        columns, n_values = [], 0
        while tokens and tokens[0][0].startswith("_"):
            columns.append(tokens.popleft()[0])
        while tokens and not tokens[0][0].startswith(("loop_", "_")):
            tokens.popleft()
            n_values += 1
        if not columns:
            raise DamagedError("has a loop_ without names of columns: restore them.")
        if n_values == 0 or n_values % len(columns):
            raise DamagedError(
                f"has a table from {columns[0]} on with {len(columns)} columns but {n_values} "
                "values: one is missing, or it was cut off there; restore it."
            )


def check_block(data: Mapping[str, Any]) -> list[str]:
    """Refuse cells, positions and occupancies that are none.

    Parameters
    ----------
    data
        Name → value, or list of values, of one block.

    Returns
    -------
    Labels of the atoms with occupancy 0, which pymatgen leaves out.

    Raises
    ------
    DamagedError
        Says which value is wrong; its reasons are ``unreadable``, ``not_finite``,
        ``degenerate_cell``, ``incomplete`` and ``partial_occupancy``.
    """
    _check_cell(data)
    for value in _listed(data.get("_atom_type_oxidation_number", [])):
        if value.strip("+-").lower() in ("nan", "inf", "infinity"):
            raise DamagedError(f"says an oxidation number {value}: correct it.", "not_finite")
    for key, operations in data.items():
        if key.lower().rstrip("_") not in LISTED_AS:
            continue
        for text in [operations] if isinstance(operations, str) else operations:
            if len(text) > _LONGEST_OPERATION or not _OPERATION.fullmatch(text):
                raise DamagedError(
                    f"lists {quoted(text)} among its symmetry operations: correct it."
                )
    return _check_atoms(data)


def _check_cell(data: Mapping[str, Any]) -> None:
    """Refuse lengths that are not positive, and angles that cannot meet."""
    lengths = {f"_cell_length_{x}": data.get(f"_cell_length_{x}") for x in "abc"}
    angles = {f"_cell_angle_{x}": data.get(f"_cell_angle_{x}") for x in ("alpha", "beta", "gamma")}
    cell = {**lengths, **angles}
    absent = [key for key, value in cell.items() if value is None]
    if absent:
        if "_symmetry_cell_setting" in data or "_space_group_crystal_system" in data:
            return  # pymatgen completes the cell from the crystal system
        raise DamagedError(f"does not say {', '.join(absent)}: add what is missing.")
    found = {key: _number(key, value) for key, value in cell.items()}
    for key in lengths:
        if found[key] <= 0:
            raise DamagedError(
                f"says {key} {cell[key]}: a length is positive; correct it.", "degenerate_cell"
            )
    x, y, z = (math.cos(math.radians(found[key])) for key in angles)
    if 1 - x * x - y * y - z * z + 2 * x * y * z < 1e-6 or not all(
        0 < found[key] < 180 for key in angles
    ):
        said = ", ".join(str(value) for value in angles.values())
        raise DamagedError(
            f"has cell angles {said}, which no three independent lattice vectors have: correct "
            "them.",
            "degenerate_cell",
        )


def _check_atoms(data: Mapping[str, Any]) -> list[str]:
    """Refuse atoms without a place; list those that are there with occupancy 0."""
    if "_atom_site_label" not in data:
        raise DamagedError("does not label its atoms: add the column _atom_site_label.")
    keys = [f"_atom_site_fract_{x}" for x in "xyz"]
    absent = [key for key in keys if key not in data]
    if absent:
        also = "_atom_site_Cartn_x" in data or "_atom_site_cartn_x" in data
        why = " (only Cartesian positions)" if also else ""
        raise DamagedError(
            f"lists its atoms without {', '.join(absent)}{why}: add the fractional positions.",
            "incomplete",
        )
    labels = _listed(data["_atom_site_label"])
    for key in keys:
        for label, value in zip(labels, _listed(data[key]), strict=False):
            if value in _UNKNOWN:
                raise DamagedError(
                    f"does not know where {label} is ({key} is {value!r}): add its position or "
                    "remove the atom.",
                    "incomplete",
                )
            _number(f"{key} of {label}", value)
    empty = []
    for label, value in zip(labels, _listed(data.get("_atom_site_occupancy", [])), strict=False):
        if value in _UNKNOWN:
            continue  # the dictionary's default is 1
        occupancy = _number(f"_atom_site_occupancy of {label}", value)
        if occupancy < 0:
            raise DamagedError(
                f"gives {label} the occupancy {value}: correct it.", "partial_occupancy"
            )
        if occupancy == 0:
            empty.append(label)
    return empty


def _listed(value: Any) -> list[str]:
    """Give the values of a column, or of a name that stands alone."""
    return [value] if isinstance(value, str) else list(value)


def _number(key: str, value: Any) -> float:
    """Read a CIF number, its uncertainty in brackets left out."""
    text = str(value[0] if isinstance(value, list) and len(value) == 1 else value)
    try:
        number = float(re.sub(r"\(.*", "", text))
    except ValueError:
        raise DamagedError(f"says {key} {quoted(text)}, which is no number: correct it.") from None
    if not math.isfinite(number):
        raise DamagedError(f"says {key} {text}, which is not finite: correct it.", "not_finite")
    return number
