"""The embedded store as a maggma store: sharing, locking, serialization, broken files."""

import copy
import os
import pickle
import sqlite3
import subprocess
import sys
import textwrap
import threading
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from jobflow import JobStore
from jobflow.settings import JobflowSettings
from maggma.core import StoreError
from maggma.stores import MemoryStore
from monty.json import MontyDecoder

from pet_flows import locks
from pet_flows.errors import PetFlowsError
from pet_flows.store import sqlite_file
from pet_flows.store.locate import embedded_job_store
from pet_flows.store.sqlite import SqliteStore


@pytest.fixture
def store(tmp_path):
    with SqliteStore(str(tmp_path / "x.db"), key="uuid") as store:
        yield store


def python(code: str, **popen) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True, **popen
    )


def test_it_does_what_maggma_s_own_store_does(store):
    memory = MemoryStore(key="uuid")
    memory.connect()
    for one in (store, memory):
        one.update([{"uuid": "a", "index": 1, "g": {"h": 1}}, {"uuid": "a", "index": 2}],
                   key=["uuid", "index"])  # fmt: skip
        one.update({"uuid": "a", "index": 2, "g": {"h": 2}}, key=["uuid", "index"])
        one.update([{"uuid": "b", "g": {"h": 1}, "last_updated": datetime(2026, 1, 1)}])
        one.update({"uuid": "b", "g": {"h": 2}, "last_updated": datetime(2026, 1, 2)})
        one.update({"uuid": "c", "g": {}})
    for ask in (
        lambda s: s.count(),
        lambda s: s.count({"g.h": {"$gt": 1}}),
        lambda s: s.query_one({"uuid": "a", "index": 2})["g"],
        lambda s: [d["uuid"] for d in s.query(sort={"uuid": -1}, limit=2)],
        lambda s: [d["uuid"] for d in s.query(sort={"uuid": 1}, skip=1)],
        lambda s: sorted(s.distinct("g.h")),
        lambda s: {tuple(k["g"].items()): len(v) for k, v in s.groupby("g.h")},
        lambda s: s.last_updated,
        lambda s: (s.remove_docs({"uuid": "a"}), s.count())[1],
    ):
        assert ask(store) == ask(memory)


def test_an_update_is_all_or_nothing(store):
    with pytest.raises(KeyError):
        store.update([{"uuid": "a"}, {"no": "key"}])
    assert store.count() == 0


def test_collections_share_file_and_lock(store, tmp_path):
    other = SqliteStore(str(tmp_path / "x.db"), "other", key="n")
    other.connect()
    other.update({"n": 1})
    store.close()
    assert other.count({"n": 1}) == 1
    other.close()
    with SqliteStore(str(tmp_path / "x.db"), "other", read_only=True) as found:
        assert found.count() == 1


def test_an_index_made_by_one_store_is_filled_by_all(store, tmp_path):
    with SqliteStore(str(tmp_path / "x.db"), key="uuid") as other:
        other.ensure_index("n")
        store.update({"uuid": "a", "n": 5})
        assert other.count({"n": 5}) == 1
        store.update({"uuid": "a", "n": 6})
        assert (other.count({"n": 5}), other.count({"n": 6})) == (0, 1)


def test_an_index_forgets_what_was_replaced_and_removed(store):
    store.ensure_index("s.t")
    store.update([{"uuid": "a", "s": [{"t": "old"}]}, {"uuid": "b", "s": [{"t": "old"}]}])
    store.update({"uuid": "a", "s": [{"t": "new"}]})
    assert [d["uuid"] for d in store.query({"s.t": "old"})] == ["b"]
    store.remove_docs({"uuid": "b"})
    assert (store.count({"s.t": "old"}), store.count({"s.t": "new"})) == (0, 1)


def test_copies_connect_by_themselves(store):
    store.update({"uuid": "a"})
    for other in (copy.deepcopy(store), pickle.loads(pickle.dumps(store))):
        assert other == store
        assert hash(other) == hash(store)
        with pytest.raises(StoreError, match="not connected"):
            other.count()
        with other:
            assert other.count() == 1


def test_jobflow_yaml_needs_no_import(tmp_path, monkeypatch):
    described = {"JOB_STORE": embedded_job_store().as_dict()}
    (tmp_path / "jobflow.yaml").write_text(yaml.safe_dump(described))
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))
    code = """
        from jobflow import SETTINGS
        SETTINGS.JOB_STORE.connect()
        SETTINGS.JOB_STORE.update({"uuid": "a", "index": 1, "x": [1]}, save={"data": "x"})
        print(type(SETTINGS.JOB_STORE.docs_store).__name__)
    """
    process = python(code)
    assert process.communicate()[0].strip() == "SqliteStore"
    store = JobflowSettings().JOB_STORE
    store.connect()
    assert store.query_one({"uuid": "a"}, load=True)["x"] == [1]
    assert MontyDecoder().process_decoded(store.as_dict()).docs_store == store.docs_store
    store.close()


