"""Neighbours that are kept with a skin: the very same pairs, in the same order, fewer searches."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule

from pet_flows.engines.evaluation import Batch, System
from pet_flows.engines.surroundings import NeighbourLists, Surroundings
from pet_flows.geometry.neighbours import find_neighbours
from pet_flows.symmetrization.fixed import Fixed
from pet_flows.symmetrization.grid import Grid

LISTS = ((4.5, True), (2.5, True), (3.0, False))


def cells() -> list[Atoms]:
    skewed = bulk("Si")
    skewed.set_cell(np.array([[1, 0, 0], [2, 1, 0], [0, -1, 1]]) @ skewed.cell.array)
    far = bulk("W", cubic=True)
    far.positions += 300.0  # shifts of its pairs are those of atoms that lie outside of the cell
    return [bulk("Cu"), skewed, far, bulk("NaCl", "rocksalt", a=5.6, cubic=True),
            fcc111("Cu", (1, 1, 3), vacuum=5.0), molecule("CH3CH2OH")]  # fmt: skip


def walk(steps: int, size: float) -> list[list[Atoms]]:
    """Geometries step by step: atoms wander, cells are strained, one cell is blown up at once."""
    rng = np.random.default_rng(1)
    now, found = cells(), []
    for step in range(steps):
        found.append([a.copy() for a in now])
        for a in now:
            a.positions += rng.normal(scale=size, size=a.positions.shape)
            if a.pbc.all():
                strain = np.eye(3) + rng.normal(scale=size / 10, size=(3, 3))
                a.set_cell(a.cell.array @ strain, scale_atoms=True)
        if step == steps // 2:
            now[0].set_cell(now[0].cell.array * 0.8, scale_atoms=True)
    return found


def graphs(batch: list[Atoms], kept: list[Surroundings | None]):
    together = Batch([System.of(a, Fixed(None, len(a))) for a in batch])
    return NeighbourLists(LISTS).graphs(
        together.numbers, together.positions, together.cells, together.pbc, together.sizes, kept
    )


def columns(graph):
    return [(p.first.numpy(), p.second.numpy(), p.shift.numpy(), p.counts) for p in graph.pairs]


@pytest.mark.parametrize("size", [0.01, 0.1, 0.5])
def test_pairs_do_not_depend_on_the_skin(size):
    thin = [Surroundings(skin=0.0) for _ in cells()]
    thick = [Surroundings(skin=0.5) for _ in cells()]
    for batch in walk(12, size):
        for one, two, none in zip(
            *(columns(graphs(batch, kept)) for kept in (thin, thick, [None] * len(thin))),
            strict=True,
        ):
            for a, b, c in zip(one, two, none, strict=True):
                np.testing.assert_array_equal(a, b)
                np.testing.assert_array_equal(a, c)


def test_pairs_are_all_there_are():
    """Against a search of each structure's own, as a set: to both sides, and to one."""
    for batch in walk(3, 0.1):
        graph = graphs(batch, [None] * len(batch))
        for (cutoff, full), pairs in zip(LISTS, graph.pairs, strict=True):
            end = 0
            for s, atoms in enumerate(batch):
                begin, end = end, end + pairs.counts[s]
                own = slice(begin, end)
                i, j = (each[own].numpy() - graph.starts[s] for each in (pairs.first, pairs.second))
                found = set(zip(i.tolist(), j.tolist(), map(tuple, pairs.shift[own].tolist()),
                                strict=True))  # fmt: skip
                assert len(found) == end - begin
                first, second, shifts, _ = find_neighbours(
                    atoms.positions, atoms.cell.array, atoms.pbc, cutoff
                )
                expected = set(zip(first.tolist(), second.tolist(), map(tuple, shifts.tolist()),
                                   strict=True))  # fmt: skip
                turned = {(b, a, (-x, -y, -z)) for a, b, (x, y, z) in found}
                assert (found if full else found | turned) == expected
                assert full or not found & turned


def test_what_hardly_moves_is_not_searched_again(monkeypatch):
    searches = []

    def counted(positions, *rest):
        searches.append(len(positions))
        return find_neighbours(positions, *rest)

    monkeypatch.setattr("pet_flows.engines.surroundings.find_neighbours", counted)
    kept = [Surroundings() for _ in cells()]
    kinds = 2  # full lists and half ones
    for batch in walk(5, 0.01):
        graphs(batch[1:], kept[1:])
    assert len(searches) == kinds * (len(kept) - 1)
    moved = cells()
    moved[3].positions[0] += 0.6
    graphs(moved[1:], kept[1:])
    assert len(searches) == kinds * len(kept)  # that one alone


def test_displaced_and_strained_copies_share_one_search(monkeypatch):
    searches = []

    def counted(positions, *rest):
        searches.append(len(positions))
        return find_neighbours(positions, *rest)

    monkeypatch.setattr("pet_flows.engines.surroundings.find_neighbours", counted)
    rng = np.random.default_rng(0)
    crystal = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    system = System.of(crystal, Fixed(None, len(crystal)))
    near = system.near(0.1)
    copies = []
    for n in range(6):
        positions = crystal.positions.copy()
        positions[n] += 0.02 * rng.normal(size=3) / 2
        copies.append(near.displaced(positions))
    wide = system.near()
    copies += [wide.strained(scale * np.eye(3)) for scale in (1.0, 0.97, 1.03, 0.7)]

    def pairs(kept: bool):
        return [
            columns(graphs([each.atoms], [each.surroundings if kept else None])) for each in copies
        ]

    found = pairs(True)
    kinds = 2  # full lists and half ones
    assert len(searches) == kinds * 3  # the last is too far from the others of its kind
    for one, other in zip(found, pairs(False), strict=True):
        for mine, theirs in zip(one, other, strict=True):
            for a, b in zip(mine, theirs, strict=True):
                np.testing.assert_array_equal(a, b)


def test_a_pure_strain_is_noticed():
    """A cell that shrinks, atoms with it, brings pairs inside though no atom moves against it."""
    kept = [Surroundings()]
    for scale in (1.0, 0.95, 0.9, 0.85, 1.2):
        atoms = bulk("Cu")
        atoms.set_cell(scale * atoms.cell.array, scale_atoms=True)
        found = columns(graphs([atoms], kept))[0]
        for a, b in zip(found, columns(graphs([atoms], [None]))[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_molecules_whose_axes_open_need_no_cell():
    water = molecule("H2O")
    graph = graphs([water], [Surroundings()])
    assert graph.pairs[0].counts.tolist() == [6]
    assert not graph.cells.any()


def test_binding_alone_says_nothing_of_neighbours():
    atoms = bulk("Cu")
    assert System.of(atoms, Grid("none").bind(atoms)).surroundings is None
