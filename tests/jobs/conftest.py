from __future__ import annotations

import pytest

from pet_flows.engines.potential import Potential, get_potential


@pytest.fixture(scope="session")
def pet() -> Potential:
    return get_potential("pet-mvl")
