"""What is true of every family, and of those of others."""

import os
import random
import subprocess
import sys
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from pet_flows.engines.foreign import process_as_it_is
from pet_flows.errors import PetFlowsError
from pet_flows.flows.campaign_file import Draft
from pet_flows.models import family
from pet_flows.models.resolve import resolve
from pet_flows.yaml_file import read_yaml


@pytest.fixture
def fresh():
    family.families.cache_clear()
    yield
    family.families.cache_clear()


def test_families_declare_themselves_without_torch():
    code = (
        "import sys\nfrom pet_flows.models.family import families\nnames = list(families())\n"
        "assert {'ase', 'chgnet', 'sevenn', 'torchsim'} <= set(names), names\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_a_missing_package_is_said_with_its_extra(monkeypatch):
    monkeypatch.setattr(family, "find_spec", lambda name: None)
    with pytest.raises(PetFlowsError, match=r"package sevenn.*pip install 'pet-flows\[sevenn\]'"):
        resolve("sevenn:7net-0")


def test_a_family_of_another_distribution(monkeypatch, fresh):
    entry = EntryPoint("toy", "tests.families.toy:FAMILY", family.GROUP)
    wrong = EntryPoint("broken", "tests.families.toy:nothing", family.GROUP)
    monkeypatch.setattr(family, "entry_points", lambda group: [entry, wrong])
    found = resolve("toy:spring")
    assert (found.name, found.spec.symmetrization, found.functional) == ("spring", "none", "PBE")
    assert "broken" not in family.families()


def test_packages_change_nothing_of_the_process():
    before = (torch.get_default_dtype(), torch.get_rng_state(), random.getstate())
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    with process_as_it_is():
        torch.set_default_dtype(torch.float64)
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        random.seed(1)
        os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    assert torch.get_default_dtype() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
    assert random.getstate() == before[2]
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ


def test_models_of_families_in_a_campaign_file_lie_beside_it(tmp_path):
    (tmp_path / "mine.model").write_text("weights")
    file = tmp_path / "campaign.yaml"
    file.write_text(
        "potentials:\n  - mace:mine.model\n  - chgnet:0.3.0\n"
        "  - model: ase:ase.calculators.emt.EMT()\n"
    )
    names = [one.model for one in Draft.of(read_yaml(file)).campaign().potentials]
    emt = "ase:ase.calculators.emt.EMT()"
    assert names == [f"mace:{tmp_path / 'mine.model'}", "chgnet:0.3.0", emt]
