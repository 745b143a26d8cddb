"""The crystal reference: a frozen lattice to which every geometry of a crystal is oriented.

It comes from Gram matrices and integers alone, so that no rotation of the input, no choice of its
cell and no round-off can change it, except near a tie, which is recorded.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from pet_flows.crystallography.lattice import (
    TIGHT,
    canonical_bases,
    labels,
    mean_metric,
    pseudo_symmetry,
    reduced,
    table_of,
)

#: version of the rule by which references are made; part of their digest
RULE = 1
#: default largest strain that still counts as a symmetry of the lattice
TOLERANCE = 0.03


@dataclass(frozen=True, eq=False)
class CrystalReference:
    """A frozen lattice to which every geometry of a crystal is oriented.

    Made once per crystal by :func:`make_reference`; small, and it travels with the crystal.

    Attributes
    ----------
    h0
        ``(3, 3)`` Å, rows of the primitive cell in its canonical orientation.
    integers
        ``(m, 3, 3)`` holohedry as integer matrices W with ``W h0 = h0 g``; the identity first.
    tolerance
        Strain up to which the lattice was taken as symmetric.
    kept, dropped
        Largest strain averaged away, smallest one that was not; None if there is none near.
    source
        Digest of the structure it was made from, or an empty string.
    """

    h0: np.ndarray
    integers: np.ndarray
    tolerance: float
    kept: float
    dropped: float | None
    source: str = ""

    @cached_property
    def holohedry(self) -> np.ndarray:
        """``(m, 3, 3)`` orthogonal matrices g of :attr:`integers`."""
        rough = np.linalg.inv(self.h0) @ self.integers @ self.h0
        for _ in range(2):  # Newton's steps to the orthogonal factor, which is very near
            rough = 1.5 * rough - 0.5 * rough @ rough.transpose(0, 2, 1) @ rough
        return rough

    @cached_property
    def table(self) -> np.ndarray:
        """``(m, m)`` int: ``table[a, b]`` is the index of ``g_a g_b``."""
        return table_of(self.integers)

    def places(self, integers: np.ndarray) -> np.ndarray:
        """Where among :attr:`integers` matrices ``(..., 3, 3)`` are; -1 for others."""
        own, wanted = labels(self.integers), labels(integers)
        order = np.argsort(own)
        found = order[np.minimum(np.searchsorted(own[order], wanted), len(own) - 1)]
        return np.where(own[found] == wanted, found, -1)

    @cached_property
    def digest(self) -> str:
        """Hex digest of everything in it."""
        content = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences where the lattice is near one of another symmetry."""
        sentences = []
        if self.kept > 0.5 * self.tolerance:
            sentences.append(
                f"The lattice is {self.kept:.4f} away in strain from the symmetry it was given "
                f"(tolerance {self.tolerance}): a reference derived again after a small strain may "
                "differ, so let what follows inherit this one."
            )
        if self.dropped is not None and self.dropped < 2 * self.tolerance:
            sentences.append(
                f"The lattice is only {self.dropped:.4f} away in strain from a higher symmetry "
                f"(tolerance {self.tolerance}): a reference derived again after a small strain may "
                "differ, so let what follows inherit this one."
            )
        return tuple(sentences)

    def as_dict(self) -> dict[str, Any]:
        """JSON form; :meth:`from_dict` gives the same reference with the same digest."""
        return {
            "h0": self.h0.tolist(),
            "integers": self.integers.tolist(),
            "tolerance": self.tolerance,
            "kept": self.kept,
            "dropped": self.dropped,
            "source": self.source,
            "rule": RULE,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CrystalReference:
        """Inverse of :meth:`as_dict`."""
        return cls(
            np.array(data["h0"], dtype=float),
            np.array(data["integers"], dtype=int),
            float(data["tolerance"]),
            float(data["kept"]),
            None if data["dropped"] is None else float(data["dropped"]),
            str(data.get("source", "")),
        )


def make_reference(
    lattice: np.ndarray, tolerance: float = TOLERANCE, source: str = ""
) -> tuple[CrystalReference, np.ndarray]:
    """Reference of a lattice, the same from any basis and orientation of it.

    The lattice's own pseudo-symmetry is averaged into its metric *before* a canonical basis is
    chosen. Choosing on the strained lattice itself would jump with the order of its lengths.

    Parameters
    ----------
    lattice
        ``(3, 3)`` Å, rows of a primitive cell.
    tolerance
        Strain up to which an operation counts as a symmetry of the lattice.
    source
        Digest of the structure, kept for provenance.

    Returns
    -------
    tuple
        The reference, and the basis ``(3, 3)`` of the given lattice that corresponds to ``h0``.
    """
    # below this the averaged metric and the canonical bases, equal to TIGHT, disagree
    tolerance = max(tolerance, 10 * TIGHT)
    basis = reduced(lattice)
    ops, kept, dropped = pseudo_symmetry(basis, tolerance)
    metric = mean_metric(ops, basis @ basis.T)
    bases = canonical_bases(metric)
    canonical = mean_metric(bases, metric)
    reference = CrystalReference(
        h0=np.linalg.cholesky(canonical),
        integers=_holohedry(np.ascontiguousarray(bases, dtype=np.int64).tobytes()),
        tolerance=tolerance,
        kept=kept,
        dropped=dropped if np.isfinite(dropped) else None,
        source=source,
    )
    return reference, bases[0] @ basis


@lru_cache(maxsize=256)  # of few crystals it is another
def _holohedry(bases: bytes) -> np.ndarray:
    """Integer matrices ``(m, 3, 3)`` that take bases which share a metric to each other."""
    every = np.frombuffer(bases, dtype=np.int64).reshape(-1, 3, 3)
    integers = np.rint(every @ np.linalg.inv(every[0])).astype(int)
    # an order that does not depend on which basis came first: identity, then by entries
    flat = integers.reshape(-1, 9)
    other = (flat != np.eye(3, dtype=int).ravel()).any(1)
    ordered: np.ndarray = integers[np.lexsort((*flat.T[::-1], other))]
    ordered.flags.writeable = False
    return ordered
