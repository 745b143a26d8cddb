"""Lattices by their metric alone: canonical bases, pseudo-symmetry, the crystal reference.

Everything here works on Gram matrices and integers, so that no rotation of the input, no choice
of its cell and no round-off can change what comes out, except near a tie, which is recorded.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase.geometry import minkowski_reduce

#: version of the rule by which references are made; part of their digest
RULE = 1
#: default largest strain that still counts as a symmetry of the lattice
TOLERANCE = 0.03
#: relative tolerance for equal entries of the averaged metric
TIGHT = 1e-6
#: orders of the groups a lattice can have, inversion included
_ORDERS = (48, 24, 16, 12, 8, 4, 2)

#: Å; longer vectors are no crystal's
LONGEST = 1e5

_SMALL = np.array([c for c in itertools.product(range(-2, 3), repeat=3) if any(c)])


def reduced(basis: np.ndarray) -> np.ndarray:
    """Minkowski-reduced basis ``(3, 3)`` of the lattice of ``basis``, rows by length."""
    cell = minkowski_reduce(np.asarray(basis, dtype=float))[0]
    return cell[np.argsort(np.einsum("ia,ia->i", cell, cell), kind="stable")]


def pseudo_symmetry(basis: np.ndarray, tolerance: float) -> tuple[np.ndarray, float, float]:
    """Integer matrices that map a lattice onto itself up to a small strain.

    The strain of W is the largest ``|singular value − 1|`` of ``b⁻¹ W b``. Ordered by strain,
    the largest prefix that is a group and ends at a gap is taken; ±1 where there is no gap.

    Parameters
    ----------
    basis
        ``(3, 3)`` reduced basis b, rows.
    tolerance
        Largest strain.

    Returns
    -------
    tuple
        Matrices ``(m, 3, 3)`` int, the largest strain kept, and the smallest one dropped
        (inf where none is below twice the tolerance).
    """
    inverse = np.linalg.inv(basis)
    lengths = np.linalg.norm(_SMALL @ basis, axis=1)
    own = np.linalg.norm(basis, axis=1)
    # twice the tolerance, so that what is just beyond it is seen and can be warned about
    rows = [_SMALL[np.abs(lengths / n - 1) <= 2 * tolerance + 1e-9] for n in own]
    ops = _combined(rows)
    deformations = inverse @ ops @ basis
    # singular values need long: first out with what is farther from orthogonal than they allow
    excess = deformations @ deformations.transpose(0, 2, 1) - np.eye(3)
    near = np.einsum("mij,mij->m", excess, excess) <= 3 * ((1 + 2 * tolerance) ** 2 - 1) ** 2 + 1e-9
    ops, deformations = ops[near], deformations[near]
    strains = np.abs(np.linalg.svd(deformations, compute_uv=False) - 1).max(1)
    ops, strains = ops[strains <= 2 * tolerance + 1e-9], strains[strains <= 2 * tolerance + 1e-9]
    order = np.argsort(strains, kind="stable")
    ops, strains = ops[order], strains[order]
    gap = min(TIGHT, tolerance / 100)
    for n in (order_ for order_ in _ORDERS if order_ <= len(ops)):
        following = strains[n] if n < len(ops) else np.inf
        if strains[n - 1] <= tolerance and following - strains[n - 1] > gap and closed(ops[:n]):
            return ops[:n], float(strains[n - 1]), float(following)
    # no gap: a lattice that is about to become more symmetric; every one has ±1, of strain zero
    unit = np.eye(3, dtype=int)
    return np.stack([unit, -unit]), 0.0, float(strains[min(2, len(strains) - 1)])


def closed(ops: np.ndarray) -> bool:
    """Whether integer matrices ``(m, 3, 3)`` contain all their products."""
    return bool(np.isin(_words(products(ops)), _words(ops)).all())


def products(ops: np.ndarray) -> np.ndarray:
    """``(m, m, 3, 3)``: products of all pairs of matrices ``(m, 3, 3)``, in one multiplication."""
    m = len(ops)
    flat = ops.reshape(-1, 3).astype(float) @ ops.transpose(1, 0, 2).reshape(3, -1)
    return flat.reshape(m, 3, m, 3).transpose(0, 2, 1, 3)


def _words(ops: np.ndarray) -> np.ndarray:
    """One number for each integer matrix ``(..., 3, 3)`` with entries below 16, exact as float."""
    return ops.reshape(*ops.shape[:-2], 9) @ 32.0 ** np.arange(9)


def _combined(rows: list[np.ndarray]) -> np.ndarray:
    """All matrices ``(m, 3, 3)`` of determinant ±1 with one of ``rows[i]`` as their row i."""
    normals = np.cross(rows[0][:, None], rows[1][None])
    chosen = np.nonzero(np.abs(normals @ rows[2].T) == 1)
    return np.stack([r[c] for r, c in zip(rows, chosen, strict=True)], axis=1)


def canonical_bases(metric: np.ndarray) -> np.ndarray:
    """All bases that share the canonical metric of a lattice, as integer combinations.

    The canonical metric has the lexicographically smallest squared lengths, then scalar
    products; its bases, of both hands, differ by the holohedry.

    Parameters
    ----------
    metric
        ``(3, 3)`` Gram matrix of any basis.

    Returns
    -------
    numpy.ndarray
        ``(m, 3, 3)`` int: the bases are these matrices times the one of ``metric``.
    """
    given = np.linalg.cholesky(metric)
    basis = reduced(given)
    scale = abs(np.linalg.det(basis)) ** (2 / 3)
    squares = ((_SMALL @ basis) ** 2).sum(1)
    own = (basis**2).sum(1)
    rows = [_SMALL[np.abs(squares - n) <= TIGHT * scale] for n in own]
    combos = _combined(rows)
    gram = combos @ (basis @ basis.T) @ combos.transpose(0, 2, 1) / scale
    for i, j in ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)):
        equal = gram[:, i, j] <= gram[:, i, j].min() + TIGHT
        combos, gram = combos[equal], gram[equal]
    to_given = np.rint(basis @ np.linalg.inv(given)).astype(int)
    return combos @ to_given


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
        rough = np.linalg.solve(self.h0, self.integers @ self.h0)
        left, _, right = np.linalg.svd(rough)
        return left @ right

    @cached_property
    def table(self) -> np.ndarray:
        """``(m, m)`` int: ``table[a, b]`` is the index of ``g_a g_b``."""
        own = _words(self.integers)
        order = np.argsort(own)
        return order[np.searchsorted(own[order], _words(products(self.integers)))]

    @cached_property
    def digest(self) -> str:
        """Hex digest of everything in it."""
        words = json.dumps(self.as_dict(), sort_keys=True)
        return hashlib.sha256(words.encode()).hexdigest()[:16]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know: the lattice lies near a tie."""
        sentences = []
        if self.kept > 0.5 * self.tolerance:
            sentences.append(
                f"The lattice is {self.kept:.4f} away in strain from the symmetry it was given "
                f"(tolerance {self.tolerance}): a reference derived again after a small strain may "
                "differ, so carry this one."
            )
        if self.dropped is not None and self.dropped < 2 * self.tolerance:
            sentences.append(
                f"The lattice is only {self.dropped:.4f} away in strain from a higher symmetry "
                f"(tolerance {self.tolerance}): a reference derived again after a small strain may "
                "differ, so carry this one."
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
    metric = (ops @ (basis @ basis.T) @ ops.transpose(0, 2, 1)).mean(0)
    bases = canonical_bases(metric)
    canonical = (bases @ metric @ bases.transpose(0, 2, 1)).mean(0)
    first = bases[0]
    integers = np.rint(bases @ np.linalg.inv(first)).astype(int)
    # an order that does not depend on which basis came first: identity, then by entries
    keys = [(not np.array_equal(w, np.eye(3)), *w.ravel().tolist()) for w in integers]
    integers = integers[sorted(range(len(keys)), key=keys.__getitem__)]
    reference = CrystalReference(
        h0=np.linalg.cholesky(canonical),
        integers=integers,
        tolerance=tolerance,
        kept=kept,
        dropped=dropped if np.isfinite(dropped) else None,
        source=source,
    )
    return reference, first @ basis
