"""Batches with bad structures in them, and memory that runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111

from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.memory import bytes_per_edge, is_out_of_memory
from pet_flows.engines.potential import Potential
from pet_flows.engines.raw import Copies, RawModel, RawResult
from pet_flows.errors import StructureError
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.prepare import check
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax
from pet_flows.properties.static.static import static
from tests.properties.stub import AsePotential

Error = Callable[[], BaseException]


class Tight:
    """A model on a device that holds so many atoms and no more."""

    def __init__(self, raw: RawModel, most: int, error: Error):
        self._raw, self._most, self._error = raw, most, error
        self.largest = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def evaluate(self, copies: Copies, gradients: bool = True) -> RawResult:
        atoms = len(copies.weights)
        if atoms > self._most:
            raise self._error()
        self.largest = max(self.largest, atoms)
        return self._raw.evaluate(copies, gradients)


def tight(pet: Potential, most: int, error: Error) -> Potential:
    return Potential(pet.resolved, Tight(pet.raw, most, error))


ERRORS: dict[str, Error] = {
    "device": lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
    "computer": lambda: RuntimeError(
        "[enforce fail at alloc_cpu.cpp:121] . DefaultCPUAllocator: can't allocate memory"
    ),
    "python": MemoryError,
    "script": lambda: RuntimeError("The following operation failed in TorchScript: out of memory"),
}


#: place among them of the one of 36 atoms
TOO_LARGE = 6


def mixed() -> tuple[list[Atoms], list[int]]:
    """Twelve structures of 1 to 36 atoms, three of them bad, and where those are."""
    rng = np.random.default_rng(5)
    found = [
        bulk("Si", a=5.4), bulk("Cu"), bulk("W", cubic=True) * (2, 2, 2), bulk("Ge", a=5.8),
        bulk("Nb") * (3, 3, 4), bulk("Si", cubic=True), bulk("Ta", a=3.3) * (3, 3, 1),
        bulk("Mo", cubic=True), bulk("Cu", cubic=True) * (2, 2, 1),
    ]  # fmt: skip
    for atoms in found[2:]:
        atoms.positions += rng.normal(0, 0.03, atoms.positions.shape)
    broken = bulk("Si", cubic=True)
    broken.positions[2, 1] = np.nan
    overlapping = bulk("W", cubic=True)
    overlapping.positions[1] = overlapping.positions[0] + [0.2, 0, 0]
    for place, bad in ((1, broken), (5, overlapping), (8, bulk("Xe", "fcc", a=6.2))):
        found.insert(place, bad)
    return found, [1, 5, 8]


def by_index(outcomes: Iterator[Outcome]) -> list[Outcome]:
    return sorted(outcomes, key=lambda o: o.index)


def same(one: Outcome, other: Outcome) -> None:
    assert (one.state, one.reason) == (other.state, other.reason)
    if one.state == "failed":
        return
    assert other.n_evaluations == one.n_evaluations
    assert other.result["energy_per_atom"] == pytest.approx(one.result["energy_per_atom"], abs=1e-9)
    np.testing.assert_allclose(other.result["stress"], one.result["stress"], atol=1e-6)
    np.testing.assert_allclose(other.atoms.positions, one.atoms.positions, atol=1e-7)


@pytest.mark.parametrize("name", ["static", "relax"])
def test_company_order_and_room_do_not_matter(oriented: Potential, name: str) -> None:
    settings = RelaxSettings(fix_symmetry=False, steps=6)

    def run(given: list[Atoms], potential: Potential) -> list[Outcome]:
        if name == "static":
            return by_index(static(given, potential))
        return by_index(relax(given, potential, settings))

    given, bad = mixed()
    whole = run(given, oriented)
    assert [o.index for o in whole] == list(range(12))
    reasons = {o.index: o.reason for o in whole if o.state == "failed"}
    assert reasons == dict(
        zip(bad, ["not_finite_input", "overlapping_atoms", "unknown_element"], strict=True)
    )
    order = np.random.default_rng(0).permutation(12)
    shuffled = run([given[n] for n in order], oriented)
    small = Potential(oriented.resolved, oriented.raw, chunk_atoms=16)
    cramped = run(given, small)
    for n, place in enumerate(order):
        same(whole[place], shuffled[n])
    for one, other in zip(whole, cramped, strict=True):
        same(one, other)
    for n in (0, 3):
        same(whole[n], run([given[n]], oriented)[0])


@pytest.fixture(scope="module")
def oriented(pet: Potential) -> Potential:
    """One evaluation for each structure, rattled or not."""
    return pet.with_(symmetrization="crystal:orientation")


@pytest.fixture(scope="module")
def expected(oriented: Potential) -> list[Outcome]:
    return by_index(static(mixed()[0], oriented))


@pytest.mark.parametrize("kind", ERRORS)
def test_memory_that_runs_out_halves_the_batch_and_goes_on(
    oriented: Potential, expected: list[Outcome], kind: str
) -> None:
    potential = tight(oriented, 30, ERRORS[kind])
    given, bad = mixed()
    found = by_index(static(given, potential))
    for one, other in zip(expected, found, strict=True):
        if other.reason == "out_of_memory":
            assert one.state == "ok"
            assert len(given[one.index]) > 30
            assert other.retryable
        else:
            same(one, other)
    assert [o.index for o in found if o.state == "failed"] == sorted([*bad, TOO_LARGE])
    assert potential.raw.largest <= 30
    # what was learned is kept: later batches are not too large again
    assert potential.evaluator.chunk_atoms <= 30


def test_memory_that_runs_out_on_the_way_changes_nothing(pet: Potential) -> None:
    pet = pet.with_(symmetrization="crystal:orientation")
    given = [bulk("Si", a=5.5, cubic=True), bulk("Cu", a=3.7, cubic=True), bulk("W", a=3.2)]
    whole = by_index(relax(given, pet))
    for one, other in zip(whole, by_index(relax(given, tight(pet, 8, MemoryError))), strict=True):
        same(one, other)


def test_another_error_of_the_device_is_not_called_memory(pet: Potential) -> None:
    broken = tight(pet, 4, lambda: RuntimeError("CUDA error: an illegal memory access"))
    rattled = bulk("Si", cubic=True)
    rattled.rattle(0.02, seed=1)
    found = by_index(static([bulk("Cu"), rattled], broken))
    assert [o.state for o in found] == ["ok", "failed"]
    assert found[1].reason == "device_error"
    assert found[1].retryable
    assert "illegal memory access" in found[1].message
    assert not is_out_of_memory(RuntimeError("size mismatch"))


SCRIPTS = torch.jit.CompilationUnit(
    """
