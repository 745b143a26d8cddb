"""What all tests share: no settings of the person who runs them, and a MongoDB where one is."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before jobflow is imported: its default store, and ours, must not be the developer's database.
_EMPTY = Path(tempfile.mkdtemp(prefix="pet-flows-tests-"))
(_EMPTY / "jobflow.yaml").write_text("LOG_FORMAT: '%(message)s'\n")
(_EMPTY / "pet_flows.yaml").write_text("model: pet-mvl\n")
for _name in [name for name in os.environ if name.startswith("JOBFLOW_")]:
    del os.environ[_name]
os.environ["JOBFLOW_CONFIG_FILE"] = str(_EMPTY / "jobflow.yaml")
os.environ["PET_FLOWS_CONFIG"] = str(_EMPTY / "pet_flows.yaml")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first: what is left when one process ends is quick."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    shutil.rmtree(_EMPTY, ignore_errors=True)
    if not hasattr(session.config, "workerinput") and session.config.cache is not None:
        session.config.cache.set("pet_flows/exit_status", int(exitstatus))  # for .ci/run


@pytest.fixture(autouse=True)
def _own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has an embedded store of its own, and reads the settings anew.

    A job that ended with an exception leaves its store to the next one, which may be far away.
    """
    from pet_flows.settings import get_settings

    monkeypatch.setenv("PET_FLOWS_STORE", str(tmp_path / "pet_flows.db"))
    get_settings.cache_clear()
    if "jobflow" in sys.modules:
        sys.modules["jobflow"].CURRENT_JOB.reset()
    yield
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URI of a server that speaks MongoDB's protocol."""
    from tests.mongodb_server.start import URI_VARIABLE, NoServer, mongod, running

    if given := os.environ.get(URI_VARIABLE):
        yield given
        return
    try:
        if shutil.which("mongod"):
            with mongod(tmp_path_factory.mktemp("mongod")) as uri:
                yield uri
        else:
            with running() as (uri, _):
                yield uri
    except NoServer as problem:
        if os.environ.get("PET_FLOWS_REQUIRE_MONGODB") == "1":
            pytest.fail(str(problem))
        pytest.skip(str(problem))


@pytest.fixture
def mongodb_database(mongodb_uri: str) -> Iterator[str]:
    """Name of a database that no other test uses."""
    import pymongo

    name = f"pet_flows_{uuid.uuid4().hex[:12]}"
    yield name
    with pymongo.MongoClient(mongodb_uri) as client:
        client.drop_database(name)
