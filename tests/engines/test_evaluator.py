"""The evaluator against ASE's way of doing the same: rotate, call metatomic, rotate back."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.build import bulk, fcc111, molecule
from metatomic_ase import MetatomicCalculator
from scipy.spatial.transform import Rotation

from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.raw import default_dtype
from pet_flows.errors import StructureError
from pet_flows.symmetrization.fixed import Fixed
from tests.rough import rough_model


class Plain:
    spec = "plain"


def rotations(n, seed=0):
    turned = Rotation.random(n, random_state=seed).as_matrix()
    turned[1::2] *= -1
    return torch.tensor(turned)


def rattled(atoms, seed):
    atoms.rattle(0.1, seed=seed)
    strain = 0.03 * np.random.default_rng(seed).normal(size=(3, 3))
    if atoms.pbc.all():
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def structures():
    short = bulk("Si", cubic=True)
    short.positions[1] = short.positions[0] + [0.5, 0.6, 0.7]  # inside the ZBL range
    cells = [short, bulk("Cu") * (2, 2, 2), bulk("NaCl", "rocksalt", a=5.6), bulk("W")]
    return [rattled(a, n) for n, a in enumerate(cells)]


@pytest.fixture(params=["general", "fast"])
def make(request):
    return MetatomicRaw if request.param == "general" else PETRaw


@pytest.mark.parametrize("zbl", [False, True])
def test_equals_rotated_ase_calls(make, zbl):
    model = rough_model(zbl=zbl)
    calculator = MetatomicCalculator(model, check_consistency=False)
    evaluator = Evaluator(make(model), Plain(), chunk_atoms=40)
    atoms = structures()
    turns = [rotations(n + 2, n) for n in range(len(atoms))]
    systems = [System.of(a, Fixed(q, len(a))) for a, q in zip(atoms, turns, strict=True)]
    for a, q, result in zip(atoms, turns, evaluator.evaluate(systems), strict=True):
        energies, forces, stresses = [], [], []
        for turn in q.numpy():
            b = a.copy()
            b.set_cell(a.cell.array @ turn)
            b.positions = a.positions @ turn
            b.calc = calculator
            with default_dtype(torch.float64):  # of metatrain's ZBL
                energies.append(b.get_potential_energy())
            forces.append(b.get_forces() @ turn.T)
            stresses.append(turn @ b.get_stress(voigt=False) @ turn.T)
        assert result.energy == pytest.approx(np.mean(energies), abs=1e-10)
        np.testing.assert_allclose(result.forces, np.mean(forces, 0), atol=1e-9)
        np.testing.assert_allclose(result.stress, np.mean(stresses, 0), atol=1e-10)
        np.testing.assert_allclose(result.energies.sum(), result.energy, atol=1e-10)
        assert result.n_evaluations == len(q)
        assert result.energy_spread == pytest.approx(np.std(energies) / len(a), rel=1e-5)
        rms = np.sqrt(np.mean(np.var(forces, axis=0)))
        # ZBL is the same in every orientation and adds nothing to the spread
        assert result.force_spread == pytest.approx(rms, rel=1e-6)


def test_one_evaluation_has_no_spread(make):
    atoms = bulk("Si")
    bound = Fixed(torch.eye(3, dtype=torch.float64)[None], 2)
    result = Evaluator(make(rough_model()), Plain()).evaluate([System.of(atoms, bound)])[0]
    assert result.energy_spread is None
    assert result.force_spread is None


def test_quadratures_may_have_negative_weights(make):
    """Lebedev's rule of degree 13 has one: it counts like the others."""
    evaluator = Evaluator(make(rough_model()), Plain())
    atoms = rattled(bulk("Si"), 0)
    turns, shares = rotations(3), torch.tensor([0.7, 0.6, -0.3], dtype=torch.float64)
    single = [evaluator.evaluate([System.of(atoms, Fixed(q[None], 2))])[0] for q in turns]
    (found,) = evaluator.evaluate([System.of(atoms, Fixed(turns, 2, shares=shares))])
    expected = sum(w * s.energy for w, s in zip(shares.tolist(), single, strict=True))
    assert found.energy == pytest.approx(expected, abs=1e-12)
    expected = sum(w * s.forces for w, s in zip(shares.numpy(), single, strict=True))
    np.testing.assert_allclose(found.forces, expected, atol=1e-12)
    assert 0.0 <= found.energy_spread < 1.0
    assert 0.0 <= found.force_spread < 10.0


@pytest.mark.parametrize("name", ["slab", "molecule"])
def test_open_boundaries(make, name):
    atoms = fcc111("Cu", (2, 2, 2), vacuum=6) if name == "slab" else molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    model = rough_model()
    evaluator = Evaluator(make(model), Plain())
    bound = Fixed(torch.eye(3, dtype=torch.float64)[None], len(atoms))
    result = evaluator.evaluate([System.of(atoms, bound)])[0]
    atoms.calc = MetatomicCalculator(model, check_consistency=False)
    assert result.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    np.testing.assert_allclose(result.forces, atoms.get_forces(), atol=1e-9)
    assert result.stress is None


