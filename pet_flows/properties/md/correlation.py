"""Correlations in time in bounded memory: mean squared displacement, velocity autocorrelation."""

from __future__ import annotations

import numpy as np
from scipy.fft import next_fast_len

#: lags that each level of the displacements knows
_LAGS = 16
#: ps; a lag shorter than this may be ballistic
BALLISTIC = 0.3
#: d ln MSD / d ln t of what diffuses; a solid's is near 0
DIFFUSIVE = 0.7
#: atoms that are looked at together, so that what is needed of them stays in the cache
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
        """More samples of unwrapped positions (K, N, 3) in Å, in their order."""
        count, level = self._count, 0
        self._count += len(positions)
        while level < len(self._last) and len(positions):
            if level + 1 == len(self._last) and count + len(positions) > _LAGS:
                self._grow()
            self._correlate(level, count, positions)
            # of every level the next one sees every other sample
            positions = positions[count % 2 :: 2]
            count, level = (count + 1) // 2, level + 1

    def _correlate(self, level: int, count: int, positions: np.ndarray) -> None:
        """Take samples (K, N, 3) into one level, which has seen ``count`` of them."""
        last, first = self._last[level], 1 if level == 0 else _LAGS // 2 + 1
        places = count + np.arange(len(positions))
        lags = np.arange(first, _LAGS + 1)
        known = places[:, None] >= lags
        if known.any():
            before = last.take(np.arange(count - _LAGS, count) % (_LAGS + 1), 0)
            series = np.concatenate([before, positions])
            partners = _LAGS + np.arange(len(positions))[:, None] - lags
            squares = np.empty((len(lags), *positions.shape[1:]))
            for a in range(0, positions.shape[1], _ATOMS):
                some = series[:, a : a + _ATOMS]
                moved = some.take(partners, 0)
                moved -= some[_LAGS:, None]
                if not known.all():
                    moved[~known] = 0.0
                squares[:, a : a + _ATOMS] = np.square(moved, out=moved).sum(0)
            self._sums[level, first:] += self._species @ squares
            self._origins[level, first:] += known.sum(0)
        kept = slice(-_LAGS - 1, None)
        last[places[kept] % (_LAGS + 1)] = positions[kept]

    def _grow(self) -> None:
        """Add a level; every other position of the one below, not yet full, belongs to it."""
        last = self._last[-1]
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


def diffusion(
    time: np.ndarray, squares: np.ndarray, whole: float
) -> dict[int, tuple[float, float]] | None:
    """Per species that diffuses its coefficient and the error of that, cm²/s.

    Slope of the mean squared displacement between a tenth and a half of the run, the mean of
    the three axes; the error is that of the mean. Species that do not diffuse (exponent below
    0.7, or no larger than twice the error) are left out; None if there are none, or if the run
    is too short to tell (a tenth of it must be beyond 0.3 ps).

    Parameters
    ----------
    time, squares
        Lags ``(L,)`` in ps, mean squared displacements ``(E, L, 3)`` in Å².
    whole
        ps, length of the run.
    """
    fitted = (time >= whole / 10.0) & (time <= whole / 2.0)
    if whole / 10.0 < BALLISTIC or fitted.sum() < 4:
        return None
    found = {}
    for species, square in enumerate(squares[:, fitted]):
        if square.min() <= 0:
            continue
        exponent = np.polyfit(np.log(time[fitted]), np.log(square.sum(1)), 1)[0]
        axes = np.polyfit(time[fitted], square, 1)[0] / 2.0 * 1e-4  # Å²/ps to cm²/s
        mean, error = float(axes.mean()), float(axes.std(ddof=1) / np.sqrt(3.0))
        if exponent >= DIFFUSIVE and mean > 2.0 * error:
            found[species] = (mean, error)
    return found or None


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
        """More samples of velocities (K, N, 3), in their order."""
        while len(velocities):
            some = velocities[: len(self._block) - self._held]
            self._block[self._held : self._held + len(some)] = some
            self._held += len(some)
            velocities = velocities[len(some) :]
            if self._held == len(self._block):
                sums, origins = self._correlated()
                self._sums += sums
                self._origins += origins
                self._held = 0

    def _correlated(self) -> tuple[np.ndarray, np.ndarray]:
        """Sums (E, lags) over atoms, axes and origins of the block so far, and origins (lags,)."""
        lags, n = len(self._block), self._held
        sums = np.zeros_like(self._sums)
        length = next_fast_len(2 * n, real=True)
        for a in range(0, self._block.shape[1], _ATOMS):
            some = slice(a, a + _ATOMS)
            spectrum = np.fft.rfft(self._block[:n, some], n=length, axis=0)
            power = (np.abs(spectrum) ** 2).sum(-1) @ self._species[:, some].T
            sums[:, :n] += np.fft.irfft(power, n=length, axis=0)[:n].T
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
