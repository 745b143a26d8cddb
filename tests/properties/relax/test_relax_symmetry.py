"""Perfect crystals stay perfect on the way, at the price of the plain model's relaxation."""

from __future__ import annotations

import pytest
import spglib
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from scipy.spatial.transform import Rotation

from pet_flows.engines.potential import Potential
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax


def perfect() -> dict[str, tuple[Atoms, int, int]]:
    """Strained crystals with displaced free parameters; space group, |H| / |P|."""
    hexagonal = [3.9, 3.9, 6.3, 90, 90, 120]
    third = (1 / 3, 2 / 3)
    return {
        "diamond": (bulk("Si", a=5.5, cubic=True), 227, 1),
        "hcp": (bulk("Cu", "hcp", a=2.62, c=4.1), 194, 1),
        "lonsdaleite": (
            crystal("Si", [(*third, 0.066)], spacegroup=194, cellpar=hexagonal),
            194,
            1,
        ),
        "zincblende": (bulk("SiGe", "zincblende", a=5.65), 216, 2),
        "wurtzite": (
            crystal(
                ["Si", "Ge"], [(*third, 0.0), (*third, 0.37)], spacegroup=186, cellpar=hexagonal
            ),
            186,
            2,
        ),
    }


def number(atoms: Atoms, symprec: float) -> int:
    cell = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    return int(spglib.get_symmetry_dataset(cell, symprec=symprec).number)


@pytest.fixture(scope="module")
def crystals() -> list[Atoms]:
    found = []
    for n, (atoms, group, _) in enumerate(perfect().values()):
        assert number(atoms, 1e-6) == group
        turned = Atoms(atoms.numbers, atoms.positions, cell=atoms.cell.array, pbc=True)
        turned.set_cell(atoms.cell.array @ Rotation.random(rng=n).as_matrix(), scale_atoms=True)
        found.append(turned)
    return found


@pytest.fixture(scope="module")
def plain(pet: Potential, crystals: list[Atoms]) -> list[Outcome]:
    found = relax(crystals, pet.with_(symmetrization="none"), RelaxSettings(fix_symmetry=False))
    return sorted(found, key=lambda o: o.index)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rounded", [False, True], ids=["exact", "rounded"])
def test_the_space_group_is_kept_at_the_plain_price(
    pet: Potential, crystals: list[Atoms], plain: list[Outcome], dtype: str, rounded: bool
) -> None:
    given = [a.copy() for a in crystals]
    if rounded:
        for atoms in given:
            atoms.positions = atoms.positions.round(4)
            atoms.set_cell(atoms.cell.array.round(4))
    evaluations = 0
    for outcome in relax(given, pet.with_(dtype=dtype)):
        assert outcome.state == "ok", outcome.message
        _, group, cost = list(perfect().values())[outcome.index]
        assert number(outcome.atoms, 1e-6) == group
        assert outcome.n_evaluations == cost * (outcome.result["n_steps"] + 1)
        assert outcome.result["n_steps"] > 0
        evaluations += outcome.n_evaluations
    costs = [cost for _, _, cost in perfect().values()]
    allowed = sum(o.n_evaluations * c for o, c in zip(plain, costs, strict=True))
    assert evaluations <= 1.2 * allowed


def test_the_plain_model_loses_it(plain: list[Outcome]) -> None:
    """What all this is for: without it cells shear and their space groups are gone."""
    for outcome, (_, group, _) in zip(plain, perfect().values(), strict=True):
        assert outcome.state == "ok", outcome.message
        assert number(outcome.atoms, 1e-6) != group
