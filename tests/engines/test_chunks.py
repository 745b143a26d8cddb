"""Every copy once, no chunk too full, little padding."""

import numpy as np
import pytest
import torch
from ase.build import bulk

from pet_flows.engines.chunks import CALL_PLACES, chunks
from pet_flows.engines.clusters import Part
from pet_flows.engines.memory import neighbours
from pet_flows.engines.raw import build_graph


def part(atoms, cutoff, copies):
    graph = build_graph(
        [(cutoff, True)], atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc
    )
    return Part(graph, torch.arange(copies))


@pytest.fixture(scope="module")
def structures():
    rng = np.random.default_rng(0)
    cells = [bulk("Si"), bulk("Cu", cubic=True), bulk("W"), bulk("Si", cubic=True)]
    return [
        [part(cells[k], float(cutoff), int(copies))]
        for k, cutoff, copies in zip(
            rng.integers(4, size=40),
            rng.uniform(3.0, 6.0, size=40),
            rng.integers(1, 30, size=40),
            strict=True,
        )
    ]


@pytest.mark.parametrize("most", [1, 7, 100, 5000])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_copy_once_and_no_chunk_too_full(structures, most, device):
    found = chunks(structures, most, device)
    pieces = [piece for chunk in found for piece in chunk]
    copies = sorted((s, p, c) for s, p, a, b in pieces for c in range(a, b))
    expected = [(s, 0, c) for s, (own,) in enumerate(structures) for c in range(len(own.copies))]
    assert copies == expected
    for chunk in found:
        atoms = sum((b - a) * len(structures[s][p].graph) for s, p, a, b in chunk)
        assert atoms <= most or len(chunk) == 1


def test_little_padding_on_a_cpu(structures):
    """Beside the last piece of a chunk, which ends it, padding is worth less than a call."""
    for chunk in chunks(structures, 5000, "cpu"):
        widths = [neighbours(structures[s][p].graph) for s, p, *_ in chunk]
        rows = [(b - a) * len(structures[s][p].graph) for s, p, a, b in chunk]
        assert widths == sorted(widths, reverse=True)
        padding = sum(n * (widths[0] - w) for n, w in zip(rows[:-1], widths[:-1], strict=True))
        assert padding <= CALL_PLACES["cpu"]
