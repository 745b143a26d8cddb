"""One SQLite file of a process: the connection that all collections share, the writer's lock."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from pet_flows import locks
from pet_flows.errors import PetFlowsError

#: of the tables below, in the file's ``user_version``
FORMAT = 1
#: s that a reader or writer waits for a checkpoint of another process
PATIENCE = 30.0

_shared: dict[tuple[Path, bool], DatabaseFile] = {}
_registry_lock = threading.Lock()
#: released, and perhaps not closed yet: the garbage collector may release a forgotten store in the
#: middle of `DatabaseFile.open`, in the thread that has the lock
_released: deque[DatabaseFile] = deque()
#: connections of the parent process: closing them in a forked child would harm the parent's file
_inherited: list[DatabaseFile] = []


class DatabaseFile:
    """An open SQLite file; get one with :meth:`open`, give it back with :meth:`release`.

    Writers hold a lock on ``<path>.lock`` from opening to releasing, so that a second process is
    refused at its start and not in the middle. Readers need no lock: the write-ahead log lets
    them in while a writer works. ``synchronous=FULL`` makes what was acknowledged survive a kill
    and a power cut.

    Parameters
    ----------
    path
        On a local disk: SQLite's write-ahead log does not work over NFS.
    read_only
        Whether writing is refused.
    """

    def __init__(self, path: Path, read_only: bool):
        self.path = path
        self.read_only = read_only
        self.mutex = threading.RLock()
        #: indexed fields by collection; shared, because every write must fill every index
        self.fields: dict[str, set[str]] = {}
        self._users = 0
        self._pid = os.getpid()
        self._lock = None if read_only else _take_lock(path)
        try:
            self._db = _connect(path, read_only)
        except BaseException:
            if self._lock is not None:
                self._lock.release()
            raise

    @classmethod
    def open(cls, path: Path, read_only: bool = False) -> DatabaseFile:
        """Give the process's one open file of this path; a reader may share the writer's.

        Raises
        ------
        PetFlowsError
            Another process writes it, it is not there to be read, or it is no store of ours.
        """
        path = Path(os.path.realpath(path))
        try:
            with _registry_lock:
                found = _shared.get((path, False)) or _shared.get((path, read_only))
                if found is None:
                    found = _shared[path, read_only] = cls(path, read_only)
                found._users += 1
                return found
        finally:
            _close_released()

    def release(self) -> None:
        """Close the file and free the lock once nobody in this process uses it any more."""
        _released.append(self)
        _close_released()

    def _close(self) -> None:
        self._users -= 1
        if self._users > 0 or self in _inherited:
            return
        _shared.pop((self.path, self.read_only), None)
        self._db.close()
        if self._lock is not None:
            self._lock.release()

    def rows(self, sql: str, arguments: tuple | list = ()) -> list[tuple]:
        """All rows of a SELECT."""
        self._refuse_after_fork()
        with self.mutex:
            return self._db.execute(sql, arguments).fetchall()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Make a transaction: on the disk when it ends, or as if it never began.

        Raises
        ------
        PetFlowsError
            The file was opened for reading, or the disk refuses.
        """
        if self.read_only:
            raise PetFlowsError(
                f"{self.path} was opened for reading only; open it without read_only to write."
            )
        self._refuse_after_fork()
        with self.mutex:
            if self._db.in_transaction:  # a write inside of a write is part of it
                yield self._db
                return
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.OperationalError as error:
                self._undo()
                raise PetFlowsError(
                    f"Cannot write {self.path} ({error}); what was stored before is safe: free "
                    "space or repair the disk, then run the same again."
                ) from None
            except BaseException:
                self._undo()
                raise

    def _refuse_after_fork(self) -> None:
        if os.getpid() != self._pid:
            raise PetFlowsError(
                f"{self.path} was opened by process {self._pid}, and a forked process cannot use "
                "its connection; call connect(force_reset=True) there, with read_only=True."
            )

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def _close_released() -> None:
    """Close what was released, or leave it to whoever has the lock and does so after it."""
    while _released and _registry_lock.acquire(blocking=False):
        try:
            with contextlib.suppress(IndexError):
                _released.popleft()._close()
        finally:
            _registry_lock.release()


def _connect(path: Path, read_only: bool) -> sqlite3.Connection:
    """Open the file, check that it is ours."""
    if read_only and not path.is_file():
        raise PetFlowsError(
            f"There is no result store at {path}; run `pet-flows screen` there first, or set "
            "PET_FLOWS_STORE to the file that you mean."
        )
    try:
        if read_only:
            db = _sqlite(f"{path.as_uri()}?mode=ro")
        else:
            db = _sqlite(f"{path.as_uri()}?mode=rwc")
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0 and not read_only:
            db.execute(f"PRAGMA user_version={FORMAT}")
    except sqlite3.DatabaseError as error:
        raise PetFlowsError(
            f"Cannot open the result store {path} ({error}); it must be a file that pet-flows "
            "made, in a folder that you may write: set PET_FLOWS_STORE to another path."
        ) from None
    if version > FORMAT:
        db.close()
        raise PetFlowsError(
            f"{path} was written by a newer pet-flows (format {version}, this one knows {FORMAT}); "
            "upgrade pet-flows to use it."
        )
    return db


def _sqlite(uri: str) -> sqlite3.Connection:
    """Connect; transactions are ours, and threads wait for each other by `DatabaseFile.mutex`."""
    return sqlite3.connect(
        uri, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False
    )


def _take_lock(path: Path) -> FileLock:
    """Lock ``<path>.lock`` for this process."""
    try:
        if not path.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "there is no such folder")
        return locks.take(Path(f"{path}.lock"))
    except locks.Held as holder:
        raise PetFlowsError(
            f"{path} is being written by {holder}; wait for it, or set PET_FLOWS_STORE to another "
            "file, or use MongoDB, which several processes may write at once (docs/records.md)."
        ) from None
    except OSError as error:
        raise PetFlowsError(
            f"Cannot write beside {path} ({error.strerror}); set PET_FLOWS_STORE to a path in a "
            "folder that exists and that you may write, on a disk that has locks."
        ) from None


def _forget_in_child() -> None:
    """After a fork: the files belong to the parent; so do their locks, as filelock sees to."""
    global _registry_lock
    _registry_lock = threading.Lock()
    _inherited.extend(_shared.values())
    _shared.clear()
    _released.clear()


os.register_at_fork(after_in_child=_forget_in_child)
