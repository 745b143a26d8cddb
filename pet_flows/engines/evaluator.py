"""The one evaluator of E(X) = Σ_k Σ_i W_ik f_i(X Q_k): batched, chunked, exact derivatives.

Gradients are taken in two stages. Chunk by chunk, the gradient of Σ W f is taken with X, Q and W
as independent variables, so that memory never holds more than one chunk's activations. Then one
backward pass takes ∂E/∂Q = T_k Q_k and ∂E/∂W = f through the strategy, X → (Q, W).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from operator import is_
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.chunks import Order, chunks
from pet_flows.engines.clusters import parts
from pet_flows.engines.evaluation import Batch, Evaluation, System
from pet_flows.engines.finish import evaluations
from pet_flows.engines.graphs import Graphs
from pet_flows.engines.memory import Memory, is_out_of_memory
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.raw import RawModel
from pet_flows.engines.rows import Rows
from pet_flows.engines.sums import Sums
from pet_flows.engines.surroundings import NeighbourLists
from pet_flows.errors import StructureError
from pet_flows.geometry.electrons import NEUTRAL, refuse_in_supercells
from pet_flows.symmetrization.batch import BatchBound, BatchPlan, join
from pet_flows.symmetrization.spec import parse_spec
from pet_flows.symmetrization.strategy import Bound, Strategy

#: atoms in one model call; on a CPU more than this falls out of the cache
CHUNK_ATOMS = {"cpu": 500, "cuda": 20_000}
#: the same for a single thread, which smaller calls keep busy as well
CHUNK_OF_ONE_THREAD = 160


class Evaluator:
    """Symmetrized energies, forces and stresses of batches of structures.

    Parameters
    ----------
    raw
        The model.
    strategy
        Its symmetrization.
    chunk_atoms
        Most atoms in one model call; fewer where memory is short, and halved when it runs out.
    memory
        Bytes that model calls may use; what is free on the device without it.

    Attributes
    ----------
    usual_atoms
        Those of a call by which the size of batches is measured.
    """

    def __init__(
        self,
        raw: RawModel,
        strategy: Strategy,
        chunk_atoms: int | None = None,
        memory: float | None = None,
    ):
        self.raw = raw
        self.strategy = strategy
        usual = chunk_atoms or CHUNK_ATOMS.get(raw.device.type, 500)
        self.chunk_atoms = self.usual_atoms = usual
        if chunk_atoms is None and raw.device.type == "cpu" and torch.get_num_threads() == 1:
            self.chunk_atoms = CHUNK_OF_ONE_THREAD
        self.memory = Memory(raw, memory)
        self._neighbours = NeighbourLists(raw.lists)
        self._last: tuple[list[Bound], BatchBound] | None = None

    def bind(
        self,
        atoms: Atoms,
        inherited: dict[str, Any] | None = None,
        group: SpaceGroup | None = None,
    ) -> Bound:
        """Bind the strategy to a structure whose elements the model knows.

        Raises
        ------
        StructureError
            ``unknown_element``, or the strategy refuses the structure.
        """
        refuse_unknown(atoms, self.raw.atomic_types)
        return self.strategy.bind(atoms, inherited, group)

    def refuse_too_large(self, atoms: Atoms) -> None:
        """Refuse a structure that no memory here can hold, before its symmetry is sought.

        Raises
        ------
        StructureError
            ``out_of_memory``.
        """
        whole = parse_spec(self.strategy.spec).evaluates_whole_structures
        self.memory.refuse(len(atoms), atoms.cell.array, atoms.pbc, whole)

    def evaluate(self, systems: Sequence[System], forces: bool = True) -> list[Evaluation]:
        """Evaluate a batch, in order.

        Parameters
        ----------
        systems
            Structures with their bound strategies, of any sizes.
        forces
            Whether forces and stress are wanted; zeros and None are given otherwise.

        Raises
        ------
        StructureError
            A result is not finite (``not_finite``), or one structure alone does not fit into
            memory (``out_of_memory``). Which one is at fault is known for a batch of one only.
        """
        if not systems:
            return []
        batch = Batch(systems)
        plan = self._join([system.bound for system in systems]).plan(
            batch.positions, batch.cells, forces
        )
        graphs = self._graphs(batch, plan)
        rows = Rows(plan.copies, plan.sites)
        cut = parts(graphs, plan.weights, rows, self.raw.hops)
        capacity = min(self.chunk_atoms, self.memory.capacity(cut.graphs))
        calls = chunks(cut, capacity, self.raw.device.type)
        order = Order(np.concatenate(calls), cut, plan, rows)
        sums = Sums(plan, rows, order)
        ends = np.cumsum([len(copies) for copies in calls]).tolist()
        for begin, end in zip([0, *ends[:-1]], ends, strict=True):
            self._run(begin, end, order, sums, forces)
        sums.finish()
        return evaluations(batch, sums, self.raw.invariant(graphs), forces)

    def _join(self, bounds: list[Bound]) -> BatchBound:
        """The structures as one; most batches are the one before, moved."""
        last = self._last
        if last is None or len(last[0]) != len(bounds) or not all(map(is_, last[0], bounds)):
            last = self._last = (bounds, join(bounds))
        return last[1]

    def _graphs(self, batch: Batch, plan: BatchPlan) -> Graphs:
        """What is evaluated of each structure, with its neighbours."""
        numbers, positions, cells = batch.numbers, batch.positions, batch.cells
        takes = isinstance(self.raw, MetatomicRaw) and bool(self.raw.takes)
        told = takes & (batch.electrons != tuple(NEUTRAL.values())).any(1)
        if told.any():
            for s in np.nonzero(told & (plan.sites != batch.sizes))[0]:
                electrons = dict(zip(NEUTRAL, batch.electrons[s].tolist(), strict=True))
                refuse_in_supercells(electrons, "Evaluating the primitive cell of a larger one")
        if plan.atoms is not None and plan.bases is not None:
            chosen = plan.atoms.numpy()
            numbers, positions = numbers[chosen], positions[chosen]
            cells = plan.bases @ cells
        self.memory.refuse_lists(plan.sites, cells, batch.pbc)
        kept = [system.surroundings for system in batch.systems]
        graphs = self._neighbours.graphs(numbers, positions, cells, batch.pbc, plan.sites, kept)
        return replace(graphs, electrons=batch.electrons) if told.any() else graphs

    def _run(self, begin: int, end: int, order: Order, sums: Sums, forces: bool) -> None:
        """Evaluate one chunk and add it up; halve it when memory runs out."""
        chunk = order.chunk(begin, end)
        try:
            result = self.raw.evaluate(chunk.raw, forces)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if self.raw.device.type == "cuda":
                torch.cuda.empty_cache()
            n_atoms = len(chunk.raw.weights)
            if end - begin == 1:
                raise StructureError(
                    "out_of_memory",
                    f"A single evaluation of {n_atoms} atoms does not fit into the memory "
                    f"of {self.raw.device}; use a larger device or a smaller cell.",
                    retryable=True,
                ) from None
            self.chunk_atoms = max(1, min(self.chunk_atoms, n_atoms // 2))
            middle = (begin + end + 1) // 2
            self._run(begin, middle, order, sums, forces)
            self._run(middle, end, order, sums, forces)
            return
        sums.add(chunk, result)


def refuse_unknown(atoms: Atoms, elements: Collection[int]) -> None:
    """Refuse a structure with other elements than these.

    Raises
    ------
    StructureError
        ``unknown_element``.
    """
    unknown = sorted(set(atoms.numbers.tolist()) - set(elements))
    if unknown:
        names = ", ".join(chemical_symbols[z] for z in unknown)
        raise StructureError(
            "unknown_element",
            f"The model was not trained on {names}; choose a model that knows every element.",
        )
