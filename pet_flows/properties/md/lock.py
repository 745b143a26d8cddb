"""One process for each run."""

from __future__ import annotations

import errno
import logging
import uuid
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from pet_flows import locks
from pet_flows.errors import StructureError
from pet_flows.properties.md.files import RunFiles

logger = logging.getLogger(__name__)

#: what file systems say that have no locks
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)


class RunLock:
    """Whoever holds it may write the files of one run; a killed process leaves nothing but a file.

    Parameters
    ----------
    path
        Of the lock's file, beside those of the run.
    """

    def __init__(self, path: Path):
        self.path = path
        self._lock: FileLock | None = None

    def take(self) -> None:
        """Take the lock at once or not at all.

        Raises
        ------
        StructureError
            ``run_in_use``: somebody else holds it; retryable.
        OSError
            There cannot be such a file.
        """
        for left in reversed(range(100)):
            try:
                self._lock = locks.take(self.path)
            except locks.Held as holder:
                raise StructureError(
                    "run_in_use",
                    f"This very run is being computed in {self.path.parent} by {holder}; wait for "
                    "it, or stop it and go on from its last checkpoint.",
                    retryable=True,
                ) from None
            except FileNotFoundError:  # who had the last run just removed the folder
                if not left:
                    raise
                continue
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                logger.warning("no locks in %s: run each structure once", self.path.parent)
            return

    def release(self) -> None:
        """Let others go on with the run from its last checkpoint."""
        if self._lock is not None:
            with suppress(OSError):  # a file system that went away has no lock either
                self._lock.release()

    def remove(self) -> None:
        """Release it for good: the run has ended, and its other files are gone."""
        try:
            self.path.unlink(missing_ok=True)
        finally:
            self.release()


def locked(files: RunFiles, go_beside: bool) -> tuple[RunFiles, RunLock]:
    """Files of a run, and their lock; others beside them where a process has these.

    Who has a backup to claim computes the run rightly: the other process stands still, and if it
    comes to life it finds the backup claimed and writes nothing but its own files any more.

    Parameters
    ----------
    files
        Of the run.
    go_beside
        Whether there is a backup; without one, what another process has is refused.
    """
    lock = RunLock(files.lock)
    try:
        lock.take()
    except StructureError:
        if not go_beside:
            raise
        files = files.beside(uuid.uuid4().hex[:8])
        logger.warning("the run %s goes on from its copy, in %s", files.name, files.folder)
        lock = RunLock(files.lock)
        lock.take()
    return files, lock
