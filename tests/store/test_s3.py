"""Blobs in a bucket of S3, on a server that speaks its protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from pet_flows.errors import PetFlowsError
from pet_flows.store.blobs import INLINE
from pet_flows.store.check import check_store, clean
from pet_flows.store.locate import open_job_store
from pet_flows.store.patience import ServerAwayError
from pet_flows.store.results import ResultStore
from tests.store.examples import record

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret-1"}
LARGE = {"big": {"x": np.random.default_rng(0).random(INLINE)}}


@dataclass
class Bucket:
    """A bucket, and the file that names it."""

    folder: Path
    endpoint: str
    stop: Callable[[], None]

    def configure(self, bucket: str = "blobs") -> None:
        sqlite = '"@module": pet_flows.store.sqlite, "@class": SqliteStore'
        (self.folder / "jobflow.yaml").write_text(
            f"""JOB_STORE:
  "@module": jobflow.core.store
  "@class": JobStore
  docs_store: {{{sqlite}, path: {self.folder}/a.db, collection_name: outputs}}
  additional_stores:
    data:
      "@module": maggma.stores.aws
      "@class": S3Store
      bucket: {bucket}
      endpoint_url: {self.endpoint}
      sub_dir: arrays
      index: {{{sqlite}, path: {self.folder}/b.db, collection_name: index}}
"""
        )

    @property
    def client(self) -> Any:
        return boto3.client("s3", endpoint_url=self.endpoint)

    def names(self) -> list[str]:
        listed = self.client.list_objects_v2(Bucket="blobs").get("Contents", [])
        return sorted(one["Key"] for one in listed)


@pytest.fixture
def bucket(tmp_path, monkeypatch) -> Iterator[Bucket]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {**CREDENTIALS, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("JOBFLOW_CONFIG_FILE", str(tmp_path / "jobflow.yaml"))
    made = Bucket(tmp_path, f"http://{host}:{port}", server.stop)
    # buckets of one process are the same on all of its servers
    urlopen(Request(f"{made.endpoint}/moto-api/reset", method="POST")).close()
    made.client.create_bucket(Bucket="blobs")
    made.configure()
    yield made
    server.stop()


def test_large_blobs_are_objects_and_go_with_their_record(bucket):
    with ResultStore.open() as store:
        worse, _ = record(state="unconverged")
        store.put(worse, {**LARGE, "small": {"y": np.arange(3.0)}})
        assert len(bucket.names()) == 1
        assert bucket.names()[0].startswith("arrays/")
        assert np.array_equal(store.blob(worse["_id"], "big")["x"], LARGE["big"]["x"])
        assert check_store(store).is_sound
        better, _ = record()
        other = {"big": {"x": 1 + LARGE["big"]["x"]}}
        store.put(better, other)
        assert np.array_equal(store.blob(better["_id"], "big")["x"], other["big"]["x"])
        assert len(bucket.names()) == 1  # the other one's is not there any more
        assert check_store(store).is_sound


def test_what_is_left_over_or_gone_is_found(bucket, monkeypatch):
    with ResultStore.open() as store:
        document, _ = record()
        store.put(document, LARGE)
        store.blobs.write("nobody", LARGE)
        assert check_store(store).is_sound  # it may be named in a moment
        monkeypatch.setattr("pet_flows.store.check.YOUNGEST", timedelta(0))
        assert len(check_store(store).orphans) == 1
        clean(store, check_store(store))
        assert len(bucket.names()) == 1
        assert check_store(store).is_sound
        bucket.client.delete_object(Bucket="blobs", Key=bucket.names()[0])
        assert check_store(store).gone == {f"records {document['_id']}": ["big"]}
        with pytest.raises(PetFlowsError, match="is not in the additional store 'data'"):
            store.blob(document["_id"], "big")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"bucket": "nowhere"}, r"S3Store\) cannot be opened \(RuntimeError: Bucket not present"),
        ({}, r"S3Store\) cannot be opened \(NoCredentialsError: Unable to locate credentials\)"),
    ],
)
def test_sentences(bucket, monkeypatch, wrong, said):
    bucket.configure(**wrong)
    if not wrong:
        for name in CREDENTIALS:
            monkeypatch.delenv(name)
    with pytest.raises(PetFlowsError, match=said) as error:
        ResultStore.open()
    assert "\n" not in str(error.value)
    assert "secret-1" not in str(error.value)


def test_a_server_that_is_away_ends_no_run_and_is_a_sentence(bucket, monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # no waiting for it
    with ResultStore.open() as store:
        run = store.runs.of("e" * 32)
        assert run.write("mark", 1, b"c", b"f", 0, 1)
        bucket.stop()
        assert not run.write("mark 2", 2, b"c", b"f", 1, 2)
        saved = store.runs.of("e" * 32).claim()
        with pytest.raises(ServerAwayError, match=r"'data' cannot be used \(EndpointConn"):
            saved.read()  # not that a piece is gone, after which it would begin at its start
        with pytest.raises(ServerAwayError, match=r"'data' cannot be used \(EndpointConn"):
            store.put(record()[0], LARGE)


def test_outputs_of_jobs_lie_beside_ours(bucket):
    from jobflow import Flow, job, run_locally

    @job(data="x")
    def large() -> dict[str, Any]:
        return {"x": list(range(1000))}

    store = open_job_store()
    run_locally(Flow([large()]), store=store, ensure_success=True)
    with ResultStore.from_job_store(store) as results:
        results.put(record()[0], LARGE)
        assert len(bucket.names()) == 2
        clean(results, check_store(results))
        assert len(bucket.names()) == 2
    store.close()
