"""Where atoms are on average: radial distribution functions and the Lindemann ratio."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from pet_flows.geometry.neighbours import find_neighbours

#: Å
BIN = 0.05
#: Å; pairs are kept with it: atoms of a solid stay within half of it
SKIN = 1.0
PERIODIC = np.ones(3, dtype=bool)


class RadialDistribution:
    """Pair distribution functions g(r) of a periodic system, for each pair of species.

    Parameters
    ----------
    species
        ``(E, N)`` one row per species, 1 for its atoms.
    cutoff
        Å; periodic images are counted, so that it may be longer than the cell.
    """

    def __init__(self, species: np.ndarray, cutoff: float):
        self._kind = species.argmax(0)
        self._amounts = species.sum(1)
        self.pairs = list(combinations_with_replacement(range(len(species)), 2))
        self._place = np.zeros((len(species), len(species)), dtype=np.int64)
        for place, (a, b) in enumerate(self.pairs):
            self._place[a, b] = self._place[b, a] = place
        self.edges = BIN * np.arange(int(np.ceil(cutoff / BIN)) + 1)
        self._counts = np.zeros((len(self.pairs), len(self.edges) - 1))
        self._inverse_volume = 0.0
        self._near: Near | None = None
        self._of_pairs = np.zeros(0, dtype=np.int64)

    def add(self, positions: np.ndarray, cells: np.ndarray) -> None:
        """More samples of positions (K, N, 3) and cells (K, 3, 3), rows, in Å.

        Raises
        ------
        StructureError
            See :func:`~pet_flows.geometry.neighbours.find_neighbours`.
        """
        longest, n_bins = float(self.edges[-1]), len(self.edges) - 1
        for placed, cell in zip(positions, cells, strict=True):
            if self._near is None or not self._near.holds(placed, cell):
                self._near = Near(placed, cell, longest)
                i, j = self._near.first, self._near.second
                self._of_pairs = self._place[self._kind[i], self._kind[j]] * (n_bins + 1)
            # those between cutoff and skin are in a bin more, which does not count
            bins = np.minimum(self._near.lengths(placed, cell) / BIN, n_bins).astype(np.int64)
            counts = np.bincount(self._of_pairs + bins, minlength=len(self.pairs) * (n_bins + 1))
            self._counts += counts.reshape(len(self.pairs), n_bins + 1)[:, :n_bins]
            self._inverse_volume += 1.0 / abs(float(np.linalg.det(cell)))

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Centres of the bins (B,) in Å, and g (pairs, B)."""
        shells = 4.0 / 3.0 * np.pi * np.diff(self.edges**3)
        a, b = np.array(self.pairs).T
        # each pair was counted once, from either side
        uniform = self._amounts[a] * self._amounts[b] * np.where(a == b, 0.5, 1.0)
        expected = uniform[:, None] * shells * self._inverse_volume
        return (self.edges[1:] + self.edges[:-1]) / 2.0, self._counts / np.maximum(expected, 1e-30)

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint must hold."""
        return {"counts": self._counts, "inverse_volume": np.array(self._inverse_volume)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Inverse of :meth:`state`."""
        self._counts = state["counts"].copy()
        self._inverse_volume = float(state["inverse_volume"])


class Near:
    """Pairs of a periodic system within a cutoff and a skin around it, where they were sought.

    Parameters
    ----------
    positions, cell
        ``(N, 3)`` and ``(3, 3)``, rows, Å.
    cutoff
        Å.
    """

    def __init__(self, positions: np.ndarray, cell: np.ndarray, cutoff: float):
        self._positions, self._cell, self._cutoff = positions.copy(), cell.copy(), cutoff
        i, j, shifts, _ = find_neighbours(positions, cell, PERIODIC, cutoff + SKIN, full=False)
        self.first, self.second = i, j
        self._shifts, place = np.unique(shifts, axis=0, return_inverse=True)
        self._of_pairs = place.reshape(-1)

    def holds(self, positions: np.ndarray, cell: np.ndarray) -> bool:
        """Whether all pairs within the cutoff are among them, of a geometry ``(N, 3)``, ``(3, 3)``.

        With the cell deformed by F, and atoms displaced beside that by at most u, vectors of now
        length d were at most ``(d + 2 u) / σ`` long, σ the least singular value of F.
        """
        before, sigma = self._positions, 1.0
        if (cell != self._cell).any():
            deformation = np.linalg.solve(self._cell, cell)
            before, sigma = before @ deformation, np.linalg.svd(deformation)[1][-1]
        u = np.sqrt(((positions - before) ** 2).sum(1).max())
        return bool(self._cutoff + 2 * u < (self._cutoff + SKIN) * sigma - 1e-6)

    def lengths(self, positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """``(p,)`` Å, of such a geometry."""
        squares = np.zeros(len(self.first))
        for x, moved in zip(positions.T.copy(), (self._shifts @ cell).T.copy(), strict=True):
            along = x.take(self.second)
            along -= x.take(self.first)
            along += moved.take(self._of_pairs)
            squares += np.square(along, out=along)
        return np.sqrt(squares, out=squares)


class Fluctuation:
    """Rms distance of atoms from their mean positions."""

    def __init__(self, n_atoms: int):
        self._count = 0
        self._mean = np.zeros((n_atoms, 3))
        self._squares = np.zeros(n_atoms)

    def add(self, positions: np.ndarray) -> None:
        """More samples of unwrapped positions (K, N, 3) in Å."""
        before, more = self._count, len(positions)
        self._count += more
        mean = positions.mean(0)
        apart = mean - self._mean
        self._mean += apart * (more / self._count)
        self._squares += (apart**2).sum(1) * (before * more / self._count)
        self._squares += summed_squares(positions - mean)

    @property
    def rms(self) -> float:
        """Å, over all atoms."""
        return float(np.sqrt(self._squares.mean() / max(1, self._count)))

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint must hold."""
        return {
            "count": np.array(self._count), "mean": self._mean, "squares": self._squares,
        }  # fmt: skip

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Inverse of :meth:`state`."""
        self._count = int(state["count"])
        self._mean, self._squares = state["mean"].copy(), state["squares"].copy()


def summed_squares(vectors: np.ndarray) -> np.ndarray:
    """``(N,)``, sums over samples and axes of the squares of vectors (K, N, 3)."""
    found: np.ndarray = np.einsum("kna,kna->na", vectors, vectors).sum(1)
    return found


def nearest_neighbour_distance(positions: np.ndarray, cell: np.ndarray) -> float | None:
    """Mean over atoms of the distance (Å) to the nearest one; None beyond 8 Å."""
    for cutoff in (3.5, 8.0):
        i, _, _, d = find_neighbours(positions, cell, PERIODIC, cutoff)
        nearest = np.full(len(positions), np.inf)
        np.minimum.at(nearest, i, d)
        if np.isfinite(nearest).all():
            return float(nearest.mean())
    return None
