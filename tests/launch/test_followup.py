"""Follow-ups on the LaunchPad: one workflow each, marked, and submitted once."""

import pytest

from pet_flows.cli import main
from pet_flows.store.results import ResultStore
from tests.cli.stored import made
from tests.plots.examples import EXAMPLES

COMMAND = ["followup", "metals", "--maker", "atomate2.vasp.flows.core.DoubleRelaxMaker"]


@pytest.fixture
def key(site):
    record, blobs = made(EXAMPLES["relax"])
    with ResultStore.open() as store:
        store.put(record, blobs)
    return record["_id"]


def printed(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main([*COMMAND, *words])
    assert not ended.value.code
    return capsys.readouterr().out.splitlines()


def test_fireworks_name_the_record_and_are_left_to_other_workers(launchpad, key, capsys):
    said = printed(capsys, "--priority", "5")
    assert said[-1].startswith("1 structure in 2 fireworks (1 to 2). Run them with rlaunch")
    for fw_id in (1, 2):
        spec = launchpad.get_fw_by_id(fw_id).spec
        assert (spec["pet_record"], spec["material_id"]) == (key, "mp-149")
        assert spec["_priority"] == 5
        assert "_category" not in spec
    (workflow,) = launchpad.workflows.find({})
    assert workflow["name"] == "Si mp-149 double relax"

    # what waits is not submitted twice; what was given up is
    assert printed(capsys)[-1] == "1 of them went to double relax before; --again repeats that."
    assert launchpad.fireworks.count_documents({}) == 2
    launchpad.archive_wf(1)
    assert printed(capsys)[-1].startswith("1 structure in 2 fireworks (3 to 4)")
    assert printed(capsys, "--again")[-1].startswith("1 structure in 2 fireworks (5 to 6)")
