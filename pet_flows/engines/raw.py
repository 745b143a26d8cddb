"""What the evaluator asks of a model: a plain function of rotated copies of a structure.

A raw model knows nothing of symmetrization. It gives, for copies ``X Q_k`` of a structure and
weights ``W_ik``, the per-atom energies ``f_ik`` and the gradients of ``Σ_i W_ik f_ik`` with
respect to ``X`` (rotated back) and to a strain of ``X``; everything else follows from these,
because an energy that depends on interatomic vectors alone has ``∂E/∂Q_k = T_k Q_k``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from pet_flows.geometry.neighbours import Neighbours, find_neighbours

if TYPE_CHECKING:
    from pet_flows.engines.metatomic import MetatomicRaw


@dataclass(frozen=True)
class Graph:
    """One structure with its neighbour pairs, whatever its orientation."""

    numbers: torch.Tensor
    """(n,) int64"""
    positions: torch.Tensor
    """(n, 3) Å, float64"""
    cell: torch.Tensor
    """(3, 3) Å, float64, zero rows along open directions"""
    pbc: torch.Tensor
    """(3,) bool"""
    pairs: tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], ...]
    """per requested list: first atom (p,), second atom (p,), cell shift (p, 3), int64"""

    def __len__(self) -> int:
        return len(self.numbers)

    def vectors(self, which: int = 0) -> torch.Tensor:
        """(p, 3) Å, from the first to the second atom of each pair."""
        i, j, shift = self.pairs[which]
        return self.positions[j] - self.positions[i] + shift.to(self.cell.dtype) @ self.cell


@dataclass(frozen=True)
class Copies:
    """``k`` orientations of a graph and the weights of their atoms."""

    graph: Graph
    rotations: torch.Tensor
    """(k, 3, 3) float64"""
    weights: torch.Tensor
    """(k, n) float64"""


@dataclass(frozen=True)
class RawResult:
    """What the model says of :class:`Copies`; float64 on the CPU, in the frame of the graph."""

    energies: torch.Tensor
    """(k, n) eV, not weighted"""
    gradients: torch.Tensor | None
    """(k, n, 3) eV/Å, of the weighted energy of each copy"""
    virials: torch.Tensor | None
    """(k, 3, 3) eV, T = ∂E/∂ε for x → x(1+ε), not symmetrized"""


class RawModel(Protocol):
    """What the evaluator needs of a model."""

    dtype: torch.dtype
    device: torch.device
    cutoff: float
    n_layers: int
    hops: int | None
    """bonds of ``pairs[0]``, a full list, within which an energy's atoms lie; None if not known"""
    atomic_types: frozenset[int]

    @property
    def general(self) -> MetatomicRaw:
        """The same model on the general path, for outputs other than the energy."""
        ...

    def graph(
        self, numbers: np.ndarray, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray
    ) -> Graph:
        """Neighbour lists of one structure."""
        ...

    def evaluate(self, copies: Sequence[Copies], gradients: bool = True) -> list[RawResult]:
        """One model call over all copies of all structures given."""
        ...

    def invariant(self, graphs: Sequence[Graph]) -> list[RawResult] | None:
        """Terms that no rotation changes, once per structure (k = 1); None if there are none."""
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


def build_graph(
    cutoffs: Sequence[tuple[float, bool]],
    numbers: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray,
    pbc: np.ndarray,
) -> Graph:
    """Graph with one neighbour list per ``(cutoff in Å, full list)``.

    Raises
    ------
    StructureError
        ``not_searchable``.
    """
    periodic = np.asarray(pbc, dtype=bool)
    pairs = []
    searched: list[tuple[float, bool, Neighbours]] = []
    for cutoff, full in cutoffs:
        # a shorter list is a part of a longer one: ZBL's of PET's
        wider = next((found for r, f, found in searched if f == full and r >= cutoff), None)
        if wider is None:
            found = find_neighbours(positions, cell, periodic, cutoff, full)
            searched.append((cutoff, full, found))
        else:
            near = wider.lengths < cutoff
            found = Neighbours(*(column[near] for column in wider))
        pairs.append(tuple(torch.from_numpy(column) for column in found[:3]))
    return Graph(
        torch.as_tensor(np.asarray(numbers, dtype=np.int64)),
        torch.tensor(positions, dtype=torch.float64),
        torch.tensor(np.where(periodic[:, None], cell, 0.0), dtype=torch.float64),
        torch.tensor(periodic),
        tuple(pairs),  # type: ignore[arg-type]
    )


def split(
    copies: Sequence[Copies],
    energies: torch.Tensor,
    gradients: torch.Tensor | None,
    virials: torch.Tensor | None,
) -> list[RawResult]:
    """Flat arrays over all atoms of all copies → one result per structure."""
    energies = energies.detach().double().cpu()
    atoms = [c.weights.numel() for c in copies]
    counts = [len(c.rotations) for c in copies]
    e = energies.split(atoms)
    g = gradients.split(atoms) if gradients is not None else [None] * len(copies)
    t = virials.split(counts) if virials is not None else [None] * len(copies)
    return [
        RawResult(
            e[n].reshape(c.weights.shape),
            None if g[n] is None else g[n].reshape(*c.weights.shape, 3),  # type: ignore[union-attr]
            t[n],
        )
        for n, c in enumerate(copies)
    ]
