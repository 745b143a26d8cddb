"""The Materials Project's own client, from a server here with documents of emmet's models."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from emmet.core.phonon import PhononBSDOSDoc

from pet_flows.cli import main
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.options import Options
from pet_flows.dft.material_ids import normalized
from pet_flows.store.results import ResultStore
from tests.dft.test_documents import WHEN, elasticity, thermo

mprester = pytest.importorskip(
    "mp_api.client.mprester",
    reason="mp-api, whose client this asks, is not installed",
    exc_type=ImportError,
)

HEART = {"status": "OK", "db_version": "2026.1", "version": "0.88.1",
         "access_controlled_batch_ids": []}  # fmt: skip


@pytest.fixture
def served(monkeypatch) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Documents by collection, which a server gives as the Materials Project does."""
    documents: dict[str, list[dict[str, Any]]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            asked = parse_qs(address.query)
            wanted = set(
                ",".join(asked.get("material_ids", asked.get("identifiers", []))).split(",")
            )
            parts = address.path.strip("/").split("/")
            found = [
                one for one in documents.get(parts[-1], ())
                if wanted & {normalized(one.get("identifier") or one["material_id"])}
            ]  # fmt: skip
            body = HEART if parts == ["heartbeat"] else {
                "data": found, "meta": {"total_doc": len(found)}
            }  # fmt: skip
            content = json.dumps(body, default=str).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    # the client has read its environment when it was imported
    monkeypatch.setattr(
        mprester.MAPI_CLIENT_SETTINGS, "ENDPOINT", f"http://127.0.0.1:{server.server_port}/"
    )
    monkeypatch.setenv("MP_API_KEY", "x" * 32)
    yield documents
    server.shutdown()
    server.server_close()


@pytest.fixture
def store():
    with ResultStore.open() as opened:
        yield opened


def test_thermo_and_elasticity(store, served):
    served["thermo"], served["elasticity"] = [thermo()], [elasticity()]
    identifiers = ",".join(one["material_id"] for one in (thermo(), elasticity()))
    options = Options(level={"functional": "PBE"})
    found = import_references(store, f"materials-project:{identifiers}", options=options)
    assert not found.problems
    assert {one["property"] for one in store.references.find()} == {"static", "relax", "elastic"}
    assert import_references(store, f"materials-project:{identifiers}", options=options).same


def test_phonons_are_asked_for_by_their_collection(store, served, emt_jobs, monkeypatch):
    """Their documents come from the server; force constants lie in tables of another service."""
    from mp_api.client.routes.materials.phonon import PhononRester

    (job,) = [one for one in emt_jobs[0] if one["name"].startswith("generate_frequencies")]
    blobs = {one["blob_uuid"]: one["data"] for one in emt_jobs[1]}
    content = copy.deepcopy(job["output"])
    for name in ("force_constants", "phonon_bandstructure", "phonon_dos"):
        content[name] = blobs[content[name]["blob_uuid"]]
    content = {key: value for key, value in content.items() if not key.startswith("@")}
    whole = PhononBSDOSDoc.migrate_fields(**content, last_updated=WHEN).model_dump(mode="json")
    constant = whole["force_constants"]
    for name in ("force_constants", "phonon_bandstructure", "phonon_dos"):
        del whole[name]
    whole |= {"identifier": "776", "phonon_method": "phonopy"}
    served["phonon"] = [whole]
    served["summary"] = [{"material_id": "mp-19770", "phonon_IDs": {"phonopy": ["776"]}}]
    asked = []

    def constants(self: Any, identifier: str, method: str) -> Any:
        asked.append((identifier, method))
        return constant

    monkeypatch.setattr(PhononRester, "get_forceconstants_from_phonon_id", constants)
    options = Options(level={"functional": "PBEsol"})
    found = import_references(store, "materials-project:phonon:mp-19770,mp-1", options=options)
    assert (found.new, found.problems) == (1, [])
    ((_, method),) = asked
    assert method == "phonopy"
    (document,) = store.references.find()
    assert document["property"] == "phonon"
    assert document["level"]["functional"] == "PBEsol"
    assert "mesh_frequencies" in store.references.blob(document, "phonon")


def test_what_is_not_there_is_a_sentence(served):
    with pytest.raises(SystemExit, match="names no collection that is read"):
        main(["reference", "add", "materials-project:magnetism:mp-149"])
    with pytest.raises(SystemExit, match="holds nothing that a reference could be made of"):
        main(["reference", "add", "materials-project:mp-149"])
