"""Work ahead of time, in processes that are really there."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from pet_flows.engines.potential import get_potential
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties import ahead
from pet_flows.properties.ahead import Handed, in_order, processes_for
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.specimen import Specimen, specimens
from pet_flows.properties.static.declaration import StaticSettings
from pet_flows.records.build import Recording, Unrecorded, recorded
from pet_flows.records.kept import Kept
from pet_flows.settings import get_settings
from tests.store.examples import POTENTIAL, crystal, outcome


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def kill_all() -> None:
    """The processes that work ahead."""
    for line in subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    ).stdout.splitlines():
        if ahead.__name__ in line:
            os.kill(int(line.split()[0]), signal.SIGKILL)


def test_order_is_kept_and_only_a_few_items_are_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(200):
            taken.append(n)
            yield n

    found = in_order(partial(pow, 3), items(), 2)
    assert next(found) == 1
    assert len(taken) <= 3 * ahead.AT_ONCE
    assert [1, *found] == [3**n for n in range(200)]


def test_a_process_that_dies_takes_nothing_with_it(caplog: pytest.LogCaptureFixture) -> None:
    found = in_order(partial(pow, 2), range(100), 2)
    first = [next(found) for _ in range(ahead.AT_ONCE)]
    kill_all()
    assert first + list(found) == [2**n for n in range(100)]
    assert "it goes on without" in caplog.text


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_handed_over_comes_back_in_order(killed: bool) -> None:
    with Handed(partial(pow, 3)) as handed:
        results = [handed.give(n, 2) for n in range(50)]
        if killed:
            kill_all()
        assert [result() for result in results] == [3**n for n in range(50)]
    with Handed(partial(divmod, 1)) as handed:
        wrong = handed.give(0, 1)
        with pytest.raises(ZeroDivisionError):
            wrong()


def test_answers_that_nobody_took_are_nobody_elses() -> None:
    with Handed(partial(pow, 2)) as handed:
        handed.give(5, 1)
    assert list(in_order(abs, range(20), 1)) == list(range(20))


def test_a_record_made_elsewhere_is_the_one_made_here() -> None:
    recording = Recording.of("static", StaticSettings(), POTENTIAL, "cpu")
    one = Unrecorded(recording, outcome(), Kept.of(crystal()), {"sources": [{"path": "a.cif"}]})
    with Handed(recorded) as handed:
        found = [handed.give(one, processes)() for processes in (0, 1)]
    for record, _ in found:
        del record["last_updated"]
    assert found[0][0] == found[1][0]
    assert (found[0][1]["static"]["forces"] == found[1][1]["static"]["forces"]).all()


def test_an_error_is_raised_here() -> None:
    with pytest.raises(ZeroDivisionError):
        list(in_order(partial(divmod, 1), [1, 2, 0], 1))


def test_one_that_fails_there_is_done_here_and_the_others_go_on_there(caplog) -> None:
    only_here = fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 500)
    items, expected = [1] * 5 + [only_here] + [1] * 34, [True] * 5 + [False] + [True] * 34
    assert list(in_order(os.get_inheritable, items, 2)) == expected
    with Handed(os.get_inheritable) as handed:
        results = [handed.give(item, 1) for item in items[:7]]
        assert [result() for result in results] == expected[:7]
    os.close(only_here)
    error = "OSError(9, 'Bad file descriptor')"
    said = f"another process could not do structure 5 ({error}); this one does"
    assert [record.message for record in caplog.records] == [said] * 2


def test_a_child_forked_while_a_process_is_begun_begins_its_own() -> None:
    with ahead._lock:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if ahead._lock.acquire(timeout=5) else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_what_cannot_be_sent_is_done_here() -> None:
    assert list(in_order(lambda n: n + 1, range(20), 1)) == list(range(1, 21))


def test_a_function_of_the_script_is_called_there_and_nothing_but_a_warning_is_said() -> None:
    script = (
        "from pet_flows.properties.ahead import in_order\n"
        "def next_one(n):\n"
        "    return n + 1\n"
        "assert list(in_order(next_one, range(20), 2)) == list(range(1, 21))\n"
    )
    done = subprocess.run([sys.executable, "-"], input=script, capture_output=True, text=True)
    assert done.returncode == 0
    assert "next_one" in done.stderr
    assert "Traceback" not in done.stderr


def test_where_no_process_starts_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object, **kwargs: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(ahead, "_idle", [])
    monkeypatch.setattr(subprocess, "Popen", refused)
    assert list(in_order(abs, range(50), 2)) == list(range(50))


def test_an_error_of_the_source_is_not_its_end() -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise FileNotFoundError("a structure")

    with pytest.raises(FileNotFoundError):
        list(in_order(abs, items(), 1))


def test_processes_end_with_whoever_started_them() -> None:
    script = (
        "import os, signal, subprocess\n"
        "from pet_flows.properties import ahead\n"
        "found = ahead.in_order(abs, range(100), 1)\n"
        "next(found)\n"
        "process = ahead._idle or found.gi_frame.f_locals['asked']\n"
        "print(process[0][0]._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    pid = int(done.stdout)
    for _ in range(100):
        if not os.path.exists(f"/proc/{pid}"):
            return
        time.sleep(0.1)
    pytest.fail("it is still there")


def test_none_beside_a_cpu_and_few_beside_little(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes_for(10_000, "cpu") == 0
    assert processes_for(10, "cuda:0") == 0
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert processes_for(10_000, "cuda:0") == ahead.MOST
    monkeypatch.setenv("PET_FLOWS_PROCESSES", "2")
    get_settings.cache_clear()
    assert processes_for(10_000, "cpu") == 2


def crystals() -> list[Atoms]:
    rng = np.random.default_rng(0)
    kinds = [bulk("Cu"), bulk("Si"), bulk("W", cubic=True), bulk("Si", cubic=True)]
    found = []
    for n in range(ahead.FEW):
        atoms = kinds[n % 4].copy()
        atoms.set_cell(atoms.cell * rng.uniform(0.97, 1.03), scale_atoms=True)
        if n % 4 == 3:
            atoms.rattle(0.05, rng=rng)
        found.append(atoms)
    found[5] = Atoms("Xe", cell=np.eye(3) * 6, pbc=True)
    found[6] = Atoms()
    return found


@pytest.mark.parametrize("symmetrization", ["crystal", "ecse", "grid:octahedral"])
def test_what_is_made_elsewhere_is_bit_by_bit_what_is_made_here(
    monkeypatch: pytest.MonkeyPatch, symmetrization: str
) -> None:
    potential = get_potential(PotentialSpec(model="pet-mvl", symmetrization=symmetrization))
    here = list(specimens(crystals(), potential, None, symprec=0.01))
    monkeypatch.setenv("PET_FLOWS_PROCESSES", "1")
    get_settings.cache_clear()
    there = list(specimens(crystals(), potential, None, symprec=0.01))
    assert [one.index for one in there] == list(range(ahead.FEW))
    for one, other in zip(here, there, strict=True):
        assert type(one) is type(other)
        if isinstance(one, Outcome) and isinstance(other, Outcome):
            assert (one.reason, one.message) == (other.reason, other.message)
        if isinstance(one, Specimen) and isinstance(other, Specimen):
            assert one.atoms == other.atoms
            assert one.bound.as_dict() == other.bound.as_dict()
            assert one.warnings == other.warnings
    of_own = [one.system for one in here if isinstance(one, Specimen)][:4]
    of_other = [one.system for one in there if isinstance(one, Specimen)][:4]
    pairs = zip(
        potential.evaluator.evaluate(of_own), potential.evaluator.evaluate(of_other), strict=True
    )
    assert all(a.energy == b.energy and (a.forces == b.forces).all() for a, b in pairs)
