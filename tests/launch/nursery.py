"""Processes forked from one that has imported everything: real ones, without seconds of imports."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import uuid
from multiprocessing import forkserver
from pathlib import Path

import pytest

#: what workers import, and what is imported with their first model
PRELOADED = [
    "fireworks.core.rocket", "jobflow.managers.fireworks", "pet_flows.cli.worker",
    "pet_flows.launch.worker", "pet_flows.engines.potential", "metatrain.pet", "metatrain.utils.io",
    "tests.launch.makers",
]  # fmt: skip


class Forked:
    """A process that runs code as a new Python would, with what tests use of `Popen`.

    Parameters
    ----------
    code
        To be run as ``__main__``.
    environment
        All variables.
    folder
        Where it runs; what it prints is kept there.
    """

    def __init__(self, code: str, environment: dict[str, str], folder: Path):
        self._said = folder / f"said-{uuid.uuid4().hex}.txt"
        self._process = _context().Process(
            target=_run, args=(code, environment, str(folder), str(self._said))
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("a forked worker", timeout or 0.0)
        return self._process.exitcode

    def said(self) -> str:
        """What it has printed so far."""
        return self._said.read_text() if self._said.exists() else ""

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        self.wait(timeout)
        return self.said(), None


def _context() -> multiprocessing.context.ForkServerContext:
    """The nursery, which ends with the tests."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with pytest.MonkeyPatch.context() as patched:  # of the nursery when it starts
        patched.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        forkserver.ensure_running()
    return context


def _run(code: str, environment: dict[str, str], folder: str, said: str) -> None:
    """Become what a new process would be: its environment, folder and output, and its settings."""
    file = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    import jobflow
    from jobflow.settings import JobflowSettings

    from pet_flows.properties.registry import forget
    from pet_flows.settings import get_settings

    get_settings.cache_clear()
    forget()
    jobflow.SETTINGS = JobflowSettings()
    exec(compile(code, "<worker>", "exec"), {"__name__": "__main__"})
