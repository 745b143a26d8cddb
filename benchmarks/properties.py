"""Every property against its peers, same weights, same process, one thread.

    OMP_NUM_THREADS=1 python benchmarks/properties.py [--only phonon eos] [--json properties.json]
    python benchmarks/properties.py --device cuda        # the GPU column

Times are CPU seconds of this process on a CPU (they do not count what else the machine does) and
wall seconds on a GPU, models loaded and imports done before. The *share* is how much of our own
time is model evaluations, without the search for neighbours; where we take less than 5 s we and the
peers take turns, three each, and the medians count; *agreement* is what both sides find, so that
nobody is fast by being wrong.
"""

from __future__ import annotations

import argparse
import json
import statistics
import warnings
from pathlib import Path
from typing import Any

import properties_cases as cases
import torch
from properties_clock import Clock

from pet_flows.engines.potential import get_potential
from pet_flows.models.spec import PotentialSpec

#: a case that takes us less than so many s takes turns with its peers; medians count
TURNS, SHORT = 3, 5.0


def measure(name: str, clock: Clock, spec: PotentialSpec) -> dict[str, Any]:
    """One row: ours, the peers, ratios, share, agreement."""
    case = cases.CASES[name](spec)
    case.warm_up()
    inside: list[Any] = []
    mine: list[Any] = []
    theirs: dict[str, list[Any]] = {peer: [] for peer in case.peers}
    while not mine or (len(mine) < TURNS and max(mine) < SHORT and case.peers):
        clock.inside = 0.0
        with clock.watching(get_potential(spec).raw):
            seconds, found = clock.time(case.ours)
        mine.append(seconds)
        inside.append(clock.inside)
        for peer, call in case.peers.items():
            theirs[peer].append(clock.time(call))
    middle = sorted(range(len(mine)), key=mine.__getitem__)[len(mine) // 2]
    ours, within = mine[middle], inside[middle]
    row: dict[str, Any] = {
        "property": name,
        "what": case.what,
        "ours_s": ours,
        "share_in_model": within / ours,
        "outside_model_s": ours - within,
        "all_s": mine,
        "peers": {},
    }
    for peer, runs in theirs.items():
        seconds = statistics.median(run[0] for run in runs)
        row["peers"][peer] = {
            "s": seconds,
            "all_s": [run[0] for run in runs],
            "ratio": seconds / ours,
            "agreement": case.compare(found, runs[-1][1]),
        }
    return row


def table(rows: list[dict[str, Any]], device: str) -> str:
    lines = [
        f"| property | ours, s ({device}) | in the model | peer | s | peer / ours | both find |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        first = f"| {row['property']}: {row['what']} | {row['ours_s']:.2f} | "
        first += f"{100 * row['share_in_model']:.0f} % |"
        peers = row["peers"] or {"-": None}
        for peer, found in peers.items():
            rest = (
                " - | - | - | - |"
                if found is None
                else f" {peer} | {found['s']:.2f} | {found['ratio']:.1f} | {found['agreement']} |"
            )
            lines.append(first + rest)
            first = "| | | |"
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=sorted(cases.CASES))
    parser.add_argument("--model", default="pet-mvl")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    spec = get_potential(PotentialSpec(model=args.model, device=args.device)).spec
    clock = Clock(torch.device(args.device))
    rows = []
    for name in args.only or cases.CASES:
        rows.append(measure(name, clock, spec))
        print(json.dumps(rows[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps({"device": args.device, "rows": rows}, indent=1) + "\n")
    print(table(rows, args.device))
    many = [row for row in rows if row["property"] in cases.MANY]
    if many:
        total = sum(row["ours_s"] for row in many)
        share = sum(row["ours_s"] * row["share_in_model"] for row in many) / total
        print(f"In the model, {' and '.join(row['property'] for row in many)}: {100 * share:.0f} %")


if __name__ == "__main__":
    main()
