"""Every copy once, no chunk too full, little padding."""

import numpy as np
import pytest
from ase.build import bulk

from pet_flows.engines.chunks import CALL_PLACES, chunks
from pet_flows.engines.clusters import Parts
from pet_flows.engines.graphs import together
from pet_flows.engines.surroundings import graph_of
from pet_flows.geometry.ragged import owners_of


@pytest.fixture(scope="module")
def cut():
    """40 crystals with 1 to 29 copies each."""
    rng = np.random.default_rng(0)
    cells = [bulk("Si"), bulk("Cu", cubic=True), bulk("W"), bulk("Si", cubic=True)]
    kinds, cutoffs = rng.integers(4, size=40), rng.uniform(3.0, 6.0, size=40)
    copies = rng.integers(1, 30, size=40)
    graphs = together(
        [
            graph_of(((float(r), True),), a.numbers, a.positions, a.cell.array, a.pbc)
            for a, r in zip([cells[k] for k in kinds], cutoffs, strict=True)
        ]
    )
    return Parts(graphs, np.arange(len(graphs.numbers)), owners_of(copies))


@pytest.mark.parametrize("most", [1, 7, 100, 5000])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_every_copy_once_and_no_chunk_too_full(cut, most, device):
    found = chunks(cut, most, device)
    assert sorted(np.concatenate(found).tolist()) == list(range(len(cut.owners)))
    for chunk in found:
        atoms = cut.graphs.sizes[cut.owners[chunk]].sum()
        assert atoms <= most or len(chunk) == 1


def test_little_padding_on_a_cpu(cut):
    """Beside the last structure of a chunk, which ends it, padding is worth less than a call."""
    for chunk in chunks(cut, 5000, "cpu"):
        owners = cut.owners[chunk]
        widths, rows = cut.graphs.widths[owners], cut.graphs.sizes[owners]
        assert widths.tolist() == sorted(widths.tolist(), reverse=True)
        before = owners != owners[-1]
        padding = (rows * (widths[0] - widths))[before].sum()
        assert padding <= CALL_PLACES["cpu"]
