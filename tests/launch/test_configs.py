"""The sample configuration files are what they say."""

import inspect
import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from fireworks import LaunchPad
from jobflow import JobStore
from monty.json import MontyDecoder

from pet_flows.launch.launchpad import load_fworker, load_launchpad
from pet_flows.store.locate import data_store

CONFIGS = Path(__file__).parents[2] / "configs"


def commented(text: str, start: str) -> str:
    """YAML that a comment shows, from the line that starts with some words."""
    lines = [line.removeprefix("#") for line in text.splitlines() if line.startswith("#")]
    first = next(n for n, line in enumerate(lines) if line.strip() == start)
    return "\n".join(lines[first:])


def test_jobflow_yaml_makes_a_store_with_data():
    text = (CONFIGS / "jobflow.yaml").read_text()
    store = JobStore.from_dict_spec(yaml.safe_load(text)["JOB_STORE"])
    assert store.docs_store.database == data_store(store).database == "materials"


def test_jobflow_yaml_shows_the_embedded_store():
    text = (CONFIGS / "jobflow.yaml").read_text()
    described = yaml.safe_load(commented(text, "JOB_STORE:"))
    store = MontyDecoder().process_decoded(described["JOB_STORE"])
    assert store.docs_store.path.endswith("/results/pet_flows.db")
    assert data_store(store).path.endswith("/results/pet_flows_data.db")


def test_my_launchpad_yaml(mongodb_uri, mongodb_database, tmp_path):
    described = yaml.safe_load((CONFIGS / "my_launchpad.yaml").read_text())
    host, _, port = mongodb_uri.removeprefix("mongodb://").partition(":")
    if not port.isdigit():
        pytest.skip("the server is named by more than host and port")
    described |= {"host": host, "port": int(port), "name": mongodb_database}
    (tmp_path / "lp.yaml").write_text(yaml.safe_dump(described))
    pad = load_launchpad(tmp_path / "lp.yaml")
    assert isinstance(pad, LaunchPad)
    pad.reset("", require_password=False, max_reset_wo_password=10**9)
    indexed = {field for i in pad.fireworks.index_information().values() for field, _ in i["key"]}
    assert {"spec._category", "spec.campaign"} <= indexed
    pad.connection.close()


def test_my_fworker_yaml():
    fworker = load_fworker(("pet-gpu", "pet-cpu"), CONFIGS / "my_fworker.yaml")
    assert (fworker.name, fworker.category) == ("gpu-node", ["pet-gpu", "pet-cpu"])


def test_fw_config_yaml_names_settings_of_fireworks():
    from fireworks import fw_config

    text = (CONFIGS / "FW_config.yaml").read_text()
    named = re.findall(r"^(?:# )?([A-Z_]+): ", text, re.MULTILINE)
    assert len(named) > 5
    assert all(hasattr(fw_config, name) for name in named)


def test_my_qadapter_yaml_makes_a_script(tmp_path):
    from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter

    adapter = CommonAdapter.from_file(str(CONFIGS / "my_qadapter.yaml"))
    script = adapter.get_script_str(str(tmp_path))
    assert "#SBATCH --gres=gpu:4" in script or "#SBATCH --gpus-per-node=4" in script
    assert "pet-flows worker --category pet-gpu" in script


@pytest.mark.parametrize("name", ["worker_slurm.sh", "worker_pbs.sh"])
def test_templates_of_queues_are_scripts_with_commands_that_exist(name):
    text = (CONFIGS / name).read_text()
    subprocess.run(["bash", "-n", str(CONFIGS / name)], check=True)
    joined = text.replace("\\\n", " ")
    commands = re.findall(r"^(?:exec )?pet-flows (\w+)(.*)$", joined, re.MULTILINE)
    assert [command for command, _ in commands] == ["check", "worker"]
    for command, words in commands:
        known = inspect.signature(import_module(f"pet_flows.cli.{command}").command).parameters
        options = re.findall(r"--([a-z-]+)", words)
        assert options
        assert {option.replace("-", "_") for option in options} <= set(known)
