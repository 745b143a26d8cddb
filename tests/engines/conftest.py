"""TorchScript in these tests is interpreted, unless a test says otherwise."""

import pytest
import torch


@pytest.fixture(autouse=True)
def interpreted():
    # compiling takes longer than all that is evaluated here
    with torch.jit.optimized_execution(False):
        yield
