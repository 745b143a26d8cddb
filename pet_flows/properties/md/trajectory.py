"""Trajectories on disk: frames appended as they come, checkpoints that replace each other.

A run owns two files, and a third one whose lock says which process may write them.
``<name>.frames`` holds records of fixed size and only grows;
``<name>.checkpoint.npz`` holds the last complete state, the generator's included, and how many
frames were valid then. It is written beside and renamed, so that a kill at any moment leaves one
that is whole; frames beyond it are cut off when the run goes on. Files that do not fit each other
are left as they are: the run fails alone, and says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.stress import full_3x3_to_voigt_6_stress

from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.properties.md.checkpoint import Damaged, decoded, trim
from pet_flows.properties.md.files import RunFiles
from pet_flows.properties.md.frames import Snapshot, frame_type
from pet_flows.properties.md.lock import RunLock

#: of the files below and of what runs keep in them; a run never goes on from another
LAYOUT = 2


@dataclass
class Trajectory:
    """Frames of one run: with files on disk as soon as a checkpoint is made, else in memory.

    Parameters
    ----------
    n_atoms
        Size of a frame.
    files
        Where they go; without them nothing is written.
    """

    n_atoms: int
    files: RunFiles | None = None
    _fresh: list[np.ndarray] = field(default_factory=list)
    _written: int = 0
    _lock: RunLock | None = None

    def __len__(self) -> int:
        """Frames so far."""
        return self._written + len(self._fresh)

    def append(self, snapshot: Snapshot) -> None:
        """Add one frame."""
        frame = np.zeros((), dtype=frame_type(self.n_atoms))
        for key in frame.dtype.names or ():
            frame[key] = getattr(snapshot, key)
        self._fresh.append(frame)

    def checkpoint(self, state: dict[str, Any]) -> None:
        """Make everything so far survive a kill; ``state`` is what the run needs to go on.

        Raises
        ------
        StructureError
            ``storage_error``: the files cannot be written (full, read-only); retryable, the last
            checkpoint is still whole. ``checkpoint_damaged``: somebody changed the frames.
        """
        files = self.files
        if files is None:
            return
        try:
            if self._fresh:
                self._append(files)
            with files.open(files.part, "wb") as file:
                np.savez(file, n_frames=self._written, run=files.name, **state)
                file.flush()
                os.fsync(file.fileno())
            os.replace(files.part, files.checkpoint)
        except OSError as error:
            with suppress(OSError):  # half of a file is of no use, and space is short
                files.part.unlink(missing_ok=True)
                if files.frames.stat().st_size > self._written_size:
                    os.truncate(files.frames, self._written_size)
            raise files.unwritable(error) from error

    def _append(self, files: RunFiles) -> None:
        """Write the frames that are not written yet."""
        with files.open(files.frames, "ab") as file:
            if file.tell() != self._written_size:
                raise self._damaged(files, "somebody changed its frames while it ran")
            file.write(np.array(self._fresh).tobytes())
            file.flush()
            os.fsync(file.fileno())
        if not self._written:  # or a power cut may leave a checkpoint of frames without a name
            files.keep_names()
        self._written += len(self._fresh)
        self._fresh.clear()

    def resume(self, restore: Callable[[dict[str, np.ndarray]], None]) -> None:
        """Go on from the last checkpoint, with its frames; nothing happens where there is none.

        The files are this process's from here to :meth:`remove` or :meth:`release`.

        Parameters
        ----------
        restore
            Called with the state of the checkpoint; raises what Python raises where that is of
            another kind of run.

        Raises
        ------
        StructureError
            ``run_in_use``: they are another process's. ``storage_error``: they cannot be opened or
            locked. ``checkpoint_damaged``: they cannot be read, or do not fit each other; they
            are left as they are. All are retryable.
        """
        files = self.files
        if files is None:
            return
        try:
            lock = RunLock(files.lock)
            lock.take()
            self._lock = lock
            if not files.checkpoint.exists():
                files.frames.unlink(missing_ok=True)
                return
            state, n_frames = decoded(files.checkpoint.read_bytes(), files.name)
            if n_frames:
                trim(files.frames, frame_type(self.n_atoms), n_frames, int(state["step"]))
        except Damaged as why:
            raise self._damaged(files, why) from why
        except OSError as error:
            raise files.unwritable(error) from error
        try:
            restore(state)
        except (LookupError, ValueError, TypeError, RuntimeError) as error:
            what = f"its checkpoint does not hold such a run ({type(error).__name__}: {error})"
            raise self._damaged(files, what) from error
        self._written = n_frames

    def _damaged(self, files: RunFiles, why: object) -> StructureError:
        """Error of files that the run cannot go on from; what is in them is not used."""
        self._written = 0
        return files.damaged(why)

    def remove(self) -> None:
        """Delete the files, and the folder with the last of them: the result holds everything."""
        files = self.files
        if files is None or self._lock is None:  # nothing was written, or by another process
            return
        with suppress(OSError):  # what cannot be deleted is no reason to give up a result
            for path in (files.checkpoint, files.part, files.frames):
                path.unlink(missing_ok=True)
            self._lock.remove()
            files.folder.rmdir()  # other runs may be in it
        self._lock.release()

    def release(self) -> None:
        """Leave the files to whoever goes on with the run."""
        if self._lock is not None:
            self._lock.release()

    @property
    def _written_size(self) -> int:
        """Bytes of the frames that are on disk."""
        return self._written * frame_type(self.n_atoms).itemsize

    def arrays(self, atoms: Atoms, timestep: float) -> dict[str, np.ndarray]:
        """The blob of a record, see :func:`read_trajectory`.

        Parameters
        ----------
        atoms
            Whose numbers and periodicity all frames share.
        timestep
            fs.

        Raises
        ------
        StructureError
            ``checkpoint_damaged``: the frames that were written are there no more.
        """
        kind = frame_type(self.n_atoms)
        frames = np.array(self._fresh, dtype=kind)
        files = self.files
        if files is not None and self._written:
            try:
                written = np.fromfile(files.frames, kind, count=self._written)
            except OSError as error:
                what = f"its frames cannot be read ({error.strerror})"
                raise self._damaged(files, what) from error
            if len(written) < self._written:
                raise self._damaged(files, "somebody changed its frames while it ran")
            frames = np.concatenate([written, frames])
        return {
            "numbers": atoms.numbers,
            "pbc": atoms.pbc,
            "time": frames["step"] * timestep * 1e-3,
            **{key: frames[key] for key in kind.names or ()},
        }


def read_trajectory(arrays: dict[str, np.ndarray]) -> list[Atoms]:
    """ASE structures of a ``trajectory`` blob, with momenta, energies, forces and stresses.

    Parameters
    ----------
    arrays
        ``numbers (N,)``, ``pbc (3,)``, and per frame ``time`` ps, ``step``, ``potential``,
        ``kinetic``, ``conserved`` eV, ``stress (3, 3)`` eV/Å³ (the potential's part), ``cell (3,
        3)`` and ``positions (N, 3)`` Å (never wrapped), ``momenta (N, 3)`` in ASE's units,
        ``forces (N, 3)`` eV/Å.
    """
    found = []
    for t in range(len(arrays["step"])):
        atoms = Atoms(
            numbers=arrays["numbers"],
            positions=arrays["positions"][t],
            cell=arrays["cell"][t],
            pbc=arrays["pbc"],
            momenta=arrays["momenta"][t],
            info={"time": float(arrays["time"][t])},
        )
        results = {"energy": float(arrays["potential"][t]), "forces": arrays["forces"][t]}
        if atoms.pbc.all():
            results["stress"] = full_3x3_to_voigt_6_stress(arrays["stress"][t])
        atoms.calc = SinglePointCalculator(atoms, **results)
        found.append(atoms)
    return found


def refuse_format(path: Path | str) -> None:
    """Refuse a file name from whose suffix no trajectory can be written.

    Raises
    ------
    PetFlowsError
        ASE knows no such format, or writes single structures in it.
    """
    from ase.io.formats import UnknownFileTypeError, filetype, ioformats

    try:
        kind = ioformats[filetype(str(path), read=False)]
    except (KeyError, UnknownFileTypeError):
        kind = None
    if kind is None or not kind.can_write or kind.single:
        raise PetFlowsError(
            f"No trajectory can be written to {str(path)!r}: end its name in .extxyz, .extxyz.gz "
            "or .traj."
        )


def write_trajectory(arrays: dict[str, np.ndarray], path: Path | str) -> None:
    """Write a ``trajectory`` blob as one file that ``ase.io.read(path, ":")`` reads.

    Parameters
    ----------
    path
        Its suffix is the format; ``.extxyz.gz`` (``.xz``, ``.bz2``) is compressed, ``.traj`` is
        binary.
    """
    write(path, read_trajectory(arrays))
