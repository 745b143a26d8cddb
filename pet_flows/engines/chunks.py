"""Which copies of which structures go into one model call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pet_flows.engines.clusters import Part
from pet_flows.engines.memory import neighbours

#: places in padded lists of neighbours that cost as much as one more model call: on a CPU, where
#: the bundled model takes some 7 ms for a call and 24 µs for a place
CALL_PLACES = {"cpu": 300}


class Piece(NamedTuple):
    """Some copies of one part of one structure."""

    structure: int
    part: int
    first: int
    """copy"""
    end: int
    """copy after the last"""


def chunks(structures: Sequence[Sequence[Part]], most: int, device: str) -> list[list[Piece]]:
    """Chunks of pieces, each near ``most`` atoms, copies included.

    Lists of neighbours are padded to the longest of a chunk: structures with lists of about the
    same length go together, those with the longest first.

    Parameters
    ----------
    structures
        The parts of each.
    most
        Atoms in a chunk; a single copy may have more.
    device
        Its type, which decides how much padding is worth a call.
    """
    parts = [(s, p) for s, own in enumerate(structures) for p in range(len(own))]
    widths = {(s, p): neighbours(structures[s][p].graph) for s, p in parts}
    too_much = CALL_PLACES.get(device, np.inf)
    found: list[list[Piece]] = [[]]
    capacity, widest, padding = most, 0, 0
    for s, p in sorted(parts, key=lambda part: -widths[part]):
        part = structures[s][p]
        copy, total, n = 0, len(part.copies), max(1, len(part.graph))
        while copy < total:
            if found[-1] and (capacity < n or padding > too_much):
                found.append([])
                capacity, padding = most, 0
            if not found[-1]:
                widest = widths[s, p]
            take = min(total - copy, max(1, capacity // n))
            found[-1].append(Piece(s, p, copy, copy + take))
            copy += take
            capacity -= take * n
            padding += take * n * (widest - widths[s, p])
    return found


def halve(chunk: list[Piece]) -> tuple[list[Piece], list[Piece]] | None:
    """Two halves of a chunk, or None if it is one copy of one structure."""
    if len(chunk) > 1:
        middle = len(chunk) // 2
        return chunk[:middle], chunk[middle:]
    s, p, a, b = chunk[0]
    if b - a == 1:
        return None
    middle = (a + b) // 2
    return [Piece(s, p, a, middle)], [Piece(s, p, middle, b)]
