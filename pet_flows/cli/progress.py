"""How far a campaign is: a bar on a terminal, lines elsewhere, also while one structure is long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pet_flows.properties.registry import get_property

#: s between lines off a terminal: as results come, and without any
QUIET, HEARTBEAT = 15.0, 30.0


@dataclass
class Course:
    """What is known of a campaign on its way.

    Parameters
    ----------
    total
        How many results there will be.
    """

    total: int
    done: int = 0
    computed: int = 0
    """of those done; the others were there already, in no time"""
    began: float | None = None
    """s, when the model was loaded: what came before says nothing of what is left"""
    doing: str = "loading the model"

    def advance(self, name: str, slim: dict[str, Any], computed: bool) -> None:
        """Count one result; see `pet_flows.jobs.observe`."""
        self.done += 1
        self.computed += computed

    def watch(self, name: str, label: str | None, done: int, total: int, now: float) -> None:
        """Note what is being computed; see `pet_flows.jobs.observe`."""
        if label is None:
            self.began = now if self.began is None else self.began
            self.doing = f"{name} of {total} structure{'s' * (total != 1)}"
        else:
            self.doing = self._of_structure(name, label, done, total)

    def _of_structure(self, name: str, label: str, done: int, total: int) -> str:
        declared = get_property(name)
        if not declared.counts:
            return self.doing
        if not declared.bounded:  # what is allowed says nothing of the end
            return f"{name} of {label}: {done} {declared.counts} done, at most {total}"
        said = f"{done} of {total}" if done < total else f"all {total}"
        return f"{name} of {label}: {said} {declared.counts} done"

    def left(self, now: float) -> float | None:
        """Guess what is left, in s, from the mean time of a computed result."""
        if self.began is None or not self.computed:
            return None
        return (now - self.began) / self.computed * (self.total - self.done)

    def line(self, now: float) -> str:
        """All of it in one line."""
        left = self.left(now)
        guess = "" if left is None else f", about {duration(left)} left"
        return f"{self.done}/{self.total} results{guess}; {self.doing}"


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(42), duration(200), duration(9000)
    ('42 s', '3 min', '2.5 h')
    """
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


@contextmanager
def shown(course: Course) -> Iterator[None]:
    """Show a campaign's course on stderr while the body runs."""
    with _bar(course) if sys.stderr.isatty() else lines(course):
        yield


@contextmanager
def lines(
    course: Course,
    say: Callable[[str], Any] | None = None,
    quiet: float = QUIET,
    heartbeat: float = HEARTBEAT,
) -> Iterator[None]:
    """Say in plain lines how far a campaign is, from a thread of its own.

    Parameters
    ----------
    course
        Changed by others meanwhile.
    say
        Where the lines go; stderr without it.
    quiet, heartbeat
        s between lines when there are new results, and when there are none.
    """
    ended = threading.Event()

    def run() -> None:
        told, last = course.done, time.monotonic()
        while not ended.wait(min(quiet, heartbeat, 1.0)):
            now = time.monotonic()
            if now - last > (quiet if course.done > told else heartbeat):
                told, last = course.done, now
                (say or _to_stderr)(course.line(now))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _to_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


@contextmanager
def _bar(course: Course) -> Iterator[None]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TimeElapsedColumn
    from rich.table import Column
    from rich.text import Text

    class Said(ProgressColumn):
        """What the course says at the moment of drawing; it changes without the bar's knowing."""

        def __init__(self, say: Callable[[], str], *, shrinks: bool = False):
            super().__init__(Column(no_wrap=not shrinks))
            self.say = say

        def render(self, task: Task) -> Text:
            return Text(self.say(), no_wrap=True, overflow="ellipsis")

    class Results(BarColumn):
        """The share of the results that are there."""

        def render(self, task: Task) -> Any:
            task.completed = course.done
            return super().render(task)

    def left() -> str:
        guess = course.left(time.monotonic())
        return "" if guess is None else f"about {duration(guess)} left"

    columns = (
        Results(24), Said(lambda: f"{course.done}/{course.total}"), TimeElapsedColumn(), Said(left),
        Said(lambda: course.doing, shrinks=True),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bar:
        bar.add_task("", total=course.total)
        yield
