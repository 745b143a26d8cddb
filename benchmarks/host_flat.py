"""Whether the time beside the model stays the same however many structures there are.

    OMP_NUM_THREADS=1 python benchmarks/host_flat.py [--campaign 10000] [--minutes 15]

Relaxations of `host.py`, whose model answers at once, under `crystal`: first in batches of 64, 256
and 1024, then in a campaign of batches of 64 into one embedded store, two steps each, with the
memory of the process after each part of it. CPU seconds of this process on one thread; *per
evaluation* is what the steps of the optimizer and the evaluator take, *per structure* all else. No
crystal was seen before.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import warnings
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from host import crystals, makers, run
from host_stages import Clock, Nothing, watched
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.engines import potential as engines
from pet_flows.jobs.batch import run_batch
from pet_flows.models.resolve import resolve
from pet_flows.settings import get_settings
from pet_flows.store.results import ResultStore

#: stages of each step; all others are of each structure
STEP = ("plan", "neighbours", "layout", "finish", "optimizer", "project")
#: structures of a job
BATCH = 64
#: of a relaxation of the campaign, in which the steps are not what is looked at
CAMPAIGN_STEPS = 2
#: of a campaign, after which time and memory are told
POINTS = (128, 1024, 2048, 5056, 10048)


def split(stages: Mapping[str, float], structures: int, geometries: int) -> tuple[float, float]:
    """CPU ms for each structure, and for each of its geometries."""
    step = sum(stages.get(name, 0.0) for name in STEP)
    rest = sum(stages.values()) - step - stages.get("model", 0.0)
    return 1e3 * rest / structures, 1e3 * step / geometries


def batches(maker: Any, folder: str) -> None:
    """Print the table of batches."""
    print("| structures in a batch | ms per structure | ms per evaluation |\n|---:|---:|---:|")
    run(maker, crystals(2, False), folder)  # warm
    for size in (64, 256, 1024):
        row = run(maker, crystals(size, False, seed=size + 1), folder)
        each = split(row["stages_s"], size, row["geometries"])
        print(f"| {size} | {each[0]:.1f} | {each[1]:.2f} |", flush=True)


def campaign(maker: Any, folder: str, most: int, minutes: float) -> None:
    """Print the table of a campaign, part by part."""
    os.environ["PET_FLOWS_STORE"] = str(Path(folder) / "campaign.db")
    get_settings.cache_clear()
    print("\n| structures of a campaign | ms per structure | ms per evaluation | memory, MB |")
    print("|---:|---:|---:|---:|")
    resolved, until = resolve(maker.potential), time.monotonic() + 60 * minutes
    engines._potential.cache_clear()
    raw = Nothing()
    with patch.object(engines, "_raw", lambda _: raw), ResultStore.open() as store:
        for before, point in pairwise((0, *(p for p in POINTS if p <= most))):
            clock = Clock()
            for first in range(before, point, BATCH):
                given = [
                    AseAtomsAdaptor.get_structure(a) for a in crystals(BATCH, False, seed=first)
                ]
                with watched(clock):
                    run_batch(maker, given, resolved, store)
                if time.monotonic() > until:
                    print(f"ended after {minutes:g} minutes with {first + BATCH} structures")
                    return
            n = point - before
            each = split(clock.seconds, n, n * (CAMPAIGN_STEPS + 1))
            print(f"| {point} | {each[0]:.1f} | {each[1]:.2f} | {resident():.0f} |", flush=True)
    engines._potential.cache_clear()


def resident() -> float:
    """Memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--campaign", type=int, default=10_048)
    parser.add_argument("--minutes", type=float, default=15.0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        batches(makers("crystal")["relax"], folder)
        few = makers("crystal", steps=CAMPAIGN_STEPS)["relax"]
        campaign(few, folder, args.campaign, args.minutes)


if __name__ == "__main__":
    main()