def refuse(x: Tensor) -> Tensor:
    if bool(x.sum() > 0):
        raise ValueError("no weights for this pair of elements")
    return x

def multiply(x: Tensor) -> Tensor:
    return x @ x
"""
)


def raised(script: Callable[[torch.Tensor], torch.Tensor]) -> BaseException:
    with pytest.raises((RuntimeError, torch.jit.Error)) as caught:
        script(torch.ones(2, 3))
    return caught.value


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (lambda: raised(lambda x: x @ x), "shapes cannot be multiplied"),
        (lambda: raised(SCRIPTS.multiply), "shapes cannot be multiplied"),
        (lambda: raised(SCRIPTS.refuse), "no weights for this pair of elements"),
        (lambda: np.linalg.LinAlgError("SVD did not converge"), "SVD did not converge"),
    ],
    ids=["eager", "script", "raised", "linear algebra"],
)
def test_a_model_that_refuses_is_not_asked_again(pet: Potential, error: Error, said: str) -> None:
    broken = tight(pet, 4, error)
    rattled = bulk("Si", cubic=True)
    rattled.rattle(0.02, seed=1)
    found = by_index(static([bulk("Cu"), rattled, bulk("W")], broken))
    assert [o.reason for o in found] == [None, "model_error", None]
    assert not found[1].retryable
    assert said in found[1].message


def test_what_does_not_fit_is_refused_before_it_is_tried(pet: Potential) -> None:
    """A computer without memory left kills the process: it must not come to that."""
    limit = 54 * 10 * bytes_per_edge(pet.raw)  # its atoms have 14 neighbours
    potential = tight(pet.with_(symmetrization="crystal:orientation"), 10**6, MemoryError)
    evaluator = Evaluator(potential.raw, potential.evaluator.strategy, memory=limit)
    potential.evaluator = evaluator
    rattled = bulk("Nb", cubic=True) * (3, 3, 3)
    rattled.rattle(0.02, seed=1)
    found = by_index(static([bulk("Si"), rattled, bulk("W")], potential))
    assert [o.state for o in found] == ["ok", "failed", "ok"]
    assert found[1].reason == "out_of_memory"
    assert "54 atoms takes about" in found[1].message
    assert potential.raw.largest < 54


def test_the_need_of_memory_is_that_of_the_model(pet: Potential) -> None:
    double, single = (bytes_per_edge(pet.with_(dtype=d).raw) for d in ("float64", "float32"))
    assert double / single == pytest.approx(2.0, rel=0.1)


def test_far_too_many_atoms_are_refused_at_once(pet: Potential) -> None:
    """Long before their symmetry, which would take minutes, is sought."""
    potential = Potential(pet.resolved, pet.raw)
    potential.evaluator = Evaluator(pet.raw, pet.evaluator.strategy, memory=1e9)
    (outcome,) = relax([bulk("W", a=3.2) * (40, 40, 40)], potential)
    assert (outcome.state, outcome.reason) == ("failed", "out_of_memory")
    assert "64000 atoms takes about" in outcome.message


def test_a_thread_of_a_cell_is_refused() -> None:
    """The search for its neighbours would end the process."""
    thread = Atoms("Si", positions=[[0.0, 0.0, 0.0]], cell=[1.0, 1e3, 1e4], pbc=True)
    with pytest.raises(StructureError, match="too long for its width") as caught:
        check(thread)
    assert caught.value.reason == "not_searchable"


def test_slabs_in_much_vacuum_are_computed(emt: AsePotential) -> None:
    """Their cells are 200 times as long as wide; what is 1e5 Å thick is refused, alone."""
    thin = fcc111("Cu", (1, 1, 1), a=3.6, vacuum=250.0, periodic=True)
    near = fcc111("Cu", (1, 1, 1), a=3.6, vacuum=10.0, periodic=True)
    thick = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 1e5]], cell=[2.5, 2.5, 0], pbc=(1, 1, 0))
    far = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 3e9]], cell=[2.5, 2.5, 3.0], pbc=True)
    found = {o.index: o for o in static([thin, near, thick, far], emt)}
    assert [found[k].state for k in range(4)] == ["ok", "ok", "failed", "failed"]
    assert found[0].result["energy"] == pytest.approx(found[1].result["energy"], abs=1e-9)
    assert found[2].reason == found[3].reason == "not_searchable"
