"""The files of one run, and what is said where it cannot go on from them or write them."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pet_flows.errors import StructureError


@dataclass(frozen=True)
class RunFiles:
    """Where a run keeps its frames, its checkpoint and its lock."""

    folder: Path
    name: str
    depth: int = 1
    """folders that are the run's own, and go with its files"""

    def beside(self, number: str) -> RunFiles:
        """Other files of the same run, in a folder within this one."""
        return RunFiles(self.folder / f"{self.name}-{number}", self.name, self.depth + 1)

    def remove_folders(self) -> None:
        """Remove the folders, of which others may be using some; OSError says that they do."""
        for folder in [self.folder, *self.folder.parents][: self.depth]:
            folder.rmdir()

    @property
    def frames(self) -> Path:
        """Records of fixed size."""
        return self.folder / f"{self.name}.frames"

    @property
    def checkpoint(self) -> Path:
        """The last complete state."""
        return self.folder / f"{self.name}.checkpoint.npz"

    @property
    def part(self) -> Path:
        """A checkpoint that is being written."""
        return self.checkpoint.with_suffix(".part")

    @property
    def lock(self) -> Path:
        """Says which process may write the others."""
        return self.folder / f"{self.name}.lock"

    def open(self, path: Path, mode: str) -> IO[bytes]:
        """Open a file of a folder that another process may just be removing as empty."""
        for _ in range(100):
            self.folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                return open(path, mode)
        return open(path, mode)

    def replace_checkpoint(self, content: bytes) -> None:
        """Write a checkpoint so that a kill leaves either it or the one before."""
        with self.open(self.part, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(self.part, self.checkpoint)

    def keep_names(self) -> None:
        """Let the names of files survive a power cut."""
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            with suppress(OSError):  # some file systems cannot
                os.fsync(folder)
        finally:
            os.close(folder)

    def damaged(self, why: object) -> StructureError:
        """Error of files that the run cannot go on from."""
        return StructureError(
            "checkpoint_damaged",
            f"The run {self.name} cannot go on from its files in {self.folder}: {why}; bring back "
            f"whole ones, or remove {self.name}.* to begin at the start, and run it again.",
            retryable=True,
        )

    def unwritable(self, error: OSError) -> StructureError:
        """Error of files that cannot be kept; the last checkpoint is still whole."""
        return StructureError(
            "storage_error",
            f"The run {self.name} cannot keep its files in {self.folder}: "
            f"{error.strerror or error}; free space or correct the permissions, and run it again: "
            "it goes on from its last checkpoint.",
            retryable=True,
        )
