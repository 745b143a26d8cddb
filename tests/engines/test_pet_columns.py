"""PET on columns says what metatrain's backend says, of every architecture that it takes."""

import numpy as np
import pytest
import torch

from pet_flows.engines.pet import PETRaw
from pet_flows.engines.pet_columns import Columns
from pet_flows.engines.pet_steps import Added, Attention, Gate, Norm, SiLU, WithReverse
from pet_flows.engines.raw import Copies
from pet_flows.engines.surroundings import graph_of
from tests.rough import rough_model
from tests.symmetrization.systems import crystals, molecules

ARCHITECTURES = {
    "as it is": {},
    "gates": {"activation": "SwiGLU"},
    "no gates": {"activation": "SiLU"},
    "LayerNorm": {"normalization": "LayerNorm"},
    "two attentions": {"num_attention_layers": 2},
    "one layer": {"n_layers": 1},
    "three layers": {"n_layers": 3},
    "nodes like edges": {"d_node": 32},
    "four heads": {"num_heads": 4, "attention_temperature": 1.7},
}


def evaluated(raw, atoms):
    graph = graph_of(raw.lists, atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
    rng = np.random.default_rng(0)
    rotations = torch.linalg.qr(torch.from_numpy(rng.normal(size=(3, 3, 3))))[0]
    weights = torch.from_numpy(rng.uniform(0.5, 1.0, 3 * len(atoms)))
    return raw.evaluate(Copies(graph, rotations, np.zeros(3, dtype=int), weights))


@pytest.mark.parametrize("changed", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_the_same_as_the_backend(changed):
    raw = PETRaw(rough_model(**changed))
    assert isinstance(raw._columns, Columns)
    systems = [crystals()["wurtzite"][0], molecules()["water"]]
    found = [evaluated(raw, atoms) for atoms in systems]
    raw._columns = None
    for one, atoms in zip(found, systems, strict=True):
        two = evaluated(raw, atoms)
        scale = float(two.gradients.abs().max())
        assert scale > 1e-3
        torch.testing.assert_close(one.energies, two.energies, rtol=0, atol=1e-13)
        torch.testing.assert_close(one.gradients, two.gradients, rtol=0, atol=1e-13 * scale)
        torch.testing.assert_close(one.virials, two.virials, rtol=0, atol=1e-12 * scale)


def test_other_architectures_are_left_to_the_backend():
    for changed in ({"transformer_type": "PostLN"}, {"featurizer_type": "residual"}):
        model = rough_model(**changed)
        assert PETRaw.supports(model)
        assert PETRaw(model)._columns is None


def columns(rows, places, seed=0):
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(rows, places, generator=generator, dtype=torch.float64)
    return found.requires_grad_(True)


REVERSE = torch.tensor([3, 1, 4, 0, 2])
WEIGHTS, ADDED = columns(6, 4).detach(), columns(6, 1).detach()
#: rows that sum to zero, as they must after centred columns
CENTRED = torch.tensor([[1.0, -2.0, 0.5, 0.5], [0.0, 1.0, -1.0, 0.0]], dtype=torch.float64)

STEPS = {
    "SiLU": (SiLU.apply, [columns(4, 5)]),
    "Gate": (Gate.apply, [columns(4, 5)]),
    "Added": (lambda x, y: Added.apply(x, y, WEIGHTS, ADDED), [columns(6, 5), columns(4, 5)]),
    "Norm": (lambda x: Norm.apply(x, 1e-5, False), [columns(4, 5)]),
    "Norm, centred": (lambda x: CENTRED @ Norm.apply(x, 1e-5, True), [columns(4, 5)]),
    "WithReverse": (lambda x: WithReverse.apply(x, REVERSE), [columns(3, 5)]),
    "Attention": (lambda x, r: Attention.apply(x, r, 2), [columns(12, 6), columns(2, 3)]),
}


@pytest.mark.parametrize(("step", "given"), STEPS.values(), ids=STEPS)
def test_derivatives_of_steps(step, given):
    assert torch.autograd.gradcheck(step, given, rtol=1e-7, atol=1e-8)
