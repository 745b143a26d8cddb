"""What the evaluator asks of a model: a plain function of rotated copies of structures.

A raw model knows nothing of symmetrization. It gives, for copies ``X Q_k`` of structures and
weights ``W_ik``, the per-atom energies ``f_ik`` and the gradients of ``Σ_i W_ik f_ik`` with
respect to ``X`` (rotated back) and to a strain of ``X``; everything else follows from these,
because an energy that depends on interatomic vectors alone has ``∂E/∂Q_k = T_k Q_k``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from pet_flows.engines.graphs import Graphs
from pet_flows.engines.surroundings import Lists
from pet_flows.geometry.ragged import rows_of

if TYPE_CHECKING:
    from pet_flows.engines.metatomic import MetatomicRaw


@dataclass(frozen=True)
class Copies:
    """C orientations of structures, and the weights of their atoms (rows), copy after copy."""

    graphs: Graphs
    rotations: torch.Tensor
    """(C, 3, 3) float64"""
    owners: np.ndarray
    """(C,) int, of which structure each is a copy"""
    weights: torch.Tensor
    """(R,) float64"""

    @cached_property
    def sizes(self) -> np.ndarray:
        """``(C,)`` int, atoms of each copy."""
        return self.graphs.sizes[self.owners]

    @cached_property
    def atoms(self) -> torch.Tensor:
        """``(R,)`` int, which atom of the graphs each row is."""
        return torch.from_numpy(rows_of(self.graphs.starts[self.owners], self.sizes))

    @cached_property
    def of_row(self) -> torch.Tensor:
        """``(R,)`` int, whose each row is."""
        return torch.from_numpy(np.repeat(np.arange(len(self.owners)), self.sizes))


@dataclass(frozen=True)
class RawResult:
    """What the model says of :class:`Copies`; float64 on the CPU, in the frames of the graphs."""

    energies: torch.Tensor
    """(R,) eV, not weighted"""
    gradients: torch.Tensor | None
    """(R, 3) eV/Å, of the weighted energy of each copy"""
    virials: torch.Tensor | None
    """(C, 3, 3) eV, T = ∂E/∂ε for x → x(1+ε), not symmetrized"""


class RawModel(Protocol):
    """What the evaluator needs of a model."""

    dtype: torch.dtype
    device: torch.device
    cutoff: float
    n_layers: int
    hops: int | None
    """bonds of the first list, a full one, within which an energy's atoms lie; None if not known"""
    atomic_types: frozenset[int]

    @property
    def lists(self) -> Lists:
        """Neighbour lists that it asks for."""
        ...

    @property
    def general(self) -> MetatomicRaw | None:
        """The same model on the general path, for other outputs; None if it is not metatomic's."""
        ...

    def evaluate(self, copies: Copies, gradients: bool = True) -> RawResult:
        """One model call over all copies given."""
        ...

    def invariant(self, graphs: Graphs) -> RawResult | None:
        """Terms that no rotation changes, of one copy of each structure; None if there are none."""
        ...


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Let PyTorch take ``dtype`` where no number says another.

    metatrain's ZBL raises atomic numbers, integers, to a power, which PyTorch does in its default
    dtype: in float32 the last digit depends on where a pair stands in its batch (1e-7 eV/Å).
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