def test_atoms_without_neighbours(make):
    """A lone atom, and two too far apart, beside a crystal in the same call."""
    from ase import Atoms

    far = Atoms("O2", [[0, 0, 0], [0, 0, 9.0]])
    alone, crystal = Atoms("O"), bulk("Si")
    evaluator = Evaluator(make(rough_model()), Plain())
    found = [
        evaluator.evaluate([System.of(a, Fixed(rotations(3), len(a))) for a in batch])
        for batch in ([far], [alone], [crystal, far, alone])
    ]
    assert found[0][0].energy == pytest.approx(2 * found[1][0].energy, abs=1e-12)
    assert found[2][1].energy == pytest.approx(found[0][0].energy, abs=1e-12)
    assert not found[0][0].forces.any()


def test_equivalent_atoms_have_equal_energies(make):
    from pet_flows.symmetrization.strategies import parse_strategy

    raw = make(rough_model())
    evaluator = Evaluator(raw, parse_strategy("crystal").configure(raw.cutoff, raw.n_layers))
    for atoms in (bulk("Si", cubic=True), bulk("NaCl", "rocksalt", a=5.6, cubic=True)):
        result = evaluator.evaluate([System.of(atoms, evaluator.bind(atoms))])[0]
        for number in set(atoms.numbers):
            same = result.energies[atoms.numbers == number]
            np.testing.assert_allclose(same, same[0], atol=1e-12)
        assert result.energies.sum() == pytest.approx(result.energy, abs=1e-10)


def test_batch_composition_does_not_matter(make):
    evaluator = Evaluator(make(rough_model()), Plain(), chunk_atoms=30)
    systems = [System.of(a, Fixed(rotations(4), len(a))) for a in structures()]
    together = evaluator.evaluate(systems)
    for system, result in zip(systems[::-1], together[::-1], strict=True):
        alone = evaluator.evaluate([system])[0]
        assert alone.energy == pytest.approx(result.energy, abs=1e-10)
        np.testing.assert_allclose(alone.forces, result.forces, atol=1e-10)


def test_threads_may_share_an_evaluator():
    """What is kept of the last batch is not taken for that of another thread."""
    evaluator = Evaluator(PETRaw(rough_model()), Plain())
    batches = [
        [System.of(a, Fixed(rotations(k), len(a))) for a in structures()[:k]] for k in (1, 2, 3)
    ]
    expected = [[r.energy for r in evaluator.evaluate(batch)] for batch in batches]
    with ThreadPoolExecutor(3) as pool:
        for _ in range(5):
            found = pool.map(evaluator.evaluate, batches)
            for results, energies in zip(found, expected, strict=True):
                np.testing.assert_allclose([r.energy for r in results], energies, atol=1e-10)


def test_float32_agrees_to_its_round_off():
    double, single = PETRaw(rough_model()), PETRaw(_single())
    assert single.dtype == torch.float32
    systems = [System.of(a, Fixed(rotations(2), len(a))) for a in structures()]
    for a, b in zip(
        Evaluator(double, Plain()).evaluate(systems),
        Evaluator(single, Plain()).evaluate(systems),
        strict=True,
    ):
        assert b.energy == pytest.approx(a.energy, rel=1e-5, abs=1e-4)
        np.testing.assert_allclose(b.forces, a.forces, atol=2e-4)


def _single():
    from tests.rough import build_pet

    model = build_pet().to(torch.float32).export()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    return model


def test_unknown_element_is_named(make):
    with pytest.raises(StructureError, match="Xe") as caught:
        Evaluator(make(rough_model()), Plain()).bind(bulk("Xe", "fcc", a=6))
    assert caught.value.reason == "unknown_element"


def test_out_of_memory_halves_the_chunk(monkeypatch):
    raw = PETRaw(rough_model())
    whole = raw.evaluate
    seen = []

    def limited(copies, gradients=True):
        atoms = len(copies.weights)
        seen.append(atoms)
        if atoms > 20:
            raise torch.OutOfMemoryError("too much")
        return whole(copies, gradients)

    atoms = bulk("Si", cubic=True)
    system = System.of(atoms, Fixed(rotations(8), 8))
    expected = Evaluator(raw, Plain()).evaluate([system])[0]
    monkeypatch.setattr(raw, "evaluate", limited)
    result = Evaluator(raw, Plain()).evaluate([system])[0]
    assert max(seen) == 64
    assert result.energy == pytest.approx(expected.energy, abs=1e-10)
    big = bulk("Si", cubic=True) * (2, 1, 2)
    with pytest.raises(StructureError) as caught:
        Evaluator(raw, Plain()).evaluate([System.of(big, Fixed(rotations(2), len(big)))])
    assert caught.value.reason == "out_of_memory"
    assert caught.value.retryable


def test_a_stress_alone_that_is_not_finite_is_refused(monkeypatch):
    raw = PETRaw(rough_model())
    whole = raw.evaluate

    def broken(copies, gradients=True):
        result = whole(copies, gradients)
        return replace(result, virials=result.virials * torch.inf)

    monkeypatch.setattr(raw, "evaluate", broken)
    with pytest.raises(StructureError, match="stress") as caught:
        Evaluator(raw, Plain()).evaluate([System.of(bulk("Si"), Fixed(rotations(2), 2))])
    assert caught.value.reason == "not_finite"


def test_fast_path_declines_what_it_does_not_know():
    assert PETRaw.supports(rough_model())
    assert not PETRaw.supports(rough_model(adaptive=12.0))
