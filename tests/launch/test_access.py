"""A server that knows its users: what each command says to those whom it does not let in."""

from __future__ import annotations

import json
import logging
import os
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pymongo
import pytest
from fireworks import LaunchPad, fw_config
from jobflow import SETTINGS

from pet_flows.cli import main
from pet_flows.errors import PetFlowsError
from pet_flows.launch.launchpad import load_launchpad, shared_job_store
from pet_flows.launch.worker import run_worker
from pet_flows.store.access import AccessError, said_of
from pet_flows.store.locate import open_job_store
from tests.mongodb_server.start import NoServer, running

#: of an administrator, on a server that authenticates; without it the Java server is one
VARIABLE = "PET_FLOWS_TEST_USERS_URI"
PASSWORD, READS, WRONG = "secret-1", "secret-2", "secret-3"
SECRET = re.compile("secret-[123]")


@dataclass
class Guarded:
    """A server, and the files of a user of it."""

    folder: Path
    uri: str
    database: str
    has_roles: bool

    def address(self, user: str, password: str) -> str:
        there = re.sub(r"//.*@", "//", self.uri)
        return there.replace("//", f"//{user}:{password}@") if user else there

    def configure(self, user: str, password: str, fields: bool = False) -> None:
        """Write the configuration, with a connection string or with fields."""
        address = self.address(user, password)
        host, port = re.search(r"([^/@:]+):(\d+)", address.rpartition("@")[2]).groups()
        place = f'uri: "{address}/?authSource=admin", database: {self.database}'
        pad = f"host: {address}/{self.database}_fw?authSource=admin\nuri_mode: true\n"
        if fields:
            known = f'username: "{user}", password: "{password}", auth_source: admin'
            place = f"host: {host}, port: {port}, database: {self.database}, {known}"
            pad = (
                f"host: {host}\nport: {port}\nusername: {user or 'null'}\n"
                f"password: {password or 'null'}\nauthsource: admin\n"
            )
        (self.folder / "jobflow.yaml").write_text(
            f"JOB_STORE:\n  docs_store: {{type: MongoStore, {place}, collection_name: outputs}}\n"
            f"  additional_stores:\n    data: {{type: GridFSStore, {place}, collection_name: b}}\n"
        )
        (self.folder / "my_launchpad.yaml").write_text(f"{pad}name: {self.database}_fw\n")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, bool]]:
    """URI of an administrator, and whether there is somebody who may only read."""
    if given := os.environ.get(VARIABLE):
        yield given.rstrip("/"), False
        return
    try:
        users = f"admin:{PASSWORD}:readWrite,reader:{READS}:read"
        with running(users=users) as (uri, _):
            yield uri.replace("//", f"//admin:{PASSWORD}@"), True
    except NoServer as problem:
        if os.environ.get("PET_FLOWS_REQUIRE_MONGODB") == "1":
            pytest.fail(str(problem))
        pytest.skip(str(problem))


@pytest.fixture
def guarded(server, tmp_path, monkeypatch) -> Iterator[Guarded]:
    """A LaunchPad that is set up, and a user who works in a folder."""
    uri, has_roles = server
    guarded = Guarded(tmp_path, uri, f"pet_flows_{uuid.uuid4().hex[:12]}", has_roles)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))
    monkeypatch.setattr(fw_config, "LAUNCHPAD_LOC", str(tmp_path / "my_launchpad.yaml"))
    name = f"{guarded.database}_fw"
    pad = LaunchPad(host=f"{uri}/{name}?authSource=admin", uri_mode=True, name=name)
    pad.reset("", require_password=False, max_reset_wo_password=10**9)
    yield guarded
    for database in (name, guarded.database):
        pad.connection.drop_database(database)
    pad.connection.close()


def run(capsys, *words: str) -> tuple[int, str]:
    """Exit code, and what was said, the sentence included."""
    code: object = 0
    try:
        main(list(words))
    except SystemExit as ended:
        code = ended.code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err
    assert not SECRET.search(captured.out + captured.err)
    sentence = code if isinstance(code, str) else ""
    assert not SECRET.search(sentence)
    assert "\n" not in sentence
    return (1 if sentence else int(code or 0)), captured.out + captured.err + sentence


LAUNCHPAD = ("--launchpad", "my_launchpad.yaml")
COMMANDS = [
    ("submit", "prototypes:Si", "--name", "c", *LAUNCHPAD),
    ("status", *LAUNCHPAD),
    ("recover", *LAUNCHPAD),
    ("pause", "c", *LAUNCHPAD),
    ("query",),
    ("show", "Si"),
    ("report", "c"),
    ("store", "check"),
    ("compare", "c"),
    ("screen", "prototypes:Si", "--name", "c"),
]


@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize(
    ("user", "password", "said"),
    [
        ("admin", WRONG, r"does not know this user with this password \(.*\): correct user"),
        ("nobody", WRONG, r"does not know this user with this password \(.*\): correct user"),
        ("", "", r"answers only users that it knows \(.* requires authentication\): give user and"),
    ],
)
def test_whoever_is_not_let_in_reads_one_sentence(
    guarded, capsys, caplog, user, password, fields, said
):
    guarded.configure(user, password, fields)
    sentence = rf"^Error: The MongoDB named in \S*(jobflow|my_launchpad)\.yaml {said}[^\n]*\.$"
    for command in COMMANDS:
        code, text = run(capsys, *command)
        assert code == 1, command
        assert re.search(sentence, text), (command, text)
        assert not caplog.records, command
    code, text = run(capsys, "check")
    assert code == 1
    wrong = re.findall(rf"^wrong +(\w+) +The MongoDB named in \S+ {said}", text, re.MULTILINE)
    assert wrong == ["store", "LaunchPad"]
    with pytest.raises(AccessError, match=said):
        run_worker(idle_timeout=0.0)


