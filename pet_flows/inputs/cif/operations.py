"""Symmetry operations that a CIF lists: read, and refused where they are not those of a crystal."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from pymatgen.core import Lattice

from pet_flows.inputs.cif.syntax import UNKNOWN, Items
from pet_flows.inputs.text import DamagedError, quoted

LISTED_AS = ("_symmetry_equiv_pos_as_xyz", "_space_group_symop_operation_xyz")
"""Names of the column of operations."""

NOT_ALIKE = 1e-2
"""Largest change of a cell's metric under its operations, relative to the lengths."""

_TERM = re.compile(r"([+-]?)(?:(\d+\.?\d*|\.\d+)(?:/(\d*[1-9]\d*))?)?\*?([xyz]?)")
_LONGEST_OPERATION = 200
"""Characters."""
_PARTS = 24
"""Translations of space groups are multiples of 1/24, in the settings of the tables."""
_DIGITS = 4e-3
"""Error of a translation that is written with two decimals: 0.33 for 1/3."""
_SAME = 1e-2
"""Nearer translations are one (fractional)."""
_FEW = 16
"""Of so many the products are tried, where there are more than any group has."""
_MOST = 192
"""Operations of a space group in the settings of the tables."""


@dataclass(frozen=True)
class Operations:
    """Symmetry operations x → R x + t of fractional positions.

    Parameters
    ----------
    rotations, translations
        ``(n, 3, 3)`` and ``(n, 3)``.
    """

    rotations: np.ndarray
    translations: np.ndarray

    def images(self, position: np.ndarray) -> np.ndarray:
        """Apply all of them to a position (3,): ``(n, 3)``, inside of the cell."""
        found: np.ndarray = self.rotations @ position + self.translations
        return found - np.floor(found)

    def __len__(self) -> int:
        """Their number."""
        return len(self.rotations)

    @cached_property
    def incomplete(self) -> tuple[int, int] | None:
        """Two of them whose product is not among them, lattice translations apart.

        Of more than any space group has (those of a supercell) a sample is tried.
        """
        tried = np.arange(0, len(self), max(1, len(self) // _FEW if len(self) > _MOST else 1))
        missing = ~self._known(*self._products(tried))
        if not missing.any():
            return None
        second, first = divmod(int(missing.argmax()), len(self))
        return first, int(tried[second])

    def _products(self, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Apply each of them after some of them, those after the first first."""
        rotations = self.rotations[None] @ self.rotations[second, None]
        shifts = np.einsum("aij,bj->bai", self.rotations, self.translations[second])
        shifts += self.translations[None]
        return rotations.reshape(-1, 3, 3), shifts.reshape(-1, 3)

    def _known(self, rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
        """Which of these operations are among them, lattice translations apart."""
        codes = _codes(self.rotations)
        kinds, of_kind = np.unique(codes, return_inverse=True)
        by_kind = np.full((len(kinds), int(np.bincount(of_kind).max()), 3), np.nan)
        for kind in range(len(kinds)):
            alike = self.translations[of_kind == kind]
            by_kind[kind, : len(alike)] = alike
        wanted = _codes(rotations)
        places = np.searchsorted(kinds, wanted).clip(max=len(kinds) - 1)
        apart = translations[:, None] - by_kind[places]
        near = (np.abs(apart - np.round(apart)) < _SAME).all(axis=2).any(axis=1)
        found: np.ndarray = near & (kinds[places] == wanted)
        return found


@cache
def parse(texts: tuple[str, ...]) -> Operations:
    """Read ``x,y,z`` strings; decimal translations become the fractions that they mean.

    Raises
    ------
    DamagedError
        One of them is no operation.
    """
    matrices = np.array([_matrix(text) for text in texts])
    rotations, translations = matrices[:, :, :3], matrices[:, :, 3]
    meant = np.round(translations * _PARTS) / _PARTS
    decimal = np.array([["." in part for part in text.split(",")] for text in texts])
    near = decimal & (np.abs(translations - meant) < _DIGITS)
    return Operations(rotations, np.where(near, meant, translations))


def _matrix(text: str) -> np.ndarray:
    """Read one operation as a matrix (3, 4), its translation in the last column."""
    matrix = np.zeros((3, 4))
    parts = re.sub(r"\s", "", text.lower()).split(",")
    for row, part in zip(matrix, parts, strict=False):
        sound = len(text) <= _LONGEST_OPERATION and len(parts) == 3
        if not sound or not part or _TERM.sub("", part):
            raise DamagedError(f"lists {quoted(text)} among its symmetry operations: correct it.")
        for sign, above, below, axis in _TERM.findall(part):
            if above or axis:
                size = float(above or 1) / float(below or 1)
                row["xyz".index(axis) if axis else 3] += -size if sign == "-" else size
    return matrix


def listed(items: Items) -> tuple[str, ...]:
    """Give the operations that a block lists, as written; none where it does not."""
    for name in LISTED_AS:
        if texts := tuple(text for text in items.get(name, []) if text not in UNKNOWN):
            return texts
    return ()


def check_metric(operations: Operations, texts: tuple[str, ...], lattice: Lattice) -> None:
    """Refuse operations that do not keep the metric of the cell.

    Raises
    ------
    DamagedError
        Names one of them as it is written (``texts``).
    """
    changes = metric_changes(operations.rotations, lattice)
    if changes.max() > NOT_ALIKE:
        raise DamagedError(
            f"lists the operation {quoted(texts[int(changes.argmax())])}, which a cell of these "
            "lengths and angles cannot have: correct one of them."
        )


def metric_changes(rotations: np.ndarray, lattice: Lattice) -> np.ndarray:
    """Give the largest change of the metric under each rotation, relative to the lengths."""
    metric = lattice.matrix @ lattice.matrix.T
    scale = np.sqrt(np.outer(metric.diagonal(), metric.diagonal()))
    # columns of an operation are images of the lattice vectors
    images = rotations.transpose(0, 2, 1) @ metric @ rotations
    found: np.ndarray = (np.abs(images - metric) / scale).max(axis=(1, 2))
    return found


def completed(operations: Operations) -> Operations | None:
    """Add the products of operations that are not among them; None where they have no end."""
    while len(operations) <= _MOST:
        rotations, shifts = operations._products(np.arange(len(operations)))
        missing = ~operations._known(rotations, shifts)
        if not missing.any():
            return operations
        rotations, shifts = rotations[missing], shifts[missing] - np.floor(shifts[missing])
        signs = np.column_stack([_codes(rotations), np.rint(shifts * _PARTS) % _PARTS])
        new = np.sort(np.unique(signs, axis=0, return_index=True)[1])
        operations = Operations(
            np.vstack([operations.rotations, rotations[new]]),
            np.vstack([operations.translations, shifts[new]]),
        )
    return None


def _codes(rotations: np.ndarray) -> np.ndarray:
    """Give each integer matrix a number of its own."""
    found: np.ndarray = np.rint(rotations).astype(int).reshape(-1, 9) @ (7 ** np.arange(9))
    return found
