"""What must hold, as functions: tests call them on the code, mutant tests on broken code."""

import numpy as np
from ase import Atoms
from ase.build import bulk, make_supercell

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.symmetrization.crystal import Crystal, inherited_by_supercell
from tests.crystallography.snap import snap
from tests.symmetrization.systems import (
    AXIS,
    SIDE,
    crystals,
    evaluate,
    orthogonal,
    sheared,
    strategy_of,
    turned,
)

ENERGY, FORCES, STRESS = 1e-12, 1e-10, 1e-11  # eV/atom, eV/Å, eV/Å³


def covariance(spec, atoms, inherited=None, seeds=(1, 2, 3), model=None):
    """Energy, forces and stress turn with the structure, for proper and improper Q."""
    before = evaluate(spec, atoms, inherited, model=model)
    for seed in seeds:
        q = orthogonal(seed)
        after = evaluate(spec, turned(atoms, q), inherited, model=model)
        assert abs(after.energy - before.energy) < ENERGY * len(atoms)
        np.testing.assert_allclose(after.forces, before.forces @ q, rtol=0, atol=FORCES)
        if before.stress is not None:
            np.testing.assert_allclose(after.stress, q.T @ before.stress @ q, rtol=0, atol=STRESS)
    return before


def settings_of(atoms):
    """The same crystal in other cells, orders, origins, hands and orientations."""
    matrices = {
        "2x2x2": np.diag([2, 2, 2]),
        "1x1x3": np.diag([1, 1, 3]),
        "sheared": [[1, 0, 0], [2, 1, 0], [-1, 1, 1]],
        "left-handed": [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
        "conventional": [[1, 1, 0], [-1, 1, 0], [0, 0, 2]],
    }
    rng = np.random.default_rng(4)
    for seed, (name, matrix) in enumerate(matrices.items()):
        cell = make_supercell(atoms, matrix)
        q = orthogonal(seed + 2)
        order = rng.permutation(len(cell))
        moved = turned(cell, q)[order]
        moved.positions += rng.normal(size=3)
        moved.wrap()
        yield name, moved, q


def same_in_all_settings(name):
    """Energy per atom and forces do not depend on the cell a crystal is written in."""
    atoms, expected = crystals()[name]
    reference = evaluate("crystal", atoms)
    sizes = np.sort(np.linalg.norm(reference.forces, axis=1))
    for setting, cell, q in settings_of(atoms):
        result = evaluate("crystal", cell)
        difference = result.energy / len(cell) - reference.energy / len(atoms)
        assert abs(difference) < ENERGY, setting
        copies = len(cell) // len(atoms)
        found = np.sort(np.linalg.norm(result.forces, axis=1))
        np.testing.assert_allclose(found, sizes.repeat(copies), rtol=0, atol=1e-11)
        np.testing.assert_allclose(
            result.stress, q.T @ reference.stress @ q, rtol=0, atol=STRESS, err_msg=setting
        )
        assert result.n_evaluations == expected, setting


def derivative(energy_at, step):
    """Fourth-order central difference."""
    e = [energy_at(k * step) for k in (-2, -1, 1, 2)]
    return (e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * step)


def finite_differences(spec, atoms, inherited=None, step=4e-4, tolerance=1e-7, model=None):
    """Forces along a random direction, and stress along random strains, against energies."""
    result = evaluate(spec, atoms, inherited, model=model)
    rng = np.random.default_rng(11)
    direction = rng.normal(size=(len(atoms), 3))
    direction /= np.linalg.norm(direction)

    def moved(x):
        new = atoms.copy()
        new.positions += x * direction
        return evaluate(spec, new, inherited, model=model).energy

    scale = max(0.1, abs(result.forces).max())
    slope = derivative(moved, step)
    assert abs(slope + (result.forces * direction).sum()) < tolerance * scale
    if result.stress is None:
        return
    for _ in range(2):
        # not symmetric: the stress must take a rotation of the cell for none
        strain = rng.uniform(-1, 1, (3, 3))

        def strained(x, strain=strain):
            new = atoms.copy()
            new.set_cell(atoms.cell.array @ (np.eye(3) + x * strain), scale_atoms=True)
            return evaluate(spec, new, inherited, model=model).energy

        exact = (result.stress * strain).sum() * atoms.get_volume()
        size = max(0.1, abs(result.stress).max() * atoms.get_volume())
        assert abs(derivative(strained, step / 4) - exact) < tolerance * size


def stress_under_shear(spec="crystal", name="wurtzite"):
    """Finite differences at five per cent shear and a rattle."""
    atoms, _ = crystals()[name]
    inherited = strategy_of(spec).bind(atoms).as_dict()
    finite_differences(spec, sheared(atoms, rattle=0.03), inherited)


def rederived_after_strain(name="fcc", tolerance=None):
    """A reference derived again after a small strain gives the energy of the frozen one."""
    strategy = Crystal() if tolerance is None else Crystal(tolerance=tolerance)
    atoms, _ = crystals()[name]
    inherited = strategy_of(strategy).bind(atoms).as_dict()
    for strain in (0.002, 0.005, 0.01) if tolerance is None else (0.01, 0.03, 0.05):
        cell = sheared(atoms, strain, rattle=0.0)
        frozen = evaluate(strategy, cell, inherited)
        anew = evaluate(strategy, turned(cell, orthogonal(3)))
        assert abs(frozen.energy - anew.energy) < 5e-5 * len(atoms), strain


def displaced_atom_covariance():
    """One atom of a supercell displaced by 0.01 Å: 12 evaluations, forces as without reduction."""
    atoms, _ = crystals()["diamond"]
    matrix = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    inherited = inherited_by_supercell(strategy_of("crystal").bind(atoms).as_dict(), matrix)
    supercell = make_supercell(atoms, matrix)
    supercell.positions[0, 0] += 0.01
    result = covariance("crystal", supercell, inherited, seeds=(3,))
    finite_differences("crystal", supercell, inherited, step=2e-3)
    assert result.n_evaluations == 12
    return result


def carried_symmetry_and_noise():
    """An inherited symmetry is used where single precision blurs it, not where it is broken."""
    atoms, _ = crystals()["quartz"]
    inherited = strategy_of("crystal").bind(atoms).as_dict()
    for size, expected in ((1e-6, 4), (1e-4, 24)):
        noisy = atoms.copy()
        noisy.positions += size * np.random.default_rng(0).uniform(-1, 1, noisy.positions.shape)
        assert evaluate("crystal", noisy, inherited).n_evaluations == expected


def snapped_supercell():
    """A rounded, turned 2×1×1 cell is snapped and then costs what its primitive cell does."""
    atoms = make_supercell(bulk("NaCl", "rocksalt", a=5.64), np.diag([2, 1, 1]))
    atoms = turned(atoms, orthogonal(1))
    atoms.positions = atoms.positions.round(4)
    atoms.set_cell(atoms.cell.array.round(4))
    result = evaluate("crystal", snap(SpaceGroup.find(atoms), atoms))
    assert result.n_evaluations == 1
    assert abs(result.forces).max() < 1e-12


def bent_trimer(angle, long=1.2):
    """O-C-O bent by ``angle`` rad out of the line."""
    last = long * (np.cos(angle) * AXIS + np.sin(angle) * SIDE)
    return Atoms("OCO", [-1.16 * AXIS, 0 * AXIS, last])


def spectator_chain(x):
    """O-C-N bent by x (Å), hydrogen out of every plane beside its end."""
    last = 1.2 * AXIS + x * SIDE
    return Atoms("OCNH", [-1.2 * AXIS, 0 * AXIS, last, 2.9 * AXIS + 2.6 * np.cross(AXIS, SIDE)])


def lonely_atom_on_bent_chain():
    """An atom whose only neighbour is on a bent chain sees the bend through messages alone."""
    side = np.cross(AXIS, SIDE)
    tail = [0 * AXIS, 3.9 * AXIS, 5.2 * AXIS + 1.1 * SIDE, 6.1 * AXIS + 1.7 * SIDE + 0.9 * side]
    return Atoms("HOCH", tail)


def lonely_atom_before_a_far_bend():
    """The last messages are exchanged after the last layer: bends are seen a bond further."""
    tail = [0 * AXIS, 3.9 * AXIS, 7.7 * AXIS, 9.0 * AXIS + 2.1 * SIDE]
    side = np.cross(AXIS, SIDE)
    return Atoms("HOCHO", [*tail, 9.6 * AXIS + 2.5 * SIDE + 1.1 * side])


def slopes(spec, path, points, steps=(1e-2, 1e-3, 1e-4), model=None):
    """Largest force difference per step along a path, one value for each step (eV/Å²)."""
    found = []
    for h in steps:
        pairs = [
            [evaluate(spec, path(x + s * h / 2), model=model).forces for s in (-1, 1)]
            for x in points
        ]
        found.append(max(abs(b - a).max() / h for a, b in pairs))
    return np.array(found)


def bent_chain(x):
    """O-C-C-O with its end x (Å) out of the line."""
    side = np.cross(AXIS, SIDE)
    end = 2.5 * AXIS + x * SIDE + 0.3 * x * side
    return Atoms("OCCO", [-1.2 * AXIS, 0 * AXIS, 1.3 * AXIS, end])


def smooth_through_collinearity(spec="ecse"):
    """Slopes of the force independent of the step, bounded, where a chain becomes linear."""
    found = slopes(spec, bent_chain, (0.0,), (1e-3, 1e-4))
    assert found.max() < 100
    assert found.max() < 1.5 * found.min() + 0.1


def chiral_molecule():
    """Ecse of a chiral molecule: improper operations included."""
    places = [[0, 0, 0], [0.6, 0.5, 0.7], [-0.9, 0.8, -0.1], [0.3, -1.3, 0.4], [0.8, 0.4, -1.4]]
    atoms = Atoms("CHONS", places)
    covariance("ecse", atoms, seeds=(1, 2))
