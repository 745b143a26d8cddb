"""Training and evaluation of a model whose atomic energies are a function of edge vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from pet_flows.engines.edges import EdgeRaw, Edges
from pet_flows.engines.graphs import Graphs
from pet_flows.engines.raw import Copies, default_dtype
from pet_flows.engines.surroundings import NeighbourLists, graph_of
from rivals import CUTOFF, Trained
from rivals.data import baseline
from rivals.loop import fit

#: of a model: atomic energies ``(R,)`` without baseline, of scale one
Energies = Callable[[Any, Edges], torch.Tensor]


@dataclass(frozen=True)
class Facts:
    """What a model is made for."""

    baseline: dict[int, float]
    """element → eV"""
    scale: float
    """rms force, eV/Å, by which energies are multiplied"""
    neighbours: float
    """mean number"""

    @property
    def elements(self) -> list[int]:
        """Atomic numbers."""
        return list(self.baseline)

    def places(self, numbers: torch.Tensor) -> torch.Tensor:
        """Place of each atom's element among `elements`."""
        return torch.searchsorted(torch.tensor(self.elements), numbers)


class Structures:
    """Structures with their neighbours and labels, any of which go into one call."""

    def __init__(self, frames: list[Atoms], fixed: dict[int, float]):
        sizes = np.array([len(atoms) for atoms in frames])
        numbers = np.concatenate([atoms.numbers for atoms in frames])
        self.graphs = NeighbourLists(((CUTOFF, True),)).graphs(
            numbers,
            np.concatenate([atoms.positions for atoms in frames]),
            np.stack([atoms.cell.array for atoms in frames]),
            np.stack([atoms.pbc for atoms in frames]),
            sizes,
        )
        known = np.array([atoms.info["ref_energy"] for atoms in frames])
        off = [sum(fixed.get(int(z), 0.0) for z in atoms.numbers) for atoms in frames]
        self.energies = torch.tensor(known - off)
        self.forces = torch.from_numpy(np.concatenate([a.arrays["ref_forces"] for a in frames]))

    def predict(
        self, energies: Callable[[Edges], torch.Tensor], which: np.ndarray, differentiable: bool
    ) -> tuple[torch.Tensor, torch.Tensor, Graphs]:
        """Energies ``(S,)`` and forces ``(n, 3)`` of some."""
        graphs = self.graphs.take(which)
        pairs, dtype = graphs.pairs[0], torch.get_default_dtype()
        vectors = graphs.vectors().to(dtype).requires_grad_(True)
        first, second = pairs.first, pairs.second
        edges = Edges(graphs.numbers, first, second, pairs.shift, vectors, graphs.owners)
        per_atom = energies(edges)
        found = torch.zeros(len(graphs), dtype=dtype).index_add(0, graphs.owners, per_atom)
        (slope,) = torch.autograd.grad(found.sum(), vectors, create_graph=differentiable)
        forces = torch.zeros(len(graphs.numbers), 3, dtype=dtype)
        forces = forces.index_add(0, first, slope).index_add(0, second, -slope)
        return found, forces, graphs

    def wrong(
        self, energies: Callable[[Edges], torch.Tensor], which: np.ndarray, differentiable: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Errors of energies per atom ``(S,)`` and of forces ``(n, 3)``."""
        found, forces, graphs = self.predict(energies, which, differentiable)
        known = self.forces[torch.from_numpy(self.graphs.atoms_of(which))]
        sizes = torch.from_numpy(graphs.sizes)
        off = (found - self.energies[torch.from_numpy(which)].to(found)) / sizes
        return off, forces - known.to(forces)


def facts_of(training: list[Atoms]) -> Facts:
    """From the training set."""
    fixed = baseline(training)
    structures = Structures(training, fixed)
    scale = float(structures.forces.square().mean().sqrt())
    neighbours = len(structures.graphs.pairs[0].first) / len(structures.graphs.numbers)
    return Facts(fixed, scale, neighbours)


def optimize(
    model: torch.nn.Module,
    energies: Energies,
    facts: Facts,
    training: list[Atoms],
    validation: list[Atoms],
    seconds: float,
    seed: int,
    rate: float,
) -> tuple[int, float, tuple[float, float], int]:
    """Train a model by Adam: steps, CPU seconds, validation errors, number of parameters."""
    known, held = Structures(training, facts.baseline), Structures(validation, facts.baseline)
    parameters = [p for p in model.parameters() if p.requires_grad]

    def scaled(edges: Edges) -> torch.Tensor:
        return facts.scale * energies(model, edges)

    def gradients(which: np.ndarray, weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
        energy, forces = known.wrong(scaled, which, differentiable=True)
        loss = (forces.square().sum(-1) + weights[2] ** 2).sqrt().mean()
        loss = loss + weights[0] * (energy.square() + weights[3] ** 2).sqrt().mean()
        return torch.autograd.grad(loss, parameters, materialize_grads=True)

    adam = torch.optim.Adam(parameters, lr=rate, betas=(0.9, 0.99))
    rng = np.random.default_rng(seed)
    steps, used = fit(parameters, [(adam, rate)], gradients, known.graphs.sizes, seconds, rng)
    parts = [held.wrong(scaled, np.array([k]), False) for k in range(len(validation))]
    energy = float(torch.cat([e.detach().abs() for e, _ in parts]).mean())
    force = float(torch.cat([f.detach().abs() for _, f in parts]).mean())
    return steps, used, (energy, force), sum(p.numel() for p in parameters)


def train_and_save(
    name: str,
    training: list[Atoms],
    validation: list[Atoms],
    seconds: float,
    out: Path,
    seed: int,
) -> Trained:
    """Train the rival of a module with `build`, `energies` and `RATE`, for :class:`Saved`."""
    rival, facts = import_module(f"rivals.{name}"), facts_of(training)
    torch.manual_seed(seed)
    model = rival.build(facts, seed)
    steps, used, errors, n = optimize(
        model, rival.energies(facts), facts, training, validation, seconds, seed, rival.RATE
    )  # fmt: skip
    file = (out / f"{name}.pt").resolve()
    torch.save({"rival": name, "facts": vars(facts), "state": model.state_dict()}, file)
    return Trained(f"ase:rivals.edges.Saved(file={str(file)!r})", n, steps, used, errors)


class Saved(Calculator):
    """ASE calculator of a trained rival, in float64.

    Parameters
    ----------
    file
        What :func:`train_and_save` left.
    """

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012  ASE's own way
    cutoff = CUTOFF

    def __init__(self, file: str, **options: Any):
        super().__init__(**options)
        saved = torch.load(file, weights_only=True)
        rival, facts = import_module(f"rivals.{saved['rival']}"), Facts(**saved["facts"])
        with default_dtype(torch.float64):
            model = rival.build(facts, 0)
        model.load_state_dict(saved["state"])
        energies = rival.energies(facts)
        fixed = torch.tensor(list(facts.baseline.values()), dtype=torch.float64)

        def per_atom(edges: Edges) -> torch.Tensor:
            return facts.scale * energies(model, edges) + fixed[facts.places(edges.numbers)]

        self._raw = EdgeRaw(
            per_atom, CUTOFF, 1, frozenset(facts.elements), torch.float64, torch.device("cpu")
        )

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``results`` (eV, eV/Å, eV/Å³)."""
        super().calculate(atoms, properties, system_changes)
        a = self.atoms
        assert a is not None
        graph = graph_of(self._raw.lists, a.numbers, a.positions, a.cell.array, a.pbc)
        one = torch.eye(3, dtype=torch.float64)[None]
        ones = torch.ones(len(a), dtype=torch.float64)
        found = self._raw.evaluate(Copies(graph, one, np.zeros(1, dtype=int), ones))
        assert found.gradients is not None
        assert found.virials is not None
        self.results = {
            "energy": float(found.energies.sum()), "forces": -found.gradients.numpy(),
        }  # fmt: skip
        if a.pbc.all():
            virial = found.virials[0].numpy()
            stress = 0.5 * (virial + virial.T) / a.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)
