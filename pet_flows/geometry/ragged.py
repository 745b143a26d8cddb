"""Arrays of many structures side by side: the rows of the first, then those of the second, ..."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def starts_of(counts: np.ndarray) -> np.ndarray:
    """``(S,)`` int, where the rows of each structure begin."""
    return np.cumsum(counts) - counts


def owners_of(counts: np.ndarray) -> np.ndarray:
    """``(Σ counts,)`` int, whose each row is."""
    return np.repeat(np.arange(len(counts)), counts)


def rows_of(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """``(Σ counts,)`` int: ``counts[k]`` rows from ``starts[k]`` on, for each k."""
    return np.repeat(starts - starts_of(counts), counts) + np.arange(int(counts.sum()))


def side_by_side(parts: Sequence[np.ndarray], first: np.ndarray) -> np.ndarray:
    """Indices ``(n_k, ...)`` of each structure into rows that begin at ``first[k]``, together."""
    counts = np.array([len(part) for part in parts])
    together = np.concatenate(parts)
    offset = np.repeat(first, counts)
    return together + offset.reshape(-1, *(1,) * (together.ndim - 1))


def sum_by(index: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """``(n, ...)``, sums of the rows of values ``(R, ...)`` that have the same index ``(R,)``."""
    if values.ndim == 1:
        return np.bincount(index, values, n)
    columns = values.reshape(len(values), -1).T
    summed = np.stack([np.bincount(index, column, n) for column in columns], 1)
    return summed.reshape(n, *values.shape[1:])


def largest_by(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """``(S,)``, largest of each structure's values, zero where it has none; none is negative."""
    found = np.zeros(len(counts), dtype=values.dtype)
    some = counts > 0
    if some.any():
        found[some] = np.maximum.reduceat(values, starts_of(counts)[some])
    return found


def row_products(rows: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """``(R, 3)``, each row ``(3,)`` times its own matrix ``(3, 3)``."""
    return np.einsum("ra,rab->rb", rows, matrices)
