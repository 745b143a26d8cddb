"""What the command line says while it works, and the clock that guesses what is left."""

import sys
import threading

import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.audit.table import audit_all
from pet_flows.cli.progress import Course, duration, lines
from pet_flows.jobs import MDMaker
from pet_flows.jobs.observe import watchers
from pet_flows.store.locate import open_job_store


def test_the_clock_starts_with_the_model_and_counts_what_was_computed():
    course = Course(total=10)
    assert course.line(now=500.0) == "0/10 results; loading the model"
    for _ in range(4):
        course.advance("relax", {}, False)  # from the store: says nothing of the time of others
    assert course.left(now=600.0) is None
    course.watch("relax", None, 0, 6, now=1000.0)
    assert course.left(now=1010.0) is None
    for _ in range(2):
        course.advance("relax", {}, True)
    assert course.left(now=1020.0) == pytest.approx(4 * 20.0 / 2)
    course.watch("eos", None, 0, 1, now=1030.0)  # a second batch does not begin anew
    assert course.left(now=1040.0) == pytest.approx(4 * 40.0 / 2)
    assert course.line(now=1040.0) == "6/10 results, about 80 s left; eos of 1 structure"
    course.watch("md", "mp-1", 250, 1000, now=1050.0)
    assert course.line(now=1040.0).endswith("; md of mp-1: 250 of 1000 steps done")
    course.watch("relax", "mp-1", 21, 500, now=1050.0)
    assert course.line(now=1040.0).endswith("; relax of mp-1: 21 steps done, at most 500")
    course.watch("static", "mp-1", 1, 1, now=1050.0)  # done as soon as begun
    assert course.line(now=1040.0).endswith("; relax of mp-1: 21 steps done, at most 500")
    course.watch("kappa", "mp-1", 40, 40, now=1050.0)
    assert course.line(now=1040.0).endswith("; kappa of mp-1: all 40 displaced cells done")


def test_durations():
    assert [duration(s) for s in (0.4, 99, 100, 5400, 9000)] == [
        "0 s", "99 s", "2 min", "90 min", "2.5 h"
    ]  # fmt: skip


def test_lines_come_while_nothing_is_finished():
    course, said, twice = Course(total=3), [], threading.Event()
    before = threading.active_count()

    def say(line):
        said.append(line)
        if len(said) == 2:
            twice.set()

    with lines(course, say, quiet=0.01, heartbeat=0.01):
        assert twice.wait(60), "not a line without a result"
    assert set(said) == {"0/3 results; loading the model"}
    assert threading.active_count() == before, "its thread goes on"


def test_watchers_see_each_step_of_molecular_dynamics():
    seen = []
    crystals = [AseAtomsAdaptor.get_structure(bulk(name)) for name in ("Si", "Cu")]
    for crystal, name in zip(crystals, ("mp-149", "mp-30"), strict=True):
        crystal.properties["material_id"] = name

    def watch(*words):
        seen.append(words)

    maker = MDMaker(potential="pet-mvl", steps=3, min_length=4.0, ensemble="nve")
    watchers.append(watch)
    try:
        store = open_job_store()
        run_locally(maker.make(crystals), store=store, log=False, raise_immediately=True)
    finally:
        watchers.remove(watch)
    assert seen[0] == ("md", None, 0, 2)
    for name in ("mp-149", "mp-30"):
        steps = [words for words in seen if words[1] == name]
        assert steps == [("md", name, done, 3) for done in (1, 2, 3)]


def test_audit_says_what_it_measures():
    told = []
    crystal = bulk("Cu")
    audit_all(
        lambda _: EMT(), ["one", "two"], {"Cu": crystal, "Cu again": crystal},
        lambda *words: told.append(words), n_rotations=1, n_mean=1,
    )  # fmt: skip
    assert [words[:3] for words in dict.fromkeys(words[:3] for words in told)] == [
        (1, 4, "one, Cu"), (2, 4, "one, Cu again"), (3, 4, "two, Cu"), (4, 4, "two, Cu again")
    ]  # fmt: skip
    first = [what for number, _, _, what in told if number == 1]
    assert first[:2] == ["O(3) mean of the model", "rotation"]
    assert len(first) == len(set(first)) == 8
    # the mean of a structure is found once
    assert [what for number, _, _, what in told if number == 3] == first[1:]


def test_audit_lines_off_a_terminal(capsys):
    from pet_flows.cli.audit import _progress

    assert not sys.stderr.isatty()
    with _progress() as progress:
        for words in ((1, 2, "none, Si", "rotation"), (1, 2, "none, Si", "inversion"),
                      (2, 2, "crystal, Si", "rotation")):  # fmt: skip
            progress(*words)
    assert capsys.readouterr().err == "1/2 none, Si\n2/2 crystal, Si\n"
