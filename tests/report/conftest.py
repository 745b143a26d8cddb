"""A report of a small campaign with references, and the browser of this system."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ase.build import bulk

from pet_flows.report.page import viewer
from pet_flows.report.page.folder import write_report
from pet_flows.settings import get_settings
from pet_flows.store.results import ResultStore
from tests.cli.stored import CAMPAIGN, fill, made
from tests.plots.examples import EXAMPLES
from tests.report.stored import put_comparisons

#: a formula and an identifier that a page must show as they are
FORMULA = "Si<script>window.hacked=1</script>"
ODD = "<img src=y onerror='window.hacked=3'>"
NAME = "<img src=x onerror='window.hacked=2'>"


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    """A folder with a store of several properties and states, and references beside."""
    path = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        enter(path, patch)
        keys = fill()
        with ResultStore.open() as store:
            store.put(*made(EXAMPLES["qha"], parent=keys["relax"]))
            for n in range(30):
                atoms = bulk("Si", a=5.4 + 0.01 * n)
                result = {**EXAMPLES["eos"].result, "b0": 90.0 + n}
                spread = {"energy_per_atom": 1e-4 * (n + 1), "forces": None}
                record, blobs = made(
                    EXAMPLES["eos"], f"mp-{1000 + n}", atoms, outcome={"result": result}
                )
                said = {"energy_per_atom": 2e-4 * (n + 1), "forces": None, "stress": None}
                store.put({**record, "spread": spread, "uncertainty": said}, blobs)
            record, blobs = made(EXAMPLES["eos"], NAME, bulk("Ge"))
            store.put({**record, "formula_pretty": FORMULA}, blobs)
            put_comparisons(store, CAMPAIGN)
            # a name and a unit that are markup, of a value of another package
            both = {"record": {"$ne": None}, "reference": {"$ne": None}}
            odd = store.comparisons.find_one({"property": "eos", **both})
            value = {"pet": 2.0, "dft": 1.0, "difference": 1.0, "relative": 1.0}
            values = [*odd["values"], {"name": ODD, "unit": ODD, **value}]
            store.put_comparisons([{**odd, "values": values}])
            # the viewer is slow without a graphics card: it has a test of its own
            patch.setattr(viewer, "find_spec", lambda name: None)
            write_report(store, CAMPAIGN, path / "pages")
    return path


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a folder the working directory, and its store the one of the settings."""
    patch.chdir(folder)
    patch.setenv("PET_FLOWS_STORE", str(folder / "pet_flows.db"))
    get_settings.cache_clear()


@pytest.fixture(scope="module")
def written(filled) -> Path:
    """The report of that campaign."""
    return filled / "pages"


@pytest.fixture
def folder(filled, monkeypatch) -> Path:
    """That folder, as the working directory."""
    enter(filled, monkeypatch)
    return filled


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium, the system's own; a test without it is skipped."""
    must = os.environ.get("PET_FLOWS_REQUIRE_CHROMIUM")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if path is None or sync_playwright is None:
        said = "pages are opened in Chromium: apt install chromium, pip install playwright"
        (pytest.fail if must else pytest.skip)(said)
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()
