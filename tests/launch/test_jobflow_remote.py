"""The same flow through jobflow-remote: its runner, a worker of this machine, our records."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mongodb_server.start import wait_until

#: a folder of ``pip install --target`` with jobflow-remote, for whoever has it in no environment
FOLDER = os.environ.get("PET_FLOWS_TEST_JOBFLOW_REMOTE", "")
COMMAND = (Path(FOLDER) / "bin" / "jf") if FOLDER else Path(sys.executable).with_name("jf")
HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not COMMAND.is_file(),
        reason="jobflow-remote is not installed: pip install jobflow-remote, or name a folder of "
        "pip install --target in PET_FLOWS_TEST_JOBFLOW_REMOTE",
    ),
]
SUBMIT = """
from ase.build import bulk
from jobflow_remote import submit_flow
from pymatgen.io.ase import AseAtomsAdaptor
from pet_flows import ScreenMaker

crystals = [AseAtomsAdaptor.get_structure(bulk("Cu", a=a)) for a in (3.6, 3.7)]
maker = ScreenMaker(name="remote", properties=["relax", "eos"], device="cpu")
submit_flow(maker.make(crystals), worker="here", project="pet")
"""


def project(site, paths: str) -> dict[str, str]:
    """Files of a project, and the environment that names them."""
    host, _, port = site.uri.removeprefix("mongodb://").partition(":")
    place = f"type: MongoStore, host: {host}, port: {port}, database: {site.database}"
    (site.folder / "projects").mkdir()
    (site.folder / "projects" / "pet.yaml").write_text(f"""
name: pet
base_dir: {site.folder}/base
workers:
  here:
    type: local
    scheduler_type: shell
    work_dir: {site.folder}/work
    pre_run: export PYTHONPATH={paths} PATH={COMMAND.parent}:$PATH
runner: {{delay_checkout: 1, delay_check_run_status: 1, delay_advance_status: 1}}
queue:
  store: {{{place}, collection_name: jobs}}
jobstore:
  docs_store: {{{place}, collection_name: outputs}}
  additional_stores:
    data: {{{place.replace("MongoStore", "GridFSStore")}, collection_name: outputs_blobs}}
""")
    return {
        **site.environment,
        "PYTHONPATH": paths,
        "JFREMOTE_PROJECTS_FOLDER": str(site.folder / "projects"),
        "JFREMOTE_PROJECT": "pet",
    }


def test_a_campaign_runs_through_jobflow_remote(site):
    stand_in = [] if shutil.which("mongod") else [str(HERE / "pipelines")]
    paths = os.pathsep.join([*stand_in, os.getcwd(), *([FOLDER] if FOLDER else [])])
    environment = project(site, paths)

    def run(*words: str) -> str:
        done = subprocess.run(
            words, env=environment, cwd=site.folder, capture_output=True, text=True, timeout=240
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, str(COMMAND), "admin", "reset", "--yes")
    run(sys.executable, "-c", SUBMIT)
    log = open(site.folder / "runner.txt", "w")  # noqa: SIM115
    runner = subprocess.Popen(
        [sys.executable, str(COMMAND), "runner", "run"], env=environment, cwd=site.folder,
        stdout=log, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        with site.results() as results:
            done = wait_until(lambda: results.count({"state": "ok"}) == 4, 300)
            said = (site.folder / "runner.txt").read_text()[-3000:]
            assert done, said
            found = list(results.query({"sources.campaign": "remote"}))
    finally:
        runner.terminate()
        runner.wait()
        log.close()
    assert sorted(record["property"] for record in found) == ["eos", "eos", "relax", "relax"]
    for record in found:  # what starts from a relaxation names it
        assert (record["parent"] is not None) == (record["property"] == "eos")
