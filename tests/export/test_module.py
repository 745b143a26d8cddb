"""The exported module itself: bounded memory, selected atoms."""

import weakref

import numpy as np
import pytest
import torch
from ase.build import bulk
from metatensor.torch import Labels, TensorBlock, TensorMap
from metatomic.torch import ModelOutput, System

from pet_flows.export.grid import GridFrames
from pet_flows.export.module import SymmetrizedModule
from pet_flows.symmetrization.strategies import parse_strategy
from tests.export.exported import in_process
from tests.rough import rough_model
from tests.symmetrization.systems import sheared


class Token:
    """Something whose death can be seen."""


class Held(torch.autograd.Function):
    """Nothing but a token in the graph."""

    @staticmethod
    def forward(ctx, values, token):
        ctx.token = token
        return values.clone()

    @staticmethod
    def backward(ctx, grad):
        return grad, None


class Recorder(torch.nn.Module):
    """Counts atoms per call, and graphs of earlier calls that are still alive."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner
        self.atoms, self.alive, self.kept = [], [], []

    def forward(self, systems, outputs, selected_atoms=None):
        self.alive.append(sum(ref() is not None for ref in self.kept))
        self.atoms.append(sum(len(s) for s in systems))
        result = self.inner(systems, outputs, selected_atoms)
        block = result["energy"].block()
        token = Token()
        self.kept.append(weakref.ref(token))
        values = Held.apply(block.values, token)
        block = TensorBlock(values, block.samples, block.components, block.properties)
        return {"energy": TensorMap(result["energy"].keys, [block])}


def eager(spec, chunk):
    recorder = Recorder(rough_model().module)
    plan = parse_strategy(spec).bind(bulk("Si")).plan(torch.zeros(2, 3), torch.zeros(3, 3))
    lists = rough_model().requested_neighbor_lists()
    frames = GridFrames(plan.rotations, plan.weights[:, 0])
    module = SymmetrizedModule(recorder, frames, "energy", "eV", lists, (chunk, chunk))
    return module.eval(), recorder


def metatomic_system(atoms, lists):
    from vesin.metatomic import NeighborList

    positions = torch.tensor(atoms.positions, requires_grad=True)
    system = System(
        torch.tensor(atoms.numbers, dtype=torch.int32), positions,
        torch.tensor(atoms.cell.array), torch.tensor(atoms.pbc),
    )  # fmt: skip
    for options in lists:
        calculator = NeighborList(options, "angstrom", check_consistency=False)
        system.add_neighbor_list(options, calculator.compute(system))
    return system


def test_memory_does_not_grow_with_rotations():
    atoms = sheared(bulk("Si", cubic=True))
    for spec, copies in (("grid:tetrahedral", 12), ("grid:octahedral:inversion", 48)):
        module, recorder = eager(spec, 20)
        system = metatomic_system(atoms, module.requested_neighbor_lists())
        energy = module([system], {"energy": ModelOutput(sample_kind="system")})["energy"]
        assert recorder.atoms == [16] * (copies // 2)
        assert max(recorder.alive) == 0
        energy.block().values.sum().backward()
        expected = in_process(spec, atoms)
        np.testing.assert_allclose(system.positions.grad, -expected.forces, atol=1e-10)


def test_selected_atoms():
    atoms = sheared(bulk("Si", cubic=True))
    module, _ = eager("grid:tetrahedral", 1000)
    chosen = Labels(["system", "atom"], torch.tensor([[0, 1], [0, 5]], dtype=torch.int32))
    each = in_process("grid:tetrahedral", atoms).energies
    for kind in ("atom", "system"):
        system = metatomic_system(atoms, module.requested_neighbor_lists())
        block = module([system], {"energy": ModelOutput(sample_kind=kind)}, chosen)["energy"]
        values = block.block().values
        wanted = each[[1, 5]] if kind == "atom" else [each[[1, 5]].sum()]
        np.testing.assert_allclose(values.detach()[:, 0], wanted, atol=1e-10)
        values.sum().backward()
        step, h = np.zeros_like(atoms.positions), 1e-4
        step[2, 0] = h
        shifted = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions += sign * step
            shifted.append(in_process("grid:tetrahedral", moved).energies[[1, 5]].sum())
        slope = (shifted[0] - shifted[1]) / (2 * h)
        assert float(system.positions.grad[2, 0]) == pytest.approx(slope, rel=1e-4, abs=1e-7)
