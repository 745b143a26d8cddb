"""Whose the weights of a batch are: structures, their copies, the evaluated atoms of these."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from pet_flows.geometry.ragged import owners_of, rows_of, starts_of


class Rows:
    """Rows of a batch: of every structure, of every copy of it, of every site (evaluated atom).

    Parameters
    ----------
    copies, sites
        ``(S,)`` int, of each structure.

    Attributes
    ----------
    owners
        ``(C,)`` int, whose each copy is.
    first
        ``(C,)`` int, the first row of each copy.
    copy, site
        ``(W,)`` int, of each row.
    """

    def __init__(self, copies: np.ndarray, sites: np.ndarray):
        self.copies, self.sites = copies, sites
        self.owners = owners_of(copies)
        sizes = sites[self.owners]
        self.first = starts_of(sizes)
        self.first_site = starts_of(sites)
        self.copy = torch.from_numpy(owners_of(sizes))
        self.site = torch.from_numpy(rows_of(self.first_site[self.owners], sizes))

    @cached_property
    def of_copy(self) -> torch.Tensor:
        """``(C,)`` int, whose each copy is."""
        return torch.from_numpy(self.owners)

    @cached_property
    def of_site(self) -> torch.Tensor:
        """``(E,)`` int, whose each site is."""
        return torch.from_numpy(owners_of(self.sites))

    @cached_property
    def is_first(self) -> torch.Tensor:
        """``(C,)`` bool, the first copy of each structure."""
        first = np.zeros(len(self.owners), dtype=bool)
        first[starts_of(self.copies)] = True
        return torch.from_numpy(first)

    def by_copy(self, values: torch.Tensor) -> torch.Tensor:
        """Sums ``(C,)`` of values ``(W,)``."""
        return values.new_zeros(len(self.owners)).index_add_(0, self.copy, values)

    def by_structure(self, values: torch.Tensor) -> torch.Tensor:
        """Sums ``(S, ...)`` of values ``(C, ...)`` of copies."""
        shape = (len(self.sites), *values.shape[1:])
        return values.new_zeros(shape).index_add_(0, self.of_copy, values)
