"""Which copies of which structures go into one model call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pet_flows.engines.clusters import Parts
from pet_flows.engines.graphs import Graphs
from pet_flows.engines.raw import Copies
from pet_flows.engines.rows import Rows
from pet_flows.geometry.ragged import rows_of, starts_of
from pet_flows.symmetrization.batch import BatchPlan

#: places in padded lists of neighbours that cost as much as one more model call: on a CPU, where
#: the bundled model takes some 7 ms for a call and 24 µs for a place
CALL_PLACES = {"cpu": 300}


def chunks(parts: Parts, most: int, device: str) -> list[np.ndarray]:
    """Chunks of copies ``(k,)`` int, each near ``most`` atoms.

    Lists of neighbours are padded to the longest of a chunk: structures with lists of about the
    same length go together, those with the longest first. Copies of a part stay in order.

    Parameters
    ----------
    parts
        What the copies are evaluated on.
    most
        Atoms in a chunk; a single copy may have more.
    device
        Its type, which decides how much padding is worth a call.
    """
    too_much = CALL_PLACES.get(device, np.inf)
    by_part = np.argsort(parts.owners, kind="stable")
    totals = np.bincount(parts.owners, minlength=len(parts.graphs))
    sizes, widths = parts.graphs.sizes.tolist(), parts.graphs.widths.tolist()
    starts, counts = starts_of(totals).tolist(), totals.tolist()
    found: list[list[np.ndarray]] = [[]]
    capacity, widest, padding = most, 0, 0
    for p in np.argsort(-parts.graphs.widths, kind="stable").tolist():
        copy, total, n = 0, counts[p], max(1, sizes[p])
        while copy < total:
            if found[-1] and (capacity < n or padding > too_much):
                found.append([])
                capacity, padding = most, 0
            if not found[-1]:
                widest = widths[p]
            take = min(total - copy, max(1, capacity // n))
            found[-1].append(by_part[starts[p] + copy : starts[p] + copy + take])
            copy += take
            capacity -= take * n
            padding += take * n * (widest - widths[p])
    return [np.concatenate(pieces) for pieces in found]


@dataclass(frozen=True)
class Chunk:
    """Copies that go into one model call: from `begin` to `end` of their order."""

    begin: int
    end: int
    rows: slice
    """their atoms, in the same order"""
    raw: Copies
    """what the model is given"""


class Order:
    """The copies of a batch in the order in which they are evaluated.

    Parameters
    ----------
    copies
        ``(k,)`` int, of the plan; those of one part follow each other.
    parts
        What they are evaluated on.
    plan, rows
        Their rotations and weights, and whose these are.

    Attributes
    ----------
    copies
        ``(k,)`` int.
    rows
        ``(r,)`` int, which rows of the plan's weights their atoms are.
    """

    def __init__(self, copies: np.ndarray, parts: Parts, plan: BatchPlan, rows: Rows):
        self._graphs, self._owners = parts.graphs, parts.owners[copies]
        sizes = parts.graphs.sizes[self._owners]
        sites = parts.sites[rows_of(parts.graphs.starts[self._owners], sizes)]
        before = rows.first[copies] - rows.first_site[rows.owners[copies]]
        self.rows = torch.from_numpy(sites + np.repeat(before, sizes))
        self.copies = torch.from_numpy(copies)
        self.rotations, self.weights = plan.rotations[self.copies], plan.weights[self.rows]
        self._starts = [*starts_of(sizes).tolist(), len(self.rows)]
        self._taken: tuple[bytes, Graphs] = b"", parts.graphs

    def chunk(self, begin: int, end: int) -> Chunk:
        """Some of them that follow each other."""
        owners = self._owners[begin:end]
        rows = slice(self._starts[begin], self._starts[end])
        # large cells take a call for each of many copies: of a single one little is to be done
        if owners[0] == owners[-1]:
            which, place = owners[:1], np.zeros(end - begin, dtype=int)
        else:
            new = np.concatenate([[True], owners[1:] != owners[:-1]])
            which, place = owners[new], np.cumsum(new) - 1
        raw = Copies(self._take(which), self.rotations[begin:end], place, self.weights[rows])
        return Chunk(begin, end, rows, raw)

    def _take(self, which: np.ndarray) -> Graphs:
        """The parts of a chunk: the very ones of the chunk before, if they are the same."""
        key = which.tobytes()
        if key != self._taken[0]:
            self._taken = key, self._graphs.take(which)
        return self._taken[1]
