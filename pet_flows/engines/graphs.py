"""Structures side by side with their pairs of neighbours, whatever their orientation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from pet_flows.geometry.electrons import NEUTRAL
from pet_flows.geometry.ragged import largest_by, rows_of, starts_of


@dataclass(frozen=True)
class Pairs:
    """One neighbour list of S structures, structure after structure."""

    first: torch.Tensor
    """(p,) int64, atom, counted over all structures"""
    second: torch.Tensor
    """(p,) int64, likewise"""
    shift: torch.Tensor
    """(p, 3) int64, cells that the second atom is moved by"""
    counts: np.ndarray
    """(S,) int, pairs of each structure"""


@dataclass(frozen=True)
class Graphs:
    """S structures of n atoms together, with one list of pairs for each that the model asks for."""

    numbers: torch.Tensor
    """(n,) int64"""
    positions: torch.Tensor
    """(n, 3) Å, float64"""
    cells: torch.Tensor
    """(S, 3, 3) Å, float64, zero rows along open directions"""
    pbc: torch.Tensor
    """(S, 3) bool"""
    sizes: np.ndarray
    """(S,) int, atoms of each"""
    pairs: tuple[Pairs, ...]
    electrons: np.ndarray | None = None
    """(S, 2) int, charges and spin multiplicities; None for neutral singlets"""

    def __len__(self) -> int:
        return len(self.sizes)

    @cached_property
    def starts(self) -> np.ndarray:
        """``(S,)`` int, the first atom of each."""
        return starts_of(self.sizes)

    @cached_property
    def owners(self) -> torch.Tensor:
        """``(n,)`` int, whose each atom is."""
        return torch.from_numpy(np.repeat(np.arange(len(self)), self.sizes))

    @cached_property
    def widths(self) -> np.ndarray:
        """``(S,)`` int, most neighbours of an atom of each: dense layouts are padded to it."""
        if not self.pairs:
            return np.ones(len(self), dtype=int)
        degree = np.bincount(self.pairs[0].first.numpy(), minlength=len(self.numbers))
        return np.maximum(1, largest_by(self.sizes, degree))

    def vectors(self, which: int = 0) -> torch.Tensor:
        """``(p, 3)`` Å, from the first to the second atom of each pair."""
        pairs = self.pairs[which]
        cells = self.cells[self.owners[pairs.first]]
        shift = (pairs.shift.to(cells.dtype)[:, None] @ cells)[:, 0]
        return self.positions[pairs.second] - self.positions[pairs.first] + shift

    def atoms_of(self, which: np.ndarray) -> np.ndarray:
        """``(m,)`` int, the atoms of some of the structures, in their order."""
        return rows_of(self.starts[which], self.sizes[which])

    def take(self, which: np.ndarray) -> Graphs:
        """Some of the structures ``(k,)`` int, in that order."""
        first = int(which[0])
        if (which == np.arange(first, first + len(which))).all():
            return self._slice(first, first + len(which))
        atoms = torch.from_numpy(self.atoms_of(which))
        sizes, chosen = self.sizes[which], torch.from_numpy(which)
        moved = starts_of(sizes) - self.starts[which]
        return Graphs(
            self.numbers[atoms], self.positions[atoms], self.cells[chosen], self.pbc[chosen],
            sizes, tuple(_taken(pairs, which, moved) for pairs in self.pairs),
            None if self.electrons is None else self.electrons[which],
        )  # fmt: skip

    def _slice(self, first: int, end: int) -> Graphs:
        """Structures that stand next to each other, by views wherever that is possible."""
        if first == 0 and end == len(self):
            return self
        begin, own = int(self.starts[first]), slice(first, end)
        atoms = slice(begin, begin + int(self.sizes[own].sum()))
        lists = []
        for pairs in self.pairs:
            start = int(pairs.counts[:first].sum())
            rows = slice(start, start + int(pairs.counts[own].sum()))
            one, two = pairs.first[rows] - begin, pairs.second[rows] - begin
            lists.append(Pairs(one, two, pairs.shift[rows], pairs.counts[own]))
        return Graphs(
            self.numbers[atoms], self.positions[atoms], self.cells[own], self.pbc[own],
            self.sizes[own], tuple(lists),
            None if self.electrons is None else self.electrons[own],
        )  # fmt: skip


def _taken(pairs: Pairs, which: np.ndarray, moved: np.ndarray) -> Pairs:
    """Pairs of some structures, whose atoms are now counted from ``moved (k,)`` on."""
    counts = pairs.counts[which]
    rows = torch.from_numpy(rows_of(starts_of(pairs.counts)[which], counts))
    offset = torch.from_numpy(np.repeat(moved, counts))
    first, second = pairs.first[rows] + offset, pairs.second[rows] + offset
    return Pairs(first, second, pairs.shift[rows], counts)


def together(graphs: Sequence[Graphs]) -> Graphs:
    """Several as one."""
    offsets = starts_of(np.array([len(g.numbers) for g in graphs]))
    lists = []
    for each in zip(*(g.pairs for g in graphs), strict=True):
        moved = [(p, int(offset)) for p, offset in zip(each, offsets, strict=True)]
        lists.append(
            Pairs(
                torch.cat([p.first + offset for p, offset in moved]),
                torch.cat([p.second + offset for p, offset in moved]),
                torch.cat([p.shift for p in each]),
                np.concatenate([p.counts for p in each]),
            )
        )
    electrons = None
    if any(g.electrons is not None for g in graphs):
        neutral = np.array([list(NEUTRAL.values())])
        own = [neutral.repeat(len(g), 0) if g.electrons is None else g.electrons for g in graphs]
        electrons = np.concatenate(own)
    return Graphs(
        torch.cat([g.numbers for g in graphs]),
        torch.cat([g.positions for g in graphs]),
        torch.cat([g.cells for g in graphs]),
        torch.cat([g.pbc for g in graphs]),
        np.concatenate([g.sizes for g in graphs]),
        tuple(lists),
        electrons,
    )
