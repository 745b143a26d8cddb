"""How a job goes about its structures where memory, a device or a process may give way.

A worker lends its job a `Caution`. Outside of a worker there is none: what does not fit into memory
is a failed record at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from pet_flows.errors import StructureError

#: reasons of failures that a fresh process may not have
FRESH = ("device_error", "out_of_memory")
#: fresh processes that are tried for one structure
MOST_FRESH = 2
#: what is in hand before the first structure
MODEL = "model"


class FreshProcess(BaseException):
    """The process should end, and a new one go on with the job.

    No Exception, so that nothing takes it for a failure of a structure.
    """


@dataclass
class Caution:
    """What is known of earlier attempts at a job, and what this one has come to.

    Parameters
    ----------
    alone
        Whether its structures are computed one by one: an earlier attempt ended with its process,
        or with a device that failed, and nobody knows at which.
    refused
        Key of a record → why its structure is not computed again: it ended too many processes.
    tried
        Key → fresh processes that were asked for because of its structure.
    begin
        Told the key of each structure before it is computed alone.
    """

    alone: bool = False
    refused: dict[str, StructureError] = field(default_factory=dict)
    tried: Mapping[str, int] = field(default_factory=dict)
    begin: Callable[[str], object] = lambda key: None
    wanted: dict[str | None, str] = field(default_factory=dict)
    """key, or None where no single structure is at fault → reason to want a fresh process"""

    def holds_back(self, key: str | None, reason: str | None) -> bool:
        """Whether a failure is to be tried again in a fresh process instead of being recorded."""
        if reason not in FRESH or str(key) in self.refused:
            return False
        if reason == "device_error" and not self.alone:
            self.wanted[None] = reason  # the first that failed may have taken the others with it
            return True
        if self.tried.get(str(key), 0) >= MOST_FRESH:
            if reason == "device_error":
                self.wanted[key] = reason  # recorded; for what follows the device is of no use
            return False
        self.wanted[key] = reason
        return True


_lent: list[Caution] = []


@contextmanager
def being(caution: Caution) -> Iterator[None]:
    """Lend a caution to the job that runs inside."""
    _lent.append(caution)
    try:
        yield
    finally:
        _lent.pop()


def lent() -> Caution | None:
    """What the worker has lent, if there is one."""
    return _lent[-1] if _lent else None
