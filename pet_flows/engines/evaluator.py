"""The one evaluator of E(X) = Σ_k Σ_i W_ik f_i(X Q_k): batched, chunked, exact derivatives.

Gradients are taken in two stages. Chunk by chunk, the gradient of Σ W f is taken with X, Q and W
as independent variables, so that memory never holds more than one chunk's activations. Then one
backward pass carries ∂E/∂Q = T_k Q_k and ∂E/∂W = f through the strategy, X → (Q, W).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.raw import Copies, Graph, RawModel, RawResult
from pet_flows.errors import StructureError
from pet_flows.symmetry.strategy import Bound, Plan, Strategy

#: atoms in one model call; on a CPU more than this falls out of the cache
CHUNK_ATOMS = {"cpu": 500, "cuda": 20_000}


@dataclass
class _Work:
    """One system on its way through the two stages."""

    system: System
    positions: torch.Tensor
    strain: torch.Tensor
    plan: Plan
    graph: Graph
    energies: torch.Tensor
    gradient: torch.Tensor
    virial: torch.Tensor
    grad_rotations: torch.Tensor
    grad_weights: torch.Tensor
    moments: torch.Tensor = field(default_factory=lambda: torch.zeros(3, dtype=torch.float64))


class Evaluator:
    """Symmetrized energies, forces and stresses of batches of structures.

    Parameters
    ----------
    raw
        The model.
    strategy
        Its symmetrization.
    chunk_atoms
        Atoms in one model call; halved by itself when memory runs out.
    """

    def __init__(self, raw: RawModel, strategy: Strategy, chunk_atoms: int | None = None):
        self.raw = raw
        self.strategy = strategy
        self.chunk_atoms = chunk_atoms or CHUNK_ATOMS.get(raw.device.type, 500)

    def bind(self, atoms: Atoms, carried: dict[str, Any] | None = None) -> Bound:
        """Bind the strategy to a structure whose elements the model knows.

        Raises
        ------
        StructureError
            ``unknown_element``, or the strategy refuses the structure.
        """
        unknown = sorted(set(atoms.numbers.tolist()) - self.raw.atomic_types)
        if unknown:
            names = ", ".join(chemical_symbols[z] for z in unknown)
            raise StructureError(
                "unknown_element",
                f"The model was not trained on {names}; choose a model that knows every element.",
            )
        return self.strategy.bind(atoms, carried)

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
        for chunk in self._chunks(works):
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
        graph = self.raw.graph(
            system.numbers[chosen], system.positions[chosen], lattice, system.pbc
        )
        n = len(graph)
        return _Work(
            system, positions, strain, plan, graph,
            energies=torch.zeros(n, dtype=torch.float64),
            gradient=torch.zeros(n, 3, dtype=torch.float64),
            virial=torch.zeros(3, 3, dtype=torch.float64),
            grad_rotations=torch.zeros_like(plan.rotations, requires_grad=False),
            grad_weights=torch.zeros_like(plan.weights, requires_grad=False),
        )  # fmt: skip

    def _chunks(self, works: list[_Work]) -> list[list[tuple[int, int, int]]]:
        """Chunks of (work, first copy, last copy + 1), each near ``chunk_atoms`` atoms."""
        chunks: list[list[tuple[int, int, int]]] = [[]]
        room = self.chunk_atoms
        for w, work in enumerate(works):
            copy, total, n = 0, len(work.plan.rotations), max(1, len(work.graph))
            while copy < total:
                if room < n and chunks[-1]:
                    chunks.append([])
                    room = self.chunk_atoms
                take = min(total - copy, max(1, room // n))
                chunks[-1].append((w, copy, copy + take))
                copy += take
                room -= take * n
        return chunks

    def _run(self, works: list[_Work], chunk: list[tuple[int, int, int]], forces: bool) -> None:
        """Evaluate one chunk and add it up; halve it when memory runs out."""
        copies = [
            Copies(
                works[w].graph,
                works[w].plan.rotations[a:b].detach(),
                works[w].plan.weights[a:b].detach(),
            )
            for w, a, b in chunk
        ]
        try:
            results = self.raw.evaluate(copies, forces)
        except (torch.OutOfMemoryError, MemoryError):
            if self.raw.device.type == "cuda":
                torch.cuda.empty_cache()
            halves = _halve(chunk)
            if halves is None:
                n = len(copies[0].graph)
                raise StructureError(
                    "out_of_memory",
                    f"A single evaluation of {n} atoms does not fit into the memory of "
                    f"{self.raw.device}; use a larger device or a smaller cell.",
                    retryable=True,
                ) from None
            self.chunk_atoms = max(1, self.chunk_atoms // 2)
            for half in halves:
                self._run(works, half, forces)
            return
        for (w, a, b), part, result in zip(chunk, copies, results, strict=True):
            _add(works[w], slice(a, b), part, result)

    def _finish(self, work: _Work, invariant: RawResult | None, forces: bool) -> Evaluation:
        plan, system = work.plan, work.system
        n_atoms, n = len(system.numbers), len(work.graph)
        energies, gradient, virial = work.energies, work.gradient, work.virial
        through = [
            (out, grad)
            for out, grad in (
                (plan.rotations, work.grad_rotations),
                (plan.weights, work.grad_weights),
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
            if dx is not None and plan.atoms is None:
                gradient = gradient + dx
            if ds is not None:
                virial = virial + ds
        if plan.operations is not None:
            energies = _average_energies(energies, plan.operations[1])
            gradient, virial = _average(gradient, virial, *plan.operations)
        k = len(plan.rotations)
        spreads = _spread(work.moments, gradient, n) if k > 1 else (None, None)
        if invariant is not None:
            energies = energies + invariant.energies[0]
            assert invariant.gradients is not None
            assert invariant.virials is not None
            gradient = gradient + invariant.gradients[0]
            virial = virial + invariant.virials[0]
        if plan.image is not None:
            energies, gradient = energies[plan.image], gradient[plan.image]
        energy = float(energies.sum())
        stress = None
        if forces and system.pbc.all():
            scale = n_atoms / n / abs(float(np.linalg.det(system.cell)))
            stress = (0.5 * scale * (virial + virial.T)).numpy()
        if not np.isfinite(energy) or not bool(torch.isfinite(gradient).all()):
            raise StructureError(
                "not_finite",
                "The model's energy or forces are not finite for this geometry; atoms may be too "
                "close or the structure too far from anything the model has seen.",
            )
        return Evaluation(
            energy=energy,
            energies=energies.numpy().copy(),
            forces=-gradient.numpy(),
            stress=stress,
            n_evaluations=k,
            energy_spread=spreads[0],
            force_spread=spreads[1] if forces else None,
        )


def _add(work: _Work, copies: slice, part: Copies, result: RawResult) -> None:
    """Add one structure's share of a chunk."""
    work.energies += (part.weights * result.energies).sum(0)
    work.grad_weights[copies] = result.energies
    weight = part.weights.mean(1)
    mean_energy = result.energies.mean(1)
    work.moments[0] += (weight * mean_energy).sum()
    work.moments[1] += (weight * mean_energy**2).sum()
    if result.gradients is not None and result.virials is not None:
        work.gradient += result.gradients.sum(0)
        work.virial += result.virials.sum(0)
        work.grad_rotations[copies] = result.virials @ part.rotations
        squares = (result.gradients**2).sum((1, 2))
        work.moments[2] += (squares / weight.clamp_min(1e-300)).sum()


