"""Batches are filled by structures and by work."""

import pytest

from pet_flows.flows.screen import ScreenMaker
from pet_flows.jobs.entries import reference
from pet_flows.launch.batches import MOST_WORK, Batches
from pet_flows.launch.remaining import Missing
from tests.launch.test_remaining import SOUND


@pytest.mark.parametrize("name", ["phonon", "qha", "md"])
def test_what_waits_for_relaxations_waits_for_a_tenth_of_its_batch_at_most(name):
    maker = ScreenMaker(name="c", properties=["relax", name], potential="pet-mvl")
    batches = Batches(maker)
    (spec,) = maker.specs()
    sizes = [1, 8, 40, 200, 7, 96, 300, 12] * 40
    for n, size in enumerate(sizes):
        batches.add(spec, ("relax", name), Missing(reference(SOUND[0]), n, "mark"), size)
    made = batches.ready(last=True)
    assert sorted(item.n for batch in made for item in batch.items) == list(range(len(sizes)))
    for batch in made:
        relaxed = sum(sizes[item.n] for item in batch.items)  # atoms, each of weight 1
        assert batch.work <= MOST_WORK or len(batch.items) == 1
        assert relaxed <= batch.work / 11
