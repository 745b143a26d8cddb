"""Lattices by their metric alone: reduced and canonical bases, pseudo-symmetry.

Everything here works on Gram matrices and integers, so that no rotation of the input, no choice
of its cell and no round-off can change what comes out, except near a tie, which is recorded.
"""

from __future__ import annotations

import itertools
from functools import cache, lru_cache

import numpy as np
from ase.geometry import minkowski_reduce

#: relative tolerance for equal entries of the averaged metric
TIGHT = 1e-6
#: a matrix whose square misses one by less is orthogonal, but for round-off
ORTHOGONAL = 1e-10
#: orders of the groups a lattice can have, inversion included
_ORDERS = (48, 24, 16, 12, 8, 4, 2)

#: numbers compared at once
AT_ONCE = 1_000_000

_SMALL = np.array([c for c in itertools.product(range(-2, 3), repeat=3) if any(c)])
#: where in a symmetric matrix of nine are the six that differ, squares first; and the reverse
_OF_SIX = np.array([0, 4, 8, 5, 2, 1])
_NINE = np.array([0, 5, 4, 5, 1, 3, 4, 3, 2])


def _squares(vectors: np.ndarray) -> np.ndarray:
    """``(n, 6)``, what gives squared lengths of integer vectors ``(n, 3)`` from a metric."""
    products: np.ndarray = vectors[:, _OF_SIX // 3] * vectors[:, _OF_SIX % 3]
    return products * np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])


_SMALL_SQUARES = _squares(_SMALL)
#: combinations of the vectors of a reduced basis, and which of these each is not shorter than
_NOT_SHORTER = np.array(
    [[0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, -1, 0], [1, 0, -1], [0, 1, -1],
     [1, 1, 1], [1, -1, 1], [1, 1, -1], [1, -1, -1]], dtype=float,
)  # fmt: skip
_THAN = np.array([0, 1, 1, 2, 2, 1, 2, 2, 2, 2, 2, 2])
_NOT_SHORTER_SQUARES = _squares(_NOT_SHORTER)
#: Å; of ASE, which gives a basis back as it is where it is reduced up to this
ROUND_OFF = 1e-12


def reduced(basis: np.ndarray) -> np.ndarray:
    """Minkowski-reduced basis ``(3, 3)`` of the lattice of ``basis``, rows by length."""
    cell = np.asarray(basis, dtype=float)
    combined = _NOT_SHORTER @ cell
    lengths, longer = np.sqrt((cell * cell).sum(1)), np.sqrt((combined * combined).sum(1))
    if not (longer >= lengths[_THAN] - ROUND_OFF).all():  # which most are, of primitive cells
        cell = np.asarray(minkowski_reduce(cell)[0])
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
    metric = _six(basis @ basis.T)
    # twice the tolerance, so that what is just beyond it is seen and can be warned about
    ops, changes = _combined(_as_long(metric, metric[:3], 2 * tolerance + 1e-9))
    inverse = np.linalg.inv(basis)
    # b⁻¹ (W G Wᵀ − G) b⁻ᵀ, which is zero of what is orthogonal
    both = (inverse[:, None, :, None] * inverse[None, :, None, :]).reshape(9, 9)
    excess = (changes @ metric - metric)[:, _NINE] @ both.T
    squares = (excess * excess).sum(1)
    # singular values need long: first out with what is farther from orthogonal than they allow
    near = squares <= 3 * ((1 + 2 * tolerance) ** 2 - 1) ** 2 + 1e-9
    ops, excess, squares = ops[near], excess[near], squares[near]
    strains = np.sqrt(squares) / 2
    some = strains > ORTHOGONAL
    if some.any():
        values = np.linalg.eigvalsh(excess[some].reshape(-1, 3, 3))
        strains[some] = np.abs(np.sqrt(np.maximum(1 + values, 0.0)) - 1).max(1)
    order = np.argsort(strains, kind="stable")
    order = order[strains[order] <= 2 * tolerance + 1e-9]
    ops, strains = ops[order], strains[order]
    gap = min(TIGHT, tolerance / 100)
    for n in (order_ for order_ in _ORDERS if order_ <= len(ops)):
        following = strains[n] if n < len(ops) else np.inf
        if strains[n - 1] <= tolerance and following - strains[n - 1] > gap and closed(ops[:n]):
            return ops[:n], float(strains[n - 1]), float(following)
    # no gap: a lattice that is about to become more symmetric; every one has ±1, of strain zero
    unit = np.eye(3, dtype=int)
    return np.stack([unit, -unit]), 0.0, float(strains[min(2, len(strains) - 1)])


