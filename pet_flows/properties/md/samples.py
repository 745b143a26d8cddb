"""Samples of one run that wait until averages are taken of all of them at once."""

from __future__ import annotations

import numpy as np

from pet_flows.properties.md.frames import Snapshot

#: samples that wait, and their bytes, at most; a checkpoint may hold as many
MOST, BYTES = 32, 4 * 2**20


class Samples:
    """What averages are taken of, one sample after another.

    Parameters
    ----------
    n_atoms
        N.
    """

    def __init__(self, n_atoms: int):
        self._capacity = max(1, min(MOST, BYTES // (48 * n_atoms)))
        numbers = dict.fromkeys(("potential", "kinetic", "conserved"), ())
        shapes = {
            **numbers, "stress": (3, 3), "cell": (3, 3), "positions": (n_atoms, 3),
            "momenta": (n_atoms, 3),
        }  # fmt: skip
        self._arrays: dict[str, np.ndarray] = {"step": np.zeros(self._capacity, dtype=np.int64)}
        for name, shape in shapes.items():
            self._arrays[name] = np.zeros((self._capacity, *shape))
        self._count = 0

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    @property
    def full(self) -> bool:
        """Whether there is no space for another."""
        return self._count == self._capacity

    def add(self, now: Snapshot) -> None:
        """One more; its arrays are copied."""
        for name, array in self._arrays.items():
            array[self._count] = getattr(now, name)
        self._count += 1

    def take(self) -> dict[str, np.ndarray]:
        """All that wait, ``(K, ...)`` of each array of a :class:`.frames.Snapshot` but its forces.

        They do so no more, and what is given is valid until another is added.
        """
        found, self._count = self.state(), 0
        return found

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint must hold."""
        return {name: array[: self._count] for name, array in self._arrays.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Inverse of :meth:`state`; checkpoints of before there were any have none."""
        self._count = len(state.get("step", ()))
        for name, values in state.items():
            self._arrays[name][: self._count] = values
