"""Passwords are in no message, however they were written."""

import pytest
from pymongo import MongoClient
from pymongo.errors import InvalidURI

from pet_flows.errors import PetFlowsError
from pet_flows.launch.able import unreadable
from pet_flows.store.locate import configured_job_store, connect_configured
from pet_flows.store.patience import brief, without_secrets


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no mongodb://me:pa:ss@h:1/x, sorry", "no mongodb://***@h:1/x, sorry"),
        ("mongodb://me:pa/s @s@h/x", "mongodb://***@h/x"),
        ("{'password': 'p w', 'n': 1}", "{'password': ***, 'n': 1}"),
        ("{'password': '', 'n': 'one'}", "{'password': ***, 'n': 'one'}"),
        ("password: 'it''s', n: 1", "password: ***, n: 1"),
        (r'passphrase="a\"b", n=1', "passphrase=***, n=1"),
        ("password: 'of two\nlines'\nn: 1", "password: ***\nn: 1"),
        ("password: 'no end\nn: 1", "password: ***\nn: 1"),
        ("password: my pass, word\nn: 1", "password: ***\nn: 1"),
        ("a:\n  password: >-\n    my\n\n    pass\nn: 1", "a:\n  password: ***\nn: 1"),
        ("password: | # it\n  my\n", "password: ***"),
        ("password: >my\nn: 1", "password: ***\nn: 1"),
        ("pwd: it's\nn: 1", "pwd: ***\nn: 1"),
        ("{'token': b'abc'}", "{'token': ***"),
        ("aws_secret_access_key=abc/d", "aws_secret_access_key=***"),
        ("mongodb://h:1/x: Authentication failed.", "mongodb://h:1/x: Authentication failed."),
    ],
)
def test_secrets_are_in_no_message(text, said):
    assert without_secrets(text) == said


@pytest.mark.parametrize("place", ["mongodb://me:geh/eim@h:1/db", "mongodb://me:g?eh@h/db"])
def test_an_address_that_is_none_is_not_quoted(place, tmp_path, monkeypatch):
    with pytest.raises(InvalidURI) as raised:
        MongoClient(place)
    assert brief(raised.value).endswith("escape user and password in it, @ as %40 and / as %2F")
    store = f'{{type: MongoURIStore, uri: "{place}", database: x, collection_name: o}}'
    (tmp_path / "jobflow.yaml").write_text(
        f"JOB_STORE:\n  docs_store: {store}\n  additional_stores:\n    data: {store}\n"
    )
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))
    with pytest.raises(PetFlowsError, match="the address cannot be read: escape user") as refused:
        connect_configured(configured_job_store())
    assert "eim" not in str(refused.value)


def test_a_firework_that_cannot_be_read_keeps_its_password():
    said = str(unreadable({}, ValueError("x" * 180 + " mongodb://me:geheim@h/x")))
    assert "geheim"[:3] not in said
    assert "(KeyError: it does not say why)" in str(unreadable({}, KeyError()))
