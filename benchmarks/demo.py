"""The demo campaign, cold and again: seconds, states, and errors against all-electron PBE.

    python benchmarks/demo.py [--folder runs/demo-benchmark] [--picture docs/img/demo.png] \
        [--page docs/img/report.png]
    python benchmarks/demo.py --model sevenn:7net-0 --folder runs/demo-sevenn

Prints what README says of it: wall time of the two runs (whole processes, model loading and
imports included), records per state, and the mean absolute errors of ``pet-flows compare``.
``--page`` takes a picture of the first page of its report (chromium and playwright).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

SCREEN = (
    "screen", "prototypes:Li,Si,Ni,Cu,Ge,Nb,Mo,Ta,W",
    "--properties", "relax,eos,phonon,static", "--name", "demo",
)  # fmt: skip


def pet_flows(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "pet_flows.cli", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 3):
        sys.exit(done.stderr)
    return done.stdout


def photograph(page_file: Path, picture: Path) -> None:
    """Picture of what a browser shows of a page first."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(
            viewport={"width": 1280, "height": 1190}, device_scale_factor=1000 / 1280
        )
        page.goto(page_file.resolve().as_uri())
        page.wait_for_timeout(3000)  # plots are drawn when they come into sight
        page.screenshot(path=picture)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("runs/demo-benchmark"))
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--page", type=Path)
    parser.add_argument("--model", default="pet-mvl")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for old in args.folder.glob("pet_flows*.db*"):
        old.unlink()
    for label in ("cold", "again"):
        start = time.perf_counter()
        pet_flows(args.folder, *SCREEN, "--model", args.model)
        print(f"{label:6} {time.perf_counter() - start:6.1f} s")
    records = json.loads(pet_flows(args.folder, "query", "demo", "--format", "json"))
    states = Counter((r["property"], r["state"]) for r in records)
    for (prop, state), count in sorted(states.items()):
        print(f"{prop:7} {state:12} {count}")
    words = ["compare", "demo", "--format", "json"]
    if args.picture:
        words += ["--picture", str(args.picture.resolve())]
    for row in json.loads(pet_flows(args.folder, *words))["metrics"]:
        print(row)
    if args.page:
        pet_flows(args.folder, "report", "demo", "-o", "report")
        photograph(args.folder / "report" / "index.html", args.page)


if __name__ == "__main__":
    main()
