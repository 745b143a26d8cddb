"""Pairs of neighbours of batches, kept from step to step with a skin around the cutoff.

A structure's pairs are searched for out to the cutoff and a skin. As long as nothing in it has
moved so far that a pair from beyond could have come inside the cutoff, the pairs inside are among
them: which those are is found for the whole batch at once. What comes out does not depend on the
skin, nor on when pairs were searched for: pairs are in the order of their atoms and shifts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from pet_flows.engines.graphs import Graphs, Pairs
from pet_flows.geometry.neighbours import find_neighbours
from pet_flows.geometry.ragged import (
    largest_by,
    owners_of,
    row_products,
    side_by_side,
    starts_of,
)

#: Å; pairs of structures that move are kept with it
SKIN = 0.5
#: Å; around the cutoff of those that do not: two ways to compute a length differ in the last digit
ROUNDING = 1e-6

#: cutoff in Å, and whether each pair is given in both directions
Lists = tuple[tuple[float, bool], ...]


@dataclass(eq=False)
class Surroundings:
    """What is kept of a structure that moves step by step; it travels with its systems.

    Displaced and strained copies of one structure are `near` each other: whichever is searched
    first serves all of them, until one moves too far from it and keeps its own.
    """

    skin: float = SKIN
    """Å"""
    near: Surroundings | None = field(default=None, repr=False)
    found: Found | None = field(default=None, repr=False)

    @property
    def known(self) -> Found | None:
        """Its own, or what was found nearby."""
        if self.found is None and self.near is not None:
            return self.near.known
        return self.found

    def keep(self, found: Found) -> None:
        """What was found of this very structure."""
        self.found = found
        if self.near is not None and self.near.known is None:
            self.near.keep(found)


@dataclass(frozen=True, eq=False)
class Found:
    """Pairs of one structure within the widest cutoffs and a skin, where they were searched for."""

    positions: np.ndarray
    """(n, 3) Å"""
    cell: np.ndarray
    """(3, 3) Å, zero rows along open directions"""
    inverse: np.ndarray
    """(3, 3), of the cell; not a number where a direction is open"""
    skin: float
    searches: Lists
    pairs: tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], ...]
    """of each search: first and second atom (p,), the place (p,) of their shift among shifts
    (u, 3)"""


class NeighbourLists:
    """Makes the graphs of batches for the lists that a model asks for.

    Parameters
    ----------
    lists
        Cutoff in Å, and whether it is full, of each.
    """

    def __init__(self, lists: Lists):
        self._lists = lists
        # a shorter list is a part of a longer one: ZBL's of PET's
        kinds = {full: max(r for r, f in lists if f == full) for _, full in lists}
        self._searches: Lists = tuple((cutoff, full) for full, cutoff in kinds.items())
        self._last: _Together | None = None

    def graphs(
        self,
        numbers: np.ndarray,
        positions: np.ndarray,
        cells: np.ndarray,
        pbc: np.ndarray,
        sizes: np.ndarray,
        kept: Sequence[Surroundings | None] | None = None,
    ) -> Graphs:
        """Graphs of S structures of n atoms together.

        Parameters
        ----------
        numbers, positions
            ``(n,)``; ``(n, 3)`` Å.
        cells, pbc
            ``(S, 3, 3)`` Å; ``(S, 3)`` bool.
        sizes
            ``(S,)`` int.
        kept
            Of each structure that moves what is kept of it, which is renewed where it must be.

        Raises
        ------
        StructureError
            ``not_searchable``.
        """
        cells = np.where(pbc[:, :, None], cells, 0.0)
        owners = kept or [None] * len(sizes)
        starts, counts = starts_of(sizes).tolist(), sizes.tolist()

        def search(s: int) -> Found:
            owner, own = owners[s], slice(starts[s], starts[s] + counts[s])
            skin = ROUNDING if owner is None else max(owner.skin, ROUNDING)
            new = self._found(positions[own], cells[s], pbc[s], skin)
            if owner is not None:
                owner.keep(new)
            return new

        fresh, all_found = np.zeros(len(sizes), dtype=bool), []
        for s, owner in enumerate(owners):
            known = None
            if owner is not None:
                # of most it is their own, which need not be asked for
                known = owner.found or owner.known
            fresh[s] = not self._suits(known, counts[s])
            all_found.append(search(s) if known is None or fresh[s] else known)
        joined = self._together(all_found)
        if not fresh.all():
            moved = np.nonzero(~fresh & joined.moved(positions, cells, self._searches))[0]
            for s in moved.tolist():
                all_found[s] = search(s)
            joined = self._together(all_found)
        return Graphs(
            torch.from_numpy(np.asarray(numbers, dtype=np.int64)),
            torch.from_numpy(positions),
            torch.from_numpy(cells),
            torch.from_numpy(pbc),
            sizes,
            joined.inside(self._lists, self._searches, positions, cells),
        )

    def _suits(self, found: Found | None, n_atoms: int) -> bool:
        """Whether pairs are of as many atoms, and of the searches of this model."""
        return (
            found is not None
            and len(found.positions) == n_atoms
            and found.searches == self._searches
        )

    def _found(
        self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, skin: float
    ) -> Found:
        # first: it refuses cells that have no inverse
        pairs = tuple(_pairs(positions, cell, pbc, r + skin, full) for r, full in self._searches)
        inverse = np.linalg.inv(cell) if pbc.all() else np.full((3, 3), np.nan)
        return Found(positions.copy(), cell.copy(), inverse, skin, self._searches, pairs)

    def _together(self, found: list[Found]) -> _Together:
        last = self._last
        # none is equal to another
        if last is None or last.found != found:
            last = self._last = _Together(list(found))
        return last


def graph_of(
    lists: Lists, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
) -> Graphs:
    """Graph of a single structure: see :meth:`NeighbourLists.graphs`."""
    positions, cell = (np.array(each, dtype=float) for each in (positions, cell))
    periodic, sizes = np.asarray(pbc, dtype=bool), np.array([len(numbers)])
    return NeighbourLists(lists).graphs(numbers, positions, cell[None], periodic[None], sizes)


class _Together:
    """The pairs that were found of the structures of a batch, side by side."""

    def __init__(self, found: list[Found]):
        self.found = found
        self._sizes = np.array([len(each.positions) for each in found])
        self._positions = np.concatenate([each.positions for each in found])
        self._cells = np.stack([each.cell for each in found])
        self._inverses = np.stack([each.inverse for each in found])
        self._skins = np.array([each.skin for each in found])
        start = starts_of(self._sizes)
        self._lists = []
        for k in range(len(found[0].pairs)):
            first, second, place, shifts = zip(*(each.pairs[k] for each in found), strict=True)
            counts = np.array([len(each) for each in shifts])
            self._lists.append(
                (
                    side_by_side(first, start),
                    side_by_side(second, start),
                    side_by_side(place, starts_of(counts)),
                    np.concatenate(shifts),
                    owners_of(counts),
                )
            )

    def moved(self, positions: np.ndarray, cells: np.ndarray, searches: Lists) -> np.ndarray:
        """``(S,)`` bool, where a pair from outside of what was found may be inside a cutoff now.

        With cells deformed by F, and atoms displaced beside that by at most u, vectors of now
        length d were at most ``(d + 2 u) / σ`` long, σ the least singular value of F.
        """
        deformations = self._inverses @ cells
        open_ = np.isnan(self._inverses[:, 0, 0])
        deformations[open_] = np.eye(3)
        of = owners_of(self._sizes)
        off = positions - row_products(self._positions, deformations[of])
        u = np.sqrt(largest_by(self._sizes, np.einsum("na,na->n", off, off)))

        def within_all(sigma: np.ndarray) -> np.ndarray:
            found = np.ones(len(u), dtype=bool)
            for cutoff, _ in searches:
                found &= cutoff + 2 * u <= (cutoff + self._skins - 0.5 * ROUNDING) * sigma
            return found

        # no singular value differs from one by more than the norm of F − 1
        within = within_all(1 - np.sqrt(((deformations - np.eye(3)) ** 2).sum((1, 2))))
        if not within.all():
            within = within_all(np.linalg.svd(deformations, compute_uv=False)[:, -1])
        same = (cells == self._cells).all((1, 2))
        return np.where(open_, ~(within & same), ~within)

    def inside(
        self, lists: Lists, searches: Lists, positions: np.ndarray, cells: np.ndarray
    ) -> tuple[Pairs, ...]:
        """The pairs within each cutoff of these geometries."""
        which = {full: k for k, (_, full) in enumerate(searches)}
        squares = [self._squares(k, positions, cells) for k in range(len(searches))]
        of_atom = owners_of(self._sizes)
        chosen = []
        for cutoff, full in lists:
            first, second, place, shifts, _ = self._lists[which[full]]
            near = np.nonzero(squares[which[full]] < cutoff * cutoff)[0]
            one = first.take(near)
            chosen.append(
                Pairs(
                    torch.from_numpy(one),
                    torch.from_numpy(second.take(near)),
                    torch.from_numpy(shifts.take(place.take(near), 0)),
                    np.bincount(of_atom.take(one), minlength=len(self._sizes)),
                )
            )
        return tuple(chosen)

    def _squares(self, k: int, positions: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """(p,) Å², lengths squared; of each pair in the same way whatever the batch."""
        first, second, place, shifts, of = self._lists[k]
        rows = cells.take(of, 0)
        moved = (
            shifts[:, :1] * rows[:, 0] + shifts[:, 1:2] * rows[:, 1] + shifts[:, 2:] * rows[:, 2]
        )
        vectors = positions.take(second, 0) - positions.take(first, 0) + moved.take(place, 0)
        x, y, z = vectors.T
        found: np.ndarray = x * x + y * y + z * z
        return found


def _pairs(
    positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float, full: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of one structure in their order: see :attr:`Found.pairs`."""
    first, second, shifts, _ = find_neighbours(positions, cell, pbc, cutoff, full)
    if not len(first):
        return first, second, first, np.zeros((0, 3), dtype=np.int64)
    if not full:  # of a pair and its reverse the one that comes first
        signs = np.concatenate([(second - first)[:, None], shifts], 1)
        leading = signs[np.arange(len(signs)), (signs != 0).argmax(1)]
        reverse = leading < 0
        first, second = np.where(reverse, second, first), np.where(reverse, first, second)
        shifts = np.where(reverse[:, None], -shifts, shifts)
    low = shifts.min(0)
    span = shifts.max(0) - low + 1
    code = ((shifts - low) @ np.array([span[1] * span[2], span[2], 1])).astype(np.int64)
    order = np.argsort((first * len(positions) + second) * int(span.prod()) + code)
    first, second, code = first[order], second[order], code[order]
    kinds, place = np.unique(code, return_inverse=True)
    axes = np.stack([kinds // (span[1] * span[2]), kinds // span[2] % span[1], kinds % span[2]], 1)
    return first, second, place.reshape(-1), axes + low
