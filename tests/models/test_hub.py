"""The upet hub as its real client sees it: away, misspelt, in the cache, and as a small server."""

import hashlib
import json
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pet_flows.models.hub import LEVELS, card, known_names
from pet_flows.models.load import load_model
from pet_flows.models.spec import PotentialSpec
from tests.rough import save_checkpoint

#: nobody listens there
NOWHERE = "http://127.0.0.1:9"
CODE = """
import json, sys
from pet_flows.errors import PetFlowsError
from pet_flows.models.catalogue import find
for name, sha256 in json.loads(sys.argv[1]):
    try:
        file = find(name, sha256)
        print("file", file.name, file.functional, file.card.get("run_type"))
    except PetFlowsError as error:
        print(error)
print("torch" in sys.modules)
"""


def asked(names, home, endpoint=NOWHERE, **environment):
    """What `find` says of each name, or of (name, sha256), in a process of its own."""
    pairs = [[name, None] if isinstance(name, str) else name for name in names]
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(pairs)],
        env={**os.environ, "HF_ENDPOINT": endpoint, "HF_HOME": str(home), **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Retrying" not in done.stderr
    *said, torch = done.stdout.splitlines()
    assert torch == "False"
    assert len(said) == len(names)
    return said


def test_every_name_of_upet_has_its_level_of_theory():
    assert {name.rpartition("-")[0] for name in known_names()} == set(LEVELS)


@pytest.mark.parametrize("family", ["pet-omat", "pet-oam"])
def test_what_was_calculated_with_u_says_so(family):
    """Its energies are set beside those of PBE, but those of an oxide of iron are not PBE's."""
    level = card(Path(f"{family}-l-v0.1.0.ckpt"))
    assert level.pop("pseudopotentials").startswith("VASP PBE")
    assert level == {"functional": "PBE", "run_type": "GGA_GGA+U", "u": True, "spin": True}


def test_without_a_line_known_and_misspelt_names_are_told_apart(tmp_path):
    known, release, wrong, wronger = asked(
        ["pet-mad-s", "pet-oam-xl-v1.0.0", "pet-madd-s", "pet-mad-xl-v1.0.0"], tmp_path
    )
    assert known.startswith("Cannot download pet-mad-s from the upet hub (ConnectError: ")
    assert "go online once" in known
    assert "go online once" in release
    assert "no model pet-madd-s; did you mean pet-mad-s, pet-omad-s or pet-mad-xs? `pet" in wrong
    assert "no model pet-mad-xl; did you mean" in wronger
    (offline,) = asked(["pet-mad-s"], tmp_path, HF_HUB_OFFLINE="1")
    assert "go online once" in offline


@pytest.fixture
def cache(tmp_path):
    """Checkpoints of the hub's format, where earlier downloads would have left them."""
    folder = tmp_path / "hub" / "models--lab-cosmo--upet" / "snapshots" / "abc" / "models"
    folder.mkdir(parents=True)
    save_checkpoint(folder / "pet-mad-s-v1.0.2.ckpt")
    save_checkpoint(folder / "pet-mad-s-v1.10.0.ckpt", seed=1)
    save_checkpoint(folder / "pet-future-s-v2.0.0.ckpt", seed=2)
    return folder


def test_cached_checkpoints_need_no_line(cache, tmp_path):
    old = hashlib.sha256((cache / "pet-mad-s-v1.0.2.ckpt").read_bytes()).hexdigest()
    assert asked(
        ["pet-mad-s", "pet-mad-s-v1.0.2", ("pet-mad-s", old), "pet-future-s"], tmp_path
    ) == [
        "file pet-mad-s-v1.10.0 r2SCAN r2SCAN",
        "file pet-mad-s-v1.0.2 PBEsol PBEsol",
        "file pet-mad-s-v1.0.2 PBEsol PBEsol",  # the weights a job was made with, not the newest
        "file pet-future-s-v2.0.0 None None",
    ]
    path = str(cache / "pet-mad-s-v1.0.2.ckpt")
    model = load_model(PotentialSpec(model=path, device="cpu"), trust=True)
    assert 14 in model.capabilities().atomic_types


class Hub(BaseHTTPRequestHandler):
    """The requests that the client makes of a hub with three files."""

    files = {
        f"models/pet-mad-s-v{version}.ckpt": version.encode() for version in ("1.9.0", "1.10.0")
    } | {"models/pet-mad-xs-v2.0.0.ckpt": b"xs"}

    def do_GET(self):
        if self.path.startswith("/api/models/lab-cosmo/upet/tree/"):
            rows = [
                {"type": "file", "path": name, "size": len(content), "oid": "0" * 40}
                for name, content in self.files.items()
            ]
            return self.answer(200, json.dumps(rows).encode(), "application/json")
        content = self.files.get(self.path.partition("/resolve/main/")[2])
        if self.path == "/":
            return self.answer(200, b"hub")
        if content is None:
            return self.answer(404, b"", code="EntryNotFound")
        return self.answer(200, content)

    do_HEAD = do_GET

    def answer(self, status, content, kind="application/octet-stream", code=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Repo-Commit", "1" * 40)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


def test_newest_release_is_downloaded_and_missing_ones_are_named(tmp_path):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        newest, older, missing = asked(
            ["pet-mad-s", "pet-mad-s-v1.9.0", "pet-mad-s-v3.0.0"], tmp_path, endpoint
        )
        (none,) = asked(["pet-spice-l"], tmp_path, endpoint)
    finally:
        server.shutdown()
        server.server_close()
    assert newest == "file pet-mad-s-v1.10.0 r2SCAN r2SCAN"
    assert older == "file pet-mad-s-v1.9.0 r2SCAN r2SCAN"
    assert "of pet-mad-s that it has, 1.10.0, 1.9.0." in missing
    assert "no checkpoint of pet-spice-l" in none
    assert asked(["pet-mad-s"], tmp_path) == ["file pet-mad-s-v1.10.0 r2SCAN r2SCAN"]
