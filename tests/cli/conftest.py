"""What tests of commands share."""

import pytest

from tests.cli.stored import fill


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """Keys of the records that a fresh store in the working directory holds."""
    monkeypatch.chdir(tmp_path)
    return fill()
