"""The best of a campaign go to flows of another code, whose documents name the records."""

import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from jobflow import Flow, Maker, Response, job, run_locally
from jobflow.managers.fireworks import flow_to_workflow

from pet_flows.errors import PetFlowsError
from pet_flows.flows.candidates import candidates
from pet_flows.flows.followup import FollowUpMaker, named_maker
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore
from tests.cli.stored import made, potential, run
from tests.plots.examples import EXAMPLES

METALS = {"Cu": 140.0, "Ag": 100.0, "Al": 77.0, "Ni": 190.0}


@pytest.fixture
def keys():
    """Relaxations and equations of state of four metals; keys of the relaxations."""
    found = {}
    with ResultStore.open() as store:
        store.campaigns.put({"name": "fcc", "properties": ["relax", "eos"], "n_inputs": 4})
        for n, (element, b0) in enumerate(METALS.items()):
            relaxed, blobs = result("relax", element, {"energy_per_atom": -float(n)})
            store.put(relaxed, blobs)
            found[element] = relaxed["_id"]
            store.put(*result("eos", element, {"b0": b0}, parent=relaxed["_id"]))
    return found


def result(property, element, numbers, state="ok", **changes):
    changed = {"result": {**EXAMPLES[property].result, **numbers}}
    return made(
        EXAMPLES[property], f"mp-{element}", bulk(element), state, "fcc", outcome=changed, **changes
    )


def chosen(by, top=2, criteria=None):
    with ResultStore.open(read_only=True) as store:
        return candidates(store, "fcc", by, top, criteria)


@pytest.mark.parametrize(
    ("by", "names", "values"),
    [
        ("energy_per_atom", ["Ni", "Al"], [-3.0, -2.0]),
        ("-relax.energy_per_atom", ["Cu", "Ag"], [0.0, -1.0]),
        ("b0", ["Al", "Ag"], [77.0, 100.0]),
        ("-eos.b0", ["Ni", "Cu"], [190.0, 140.0]),
        ("eos.volumes.0", ["Ag", "Al", "Cu", "Ni"], None),
    ],
)
def test_the_first_by_a_number(keys, by, names, values):
    found = chosen(by, len(names))
    if values is None:  # all are equal: every one, and always in the same order
        assert sorted(one.formula for one in found) == names
        assert [one.record for one in found] == [one.record for one in chosen(by, len(names))]
        return
    assert [one.formula for one in found] == names
    assert [one.value for one in found] == values
    # the record whose structure goes on is the relaxation, whatever they were chosen by
    assert [one.record for one in found] == [keys[name] for name in names]
    assert [one.material_id for one in found] == [f"mp-{name}" for name in names]
    assert found[0].structure.formula == f"{names[0]}1"


def test_only_sound_records_and_those_that_match(keys):
    with ResultStore.open() as store:
        store.put(*result("eos", "Pd", {"b0": 10.0}, "unconverged"))
        # the same input with another potential is the same material; its best value counts
        other = result("relax", "Cu", {"energy_per_atom": -9.0}, potential=potential("pet-mad-s"))
        store.put(*other)
    assert [one.formula for one in chosen("b0", 9)] == ["Al", "Ag", "Cu", "Ni"]
    assert len(chosen("b0", 9, {"elements": {"$ne": "Al"}})) == 3
    found = chosen("energy_per_atom", 9)
    assert [one.formula for one in found] == ["Cu", "Ni", "Al", "Ag"]
    assert found[0].record == other[0]["_id"]


def test_the_lowest_above_the_hull(keys):
    alloys = {"one": -1.0, "two": -2.5, "three": -1.6}
    with ResultStore.open() as store:
        for n, (name, energy) in enumerate(alloys.items()):
            atoms = bulk("Cu", "sc", a=2.7 + 0.01 * n).repeat((1, 1, 2))
            atoms.symbols[0] = "Al"
            store.put(
                *made(
                    EXAMPLES["relax"], name, atoms, "ok", "fcc",
                    outcome={"result": {**EXAMPLES["relax"].result, "energy_per_atom": energy}},
                )
            )  # fmt: skip
    # elements at 0 (Cu) and -2 (Al) eV: halfway -1 without the compounds
    found = chosen("e_above_hull", 9, {"nelements": 2})
    assert [(one.name, one.value) for one in found] == [
        ("two", 0.0),
        ("three", pytest.approx(0.9)),
        ("one", pytest.approx(1.5)),
    ]
    assert [one.name for one in chosen("-e_above_hull", 1)] == ["one"]
    said = "with a number energy above the hull .there is no reference energy of the element"
    with pytest.raises(PetFlowsError, match=said):
        chosen("e_above_hull.dft")


@pytest.mark.parametrize(
    ("by", "criteria", "said"),
    [
        ("hardness", None, "No result has a number 'hardness' to choose by: choose a field"),
        (
            "min_frequency",
            None,
            "has no record in state ok with a number min_frequency",
        ),
        (
            "b0",
            {"elements": "U"},
            "record in state ok that matches with a number b0: compute it",
        ),
        ("relax.path", None, "no record in state ok with a number relax.path"),
    ],
)
def test_nothing_to_choose_is_a_sentence(keys, by, criteria, said):
    with pytest.raises(PetFlowsError, match=said):
        chosen(by, 2, criteria)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with a module of the user's: VASP is an executable that leaves a recorded run."""
    monkeypatch.chdir(tmp_path)
    vasp = f"{sys.executable} {Path(__file__).with_name('standin_vasp.py')}"
    (tmp_path / "our_makers.py").write_text(
        "from atomate2.vasp.jobs.core import StaticMaker\n"
        "static = StaticMaker(\n"
        "    write_input_set_kwargs={'potcar_spec': True},\n"
        f"    run_vasp_kwargs={{'job_type': 'direct', 'vasp_cmd': {vasp!r}}},\n"
        ")\n"
        "number = 3\n"
    )
    yield tmp_path
    sys.modules.pop("our_makers", None)


