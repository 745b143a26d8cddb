"""Averages of a series whose values are not kept: mean, deviation, error by blocking, slope."""

from __future__ import annotations

import numpy as np

#: blocks that an estimate of the error needs
FEWEST_BLOCKS = 16
_LEVELS = 48


class RunningMean:
    """Mean, standard deviation and error of the mean of a correlated series.

    Blocking on the fly after H. Flyvbjerg, H. G. Petersen, J. Chem. Phys. 91, 461 (1989): level l
    sees means of 2ˡ values; the largest error of the levels with enough blocks is taken.
    """

    def __init__(self) -> None:
        #: per level: blocks, their mean, sum of squared deviations, a block waiting for its pair;
        #: numbers of Python, which take a third of the time of an array's for one at a time
        self._levels = [[0.0] * 4 for _ in range(_LEVELS)]
        self._waiting = [False] * _LEVELS

    def add(self, value: float) -> None:
        """One more value."""
        value = float(value)
        for place, level in enumerate(self._levels):
            level[0] += 1.0
            apart = value - level[1]
            level[1] += apart / level[0]
            level[2] += apart * (value - level[1])
            self._waiting[place] = not self._waiting[place]
            if self._waiting[place]:
                level[3] = value
                return
            value = (value + level[3]) / 2.0

    @property
    def count(self) -> int:
        """Values so far."""
        return int(self._levels[0][0])

    @property
    def mean(self) -> float:
        """Of all values."""
        return self._levels[0][1]

    @property
    def std(self) -> float:
        """Of all values."""
        return float(np.sqrt(self._levels[0][2] / max(1, self.count)))

    @property
    def error(self) -> float | None:
        """Standard error of the mean; None for a short series."""
        levels = np.array(self._levels)
        enough = levels[levels[:, 0] >= FEWEST_BLOCKS]
        if not len(enough):
            return None
        return float(np.sqrt(enough[:, 2] / (enough[:, 0] * (enough[:, 0] - 1))).max())

    def state(self) -> np.ndarray:
        """What a checkpoint must hold."""
        return np.column_stack([self._levels, self._waiting])

    def restore(self, state: np.ndarray) -> None:
        """Inverse of :meth:`state`."""
        self._levels = state[:, :4].tolist()
        self._waiting = state[:, 4].astype(bool).tolist()


class RunningSlope:
    """Least squares slope of y(x)."""

    def __init__(self) -> None:
        #: count, means of x and y, sums of (x - x̄)² and (x - x̄)(y - ȳ); numbers of Python
        self._sums = [0.0] * 5

    def add(self, x: float, y: float) -> None:
        """One more point."""
        sums = self._sums
        sums[0] += 1
        dx, dy = x - sums[1], y - sums[2]
        sums[1] += dx / sums[0]
        sums[2] += dy / sums[0]
        sums[3] += dx * (x - sums[1])
        sums[4] += dx * (y - sums[2])

    @property
    def slope(self) -> float | None:
        """None of fewer than three points."""
        return self._sums[4] / self._sums[3] if self._sums[0] > 2 else None

    def state(self) -> np.ndarray:
        """What a checkpoint must hold."""
        return np.array(self._sums)

    def restore(self, state: np.ndarray) -> None:
        """Inverse of :meth:`state`."""
        self._sums = state.tolist()
