"""Correlations in time in bounded memory: mean squared displacement, velocity autocorrelation."""

from __future__ import annotations

import numpy as np

#: lags that each level of the displacements knows
_LAGS = 16
_PLACES = np.arange(_LAGS + 1)
#: atoms whose spectra are taken at once
_ATOMS = 64


class Displacements:
    """Mean squared displacement (per species and axis) at lags spaced by powers of two.

    Level l keeps the last positions at every 2ˡ-th sample and serves lags of 9 to 16 (the first:
    1 to 16) times 2ˡ samples, each over all time origins at that spacing: memory grows with the
    logarithm of the run (the order-n algorithm of D. Frenkel, B. Smit, Understanding Molecular
    Simulation, §4.4.2, with subsampling).

    Parameters
    ----------
    species
        ``(E, N)`` one row per species, 1 for its atoms.
    """

    def __init__(self, species: np.ndarray):
        self._species = species.astype(float)
        self._count = 0
        shape = (1, _LAGS + 1)
        self._last = np.zeros((*shape, species.shape[1], 3))
        #: per level and lag: sums over atoms of a species and over origins, and origins
        self._sums = np.zeros((*shape, len(species), 3))
        self._origins = np.zeros(shape, dtype=np.int64)

    def add(self, positions: np.ndarray) -> None:
        """One more sample of unwrapped positions (N, 3) in Å."""
        level = 0
        while level < len(self._last) and self._count % 2**level == 0:
            count = self._count // 2**level
            last = self._last[level]
            last[count % (_LAGS + 1)] = positions
            first = 1 if level == 0 else _LAGS // 2 + 1
            lags = slice(first, max(first, min(count, _LAGS) + 1))
            moved = positions - last.take((count - _PLACES[lags]) % (_LAGS + 1), 0)
            self._sums[level, lags] += self._species @ np.square(moved, out=moved)
            self._origins[level, lags] += 1
            level += 1
            if count == _LAGS and level == len(self._last):
                self._grow(last)
        self._count += 1

    def _grow(self, last: np.ndarray) -> None:
        """Add a level; every other position of the one below, just full, belongs to it."""
        kept = np.zeros_like(last)
        kept[: _LAGS // 2 + 1] = last[::2]
        self._last = np.concatenate([self._last, kept[None]])
        self._sums = np.concatenate([self._sums, np.zeros_like(self._sums[:1])])
        self._origins = np.concatenate([self._origins, np.zeros_like(self._origins[:1])])

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Lags (L,) in samples, and the squared displacements (E, L, 3) in Å², per atom."""
        level, lag = np.nonzero(self._origins)
        sums = self._sums[level, lag] / self._origins[level, lag][:, None, None]
        per_atom = sums / self._species.sum(1)[:, None]
        return lag * 2**level, np.moveaxis(per_atom, 0, 1)

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint must hold."""
        return {
            "count": np.array(self._count),
            "last": self._last,
            "sums": self._sums,
            "origins": self._origins,
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Inverse of :meth:`state`."""
        self._count = int(state["count"])
        self._last, self._sums, self._origins = (
            state[key].copy() for key in ("last", "sums", "origins")
        )


class VelocityCorrelation:
    """Velocity autocorrelation of each species, block by block.

    Blocks of as many samples as there are lags are correlated through zero-padded Fourier
    transforms (Wiener–Khinchin), which is exact for all pairs of samples within a block.

    Parameters
    ----------
    species
        ``(E, N)`` one row per species, 1 for its atoms.
    lags
        Samples in a block.
    """

    def __init__(self, species: np.ndarray, lags: int):
        self._species = species.astype(float)
        self._block = np.zeros((lags, species.shape[1], 3))
        self._held = 0
        self._sums = np.zeros((len(species), lags))
        self._origins = np.zeros(lags, dtype=np.int64)

    def add(self, velocities: np.ndarray) -> None:
        """One more sample of velocities (N, 3)."""
        self._block[self._held] = velocities
        self._held += 1
        if self._held == len(self._block):
            sums, origins = self._correlated()
            self._sums += sums
            self._origins += origins
            self._held = 0

    def _correlated(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums (E, lags) over atoms, axes and origins of the block so far, and origins (lags,)."""
        lags, n = len(self._block), self._held
        sums = np.zeros_like(self._sums)
        for a in range(0, self._block.shape[1], _ATOMS):
            some = slice(a, a + _ATOMS)
            spectrum = np.fft.rfft(self._block[:n, some], n=2 * lags, axis=0)
            power = (np.abs(spectrum) ** 2).sum(-1) @ self._species[:, some].T
            sums += np.fft.irfft(power, n=2 * lags, axis=0)[:lags].T
        return sums, np.maximum(0, n - np.arange(lags))

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Lags (L,) in samples, and the correlation (E, L) per atom, in velocity squared."""
        sums, origins = self._sums, self._origins
        if self._held:
            more, others = self._correlated()
            sums, origins = sums + more, origins + others
        known = origins > 0
        per_atom = sums[:, known] / origins[known] / self._species.sum(1)[:, None]
        return np.nonzero(known)[0], per_atom

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint must hold."""
        return {
            "block": self._block[: self._held],
            "sums": self._sums,
            "origins": self._origins,
        }

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Inverse of :meth:`state`."""
        self._held = len(state["block"])
        self._block[: self._held] = state["block"]
        self._sums, self._origins = state["sums"].copy(), state["origins"].copy()


def density_of_states(
    time: np.ndarray, correlation: np.ndarray, mass: float, kT: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vibrational density of states of one species from its velocity autocorrelation.

    ``g(f) = 4 m / kT ∫ <v(0)·v(t)> cos(2π f t) dt`` over t from 0, under a Hann window; its
    integral over f is 3 where the species has the temperature ``kT``.

    Parameters
    ----------
    time
        (L,) ps, equally spaced from 0.
    correlation
        (L,) velocity squared.
    mass, kT
        In units such that m v² / kT is a number.

    Returns
    -------
    frequency
        (F,) THz.
    density
        (F,) 1/THz per atom.
    """
    n = len(time)
    weighted = correlation * np.cos(np.pi * np.arange(n) / (2 * n)) ** 2
    weighted[0] /= 2.0
    step = float(time[1] - time[0])
    density = 4.0 * mass / kT * step * np.fft.rfft(weighted, n=2 * n).real
    return np.fft.rfftfreq(2 * n, step), density
