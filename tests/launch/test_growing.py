"""A campaign on the LaunchPad that gets more structures, properties and potentials."""

import pytest
from jobflow.managers.fireworks import flow_to_workflow

from pet_flows.flows.screen import ScreenMaker
from pet_flows.inputs.structure import as_input
from pet_flows.jobs.entries import by_reference, reference
from pet_flows.launch.batches import FEWEST
from pet_flows.launch.campaign import submit_campaign
from pet_flows.launch.live import Live, mark_of, potential_used
from pet_flows.launch.workflows import mark_job
from pet_flows.models.spec import PotentialSpec
from tests.launch.test_remaining import MAKER, SOUND, write
from tests.store.examples import crystal


@pytest.fixture
def submit(site, launchpad):
    """Submit a campaign c; what became of it."""

    def run(inputs, properties=("relax", "static"), potential="pet-mvl", dry_run=False, **fields):
        maker = ScreenMaker("c", properties, potential, **fields)
        with site.results() as results:
            return submit_campaign(maker, iter(inputs), launchpad, results, dry_run=dry_run)

    return run


def names(launchpad):
    return [fw["name"] for fw in launchpad.fireworks.find({}, sort=[("fw_id", 1)])]


def test_more_structures(submit, launchpad, site):
    first = submit(SOUND[:2], batch_size=2)
    assert (first.n_left, first.n_fireworks, first.fireworks) == (2, 2, [1, 2])
    more = submit(SOUND, batch_size=2)
    assert (more.n_inputs, more.n_left, more.n_live, more.fireworks) == (4, 2, 2, [3, 4])
    assert names(launchpad) == ["c relax 1", "c static 1", "c relax 2", "c static 2"]
    assert submit(SOUND, batch_size=1).n_fireworks == 0
    with site.results() as results:
        head = results.campaigns.head("c")
        assert (head["n_structures"], head["n_records"]) == (4, 8)


def test_equal_structures_are_one_record(submit, site):
    submit([SOUND[0], as_input(SOUND[0].structure), SOUND[1]])
    with site.results() as results:
        head = results.campaigns.head("c")
        assert (head["n_structures"], head["n_records"]) == (2, 4)


def test_more_properties_start_from_the_relaxations_that_are_there(submit, launchpad, site):
    with site.results() as results:
        for n in range(2):
            relaxed = write(results, n, "relax")
            write(results, n, "static", parent=relaxed)
    found = submit(SOUND[:3], ("relax", "static", "eos"))
    # one of them has to be relaxed first
    assert names(launchpad) == ["c eos 1", "c eos 2", "c relax 3", "c static 3", "c eos 3"]
    assert (found.n_left, found.n_workflows) == (3, 3)
    states = {fw["name"]: fw["state"] for fw in launchpad.fireworks.find({})}
    assert states["c eos 1"] == states["c relax 3"] == "READY"
    assert states["c eos 3"] == "WAITING"
    assert submit(SOUND[:3], ("relax", "static", "eos")).n_live == 3
    with site.results() as results:
        assert results.campaigns.head("c")["manifest"]["properties"] == ["eos", "relax", "static"]


def test_what_starts_from_a_relaxation_that_runs_waits_for_it(submit, launchpad):
    submit(SOUND[:1])
    again = submit(SOUND[:1], ("relax", "static", "eos"))
    assert (again.n_live, again.n_fireworks) == (1, 0)


def test_another_potential(submit, launchpad, site):
    submit(SOUND[:2], batch_size=2)
    other = PotentialSpec(model="pet-mvl", symmetrization="none")
    found = submit(SOUND[:2], potential=["pet-mvl", other], batch_size=2)
    assert (found.n_left, found.n_live, found.fireworks) == (2, 0, [3, 4])
    assert submit(SOUND[:2], potential=["pet-mvl", other]).n_live == 2
    assert submit(SOUND[:2], potential=other).n_live == 2
    with site.results() as results:
        head = results.campaigns.head("c")
        assert len(head["manifest"]["potentials"]) == 2
        assert (head["n_structures"], head["n_records"]) == (2, 8)


def test_a_dry_run_writes_nothing(submit, launchpad, site):
    with site.results() as results:
        write(results, 0, "relax", state="unconverged")
    found = submit(SOUND, dry_run=True)
    assert (found.n_left, found.n_done, found.n_fireworks) == (3, 1, 6)
    assert {name: n for (name, _), n in found.wanted.items()} == {"relax": 3, "static": 3}
    assert {name: n for (name, _), n in found.atoms.items()} == {"relax": 6, "static": 6}
    assert launchpad.fireworks.count_documents({}) == 0
    with site.results() as results:
        assert results.campaigns.names() == []
        assert results.structures.collection.count_documents({}) == 0


def test_few_structures_are_for_several_workers_and_large_ones_for_one_each(submit, launchpad):
    few = [as_input(crystal(n)) for n in range(20)]
    assert submit(few, ("static",)).n_workflows == 7  # of at most three
    assert submit(few, ("eos",)).n_workflows == 7
    large = [as_input(crystal(n) * (8, 8, 8)) for n in range(3)]
    assert len(large[0].structure) * 10 > 10_000
    assert submit(large, ("phonon",), batch_size=3).n_workflows == 3
    assert FEWEST == 8


def test_many_structures_come_in_parts(submit, launchpad, monkeypatch):
    monkeypatch.setattr("pet_flows.launch.campaign.CHUNK", 10)
    many = [as_input(crystal(n)) for n in range(35)]
    found = submit(many, ("static",), batch_size=8)
    assert (found.n_inputs, found.n_workflows, found.fireworks) == (35, 5, [1, 5])
    sizes = [len(w["metadata"]["structures"]) for w in launchpad.workflows.find({})]
    assert sorted(sizes) == [3, 8, 8, 8, 8]
    assert len(Live(launchpad, "c")) == 35
    assert submit(many, ("static",), batch_size=8).n_live == 35


def test_workflows_that_do_not_say_what_they_are_about_are_known(submit, launchpad, site):
    with site.results() as results:
        flow = MAKER.make(by_reference(SOUND[:2], results))
    for job, _ in flow.iterflow():
        mark_job(job, None, None)
    launchpad.add_wf(flow_to_workflow(flow))
    assert len(Live(launchpad, "c")) == 2
    found = submit(SOUND[:3])
    assert (found.n_live, found.n_left) == (2, 1)
    mark = str(mark_of(reference(SOUND[0]), potential_used(MAKER.maker("relax"))))
    assert Live(launchpad, "c").of([mark]) == {mark: {"relax", "static"}}
    (relax,) = [fw["fw_id"] for fw in launchpad.fireworks.find({"name": "c relax"})]
    launchpad.fireworks.update_one({"fw_id": relax}, {"$set": {"state": "COMPLETED"}})
    assert Live(launchpad, "c").of([mark]) == {mark: {"static"}}


def test_the_maker_of_these_tests_is_that_of_the_records(submit, site):
    assert MAKER.specs() == ScreenMaker("c", ("relax",), "pet-mvl").specs()
