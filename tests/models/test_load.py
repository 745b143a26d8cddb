"""Devices that are not there."""

import pytest
import torch

from pet_flows.errors import PetFlowsError
from pet_flows.models.load import pick_device


@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has a GPU")
def test_a_gpu_that_is_not_there():
    assert pick_device("auto").type == "cpu"
    with pytest.raises(PetFlowsError, match="no CUDA"):
        pick_device("cuda")


def test_a_number_beyond_the_gpus_that_are_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda:1")
    assert pick_device("cuda") == torch.device("cuda")
    with pytest.raises(PetFlowsError, match=r"one of the 2 GPUs that torch sees, .*got cuda:7"):
        pick_device("cuda:7")


def test_a_word_that_is_no_device():
    with pytest.raises(PetFlowsError, match=r"must be auto, cpu, cuda or cuda:N \(got 'gpu'\)"):
        pick_device("gpu")
