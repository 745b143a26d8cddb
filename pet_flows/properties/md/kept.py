"""Trajectories on disk: frames appended as they come, checkpoints that replace each other.

A run owns two files, and a third one whose lock says which process may write them.
``<name>.frames`` holds records of fixed size and only grows;
``<name>.checkpoint.npz`` holds the last complete state, the generator's included, and how many
frames were valid then. It is written beside and renamed, so that a kill at any moment leaves one
that is whole; frames beyond it are cut off when the run goes on. Files that do not fit each other
are left as they are: the run fails alone, and says so.

Where there is a :class:`~.backup.Backup`, the files are a cache of it. A checkpoint names the
copies that were made of it or just before it; where the copy there is another one, somebody else
went on from it meanwhile, or the files are gone, and it takes their place.
"""

from __future__ import annotations

import io
import logging
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.errors import StructureError
from pet_flows.properties.md.backup import Backup, Saved, fetch
from pet_flows.properties.md.checkpoint import Damaged, decoded, trim
from pet_flows.properties.md.files import RunFiles
from pet_flows.properties.md.frames import Snapshot, frame_type
from pet_flows.properties.md.lock import RunLock, locked

logger = logging.getLogger(__name__)

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
    backup
        Of the files.
    """

    n_atoms: int
    files: RunFiles | None = None
    backup: Backup | None = None
    _fresh: list[np.ndarray] = field(default_factory=list)
    _written: int = 0
    _lock: RunLock | None = None
    _copied: int = 0
    """frames in the backup"""
    _marks: list[str] = field(default_factory=list)
    """of the copy there, and of later ones of which it is not known whether they arrived"""

    def __len__(self) -> int:
        """Frames so far."""
        return self._written + len(self._fresh)

    def append(self, snapshot: Snapshot) -> None:
        """Add one frame."""
        frame = np.zeros((), dtype=frame_type(self.n_atoms))
        for key in frame.dtype.names or ():
            frame[key] = getattr(snapshot, key)
        self._fresh.append(frame)

    def checkpoint(self, state: dict[str, Any], copy: bool = False) -> None:
        """Make everything so far survive a kill, and with a copy the loss of this machine too.

        Parameters
        ----------
        state
            What the run needs to go on, with its ``step``.
        copy
            Whether a backup is made of it, where there is any.

        Raises
        ------
        StructureError
            ``storage_error``: the files cannot be written (full, read-only); retryable, the last
            checkpoint is still whole. ``checkpoint_damaged``: somebody changed the frames.
            ``run_in_use``: another process went on from the backup.
        """
        files = self.files
        if files is None:
            return
        copied = copy and self.backup is not None
        if copied:
            self._marks.append(uuid.uuid4().hex)
        try:
            if self._fresh:
                self._append(files)
            marks = np.array(self._marks, dtype="U32")
            content = io.BytesIO()
            np.savez(content, n_frames=self._written, run=files.name, marks=marks, **state)
            files.replace_checkpoint(content.getvalue())
            more = self._written_frames(files, self._copied) if copied else b""
        except OSError as error:
            with suppress(OSError):  # half of a file is of no use, and space is short
                files.part.unlink(missing_ok=True)
                if files.frames.stat().st_size > self._written_size:
                    os.truncate(files.frames, self._written_size)
            raise files.unwritable(error) from error
        if self.backup is None or not copied:
            return
        step, first, last = int(state["step"]), self._copied, self._written
        if self.backup.write(self._marks[-1], step, content.getvalue(), more, first, last):
            self._copied, self._marks = last, self._marks[-1:]

    def _written_frames(self, files: RunFiles, first: int) -> bytes:
        """Frames on disk from one on."""
        if first == self._written:
            return b""
        with files.open(files.frames, "rb") as file:
            file.seek(first * frame_type(self.n_atoms).itemsize)
            return file.read()

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
            ``run_in_use``: they are another process's, and there is no backup to go on from
            elsewhere. ``storage_error``: they cannot be opened or
            locked. ``checkpoint_damaged``: they cannot be read, or do not fit each other; they
            are left as they are. All are retryable.
        """
        files = self.files
        if files is None:
            return
        try:
            files, self._lock = locked(files, go_beside=self.backup is not None)
            self.files = files
            found = self._found(files)
            if found is None:
                files.frames.unlink(missing_ok=True)
                return
            state, n_frames = found
        except Damaged as why:
            raise self._damaged(files, why) from why
        except OSError as error:
            raise files.unwritable(error) from error
        try:
            restore(state)
        except (LookupError, ValueError, TypeError, RuntimeError) as error:
            what = f"its checkpoint does not hold such a run ({type(error).__name__}: {error})"
            if self.backup is None:
                raise self._damaged(files, what) from error
            self.backup.drop()
            files.checkpoint.unlink(missing_ok=True)
            raise StructureError(
                "checkpoint_damaged",
                f"The run {files.name} cannot go on: {what}; its copies are removed; run it "
                "again, from its start.",
                retryable=True,
            ) from error
        self._written = n_frames

    def _found(self, files: RunFiles) -> tuple[dict[str, np.ndarray], int] | None:
        """State and number of frames to go on from: the files', or those of a backup."""
        saved = None if self.backup is None else self.backup.claim()
        if saved is None:
            return self._sound(files) if files.checkpoint.exists() else None
        try:
            found = self._sound(files) if files.checkpoint.exists() else None
        except Damaged:
            found = None
        if found is None or saved.mark not in self._marks:
            found = self._fetched(files, saved)
        self._copied = 0 if found is None else saved.n_frames
        return found

    def _sound(self, files: RunFiles) -> tuple[dict[str, np.ndarray], int]:
        """What is in the files; Damaged where they are not whole."""
        state, n_frames = decoded(files.checkpoint.read_bytes(), files.name)
        self._marks = [str(mark) for mark in state.pop("marks", ())]
        if n_frames:
            trim(files.frames, frame_type(self.n_atoms), n_frames, int(state["step"]))
        return state, n_frames

    def _fetched(self, files: RunFiles, saved: Saved) -> tuple[dict[str, np.ndarray], int] | None:
        """What is in the backup, which takes the place of the files; None of one that is of no use.

        Then the run begins at its start: files a person may bring back, but not a copy.
        """
        try:
            fetch(files, saved)
            return self._sound(files)
        except Damaged as why:
            logger.warning(
                "the run %s begins at its start: of its copy in the store, %s", files.name, why
            )
            files.checkpoint.unlink(missing_ok=True)
            self._marks = []
            return None

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
            files.remove_folders()
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
        """The blob of a record, see :func:`.trajectory.read_trajectory`.

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
