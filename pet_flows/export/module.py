"""The module inside an exported file: a symmetrized model in TorchScript, memory bounded.

Everything here is compiled, so that the file needs metatomic and nothing else. Chunk by chunk
the gradient of the energy is taken with detached copies of what the engine gave, and the engine
gets ``E + Σ g·(x − detach x)``: its value is E, its derivative g, and no graph is kept.
"""

from typing import Optional

import torch
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, NeighborListOptions, System

# No `from __future__ import annotations` here: TorchScript reads the annotations.


class Work:
    """One system on its way: a TorchScript class, hence no dataclass.

    Parameters
    ----------
    system
        As the engine gave it.
    given
        Its positions ``(n, 3)``, cell ``(3, 3)`` and, per neighbour list, vectors ``(p, 3)``.
    chosen
        ``(n,)`` bool, the atoms whose energy is asked for.
    wanted
        Whether gradients are.
    """

    def __init__(
        self, system: System, given: list[torch.Tensor], chosen: torch.Tensor, wanted: bool
    ):
        self.system = system
        self.given = given
        self.chosen = chosen
        self.leaves = [
            t.detach().to(torch.float64).clone().requires_grad_(wanted) for t in given
        ]  # fmt: skip
        self.gradients = [torch.zeros_like(t.detach()) for t in self.leaves]
        self.energies = torch.zeros_like(self.leaves[0].detach()[:, 0])
        self.rotations = torch.zeros([0, 3, 3])
        self.weights = torch.zeros([0, 0])
        self.grad_rotations = torch.zeros([0, 3, 3])
        self.grad_weights = torch.zeros([0, 0])

    def plan(self, rotations: torch.Tensor, weights: torch.Tensor) -> None:
        """Take rotations ``(K, 3, 3)`` and weights ``(K, n)``, functions of the leaves."""
        self.rotations = rotations
        self.weights = weights
        self.grad_rotations = torch.zeros_like(rotations.detach())
        self.grad_weights = torch.zeros_like(weights.detach())

    def rotation(self, copy: int) -> torch.Tensor:
        """(3, 3), detached."""
        return self.rotations[copy].detach()

    def add_energies(self, copy: int, energies: torch.Tensor) -> None:
        """Add what the model says of one copy: ``(n,)``, without a graph."""
        self.energies += self.weights[copy].detach() * energies
        self.grad_weights[copy] = energies * self.chosen

    def add_gradient(self, copy: int, which: int, gradient: torch.Tensor) -> None:
        """Add the gradient with respect to ``x' = x Q``: back by Qᵀ; that of Q itself is xᵀ g."""
        q, x = self.rotation(copy), self.leaves[which].detach()
        self.gradients[which] += gradient @ q.transpose(0, 1)
        self.grad_rotations[copy] += x.transpose(0, 1) @ gradient

    def pull_back(self) -> None:
        """Bring the gradients of rotations and weights to the leaves."""
        through: list[torch.Tensor] = []
        seeds: list[torch.Tensor | None] = []
        if self.rotations.requires_grad:
            through.append(self.rotations)
            seeds.append(self.grad_rotations)
        if self.weights.requires_grad:
            through.append(self.weights)
            seeds.append(self.grad_weights)
        if len(through) > 0:
            back = torch.autograd.grad(through, self.leaves, seeds, allow_unused=True)  # type: ignore[arg-type]
            for t, g in enumerate(back):
                if g is not None:
                    self.gradients[t] += g

    def carrier(self) -> torch.Tensor:
        """Zero, with the gradient of the energy with respect to what the engine gave."""
        if bool(self.system.pbc.all()):
            # The virial of an average over few orientations has a part that would rotate the cell.
            # Engines take stress as symmetric: that part is left out (forces, and derivatives
            # along symmetric strains, do not notice).
            virial = torch.zeros_like(self.gradients[1])
            for t, g in enumerate(self.gradients):
                virial += self.leaves[t].detach().transpose(0, 1) @ g
            antisymmetric = 0.5 * (virial - virial.transpose(0, 1))
            inverse = torch.linalg.inv(self.leaves[1].detach())
            self.gradients[1] -= inverse.transpose(0, 1) @ antisymmetric
        first = self.given[0]
        total = torch.zeros([], dtype=first.dtype, device=first.device)
        for t, g in enumerate(self.gradients):
            x = self.given[t]
            if x.requires_grad:
                total = total + (g.to(x.dtype) * (x - x.detach())).sum()
        return total


