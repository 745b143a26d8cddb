"""The path of a band structure, from seekpath's tables for a conventional cell that is known.

seekpath itself looks for the conventional cell, which takes longer than a small crystal's bands.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from math import sqrt
from typing import Any

import numpy as np
import seekpath
from phonopy.structure.atoms import PhonopyAtoms
from seekpath.hpkot.spg_mapping import get_P_matrix, get_spgroup_data
from seekpath.hpkot.tools import (
    eval_expr,
    eval_expr_simple,
    extend_kparam,
    get_cell_params,
    get_path_data,
)

from pet_flows.crystallography.standard import StandardCell

#: primitive hexagonal lattices whose zone has other irreducible parts
_TRIGONAL = {*range(143, 150), 151, 153, 157, *range(159, 164)}

_table = lru_cache(maxsize=32)(get_path_data)


def band_path(
    primitive: PhonopyAtoms, standard: StandardCell
) -> list[tuple[tuple[str, str], np.ndarray, np.ndarray]]:
    """Lines through the points of high symmetry of a primitive cell, as seekpath gives them.

    Y. Hinuma et al., Comput. Mater. Sci. 128, 140 (2017).

    Parameters
    ----------
    primitive
        That cell, whatever its basis.
    standard
        The conventional cell in terms of it.

    Returns
    -------
    list
        Names of both ends, and their ``(3,)`` fractions of the reciprocal vectors.
    """
    family, centring, _ = get_spgroup_data()[standard.number]
    if family == "a":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of cells between two of its cases: either will do
            cell = (primitive.cell, primitive.scaled_positions, primitive.numbers)
            found = seekpath.get_path_orig_cell(cell)
        points, lines = found["point_coords"], found["path"]
    else:
        points, lines = _of_tables(family + centring, primitive.cell, standard)
    return [((a, b), np.array(points[a]), np.array(points[b])) for a, b in lines]


def _of_tables(
    lattice: str, cell: np.ndarray, standard: StandardCell
) -> tuple[dict[str, np.ndarray], list[tuple[str, str]]]:
    """Points and lines of a lattice that is not triclinic."""
    sizes = get_cell_params(standard.basis @ cell)
    definitions, points, lines = _table(lattice + _case(lattice, standard.number, *sizes))
    values: dict[str, float] = {}
    for name, expression in definitions:
        values[name] = eval_expr(expression, *sizes, values)
    values = extend_kparam(values)
    # of the paper's primitive cell; a' = M a of the vectors makes q' = M q of the fractions
    change = np.linalg.inv(get_P_matrix(lattice)[0].T @ standard.basis)
    found = {n: change @ [eval_expr_simple(x, values) for x in p] for n, p in points.items()}
    return found, lines


def _case(lattice: str, number: int, *sizes: float) -> str:
    """Which zone of a Bravais lattice, as the paper numbers them (its tables 3 and 4)."""
    a, b, c, _, cosine, _ = sizes
    height = a * sqrt(1.0 - cosine**2)
    cases: dict[str, Any] = {
        "cP": 1 if number <= 206 else 2,
        "cF": 1 if number <= 206 else 2,
        "tI": 1 if c <= a else 2,
        "oF": 1 if a**-2 > b**-2 + c**-2 else 2 if c**-2 > a**-2 + b**-2 else 3,
        "oI": max((c, 1), (b, 3), (a, 2))[1],
        "oC": 1 if a <= b else 2,
        "oA": 1 if b <= c else 2,
        "hP": 1 if number in _TRIGONAL else 2,
        "hR": 1 if sqrt(3.0) * a <= sqrt(2.0) * c else 2,
        "mC": 1 if b < height else 2 if (height / b) ** 2 - a * cosine / c <= 1.0 else 3,
    }
    return str(cases.get(lattice, 1))
