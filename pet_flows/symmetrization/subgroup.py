"""The exact symmetry of a crystal as its bindings hand it on, free of rotation and strain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pet_flows.crystallography.lattice import multiply
from pet_flows.crystallography.primitive import Primitive


@dataclass(frozen=True)
class Subgroup:
    """Operations of one structure, by their places in the holohedry of its crystal reference.

    No rotation or strain of the structure changes these.

    Attributes
    ----------
    primitive
        Its primitive cell.
    operations
        ``(m,)`` int, indices into the reference's holohedry; the identity (0) included.
    permutations
        ``(m, n)`` int, of the atoms of the primitive cell.
    """

    primitive: Primitive
    operations: np.ndarray
    permutations: np.ndarray

    @property
    def order(self) -> int:
        """Operations of the whole cell, translations included."""
        return len(self.operations) * len(self.primitive.image) // len(self.primitive.atoms)

    def respects(self, numbers: np.ndarray) -> bool:
        """Whether it maps each atom on one of its own kind: a substituted atom breaks it."""
        own = numbers[self.primitive.atoms]
        same = (own[self.primitive.image] == numbers).all()
        return bool(same and (own[self.permutations] == own).all())

    def is_group(self, table: np.ndarray) -> bool:
        """Whether it has the identity and the product of any two, of their permutations too.

        ``table`` is that of the reference's holohedry.
        """
        m, place = len(self.operations), np.full(len(table), -1)
        if not m or self.operations.min() < 0 or self.operations.max() >= len(table):
            return False
        place[self.operations] = np.arange(m)
        if place[0] < 0 or (place >= 0).sum() < m:
            return False
        products = place[table[np.ix_(self.operations, self.operations)]]
        return bool((products >= 0).all()) and multiply(self.permutations, products)

    def as_dict(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "atoms": self.primitive.atoms.tolist(),
            "supercell": self.primitive.supercell.tolist(),
            "image": self.primitive.image.tolist(),
            "operations": self.operations.tolist(),
            "permutations": self.permutations.tolist(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Subgroup:
        """Inverse of :meth:`as_dict`."""
        basis = np.linalg.inv(np.array(data["supercell"], dtype=float))
        primitive = Primitive(np.array(data["atoms"]), basis, np.array(data["image"]))
        return cls(primitive, np.array(data["operations"]), np.array(data["permutations"]))