FOLLOW_UP = ("followup", "fcc", "--maker", "our_makers.static", "--by=-b0", "--top", 1)


def test_a_document_of_vasp_has_the_link_at_its_top_level(keys, site, capsys):
    code, printed, _ = run(capsys, *FOLLOW_UP, "--dry-run")
    assert (code, printed) == (0, "Ni  mp-Ni  b0 190\n")
    code, printed, _ = run(capsys, *FOLLOW_UP, "--local")
    assert (code, printed.splitlines()[-1]) == (0, "1 structure calculated.")
    with closing(open_job_store()) as store:
        (document,) = store.docs_store.query({})
    assert document["metadata"] == {
        "pet_record": keys["Ni"],
        "material_id": "mp-Ni",
        "pet_follow_up": "atomate2.vasp.jobs.core.StaticMaker static",
    }
    assert document["output"]["run_type"] == "GGA"
    # VASP's own documents forget what a structure was called
    assert not document["output"]["structure"].get("properties")
    # and the reference that it becomes is linked to the record
    code, printed, _ = run(capsys, "reference", "add", "jobflow")
    assert (code, printed) == (0, "jobflow: 1 new, 0 changed, 0 the same\n")
    with ResultStore.open(read_only=True) as store:
        (reference,) = store.references.find({})
    assert reference["records"] == [keys["Ni"]]
    assert reference["material_ids"] == ["mp-Ni"]
    assert reference["level"]["functional"] == "PBE"

    # again: nothing is left, unless that is asked for
    code, printed, _ = run(capsys, *FOLLOW_UP, "--local")
    assert "1 of them went to static before; --again repeats that." in printed
    assert len(list(site.glob("job_*"))) == 1


def test_a_flow_that_does_not_end_is_told(keys, site, capsys):
    (site / "our_makers.py").write_text(
        (site / "our_makers.py").read_text().replace("standin_vasp.py", "nowhere.py")
    )
    code, _, said = run(capsys, *FOLLOW_UP, "--local")
    assert code == 1
    assert "1 flow did not end (mp-Ni): read the job's folder, and run this again." in said


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("StaticMaker", "must be a dotted path such as"),
        ("our_makers.nothing", "cannot be imported .AttributeError"),
        ("no_such_package.Maker", "cannot be imported .ModuleNotFoundError"),
        ("our_makers.number", "is a int: name a Jobflow maker"),
    ],
)
def test_a_maker_that_is_none_is_a_sentence(site, path, said):
    with pytest.raises(PetFlowsError, match=said):
        named_maker(path)


@job
def weigh(structure):
    return float(structure.composition.weight)


@job
def weigh_later(structure):
    return Response(replace=weigh(structure))


@dataclass
class WeighMaker(Maker):
    name: str = "weigh"

    def make(self, structure):
        first = weigh_later(structure)
        return Flow([first, weigh(structure)], output=first.output, name=self.name)


@dataclass
class WithoutMaker(Maker):
    name: str = "without"

    def make(self):
        return weigh(None)


def test_jobs_that_jobs_make_have_the_link_too(keys):
    flows = FollowUpMaker(maker=WeighMaker()).flows(chosen("energy_per_atom", 2))
    assert [flow.name for flow in flows] == ["Ni mp-Ni weigh", "Al mp-Al weigh"]
    with closing(open_job_store()) as store:
        run_locally(Flow(flows), store=store, log=False, raise_immediately=True)
        documents = list(store.docs_store.query({"name": {"$in": ["weigh", "weigh_later"]}}))
    assert len(documents) == 6
    for name in ("Ni", "Al"):
        own = [d for d in documents if d["metadata"]["pet_record"] == keys[name]]
        assert len(own) == 3
        assert {d["metadata"]["material_id"] for d in own} == {f"mp-{name}"}


def test_it_chooses_when_what_comes_before_has_ended(keys):
    after = weigh(chosen("b0", 1)[0].structure)
    best = FollowUpMaker(maker=WeighMaker(), by="-b0", top=2).make("fcc", after.output)
    flow = Flow([after, best])
    (_, firework) = flow_to_workflow(flow).fws
    assert firework.spec["_category"] == "pet-cpu"
    with closing(open_job_store()) as store:
        outputs = run_locally(flow, store=store, log=False, raise_immediately=True)
        weights = [
            document["output"]
            for document in store.docs_store.query({"metadata.pet_record": keys["Ni"]})
            if isinstance(document["output"], float)
        ]
    response = outputs[best.uuid][1]
    assert [one["name"] for one in response.output] == ["mp-Ni", "mp-Cu"]
    assert np.allclose(weights, 58.693, atol=1e-2)
    assert len(weights) == 2
    # our workers must not take the jobs of another code
    children = flow_to_workflow(response.detour).fws
    assert len(children) == 4
    assert all("_category" not in child.spec for child in children)


def test_a_maker_without_a_structure_is_a_sentence(keys):
    found = chosen("b0", 1)
    with pytest.raises(PetFlowsError, match=r"WithoutMaker.make does not take a structure"):
        FollowUpMaker(maker=WithoutMaker()).flows(found)
    with pytest.raises(PetFlowsError, match="needs a maker: give one"):
        FollowUpMaker().flows(found)


def test_a_campaign_that_is_not_there_is_said_before_all_else(keys, capsys):
    code, _, err = run(
        capsys, "followup", "nosuch", "--maker", "nothing.at_all", "--by=-b0", "--top", 1
    )
    assert code == 1
    assert "nosuch" in err
    assert "nothing.at_all" not in err