def test_a_worker_of_processes_says_the_sentence(guarded, capfd):
    guarded.configure("admin", WRONG)
    with pytest.raises(SystemExit) as ended:
        main(["worker", "--idle-timeout", "0", *LAUNCHPAD])
    heard = capfd.readouterr()
    assert "does not know this user with this password" in str(ended.value.code)
    assert "Traceback" not in heard.out + heard.err
    assert not SECRET.search(heard.out + heard.err + str(ended.value.code))


def test_whoever_may_only_read_reads_and_is_told_what_is_missing(
    guarded, capsys, caplog, monkeypatch
):
    if not guarded.has_roles:
        pytest.skip("nobody on this server may only read")
    guarded.configure("reader", READS)
    said = r"my_launchpad.yaml does not let this user do that \(not authorized on .*\): ask for the"
    for command in (("query",), ("status", *LAUNCHPAD), ("store", "check")):
        assert run(capsys, *command)[0] == 0, command
    for command in (
        ("submit", "prototypes:Si", "--name", "c", *LAUNCHPAD),
        ("screen", "prototypes:Si", "--name", "c"),
    ):
        code, text = run(capsys, *command)
        assert code == 1, command
        assert re.search(rf"^Error: The MongoDB named in .*{said}", text), (command, text)
    assert sum("indexes are not looked after" in one.message for one in caplog.records) <= 2
    code, text = run(capsys, "check")
    assert code == 1
    assert re.search(r"^wrong +store +The store of jobflow.yaml cannot be written", text)
    monkeypatch.setattr(SETTINGS, "JOB_STORE", shared_job_store())  # as in a process of its own
    with pytest.raises(pymongo.errors.OperationFailure) as refusal:
        run_worker(idle_timeout=0.0)
    assert re.search(said, str(said_of(refusal.value)))


def test_a_worker_that_may_not_write_results_leaves_its_jobs_to_others(
    guarded, capsys, monkeypatch
):
    if not guarded.has_roles:
        pytest.skip("nobody on this server may only read")
    guarded.configure("admin", PASSWORD)
    words = ("prototypes:Si", "-p", "static", "--batch-size", "1", "--name", "c")
    assert run(capsys, "submit", *words, *LAUNCHPAD)[0] == 0
    pad = load_launchpad("my_launchpad.yaml")
    guarded.configure("reader", READS)
    store = shared_job_store()
    monkeypatch.setattr(SETTINGS, "JOB_STORE", store)  # as in a process of its own
    with pytest.raises(pymongo.errors.OperationFailure) as refusal:
        run_worker(idle_timeout=0.0, launchpad=pad)
    store.close()
    assert "does not let this user do that (not authorized on" in str(said_of(refusal.value))
    assert pad.fireworks.distinct("state") == ["READY"]
    pad.connection.close()


def test_no_password_is_written_anywhere(guarded, capsys, caplog):
    """With the right one everything runs, and it is in no output, log or document."""
    caplog.set_level(logging.DEBUG)
    password = re.search(r":([^:@/]+)@", guarded.uri)[1]
    guarded.configure("admin", password)
    assert run(capsys, "check", "--device", "cpu")[0] == 0
    assert run(capsys, "submit", "prototypes:Si", "-p", "static", "--name", "c", *LAUNCHPAD)[0] == 0
    code, heard = run(capsys, "worker", "--idle-timeout", "0.1", *LAUNCHPAD)
    assert code == 0
    assert re.search(r"(\d+) jobs run; \1 records: \1 ok", heard)
    assert run(capsys, "query", "c", "--format", "json")[0] == 0
    logs = "\n".join(one.getMessage() for one in caplog.records if "pymongo" not in one.name)
    assert password not in heard + logs
    with pymongo.MongoClient(f"{guarded.uri}/?authSource=admin") as client:
        for database in (guarded.database, f"{guarded.database}_fw"):
            for collection in client[database].list_collection_names():
                for document in client[database][collection].find():
                    assert password not in json.dumps(document, default=str), collection


@pytest.mark.parametrize(
    "line",
    [
        'password: "secret-1',
        "password: secret-1: x",
        'host: "mongodb://admin:secret-1@localhost',
        "host: mongodb://admin:secret-1@localhost:port/x\nuri_mode: true\nname: x",
        "host: mongodb://admin:secret-1/2@localhost/x\nuri_mode: true\nname: x",
    ],
)
def test_a_damaged_file_keeps_its_password(tmp_path, monkeypatch, line):
    pad, stores = tmp_path / "pad.yaml", tmp_path / "jobflow.yaml"
    pad.write_text(f"{line}\n")
    with pytest.raises(PetFlowsError) as said:
        load_launchpad(pad)
    assert not SECRET.search(str(said.value))
    inner = line.replace("host", "uri").replace("\n", ", ").replace("uri_mode: true", "database: d")
    stores.write_text(f"JOB_STORE:\n  docs_store: {{type: MongoStore, {inner}}}\n")
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(stores))
    with pytest.raises(PetFlowsError) as said:
        open_job_store()
    assert not SECRET.search(str(said.value))
