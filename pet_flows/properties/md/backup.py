"""Copies of runs away from their files, from which another machine goes on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from pet_flows.properties.md.files import RunFiles


@dataclass(frozen=True)
class Saved:
    """A copy that is there."""

    mark: str
    """what the checkpoint of this copy calls itself"""
    n_frames: int
    read: Callable[[], tuple[bytes, Iterator[bytes]]]
    """the checkpoint's file, and that of the frames piece by piece; `Damaged` where one is gone"""


class Backup(Protocol):
    """Where copies of one run go; of `pet_flows.store.runs`."""

    def claim(self) -> Saved | None:
        """Take the run over from whoever had it; what there is of it.

        Raises
        ------
        StructureError
            ``run_in_use``: another process takes it over at the same time.
        """
        ...

    def drop(self) -> None:
        """Remove the copy."""
        ...

    def write(
        self, mark: str, step: int, checkpoint: bytes, frames: bytes, first: int, n_frames: int
    ) -> bool:
        """Replace the copy; False where that cannot be done now.

        Parameters
        ----------
        mark
            What the checkpoint calls itself.
        step
            Of the checkpoint.
        checkpoint
            Its file.
        frames
            Those that follow the ``first`` ones, which the copy has; ``n_frames`` with them.

        Raises
        ------
        StructureError
            ``run_in_use``: another process has taken the run over. ``storage_error``: the copy was
            removed.
        """
        ...


def fetch(files: RunFiles, saved: Saved) -> None:
    """Put a copy in place of the files of a run; a kill meanwhile leaves no half of it.

    Raises
    ------
    Damaged
        Something of it is gone; then there are no files.
    OSError
        They cannot be written.
    """
    checkpoint, frames = saved.read()
    files.checkpoint.unlink(missing_ok=True)
    with files.open(files.frames, "wb") as file:
        for piece in frames:
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    files.replace_checkpoint(checkpoint)
