"""Where atoms are on average: radial distribution functions and the Lindemann ratio."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np

from pet_flows.geometry.neighbours import find_neighbours

#: Å
BIN = 0.05
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

    def add(self, positions: np.ndarray, cell: np.ndarray) -> None:
        """One more sample of positions (N, 3) and cell (rows), Å."""
        longest = float(self.edges[-1])
        i, j, _, d = find_neighbours(positions, cell, PERIODIC, longest, full=False)
        n_bins = len(self.edges) - 1
        place = self._place[self._kind[i], self._kind[j]]
        found = np.minimum((d / BIN).astype(int), n_bins - 1)
        counts = np.bincount(place * n_bins + found, minlength=self._counts.size)
        self._counts += counts.reshape(self._counts.shape)
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


class Fluctuation:
    """Rms distance of atoms from their mean positions."""

    def __init__(self, n_atoms: int):
        self._count = 0
        self._mean = np.zeros((n_atoms, 3))
        self._squares = np.zeros(n_atoms)

    def add(self, positions: np.ndarray) -> None:
        """One more sample of unwrapped positions (N, 3) in Å."""
        self._count += 1
        apart = positions - self._mean
        self._mean += apart / self._count
        self._squares += (apart * (positions - self._mean)).sum(1)

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


def nearest_neighbour_distance(positions: np.ndarray, cell: np.ndarray) -> float | None:
    """Mean over atoms of the distance (Å) to the nearest one; None beyond 8 Å."""
    for cutoff in (3.5, 8.0):
        i, _, _, d = find_neighbours(positions, cell, PERIODIC, cutoff)
        nearest = np.full(len(positions), np.inf)
        np.minimum.at(nearest, i, d)
        if np.isfinite(nearest).all():
            return float(nearest.mean())
    return None
