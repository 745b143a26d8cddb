"""A LaunchPad and a jobflow.yaml on the test server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fireworks import LaunchPad
from jobflow import Flow

from pet_flows.launch.launchpad import load_fworker
from pet_flows.launch.resident import WorkDone, Worker
from pet_flows.store.results import ResultStore
from tests.launch.makers import FakeMaker
from tests.launch.nursery import Forked
from tests.store.examples import crystal


def script(name: str) -> str:
    """A command installed beside this Python, on the path or not."""
    return str(Path(sys.executable).with_name(name))


@dataclass
class Site:
    """Configuration files of a user, and the processes that use them."""

    folder: Path
    uri: str
    database: str
    processes: list[subprocess.Popen | Forked] = field(default_factory=list)

    def __post_init__(self) -> None:
        place = f'uri: "{self.uri}", database: {self.database}'
        (self.folder / "jobflow.yaml").write_text(
            f"JOB_STORE:\n  docs_store: {{type: MongoStore, {place}, collection_name: outputs}}\n"
            f"  additional_stores:\n    data: {{type: GridFSStore, {place}, collection_name: b}}\n"
        )
        self.launchpad_file.write_text(
            f"host: {self.uri}/{self.database}_fw\nuri_mode: true\nname: {self.database}_fw\n"
        )
        self.log.touch()

    @property
    def launchpad_file(self) -> Path:
        return self.folder / "my_launchpad.yaml"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "JOBFLOW_CONFIG_FILE": str(self.folder / "jobflow.yaml"),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PET_FLOWS_RECONNECT_SECONDS": "60",
        }

    def flow(self, n: int, name: str = "fake", **fields) -> Flow:
        makers = [FakeMaker(name=f"{name} {k}", log=str(self.log), **fields) for k in range(n)]
        jobs = [m.make([crystal(2 * k), crystal(2 * k + 1)]) for k, m in enumerate(makers)]
        return Flow(jobs, name=name)

    def start(self, *command: str, **options) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *command], env=self.environment, cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def fork(self, code: str) -> Forked:
        process = Forked(code, self.environment, self.folder)
        self.processes.append(process)
        return process

    def worker(self, before: str = "", **options: object) -> Forked:
        words = ", ".join(f"{name}={value!r}" for name, value in options.items())
        return self.fork(f"""
import logging
logging.basicConfig()
{before}
from pet_flows.launch.worker import run_worker
print("ran", run_worker(launchpad={str(self.launchpad_file)!r}, {words}).run)
""")

    def lines(self, word: str = "end") -> list[list[str]]:
        """(word, pid, job) of the log."""
        found = [line.split(" ", 2) for line in self.log.read_text().splitlines()]
        return [line for line in found if line[0] == word]

    def results(self) -> ResultStore:
        return ResultStore.open()


@pytest.fixture
def site(tmp_path, mongodb_uri, mongodb_database, monkeypatch) -> Iterator[Site]:
    from fireworks import fw_config

    site = Site(tmp_path, mongodb_uri, mongodb_database)
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))
    monkeypatch.setattr(fw_config, "LAUNCHPAD_LOC", str(site.launchpad_file))
    monkeypatch.setattr(fw_config, "FWORKER_LOC", None)
    yield site
    for process in site.processes:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)  # its children may have what it prints to


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is late counts a tenth of a second after another sign was due."""
    monkeypatch.setattr("pet_flows.store.clock.CONFIRMED", 0.1)
    for module in ("recovery", "resident"):
        monkeypatch.setattr(f"pet_flows.launch.{module}.CONFIRMED", 0.1)


@pytest.fixture
def launchpad(site: Site) -> Iterator[LaunchPad]:
    pad = LaunchPad.from_file(str(site.launchpad_file))
    pad.reset("", require_password=False, max_reset_wo_password=10**9)
    yield pad
    pad.connection.drop_database(pad.name)
    pad.connection.close()


@pytest.fixture
def work(launchpad, tmp_path, monkeypatch):
    """Run a worker in this process."""

    def run(categories=("pet-gpu", "pet-cpu"), **options) -> WorkDone:
        folder = tmp_path / "worker"
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)  # and back at the end
        return Worker(
            launchpad, load_fworker(categories), folder, **{"idle_timeout": 0.5, **options}
        ).run()

    return run


@pytest.fixture
def here(work):
    """Run a worker in this process; gives how many jobs it ran."""
    return lambda *given, **options: work(*given, **options).run