def mappings(
    basis: np.ndarray, onto: np.ndarray, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors of one lattice that correspond to the basis of another of the same volume.

    Parameters
    ----------
    basis, onto
        ``(3, 3)``, both reduced; of either hand.
    tolerance
        Largest strain, as in :func:`pseudo_symmetry`.

    Returns
    -------
    tuple
        ``(m, 3, 3)`` int W, by strain, ``W basis`` being ``onto`` but for a rotation and a strain;
        strains ``(m,)``.
    """
    target = np.einsum("ia,ia->i", onto, onto)
    maps, _ = _combined(_as_long(_six(basis @ basis.T), target, tolerance))
    deformations = np.linalg.inv(onto) @ maps @ basis
    strains = np.abs(np.linalg.svd(deformations, compute_uv=False) - 1).max(1)
    order = np.argsort(strains, kind="stable")
    order = order[strains[order] <= tolerance]
    return maps[order], strains[order]


def closed(ops: np.ndarray) -> bool:
    """Whether integer matrices ``(m, 3, 3)`` contain all their products."""
    return bool(table_of(ops[np.argsort(labels(ops))]).min() >= 0)


def table_of(ops: np.ndarray) -> np.ndarray:
    """``(m, m)`` int: where among matrices ``(m, 3, 3)`` the product of a and then b is, or -1.

    Crystals have few point groups, and these few matrices: each table is made once.
    """
    return _table(np.ascontiguousarray(ops, dtype=np.int64).tobytes())


@lru_cache(maxsize=256)
def _table(content: bytes) -> np.ndarray:
    ops = np.frombuffer(content, dtype=np.int64).reshape(-1, 3, 3)
    own, wanted = labels(ops), labels(products(ops))
    order = np.argsort(own)
    found = order.take(np.searchsorted(own[order], wanted), mode="clip")
    table = np.where(own[found] == wanted, found, -1)
    table.flags.writeable = False
    return table


def multiply(permutations: np.ndarray, table: np.ndarray) -> bool:
    """Whether permutations ``(m, n)``, one after the other, are those that a table ``(m, m)`` says.

    ``table[a, b]`` is the product of a and then b.
    """
    m, n = permutations.shape
    at_once = max(1, AT_ONCE // (m * n))
    for start in range(0, m, at_once):
        rows = slice(start, start + at_once)
        if (permutations[table[rows]] != permutations[:, permutations[rows]].swapaxes(0, 1)).any():
            return False
    return True


def products(ops: np.ndarray) -> np.ndarray:
    """``(m, m, 3, 3)``: products of all pairs of matrices ``(m, 3, 3)``, in one multiplication."""
    m = len(ops)
    flat = ops.reshape(-1, 3).astype(float) @ ops.transpose(1, 0, 2).reshape(3, -1)
    return flat.reshape(m, 3, m, 3).transpose(0, 2, 1, 3)


def labels(ops: np.ndarray) -> np.ndarray:
    """One number for each integer matrix ``(..., 3, 3)`` with entries below 16, exact as float."""
    return ops.reshape(*ops.shape[:-2], 9) @ 32.0 ** np.arange(9)


def mean_metric(ops: np.ndarray, metric: np.ndarray) -> np.ndarray:
    """``(3, 3)``, mean of ``W G Wᵀ`` over integer matrices ``(m, 3, 3)``."""
    rows = ops.transpose(1, 0, 2).reshape(3, -1).astype(float)
    changed = (rows.reshape(-1, 3) @ metric).reshape(3, -1)
    mean: np.ndarray = changed @ rows.T / len(ops)
    return mean


def _six(metric: np.ndarray) -> np.ndarray:
    """``(6,)``, what differs in a symmetric matrix ``(3, 3)``."""
    return metric.ravel()[_OF_SIX]


def _as_long(metric: np.ndarray, squares: np.ndarray, tolerance: float) -> np.ndarray:
    """``(3, 124)`` bool, which small vectors are as long as each of three up to a strain.

    ``metric (6,)`` is of their lattice, ``squares (3,)`` those of the lengths.
    """
    ratios = (_SMALL_SQUARES @ metric) / squares[:, None]
    return np.abs(np.sqrt(ratios) - 1) <= tolerance


def _combined(near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All matrices of determinant ±1 with one of some small vectors as each row.

    Parameters
    ----------
    near
        ``(3, 124)`` bool, which of the small ones may be each row.

    Returns
    -------
    tuple
        ``(m, 3, 3)`` int W; ``(m, 6, 6)``, what takes a metric G, as :func:`_six`, to ``W G Wᵀ``.
    """
    return _of_rows(near.tobytes())


@lru_cache(maxsize=64)  # crystals have few shapes
def _of_rows(content: bytes) -> tuple[np.ndarray, np.ndarray]:
    rows = [np.nonzero(row)[0] for row in np.frombuffer(content, dtype=bool).reshape(3, -1)]
    chosen = np.nonzero(_unimodular()[np.ix_(*rows)])
    matrices = _SMALL[np.stack([r[c] for r, c in zip(rows, chosen, strict=True)], axis=1)]
    i, j = _OF_SIX // 3, _OF_SIX % 3
    one, other = matrices[:, i].astype(float), matrices[:, j].astype(float)
    changes = one[:, :, i] * other[:, :, j]
    changes[:, :, 3:] += one[:, :, j[3:]] * other[:, :, i[3:]]
    for array in (matrices, changes):
        array.flags.writeable = False
    return matrices, changes


@cache
def _unimodular() -> np.ndarray:
    """``(124, 124, 124)`` bool, which three small vectors have the determinant ±1."""
    normals = np.cross(_SMALL[:, None], _SMALL[None])
    found: np.ndarray = np.abs(normals @ _SMALL.T) == 1
    return found


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
    scale = np.linalg.det(metric) ** (1 / 3)
    own = _six(metric)
    least, to_given = TIGHT / 1e3 * scale, None
    shorter = _NOT_SHORTER_SQUARES @ own < own[_THAN] - least
    if shorter.any() or own[0] > own[1] + least or own[1] > own[2] + least:
        given = np.linalg.cholesky(metric)
        basis = reduced(given)
        own = _six(basis @ basis.T)
        to_given = np.rint(basis @ np.linalg.inv(given)).astype(int)
    near = np.abs(_SMALL_SQUARES @ own - own[:3, None]) <= TIGHT * scale
    combos, changes = _combined(near)
    gram = changes @ (own / scale)
    left = np.arange(len(combos))
    for column in gram.T:  # squares first
        values = column[left]
        left = left[values <= values.min() + TIGHT]
    found: np.ndarray = combos[left]
    return found if to_given is None else found @ to_given
