"""Trajectories on disk: frames appended as they come, checkpoints that replace each other.

A run owns two files. ``<name>.frames`` holds records of fixed size and only grows;
``<name>.checkpoint.npz`` holds the last complete state, the generator's included, and how many
frames were valid then. It is written beside and renamed, so that a kill at any moment leaves one
that is whole; frames beyond it are cut off when the run goes on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress


def frame_type(n_atoms: int) -> np.dtype:
    """One frame: positions Å, momenta ASE units, energies eV, stress eV/Å³ (potential part)."""
    return np.dtype(
        [
            ("step", "<i8"),
            ("potential", "<f8"),
            ("kinetic", "<f8"),
            ("conserved", "<f8"),
            ("stress", "<f8", (3, 3)),
            ("positions", "<f8", (n_atoms, 3)),
            ("momenta", "<f8", (n_atoms, 3)),
        ]
    )


@dataclass
class Trajectory:
    """Frames of one run, in memory and, with a folder, on disk.

    Parameters
    ----------
    n_atoms
        Size of a frame.
    folder, name
        Where the files go; without a folder nothing is written.
    """

    n_atoms: int
    folder: Path | None = None
    name: str = "md"
    frames: list[np.ndarray] = field(default_factory=list)
    _written: int = 0

    def append(self, **values: Any) -> None:
        """Add one frame."""
        frame = np.zeros((), dtype=frame_type(self.n_atoms))
        for key, value in values.items():
            frame[key] = value
        self.frames.append(frame)

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Make everything so far survive a kill; ``state`` is what the run needs to go on."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        fresh = self.frames[self._written :]
        if fresh:
            with open(self._frames_file, "ab") as file:
                file.write(np.array(fresh).tobytes())
                file.flush()
                os.fsync(file.fileno())
            self._written = len(self.frames)
        beside = self._checkpoint_file.with_suffix(".part")
        with open(beside, "wb") as file:
            np.savez(file, n_frames=len(self.frames), **state)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self._checkpoint_file)

    def resume(self) -> dict[str, np.ndarray] | None:
        """The last checkpoint's state with its frames loaded; None if there is none."""
        if self.folder is None or not self._checkpoint_file.exists():
            if self.folder is not None:
                self._frames_file.unlink(missing_ok=True)
            return None
        with np.load(self._checkpoint_file) as file:
            state = {key: file[key] for key in file.files}
        n, size = int(state.pop("n_frames")), frame_type(self.n_atoms).itemsize
        if n:
            os.truncate(self._frames_file, n * size)
        self.frames = list(np.fromfile(self._frames_file, frame_type(self.n_atoms))) if n else []
        self._written = n
        return state

    def remove(self) -> None:
        """Delete the files: the result holds everything now."""
        if self.folder is not None:
            self._checkpoint_file.unlink(missing_ok=True)
            self._frames_file.unlink(missing_ok=True)

    @property
    def _frames_file(self) -> Path:
        assert self.folder is not None
        return self.folder / f"{self.name}.frames"

    @property
    def _checkpoint_file(self) -> Path:
        assert self.folder is not None
        return self.folder / f"{self.name}.checkpoint.npz"

    def arrays(self, atoms: Atoms, timestep: float) -> dict[str, np.ndarray]:
        """The blob of a record, see :func:`read_trajectory`.

        Parameters
        ----------
        atoms
            Whose numbers and cell all frames share.
        timestep
            fs.
        """
        frames = np.array(self.frames, dtype=frame_type(self.n_atoms))
        return {
            "numbers": atoms.numbers,
            "cell": atoms.cell.array,
            "pbc": atoms.pbc,
            "time": frames["step"] * timestep * 1e-3,
            **{key: frames[key] for key in frames.dtype.names or ()},
        }


def read_trajectory(arrays: dict[str, np.ndarray]) -> list[Atoms]:
    """ASE structures of a ``trajectory`` blob, with momenta, energies and stresses.

    Parameters
    ----------
    arrays
        ``numbers (N,)``, ``cell (3, 3)``, ``pbc (3,)``, and per frame ``time`` ps, ``step``,
        ``potential``, ``kinetic``, ``conserved`` eV, ``stress (3, 3)`` eV/Å³, ``positions (N, 3)``
        Å, ``momenta (N, 3)`` in ASE's units.
    """
    found = []
    for t in range(len(arrays["step"])):
        atoms = Atoms(
            numbers=arrays["numbers"],
            positions=arrays["positions"][t],
            cell=arrays["cell"],
            pbc=arrays["pbc"],
            momenta=arrays["momenta"][t],
            info={"time": float(arrays["time"][t])},
        )
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=float(arrays["potential"][t]),
            stress=full_3x3_to_voigt_6_stress(arrays["stress"][t]),
        )
        found.append(atoms)
    return found