def _spread(moments: torch.Tensor, gradient: torch.Tensor, n: int) -> tuple[float, float]:
    """Weighted standard deviations over the rotations: energy (eV/atom), forces (eV/Å)."""
    mean, square, force_square = moments.tolist()
    energy = max(0.0, square - mean**2) ** 0.5
    force = max(0.0, force_square - float((gradient**2).sum())) / (3 * n)
    return energy, force**0.5


def _average(
    gradient: torch.Tensor, virial: torch.Tensor, turns: torch.Tensor, perms: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Average a gradient (n, 3) and a virial (3, 3) over operations x_i Q = x_perm[i]."""
    turned = torch.einsum("na,mab->mnb", gradient, turns).reshape(-1, 3)
    summed = torch.zeros_like(gradient).index_add_(0, perms.reshape(-1), turned)
    return summed / len(turns), (turns.transpose(1, 2) @ virial @ turns).mean(0)


def _average_energies(energies: torch.Tensor, perms: torch.Tensor) -> torch.Tensor:
    """Average per-atom energies (n,) over atoms that operations exchange."""
    summed = torch.zeros_like(energies).index_add_(
        0, perms.reshape(-1), energies.repeat(len(perms))
    )
    return summed / len(perms)


def _halve(chunk: list[tuple[int, int, int]]) -> tuple[list, list] | None:
    """Two halves of a chunk, or None if it is one copy of one structure."""
    if len(chunk) > 1:
        middle = len(chunk) // 2
        return chunk[:middle], chunk[middle:]
    w, a, b = chunk[0]
    if b - a == 1:
        return None
    middle = (a + b) // 2
    return [(w, a, middle)], [(w, middle, b)]
