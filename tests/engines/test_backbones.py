"""Another architecture, invariant already: there every correction vanishes."""

from functools import lru_cache

import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.io import write
from metatomic_ase import MetatomicCalculator

from pet_flows.cli import main
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import MetatomicRaw
from pet_flows.engines.pet import PETRaw
from pet_flows.engines.potential import get_potential
from pet_flows.models.catalogue import sha256_of
from pet_flows.models.spec import PotentialSpec
from pet_flows.symmetrization.strategies import parse_strategy
from tests.rough import build_soap_bpnn, soap_model
from tests.symmetrization.systems import crystals, molecules, orthogonal, sheared, turned

#: elements; files of such a model grow with their number
FEW = (1, 8, 14)


@lru_cache(maxsize=1)
def raw():
    return MetatomicRaw(soap_model())


def evaluate(spec, atoms):
    strategy = parse_strategy(spec).configure(raw().cutoff, raw().n_layers)
    engine = Evaluator(raw(), strategy)
    return engine.evaluate([System.of(atoms, engine.bind(atoms))])[0]


CASES = {
    "strained": sheared(crystals()["wurtzite"][0], 0.03),
    "perfect": turned(crystals()["wurtzite"][0], orthogonal(3)),
    "water": molecules()["water"],
    "slab": molecules()["slab"],
}


ANYTHING = ["grid:icosahedral", "grid:lebedev:1", "ecse", "ecse:atom"]
CRYSTALS = ["crystal", "crystal:orientation"]


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        (name, spec)
        for name, atoms in CASES.items()
        for spec in (ANYTHING + CRYSTALS if atoms.pbc.all() else ANYTHING)
    ],
)
def test_corrections_vanish(name, spec):
    atoms = CASES[name]
    plain, found = evaluate("none", atoms), evaluate(spec, atoms)
    assert abs(plain.forces).max() > 1e-3
    assert abs(found.energy - plain.energy) < 1e-13 * len(atoms)
    np.testing.assert_allclose(found.forces, plain.forces, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.energies, plain.energies, rtol=0, atol=1e-13)
    if plain.stress is not None:
        np.testing.assert_allclose(found.stress, plain.stress, rtol=0, atol=1e-15)
    if found.energy_spread is not None:
        assert found.energy_spread < 1e-12
    if found.force_spread is not None:
        assert found.force_spread < 1e-12


def test_it_is_another_path():
    assert not PETRaw.supports(soap_model())
    assert raw().n_layers == 2


@pytest.mark.parametrize("kind", ["checkpoint", "exported"])
def test_exported_file_equals_the_model(kind, tmp_path):
    """Through the command line, from what metatrain writes, into metatomic's calculator."""
    if kind == "exported":
        model = tmp_path / "soap.pt"
        soap_model(types=FEW).save(str(model))
    else:
        model = tmp_path / "soap.ckpt"
        checkpoint = build_soap_bpnn(types=FEW).get_checkpoint()
        checkpoint["epoch"] = checkpoint["best_epoch"] = 0
        torch.save(checkpoint, model)
    spec = PotentialSpec(
        model=str(model), sha256=sha256_of(model), symmetrization="none", dtype="float64",
        device="cpu",
    )  # fmt: skip
    write(tmp_path / "Si.cif", bulk("Si"))
    silicon = sheared(bulk("Si") * (1, 1, 2), 0.02)
    cases = [("grid:tetrahedral", silicon), ("crystal", silicon), ("ecse", molecule("H2O"))]
    for n, (strategy, atoms) in enumerate(cases if kind == "checkpoint" else cases[2:]):
        target = tmp_path / f"{n}.pt"
        words = ["export", str(model), "--symmetrize", strategy, "-o", str(target), "--trust"]
        if strategy == "crystal":
            words += ["--reference", str(tmp_path / "Si.cif")]
        with pytest.raises(SystemExit) as done:
            main(words)
        assert not done.value.code
        ours, theirs = atoms.copy(), atoms.copy()
        ours.calc = SymmetrizedCalculator(get_potential(spec), symmetrization=strategy)
        theirs.calc = MetatomicCalculator(str(target))
        energy = theirs.get_potential_energy()
        assert energy == pytest.approx(ours.get_potential_energy(), abs=1e-12)
        np.testing.assert_allclose(theirs.get_forces(), ours.get_forces(), atol=1e-12)
        # the symmetrization of an invariant model is that model
        plain = SymmetrizedCalculator(get_potential(spec))
        assert energy == pytest.approx(plain.get_potential_energy(atoms), abs=1e-12)
