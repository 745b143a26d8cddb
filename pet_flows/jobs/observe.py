"""Who wants to know how jobs get on: progress bars, workers' logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

#: called with (property, slim result, newly computed?) after each structure
observers: list[Callable[[str, dict[str, Any], bool], None]] = []
#: called with (property, None, 0, structures) when the model is there and a batch begins, and with
#: (property, name of the structure, done, total) as one gets on, in the property's own units
watchers: list[Callable[[str, str | None, int, int], None]] = []


def tell_result(name: str, slim: dict[str, Any], computed: bool) -> None:
    """Tell the observers of a result of the property ``name``."""
    for observer in observers:
        observer(name, slim, computed)


def tell_progress(name: str, label: str | None, done: int, total: int) -> None:
    """Tell the watchers how far a batch, or one structure of it, is."""
    for watcher in watchers:
        watcher(name, label, done, total)
