"""Report of a large campaign: seconds to write it, and what its first page costs a browser.

    python benchmarks/report.py [--structures 10000 100000] [--folder runs/report-benchmark]

Needs the system's chromium and playwright. The campaign is made up: an equation of state and a
relaxation of each structure, as records are, with a comparison beside each. Printed are seconds of
writing without pages of single structures, megabytes of the folder, and of the browser: seconds of
main-thread CPU until the page has been scrolled from top to end and every plot is drawn, seconds
more for a sort and a search, and megabytes of its heap.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

ELEMENTS = (
    "Li", "Be", "B", "C", "N", "O", "F", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "K", "Ca", "Ti",
    "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Zr", "Nb",
)  # fmt: skip
CHUNK = 5000


def record(n: int, which: str, rng: random.Random) -> dict[str, Any]:
    """Document of one record, without structures."""
    one, other = rng.sample(ELEMENTS, 2)
    result: dict[str, Any] = {"energy_per_atom": -rng.uniform(1, 9), "volume_change": 0.01}
    if which == "eos":
        result = {
            "v0_per_atom": rng.lognormvariate(2.8, 0.3),
            "b0": rng.lognormvariate(4.6, 0.5),
            "b0_prime": rng.gauss(4.5, 0.5),
        }
    failed = rng.random() < 0.02
    return {
        "_id": f"{which}{n:08d}",
        "property": which,
        "state": "failed" if failed else "ok",
        "reason": "no_minimum" if failed else None,
        "message": None,
        "last_updated": datetime(2026, 1, 1),
        "sources": [{"campaign": "large", "material_id": f"mp-{n}", "path": None}],
        "parent": None if which == "relax" else f"relax{n:08d}",
        "structure_digest": f"{n:032d}",
        "formula_pretty": f"{one}{rng.randint(1, 3)}{other}{rng.randint(2, 5)}",
        "spacegroup": {"input": {"loose": rng.randint(1, 230), "tight": 1}, "final": None},
        "potential": {
            "digest": "d", "name": "made up", "sha256": "0" * 64, "symmetrization": "crystal",
            "dtype": "float64", "functional": "PBE",
        },
        "n_evaluations": 10,
        "blobs": {},
        "spread": {"energy_per_atom": rng.lognormvariate(-9, 1), "forces": None},
        "provenance": {"versions": {}, "device": "cpu", "host": "made up", "wall_time": 0.1},
        "result": {} if failed else result,
    }  # fmt: skip


def comparison(of: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Document that sets a record beside a made-up reference, or says why there is none."""
    alone = rng.random() < 0.1
    values = []
    for name, unit, error in (("v0_per_atom", "Å³", 0.02), ("b0", "GPa", 0.1)):
        if name not in of["result"] or alone:
            continue
        pet = of["result"][name]
        dft = pet * (1 + rng.gauss(0.01, error))
        difference = {"difference": pet - dft, "relative": (pet - dft) / dft}
        values.append({"name": name, "unit": unit, "pet": pet, "dft": dft, **difference})
    return {
        "_id": f"c{of['_id']}",
        "record": of["_id"],
        "reference": None if alone else f"r{of['_id']}",
        "campaigns": ["large"],
        "property": of["property"],
        "matched_by": None if alone else rng.choice(["link", "identifier", "structure"]),
        "level_differs": [],
        "level": None if alone else {"functional": "PBE", "digest": "p"},
        "values": values,
        "reason": "no reference of this formula" if alone else None,
        "record_state": of["state"],
        "formula_pretty": of["formula_pretty"],
        "material_id": of["sources"][0]["material_id"],
    }


def fill(n_structures: int) -> None:
    """Put the campaign into the store of this process."""
    from pet_flows.store.results import ResultStore
    from pet_flows.store.writes import replace_all

    rng = random.Random(0)
    with ResultStore.open() as store:
        store.campaigns.put(
            {"name": "large", "n_inputs": n_structures, "properties": ["relax", "eos"]}
        )
        for start in range(0, n_structures, CHUNK):
            numbers = range(start, min(start + CHUNK, n_structures))
            records = [record(n, which, rng) for n in numbers for which in ("relax", "eos")]
            replace_all(store.records, records)
            store.put_comparisons(
                [comparison(of, rng) for of in records if of["property"] == "eos"]
            )


def browse(page_file: Path, shot: Path) -> dict[str, float]:
    """Open the first page, scroll through it, sort and search; seconds and megabytes."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")

        def measured() -> dict[str, float]:
            return {
                m["name"]: m["value"] for m in session.send("Performance.getMetrics")["metrics"]
            }

        page.goto(page_file.as_uri(), timeout=300_000)
        loaded = measured()
        height = page.evaluate("document.documentElement.scrollHeight")
        for y in range(0, height, 500):
            page.evaluate(f"scrollTo(0, {y})")
            page.wait_for_timeout(200)
        page.wait_for_timeout(1000)
        drawn = measured()
        page.locator('#table .tabulator-col[tabulator-field="material"]').click()
        page.wait_for_timeout(500)
        sorted_ = measured()
        page.locator("input[type=search]").fill("mp-77")
        page.wait_for_timeout(500)
        searched = measured()
        page.screenshot(path=shot)
        browser.close()
    if said:
        sys.exit(f"The page said {said[:3]}.")
    return {
        "loaded": loaded["TaskDuration"], "drawn": drawn["TaskDuration"],
        "sort": sorted_["TaskDuration"] - drawn["TaskDuration"],
        "search": searched["TaskDuration"] - sorted_["TaskDuration"],
        "heap": drawn["JSHeapUsedSize"] / 1e6,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--structures", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--folder", type=Path, default=Path("runs/report-benchmark"))
    args = parser.parse_args()
    from pet_flows.report.page.folder import write_report
    from pet_flows.store.results import ResultStore

    for n_structures in args.structures:
        folder = (args.folder / str(n_structures)).resolve()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        os.environ["PET_FLOWS_STORE"] = str(folder / "pet_flows.db")
        from pet_flows.settings import get_settings

        get_settings.cache_clear()
        started = time.perf_counter()
        fill(n_structures)
        print(
            f"{n_structures} structures made up in {time.perf_counter() - started:.0f} s",
            flush=True,
        )
        started = time.perf_counter()
        with ResultStore.open(read_only=True) as store:
            write_report(store, "large", folder / "report", n_pages=0)
        seconds = time.perf_counter() - started
        size = sum(p.stat().st_size for p in (folder / "report" / "data").rglob("*")) / 1e6
        print(f"  written in {seconds:.1f} s, data {size:.1f} MB", flush=True)
        found = browse(folder / "report" / "index.html", folder / "page.png")
        print(
            f"  main thread: {found['loaded']:.1f} s until loaded, {found['drawn']:.1f} s until "
            f"all is drawn, {found['sort']:.2f} s a sort, {found['search']:.2f} s a search; heap "
            f"{found['heap']:.0f} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
