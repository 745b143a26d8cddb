"""A progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Advance = Callable[[str, dict[str, Any], bool], None]

#: seconds between plain lines off a terminal
QUIET = 15.0


@contextmanager
def progress_bar(total: int) -> Iterator[Advance]:
    """Show how far ``total`` results are and what is left; yields the function that advances."""
    if sys.stderr.isatty():
        with _rich_bar(total) as bar:
            yield bar
        return
    done, last, started = 0, time.monotonic(), time.monotonic()

    def advance(name: str, slim: dict[str, Any], computed: bool) -> None:
        nonlocal done, last
        done += 1
        now = time.monotonic()
        if now - last > QUIET:
            last = now
            left = (now - started) / done * (total - done)
            sys.stderr.write(f"{done}/{total} results ({name}), about {left:.0f} s left\n")

    yield advance


@contextmanager
def _rich_bar(total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bar = Progress(
        TextColumn("{task.description:18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("loading the model", total=total)

        def advance(name: str, slim: dict[str, Any], computed: bool) -> None:
            bar.update(task, advance=1, description=name if computed else f"{name} (there)")

        yield advance
