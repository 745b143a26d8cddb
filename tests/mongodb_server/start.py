"""A MongoDB to test with: the user's, a mongod, or the Java server of this folder."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
URI_VARIABLE = "PET_FLOWS_TEST_MONGODB_URI"


class NoServer(Exception):
    """There is no way to a MongoDB here; the message says what would make one."""


@contextmanager
def running(
    file: Path | None = None, port: int = 0, memory: str = "512m", users: str | None = None
) -> Iterator[tuple[str, subprocess.Popen]]:
    """Start the Java server; yields its URI and its process, and stops it at the end.

    Parameters
    ----------
    file
        Where it keeps its data, so that it can be killed and started again; None: in memory.
    port
        0 takes a free one.
    memory
        That Java may take.
    users
        ``NAME:PASSWORD:ROLE``, with commas: only these are let in, and may ``read`` or
        ``readWrite``; for a server in memory.
    """
    folder = built()
    options = [f"-Xmx{memory}", *([f"-Dusers={users}"] if users else [])]
    command = ["java", *options, "-cp", f"{folder}:{folder}/lib/*", "Main", str(port)]
    process = subprocess.Popen(
        [*command, *([str(file)] if file else [])],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.match(r"ready (\d+)", line):
                yield f"mongodb://127.0.0.1:{found[1]}", process
                return
        raise NoServer(f"the Java test server ended with code {process.wait()}")
    finally:
        process.kill()
        process.communicate()


@contextmanager
def mongod(folder: Path) -> Iterator[str]:
    """Start the ``mongod`` on the PATH with its data in a folder."""
    import socket

    import pymongo

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["mongod", "--dbpath", str(folder), "--port", str(port), "--bind_ip", "127.0.0.1"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        uri = f"mongodb://127.0.0.1:{port}"
        with pymongo.MongoClient(uri, serverSelectionTimeoutMS=30_000) as client:
            client.admin.command("ping")
        yield uri
    finally:
        process.terminate()
        process.wait()


def built() -> Path:
    """Folder with the compiled Java server and its libraries, made on first use.

    Raises
    ------
    NoServer
        There is no JDK, no Maven, or no network.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    source = b"".join(path.read_bytes() for path in _sources())
    folder = cache / "pet-flows" / f"mongodb_server-{hashlib.sha256(source).hexdigest()[:12]}"
    if _is_built(folder):
        return folder
    missing = [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]
    if missing:
        raise NoServer(
            f"no MongoDB to test with: set {URI_VARIABLE}, or install mongod, or a JDK 17 and "
            f"Maven ({', '.join(missing)} missing)"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one of the processes of a test run makes it
        if not _is_built(folder):
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    fetch = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies",
             f"-DoutputDirectory={folder / 'lib'}"]  # fmt: skip
    compile_ = ["javac", "-cp", f"{folder}/lib/*", "-d", str(folder),
                *map(str, _sources())]  # fmt: skip
    for command in (fetch, compile_):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines()
            raise NoServer(
                f"no MongoDB to test with: set {URI_VARIABLE}, or repair `{command[0]}`, which "
                f"said {said[0] if said else 'nothing'}"
            )


def wait_until(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Ask every 50 ms until something is true; says whether it came true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def _is_built(folder: Path) -> bool:
    return (folder / "Main.class").is_file()


def _sources() -> list[Path]:
    return sorted(HERE.glob("*.java"))
