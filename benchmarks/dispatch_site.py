"""A server, a LaunchPad and workers as processes, for measurements of the dispatch.

Workers are forked from a process that has imported everything and loaded the model, so that a
measurement with a thousand of them measures them and not their start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pymongo

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.mongodb_server.start import running

HOUSE = Path(__file__).parents[1]

#: database of the records, and of the LaunchPad
DATABASE, LAUNCHPAD = "records", "fireworks"


@dataclass
class Site:
    """Files of a user who has a server, and what runs there.

    Parameters
    ----------
    folder
        Where everything lies.
    seconds
        s that each structure takes.
    heartbeat
        s between signs of life of workers; the usual ones without it.
    """

    folder: Path
    seconds: float = 0.0
    heartbeat: int | None = None
    uri: str = ""
    _resources: ExitStack = field(default_factory=ExitStack)
    _nursery: subprocess.Popen[str] | None = None
    server: Any = None

    def __enter__(self) -> Site:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start_server()
        self.write(self.folder, DATABASE)
        beats = {} if self.heartbeat is None else {"PING_TIME_SECS": self.heartbeat}
        (self.folder / "FW_config.yaml").write_text(json.dumps(beats))
        (self.folder / "free-1.dist-info").mkdir(exist_ok=True)
        (self.folder / "free-1.dist-info" / "METADATA").write_text("Name: free\nVersion: 1\n")
        (self.folder / "free-1.dist-info" / "entry_points.txt").write_text(
            "[pet_flows.properties]\nfree = free:PROPERTY\n"
        )
        self.log.touch()
        return self

    def __exit__(self, *_: object) -> None:
        if self._nursery is not None:
            self._nursery.kill()
            self._nursery.wait()
        self._resources.close()

    def start_server(self) -> None:
        """Start it, where it was before if it was killed."""
        port = int(self.uri.rpartition(":")[2]) if self.uri else 0
        self.uri, self.server = self._resources.enter_context(
            running(self.folder / "server.mv", port)
        )

    def write(self, folder: Path, database: str) -> None:
        """Configuration files, with records in a database."""
        folder.mkdir(parents=True, exist_ok=True)
        place = f'uri: "{self.uri}", database: {database}'
        (folder / "jobflow.yaml").write_text(
            f"JOB_STORE:\n  docs_store: {{type: MongoStore, {place}, collection_name: outputs}}\n"
            f"  additional_stores:\n    data: {{type: GridFSStore, {place}, collection_name: b}}\n"
        )
        (folder / "my_launchpad.yaml").write_text(
            f"host: {self.uri}/{LAUNCHPAD}\nuri_mode: true\nname: {LAUNCHPAD}\n"
        )

    @property
    def log(self) -> Path:
        """Of the property `free`."""
        return self.folder / "free.log"

    @property
    def environment(self) -> dict[str, str]:
        """Of every process."""
        paths = [self.folder, HOUSE / "benchmarks", HOUSE]
        return {
            **os.environ,
            "JOBFLOW_CONFIG_FILE": str(self.folder / "jobflow.yaml"),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "FW_CONFIG_FILE": str(self.folder / "FW_config.yaml"),
            "FREE_LOG": str(self.log),
            "FREE_SECONDS": str(self.seconds),
            "OMP_NUM_THREADS": "1",
        }

    def python(self, code: str, **options: Any) -> subprocess.Popen[str]:
        """Another Python with this environment."""
        return subprocess.Popen(
            [sys.executable, "-c", code], env=self.environment, cwd=self.folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, **options,
        )  # fmt: skip

    def client(self) -> pymongo.MongoClient[dict[str, Any]]:
        """A connection of one's own."""
        return pymongo.MongoClient(self.uri)

    def reset(self) -> None:
        """Set up the LaunchPad."""
        from fireworks import LaunchPad

        pad = LaunchPad.from_file(str(self.folder / "my_launchpad.yaml"))
        pad.reset("", require_password=False, max_reset_wo_password=10**9)
        pad.connection.close()

    def script(self, file: Path) -> subprocess.Popen[str]:
        """Another Python that runs a file."""
        return subprocess.Popen(
            [sys.executable, str(file)], env=self.environment, cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def submit(
        self,
        name: str,
        first: int,
        count: int,
        batch_size: int,
        potential: tuple[str, str] | None = None,
    ) -> None:
        """Put a campaign of the property `free` on the LaunchPad, from a process of its own.

        ``potential`` is a file of weights and its hash; the usual one without it.
        """
        launchpad = str(self.folder / "my_launchpad.yaml")
        code = f"""
from dispatch_site import structures
from pet_flows import ScreenMaker, submit
from pet_flows.models.spec import PotentialSpec
given = {potential!r}
potential = given and PotentialSpec(model=given[0], sha256=given[1])
maker = ScreenMaker(name={name!r}, properties=["free"], batch_size={batch_size},
                    potential=potential, device=None if given else "cpu")
submit(maker.make(structures({first}, {count})), launchpad={launchpad!r})
"""
        process = self.python(code)
        process.communicate()
        if process.returncode:
            raise SystemExit(f"the campaign {name} could not be submitted")

    def fork(self, **options: object) -> int:
        """Start a worker; gives its process number."""
        if self._nursery is None:
            self._nursery = self.python("import dispatch_site; dispatch_site.nurse()")
        nursery = self._nursery
        assert nursery.stdin is not None
        assert nursery.stdout is not None
        options = {"launchpad": str(self.folder / "my_launchpad.yaml"), **options}
        nursery.stdin.write(f"{options!r}\n")
        nursery.stdin.flush()
        return int(nursery.stdout.readline())


def structures(first: int, count: int) -> list[Any]:
    """Crystals of silicon that differ in their length."""
    from pymatgen.core import Lattice, Structure

    return [
        Structure(Lattice.cubic(5 + 1e-4 * n), ["Si"] * 2, [[0.0] * 3, [0.5] * 3])
        for n in range(first, first + count)
    ]


def nurse() -> None:
    """Read options of workers from stdin, fork one for each, and print its process number."""
    import ast

    import torch
    from pymatgen.io.ase import AseAtomsAdaptor

    from pet_flows.engines.potential import get_potential
    from pet_flows.launch import submit, worker  # noqa: F401
    from pet_flows.models.choose import with_settings
    from pet_flows.models.resolve import resolve
    from pet_flows.properties.registry import get_property
    from pet_flows.records import build  # noqa: F401
    from pet_flows.store.results import ResultStore  # noqa: F401

    torch.set_num_threads(1)
    get_potential(resolve(with_settings(None).with_(device="cpu")))
    AseAtomsAdaptor.get_atoms(structures(0, 1)[0], msonable=False)
    get_property("free").function()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    for line in sys.stdin:
        number = os.fork()
        if number == 0:
            _work(ast.literal_eval(line))
        print(number, flush=True)


def _work(options: dict[str, Any]) -> None:
    import logging

    from pet_flows.launch.worker import run_worker

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    said = os.open(f"worker-{os.getpid()}.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 1)
    os.dup2(said, 2)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        print(run_worker(**options), flush=True)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def alive(number: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def followed(site: Site, seconds: float = 10.0) -> Iterator[None]:
    """Print how far everything is, every few seconds."""
    ended = threading.Event()

    def follow() -> None:
        with site.client() as client:
            while not ended.wait(seconds):
                try:
                    print(time.strftime("%H:%M:%S"), brief(client), file=sys.stderr, flush=True)
                except pymongo.errors.PyMongoError:
                    continue

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def brief(client: pymongo.MongoClient[dict[str, Any]]) -> dict[str, Any]:
    """How many records there are, and fireworks in each state."""
    found = client[LAUNCHPAD].fireworks.find({}, {"state": 1})
    states = Counter(firework["state"] for firework in found)
    return {"records": client[DATABASE].pet_records.count_documents({}), **states}


@dataclass(frozen=True)
class Verdict:
    """What is left on a site when everything should be done."""

    records: int
    ok: int
    blobs_missing: int
    states: dict[str, int]
    locked: int
    leases: int
    begun: int
    """calculations that were begun"""
    again: int
    """of them, those of a structure that had been begun before"""
    unasked: int
    """of the latter, those whose structure had been begun by a process that was not killed"""
    most_in_hand: int
    """most structures of one killed process that were begun again: the one that it computed, and
    those that were about to be written"""

    @property
    def sound(self) -> bool:
        """Whether nothing is missing, stuck or done twice."""
        nothing = (self.blobs_missing, self.locked, self.leases, self.unasked)
        return self.records == self.ok and set(self.states) == {"COMPLETED"} and not any(nothing)


def judge(site: Site, killed: Sequence[int]) -> Verdict:
    """Look at every record, blob, firework and line of the log."""
    lines = [line.split() for line in site.log.read_text().splitlines()]
    begun: dict[int, list[int]] = {}
    for word, process, number in lines:
        if word == "begin":
            begun.setdefault(int(number), []).append(int(process))
    dead = set(killed)
    before = [process for of in begun.values() for process in of[:-1]]
    in_hand = Counter(process for process in before if process in dead)
    os.environ["JOBFLOW_CONFIG_FILE"] = str(site.folder / "jobflow.yaml")
    with site.client() as client:
        records = client[DATABASE].pet_records
        missing = _missing_blobs(site)
        found = client[LAUNCHPAD].fireworks.find({}, {"state": 1})
        return Verdict(
            records.count_documents({}),
            records.count_documents({"state": "ok"}),
            missing,
            dict(Counter(firework["state"] for firework in found)),
            client[LAUNCHPAD].workflows.count_documents({"locked": {"$exists": True}}),
            client[DATABASE].pet_leases.count_documents({}),
            sum(map(len, begun.values())),
            len(before),
            sum(process not in dead for process in before),
            max(in_hand.values(), default=0),
        )


def _missing_blobs(site: Site) -> int:
    code = """
from pet_flows.store.results import ResultStore
missing = 0
with ResultStore.open(read_only=True) as store:
    for record in store.query({}, ["blobs", "result"]):
        try:
            arrays = store.blob(record["_id"], "free")
            missing += len(arrays["numbers"]) not in (3, 2003)
        except Exception as error:
            print(type(error).__name__, error)
            missing += 1
print(missing)
"""
    said, _ = site.python(code).communicate()
    return int(said.split()[-1])
