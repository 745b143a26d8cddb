"""One process for each run: a lock on its files that the system frees when that process dies."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from contextlib import suppress
from pathlib import Path

from pet_flows.errors import StructureError

logger = logging.getLogger(__name__)

#: what file systems say that have no locks
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


class RunLock:
    """Whoever holds it may write the files of one run.

    The lock is the system's (``flock``), on an empty file beside them: a killed process leaves the
    file but not the lock.

    Parameters
    ----------
    path
        Of the empty file.
    """

    def __init__(self, path: Path):
        self.path = path
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock at once or not at all.

        Raises
        ------
        StructureError
            ``run_in_use``: somebody else holds it; retryable.
        OSError
            There cannot be such a file.
        """
        tries = 0
        while self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            except FileNotFoundError:  # who had the last run just removed the folder
                tries += 1
                if tries == 100:
                    raise
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                raise StructureError(
                    "run_in_use",
                    f"Another process is computing this very run in {self.path.parent}; wait for "
                    "it, or stop it and go on from its last checkpoint.",
                    retryable=True,
                ) from None
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    os.close(file)
                    raise
                logger.warning("no locks in %s: run each structure once", self.path.parent)
            if self._is_current(file):
                self._file = file
            else:  # its last holder removed it between our opening and locking it
                os.close(file)

    def release(self) -> None:
        """Let others go on with the run from its last checkpoint."""
        if self._file is not None:
            with suppress(
                OSError
            ):  # closing alone leaves it to children that were forked meanwhile
                fcntl.flock(self._file, fcntl.LOCK_UN)
            os.close(self._file)
            self._file = None

    def remove(self) -> None:
        """Release it for good: the run has ended, and its other files are gone."""
        if self._file is not None:
            try:
                self.path.unlink(missing_ok=True)
            finally:
                self.release()

    def _is_current(self, file: int) -> bool:
        """Whether the open file is still the one with this name."""
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(file), os.stat(self.path))
        return False
