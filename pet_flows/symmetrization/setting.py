"""Settings: the integer matrix N that says how a cell is built from a reference lattice."""

from __future__ import annotations

import numpy as np

from pet_flows.crystallography.lattice import reduced
from pet_flows.symmetrization.reference import CrystalReference


def smallest_setting(setting: np.ndarray, reference: CrystalReference) -> np.ndarray:
    """Of the settings N W, equal by symmetry, the one that comes first in lexicographic order.

    Which of them a search meets first is decided by round-off; this one is not.
    """
    options = np.rint(setting).astype(int) @ reference.integers
    return options[np.lexsort(options.reshape(len(options), 9).T[::-1])[0]]


def find_setting(
    reference: CrystalReference, cell: np.ndarray, limit: float = 0.15
) -> np.ndarray | None:
    """Integer N with ``cell = N h0 F`` and the smallest strain, for a cell built in an unknown way.

    A supercell's N is better taken from how it was built: here the number of primitive cells is
    guessed from the volume, so a supercell must not be dilated by more than half of one.

    Parameters
    ----------
    reference
        Its lattice.
    cell
        ``(3, 3)`` Å, rows.
    limit
        Largest traceless logarithmic strain allowed.

    Returns
    -------
    numpy.ndarray or None
        ``(3, 3)`` int; None if no sublattice of the reference is that close.
    """
    short = reduced(cell)
    # nearly all cells are found at once among the few candidates of a small strain
    for within in (0.01, 0.04, limit):
        found = _search(reference, short, min(within, limit))
        if found is not None:
            to_cell = np.rint(cell @ np.linalg.inv(short)).astype(int)
            return smallest_setting(to_cell @ found, reference)
    return None


def _search(reference: CrystalReference, short: np.ndarray, limit: float) -> np.ndarray | None:
    """N of a reduced cell with the smallest strain, if that is within the limit."""
    volume, whole = abs(np.linalg.det(reference.h0)), abs(np.linalg.det(short))
    copies = max(1, round(whole / volume))
    # pure dilation is no strain here
    lattice = reference.h0 * (whole / copies / volume) ** (1 / 3)
    own = np.linalg.norm(short, axis=1)
    gram = short @ short.T
    most = own.max() * np.exp(limit) * np.linalg.norm(np.linalg.inv(lattice), axis=0)
    spans = [np.arange(-r, r + 1) for r in np.ceil(most).astype(int)]
    grid = np.stack(np.meshgrid(*spans, indexing="ij"), -1).reshape(-1, 3)
    vectors = grid @ lattice
    lengths = np.linalg.norm(vectors, axis=1)
    rows = [np.nonzero(np.abs(np.log(np.maximum(lengths, 1e-9) / n)) <= limit)[0] for n in own]

    def fitting(a: int, candidates: np.ndarray, i: int, j: int) -> np.ndarray:
        """Those whose scalar product with vector a lies within what such a strain can do."""
        products = vectors[candidates] @ vectors[a]
        return candidates[np.abs(products - gram[i, j]) <= 2.5 * limit * own[i] * own[j]]

    best: tuple[float, np.ndarray] | None = None
    for a in rows[0]:
        # one of each set of vectors that the holohedry makes equal
        if tuple(grid[a]) != min(map(tuple, grid[a] @ reference.integers)):
            continue
        third = fitting(a, rows[2], 0, 2)
        for b in fitting(a, rows[1], 0, 1):
            last = fitting(b, third, 1, 2)
            options = np.stack([grid[[a] * len(last)], grid[[b] * len(last)], grid[last]], 1)
            options = options[np.abs(np.rint(np.linalg.det(options))) == copies]
            strains = traceless_strain(np.linalg.solve(options @ lattice, short[None]))
            for option, strain in zip(options, strains.tolist(), strict=True):
                if strain <= limit and (best is None or strain < best[0] - 1e-9):
                    best = (strain, option)
    return None if best is None else best[1]


def traceless_strain(deformation: np.ndarray) -> np.ndarray:
    """Largest entry of the traceless part of log S, for ``F = S R``; rotation and dilation: 0.

    ``(...)`` of deformations ``(..., 3, 3)``.
    """
    return strain_of(np.linalg.svd(deformation, compute_uv=False))


def strain_of(stretches: np.ndarray) -> np.ndarray:
    """The same from the ``(..., 3)`` eigenvalues of S; infinite where S is singular."""
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithms = np.log(stretches)
        mean = np.add.reduce(logarithms, -1, keepdims=True) / 3
        strain = np.abs(logarithms - mean).max(-1)
    return np.where(np.isnan(strain), np.inf, strain)
