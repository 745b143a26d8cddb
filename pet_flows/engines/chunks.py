"""Which copies of which structures go into one model call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from pet_flows.engines.clusters import Parts
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
    """Copies that go into one model call.

    Attributes
    ----------
    copies
        ``(k,)`` int, which copies of the plan.
    rows
        ``(r,)`` int, which rows of the plan's weights their atoms are.
    raw
        What the model is given.
    """

    copies: torch.Tensor
    rows: torch.Tensor
    raw: Copies

    @classmethod
    def of(cls, copies: np.ndarray, parts: Parts, plan: BatchPlan, rows: Rows) -> Chunk:
        """Some copies of a plan; those of one part follow each other."""
        owners = parts.owners[copies]
        new = np.concatenate([[True], owners[1:] != owners[:-1]])
        which = owners[new]
        graphs = parts.graphs.take(which)
        within = np.cumsum(new) - 1
        sizes = graphs.sizes[within]
        sites = parts.sites[parts.graphs.atoms_of(which)]
        sites = sites[rows_of(graphs.starts[within], sizes)]
        before = rows.first[copies] - rows.first_site[rows.owners[copies]]
        own = torch.from_numpy(sites + np.repeat(before, sizes))
        chosen = torch.from_numpy(copies)
        raw = Copies(graphs, plan.rotations[chosen], within, plan.weights[own])
        return cls(chosen, own, raw)
