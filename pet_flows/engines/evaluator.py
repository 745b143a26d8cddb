"""The one evaluator of E(X) = Σ_k Σ_i W_ik f_i(X Q_k): batched, chunked, exact derivatives.

Gradients are taken in two stages. Chunk by chunk, the gradient of Σ W f is taken with X, Q and W
as independent variables, so that memory never holds more than one chunk's activations. Then one
backward pass takes ∂E/∂Q = T_k Q_k and ∂E/∂W = f through the strategy, X → (Q, W).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols

from pet_flows.engines.average import over_atoms, over_structure
from pet_flows.engines.chunks import Piece, chunks, halve
from pet_flows.engines.clusters import Part, parts
from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.memory import Memory, is_out_of_memory
from pet_flows.engines.raw import Copies, Graph, RawModel, RawResult
from pet_flows.engines.spread import energy_spread
from pet_flows.engines.sums import Sums
from pet_flows.errors import StructureError
from pet_flows.symmetrization.spec import parse_spec
from pet_flows.symmetrization.strategy import Bound, Plan, Strategy

#: atoms in one model call; on a CPU more than this falls out of the cache
CHUNK_ATOMS = {"cpu": 500, "cuda": 20_000}


@dataclass
class _Work:
    """One system on its way through the two stages of one call."""

    system: System
    positions: torch.Tensor
    """(N, 3), a leaf; what the plan depends on, with the strain"""
    strain: torch.Tensor
    """(3, 3) zeros, a leaf"""
    plan: Plan
    graph: Graph
    """of the atoms that are evaluated"""
    parts: list[Part]
    sums: Sums


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
        self.chunk_atoms = chunk_atoms or CHUNK_ATOMS.get(raw.device.type, 500)
        self.memory = Memory(raw, memory)

    def bind(self, atoms: Atoms, inherited: dict[str, Any] | None = None) -> Bound:
        """Bind the strategy to a structure whose elements the model knows.

        Raises
        ------
        StructureError
            ``unknown_element``, or the strategy refuses the structure.
        """
        refuse_unknown(atoms, self.raw.atomic_types)
        return self.strategy.bind(atoms, inherited)

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
        works = [self._start(system, forces) for system in systems]
        graphs = [part.graph for work in works for part in work.parts]
        capacity = min(self.chunk_atoms, self.memory.capacity(graphs))
        for chunk in chunks([work.parts for work in works], capacity, self.raw.device.type):
            self._run(works, chunk, forces)
        invariant = self.raw.invariant([w.graph for w in works])
        return [
            self._finish(w, None if invariant is None else invariant[n], forces)
            for n, w in enumerate(works)
        ]

    def _start(self, system: System, forces: bool) -> _Work:
        positions = torch.tensor(system.positions, dtype=torch.float64, requires_grad=forces)
        strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=forces)
        with torch.set_grad_enabled(forces):
            deform = torch.eye(3, dtype=torch.float64) + strain
            cell = torch.tensor(system.cell, dtype=torch.float64) @ deform
            plan = system.bound.plan(positions @ deform, cell)
        chosen = slice(None) if plan.atoms is None else plan.atoms.numpy()
        lattice = system.cell if plan.basis is None else plan.basis.numpy() @ system.cell
        self.memory.refuse(len(system.numbers[chosen]), lattice, system.pbc, whole=False)
        graph = self.raw.graph(
            system.numbers[chosen], system.positions[chosen], lattice, system.pbc
        )
        weights = plan.weights.detach()
        sums = Sums(plan.rotations.detach(), weights)
        cut = parts(graph, weights, self.raw.hops)
        return _Work(system, positions, strain, plan, graph, cut, sums)

    def _run(self, works: list[_Work], chunk: list[Piece], forces: bool) -> None:
        """Evaluate one chunk and add it up; halve it when memory runs out."""
        copies = []
        for w, p, a, b in chunk:
            plan, part = works[w].plan, works[w].parts[p]
            rows = part.copies[a:b]
            weights = part.weights(plan.weights.detach(), rows)
            copies.append(Copies(part.graph, plan.rotations[rows].detach(), weights))
        try:
            results = self.raw.evaluate(copies, forces)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if self.raw.device.type == "cuda":
                torch.cuda.empty_cache()
            halves = halve(chunk)
            if halves is None:
                n = len(copies[0].graph)
                raise StructureError(
                    "out_of_memory",
                    f"A single evaluation of {n} atoms does not fit into the memory of "
                    f"{self.raw.device}; use a larger device or a smaller cell.",
                    retryable=True,
                ) from None
            atoms = sum(len(c.graph) * len(c.rotations) for c in copies)
            self.chunk_atoms = max(1, min(self.chunk_atoms, atoms // 2))
            for half in halves:
                self._run(works, half, forces)
            return
        for (w, p, a, b), some, result in zip(chunk, copies, results, strict=True):
            part = works[w].parts[p]
            works[w].sums.add(part, part.copies[a:b], some, result)

    def _finish(self, work: _Work, invariant: RawResult | None, forces: bool) -> Evaluation:
        plan, system, sums = work.plan, work.system, work.sums
        energies, gradient, virial = sums.energies, sums.gradient, sums.virial
        mean = gradient
        through = [
            (out, grad)
            for out, grad in (
                (plan.rotations, sums.rotations),
                (plan.weights, sums.weights),
            )
            if out.requires_grad
        ]
        if forces and through:
            dx, ds = torch.autograd.grad(
                [out for out, _ in through],
                [work.positions, work.strain],
                [grad for _, grad in through],
                allow_unused=True,
            )
            if dx is not None:
                gradient = gradient + (dx if plan.atoms is None else dx[plan.atoms])
            if ds is not None:
                virial = virial + ds
        if forces and plan.pull is not None:
            virial = virial + plan.pull(sums.rotations)
        if plan.operations is not None:
            rotations, perms = plan.operations
            energies = over_atoms(energies, rotations, perms, 0)
            if sums.spread is not None:
                mean = over_atoms(mean, rotations, perms, 1)
            gradient = over_atoms(gradient, rotations, perms, 1)
            virial = over_structure(virial, rotations, 2)
        k, means = len(plan.rotations), energies
        if invariant is not None:
            energies = energies + invariant.energies[0]
            if invariant.gradients is not None and invariant.virials is not None:
                gradient = gradient + invariant.gradients[0]
                virial = virial + invariant.virials[0]
        if plan.image is not None:
            energies, gradient = energies[plan.image], gradient[plan.image]
        energy = float(energies.sum())
        stress = None
        if forces and system.pbc.all():
            scale = len(system) / len(work.graph) / system.volume
            stress = (0.5 * scale * (virial + virial.T)).numpy()
        numbers = [np.array(energy), gradient.numpy(), np.zeros(0) if stress is None else stress]
        if not all(np.isfinite(each).all() for each in numbers):
            raise StructureError(
                "not_finite",
                "The model's energy, forces or stress are not finite for this geometry; check it "
                "for atoms that are too close, or use a model trained on such structures.",
            )
        return Evaluation(
            system=system,
            energy=energy,
            energies=energies.numpy().copy(),
            forces=-gradient.numpy(),
            stress=stress,
            n_evaluations=k,
            energy_spread=(
                energy_spread(plan.weights.detach(), sums.weights, means) if k > 1 else None
            ),
            force_spread=sums.spread.value(mean) if forces and sums.spread is not None else None,
        )


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