class SymmetrizedModule(torch.nn.Module):
    """``E(X) = Σ_k Σ_i W_ik f_i(X Q_k)`` over a metatomic module that gives the ``f_i``.

    Parameters
    ----------
    inner
        Module of an AtomisticModel, with per-atom energies.
    frames
        Rotations and weights of a structure, see :mod:`pet_flows.export.grid`.
    output, unit
        Name and unit of the energy output.
    lists
        Neighbour lists that ``inner`` and ``frames`` ask for.
    chunk_atoms
        Atoms in one call of ``inner``, on a CPU and on other devices.
    inputs
        What ``inner`` takes with each system, which no rotation changes.
    """

    _inputs: dict[str, ModelOutput]
    _lists: list[NeighborListOptions]
    _request: dict[str, ModelOutput]

    def __init__(
        self,
        inner: torch.nn.Module,
        frames: torch.nn.Module,
        output: str,
        unit: str,
        lists: list[NeighborListOptions],
        chunk_atoms: tuple[int, int],
        inputs: dict[str, ModelOutput] | None = None,
    ):
        super().__init__()
        self._inputs = inputs or {}
        self.inner = inner
        self.frames = frames
        self._output = output
        self._lists = lists
        self._request = {output: ModelOutput(unit=unit, sample_kind="atom")}
        self._chunk_cpu, self._chunk_other = chunk_atoms

    @torch.jit.export
    def requested_neighbor_lists(self) -> list[NeighborListOptions]:
        """Neighbour lists of the model and of its frames."""
        return self._lists

    @torch.jit.export
    def requested_inputs(self) -> dict[str, ModelOutput]:
        """Inputs of the model besides atoms."""
        return self._inputs

    def forward(
        self,
        systems: list[System],
        outputs: dict[str, ModelOutput],
        selected_atoms: Optional[Labels] = None,  # noqa: UP045  `|` does not know Labels
    ) -> dict[str, TensorMap]:
        """Energies by system or by atom.

        The gradient is that of a system's sum; in energies by atom it is spread evenly.
        """
        if self._output not in outputs:
            return {}
        works = self._start(systems, selected_atoms)
        copies: list[tuple[int, int]] = []
        atoms = 0
        for s, work in enumerate(works):
            n = len(work.system)
            capacity = self._chunk_cpu if work.chosen.is_cpu else self._chunk_other
            for k in range(work.rotations.size(0)):
                if atoms > 0 and atoms + n > capacity:
                    self._run(works, copies)
                    copies.clear()
                    atoms = 0
                copies.append((s, k))
                atoms += n
        if len(copies) > 0:
            self._run(works, copies)
        return self._collect(works, outputs[self._output].sample_kind == "atom")

    def _start(
        self,
        systems: list[System],
        selected_atoms: Optional[Labels],  # noqa: UP045
    ) -> list[Work]:
        """Detached leaves and rotations of every system."""
        works: list[Work] = []
        all_given: list[list[torch.Tensor]] = []
        wanted = False
        for system in systems:
            given = [system.positions, system.cell]
            for options in self._lists:
                given.append(system.get_neighbor_list(options).values.reshape(-1, 3))
            for tensor in given:
                wanted = wanted or tensor.requires_grad
            all_given.append(given)
        wanted = wanted and torch.is_grad_enabled()
        for s, system in enumerate(systems):
            pairs: list[torch.Tensor] = []
            for options in self._lists:
                pairs.append(system.get_neighbor_list(options).samples.values)
            chosen = torch.ones_like(system.types, dtype=torch.bool)
            if selected_atoms is not None:
                here = selected_atoms.column("atom")[selected_atoms.column("system") == s]
                chosen = torch.zeros_like(chosen)
                chosen[here.to(chosen.device).long()] = True
            work = Work(system, all_given[s], chosen, wanted)
            rotations, weights = self.frames(system.pbc, work.leaves, pairs)
            work.plan(rotations, weights)
            works.append(work)
        return works

    def _run(self, works: list[Work], copies: list[tuple[int, int]]) -> None:
        """Evaluate one chunk of (system, rotation); nothing of its graph survives."""
        rotated_systems: list[System] = []
        inputs: list[torch.Tensor] = []
        shares: list[torch.Tensor] = []
        starts: list[int] = []
        total = 0
        for s, k in copies:
            work = works[s]
            system = work.system
            own: list[torch.Tensor] = []
            for leaf in work.leaves:
                x = (leaf.detach() @ work.rotation(k)).to(system.positions.dtype)
                own.append(x.requires_grad_(leaf.requires_grad))
            rotated = System(system.types, own[0], own[1], system.pbc)
            for name in system.known_data():  # charge, spin multiplicity: no rotation changes them
                rotated.add_data(name, system.get_data(name))
            for number, options in enumerate(self._lists):
                old = system.get_neighbor_list(options)
                vectors = own[2 + number].reshape(-1, 3, 1)
                block = TensorBlock(vectors, old.samples, old.components, old.properties)
                rotated.add_neighbor_list(options, block)
            rotated_systems.append(rotated)
            inputs.extend(own)
            shares.append(work.weights[k].detach() * work.chosen)
            starts.append(total)
            total += len(system)
        block = self.inner(rotated_systems, self._request, None)[self._output].block()
        start = torch.tensor(starts, device=block.values.device)
        row = start[block.samples.column("system").long()] + block.samples.column("atom").long()
        share = torch.cat(shares)
        values = block.values.reshape(-1).to(torch.float64)
        values = torch.zeros_like(share).index_add(0, row, values)
        for m, (s, k) in enumerate(copies):
            end = starts[m] + len(works[s].system)
            works[s].add_energies(k, values[starts[m] : end].detach())
        if not values.requires_grad:
            return
        back = torch.autograd.grad([(values * share).sum()], inputs, allow_unused=True)
        place = 0
        for s, k in copies:
            for t in range(len(works[s].leaves)):
                g = back[place]
                place += 1
                if g is not None:
                    works[s].add_gradient(k, t, g.to(torch.float64))

    def _collect(self, works: list[Work], by_atom: bool) -> dict[str, TensorMap]:
        """The output in metatomic's form."""
        values: list[torch.Tensor] = []
        samples: list[torch.Tensor] = []
        for s, work in enumerate(works):
            picked = torch.nonzero(work.chosen)[:, 0]
            value = work.energies[picked]
            if by_atom:
                samples.append(torch.stack([torch.full_like(picked, s), picked], 1))
            else:
                value = value.sum().reshape(1)
                samples.append(torch.full([1, 1], s, device=picked.device))
            value = value.to(work.system.positions.dtype)
            if work.leaves[0].requires_grad and len(value) > 0:
                work.pull_back()
                value = value + work.carrier() / len(value)
            values.append(value.reshape(-1, 1))
        # Labels.single() and Labels.range() cannot be saved
        one = torch.zeros([1, 1], dtype=torch.int32, device=works[0].chosen.device)
        block = TensorBlock(
            torch.cat(values),
            Labels(["system", "atom"] if by_atom else ["system"], torch.cat(samples).int()),
            torch.jit.annotate(list[Labels], []),
            Labels(["energy"], one),
        )
        return {self._output: TensorMap(Labels(["_"], one), [block])}