HOLD = """
    import sys
    from pet_flows.store.sqlite import SqliteStore
    store = SqliteStore(sys.argv[1], key="uuid")
    store.connect()
    store.update({"uuid": "a"})
    print("holding", flush=True)
    sys.stdin.readline()
    store.update({"uuid": "b"})
    print("written", flush=True)
    sys.stdin.readline()
"""


def test_a_second_writer_is_refused_by_name_and_readers_are_let_in(tmp_path):
    path = str(tmp_path / "x.db")
    command = [sys.executable, "-c", textwrap.dedent(HOLD), path]
    writer = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert writer.stdout.readline() == "holding\n"
    with pytest.raises(PetFlowsError, match=f"being written by process {writer.pid} on"):
        SqliteStore(path).connect()
    reader = SqliteStore(path, key="uuid", read_only=True)
    reader.connect()
    assert reader.distinct("uuid") == ["a"]
    writer.stdin.write("\n")
    assert writer.stdout.readline() == "written\n"
    assert reader.distinct("uuid") == ["a", "b"]
    with pytest.raises(PetFlowsError, match="reading only"):
        reader.update({"uuid": "c"})
    writer.kill()
    writer.communicate()
    with SqliteStore(path, key="uuid") as next_writer:
        next_writer.update({"uuid": "c"})
    assert reader.count() == 3
    reader.close()


def test_a_forked_child_neither_writes_nor_frees_the_lock(store, tmp_path):
    store.update({"uuid": "a"})
    child = os.fork()
    if child == 0:
        verdict = 1
        try:
            store.count()
        except PetFlowsError:
            with SqliteStore(store.path, key="uuid", read_only=True) as reader:
                verdict = 0 if reader.count() == 1 else 2
        finally:
            os._exit(verdict)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    refused = python(f"""
        from pet_flows.store.sqlite import SqliteStore
        try:
            SqliteStore({store.path!r}).connect()
        except Exception as error:
            print(error)
    """)
    assert f"process {os.getpid()}" in refused.communicate()[0]
    store.update({"uuid": "b"})
    assert store.count() == 2


def test_a_store_forgotten_while_another_is_opened_is_closed_after_it(tmp_path, monkeypatch):
    """The garbage collector comes when it likes, in the thread that opens a file."""
    paths = [str(tmp_path / name) for name in ("a.db", "b.db")]
    forgotten, take = [SqliteStore(paths[0], key="uuid")], sqlite_file._take_lock
    forgotten[0].connect()

    def collect(path):
        if forgotten:
            forgotten.pop().close()
        return take(path)

    monkeypatch.setattr(sqlite_file, "_take_lock", collect)
    other = SqliteStore(paths[1], key="uuid")
    opening = threading.Thread(target=other.connect, daemon=True)
    opening.start()
    opening.join(20)
    assert not opening.is_alive(), "it waits for itself"
    other.update({"uuid": "b"})
    other.close()
    for path in paths:
        locks.take(Path(f"{path}.lock")).release()  # raises where somebody has it


def test_there_is_nothing_to_read(tmp_path):
    with pytest.raises(PetFlowsError, match="no result store at"):
        SqliteStore(str(tmp_path / "none.db"), read_only=True).connect()
    assert list(tmp_path.iterdir()) == []


def test_a_reader_before_the_first_writer_of_a_collection(store):
    with SqliteStore(store.path, "later", read_only=True) as reader:
        assert reader.count() == 0
        assert list(reader.query({"n": 1}, sort={"n": 1})) == []
        with SqliteStore(store.path, "later", key="n") as writer:
            writer.update({"n": 1})
            assert reader.count({"n": 1}) == 1


@pytest.mark.parametrize("content", [b"this is no database, but some text" * 40, b"SQLite"])
def test_a_foreign_file_is_left_alone(tmp_path, content):
    path = tmp_path / "x.db"
    path.write_bytes(content)
    with pytest.raises(PetFlowsError, match="must be a file that pet-flows made"):
        SqliteStore(str(path)).connect()
    assert path.read_bytes() == content


def test_a_file_of_the_future_is_refused(store):
    path = store.path
    store.close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(PetFlowsError, match="newer pet-flows"):
        SqliteStore(path).connect()


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(PetFlowsError, match="Cannot write beside"):
        SqliteStore(str(tmp_path / "no" / "x.db")).connect()


def test_the_lock_goes_with_the_last_user(tmp_path):
    path = str(tmp_path / "x.db")
    one, other = SqliteStore(path), SqliteStore(path)
    one.connect()
    other.connect()
    check = f"""
        from pet_flows.store.sqlite import SqliteStore
        try:
            SqliteStore({path!r}).connect()
            print("open")
        except Exception:
            print("locked")
    """
    one.close()
    assert python(check).communicate()[0] == "locked\n"
    other.close()
    assert python(check).communicate()[0] == "open\n"


def test_additional_stores_are_found(tmp_path):
    store = embedded_job_store()
    assert isinstance(store, JobStore)
    with store:
        store.update({"uuid": "a", "index": 1, "big": {"x": [1, 2]}}, save={"data": "big"})
        assert "blob_uuid" in store.query_one({"uuid": "a"})["big"]
        assert store.query_one({"uuid": "a"}, load=True)["big"] == {"x": [1, 2]}
