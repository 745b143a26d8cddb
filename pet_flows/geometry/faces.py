"""How a cell lies between its faces, in Python's own numbers.

Of nine of them NumPy takes longer to be asked than to answer, and each structure is asked about
some thirty times. This is for what decides between cells that are as different as crystals and
mistakes; what must be exact to round-off takes ``numpy.linalg``, whose pivots do not cancel.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np


class Faces(NamedTuple):
    """Of a cell ``(3, 3)`` Å with rows a, b and c."""

    volume: float
    """Å³; negative where it is left-handed"""
    heights: tuple[float, float, float]
    """Å, between faces b × c, c × a and a × b"""
    inverse: np.ndarray
    """``(3, 3)`` 1/Å, columns across these faces"""


def faces_of(cell: np.ndarray) -> Faces:
    """Volume, heights and inverse of a cell ``(3, 3)``.

    Raises
    ------
    ZeroDivisionError
        It has no volume.
    """
    (a, b, c), (d, e, f), (g, h, i) = cell.tolist()
    u, v, w = e * i - f * h, f * g - d * i, d * h - e * g
    r, s, t = h * c - i * b, i * a - g * c, g * b - h * a
    x, y, z = b * f - c * e, c * d - a * f, a * e - b * d
    volume = a * u + b * v + c * w
    size = abs(volume)
    heights = (
        size / sqrt(u * u + v * v + w * w),
        size / sqrt(r * r + s * s + t * t),
        size / sqrt(x * x + y * y + z * z),
    )
    share = 1.0 / volume
    return Faces(volume, heights, np.array(((u, r, x), (v, s, y), (w, t, z))) * share)


def volume_of(cell: np.ndarray) -> float:
    """Volume in Å³ of a cell ``(3, 3)``, negative where it is left-handed."""
    (a, b, c), (d, e, f), (g, h, i) = cell.tolist()
    volume: float = (b * f - c * e) * g + (c * d - a * f) * h + (a * e - b * d) * i
    return volume


def lengths_of(cell: np.ndarray) -> tuple[float, float, float]:
    """Lengths in Å of the rows of a cell ``(3, 3)``."""
    (a, b, c), (d, e, f), (g, h, i) = cell.tolist()
    return sqrt(a * a + b * b + c * c), sqrt(d * d + e * e + f * f), sqrt(g * g + h * h + i * i)
