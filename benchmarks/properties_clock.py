"""How long a call takes, and how much of it is the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


class Clock:
    """Seconds that a call takes, and those of them inside the model.

    Parameters
    ----------
    device
        CPU seconds of the process on a CPU, wall seconds after synchronization otherwise.
    """

    def __init__(self, device: torch.device):
        self.device = device
        self.inside = 0.0

    def now(self) -> float:
        """Seconds since some moment."""
        if self.device.type == "cpu":
            return time.process_time()
        torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def time[T](self, call: Callable[[], T]) -> tuple[float, T]:
        """Seconds that a call takes, and what it gives."""
        start = self.now()
        result = call()
        return self.now() - start, result

    @contextmanager
    def watching(self, raw: Any) -> Iterator[None]:
        """Add up what a model takes: evaluations and invariant terms, no search for neighbours."""
        kind = type(raw)
        names = [name for name in ("evaluate", "invariant") if hasattr(kind, name)]
        kept = {name: getattr(kind, name) for name in names}

        def timed(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **kwargs: Any) -> Any:
                start = self.now()
                try:
                    return function(*args, **kwargs)
                finally:
                    self.inside += self.now() - start

            return call

        for name, function in kept.items():
            setattr(kind, name, timed(function))
        try:
            yield
        finally:
            for name, function in kept.items():
                setattr(kind, name, function)
