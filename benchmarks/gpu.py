"""Everything that only a GPU can show, in one run of less than nine minutes.

    benchmarks/gpu.sh [--device cuda] [--quick] [--seconds 500] [--json gpu.json]

Correctness of every strategy in float64 and float32 (TF32 off) beside float64 on the CPU; what
memory a call was expected to need and needed; whether batches that do not fit are cut and right all
the same; how many structures a second are relaxed, have phonons, and move, in batches of up to
10 000, and how much of that time is spent in the model; single points by size. `--device cpu` does
all of it on a CPU, `--quick` with few structures. Ends with code 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gpu_parts as parts
import torch


def chapters(device: str, quick: bool, left: Callable[[], float]) -> dict[str, Any]:
    """Title → rows, in the order of their importance."""
    return {
        "correctness": lambda: parts.correctness(device, quick),
        "memory of a call": lambda: parts.memory(device, quick),
        "out of memory": lambda: parts.out_of_memory(device, quick),
        "throughput": lambda: parts.throughput(device, quick, 0.75 * left()),
        "single points by size": lambda: parts.sizes(device, quick),
    }


def show(rows: Iterator[dict[str, Any]], left: Callable[[], float]) -> list[dict[str, Any]]:
    """Print rows of a table as they come, until there is no time for more."""
    found: list[dict[str, Any]] = []
    for row in rows:
        if not found:
            print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
        found.append(row)
        print("| " + " | ".join(written(value) for value in row.values()) + " |", flush=True)
        if left() <= 0:
            print("\nThere was no time for more of it.")
            break
    return found


def written(value: Any) -> str:
    """A number with three digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seconds", type=float, default=500.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    end = time.monotonic() + args.seconds
    cuda = torch.device(args.device).type == "cuda"
    about = {
        "device": torch.cuda.get_device_name(args.device) if cuda else platform.processor(),
        "torch": torch.__version__, "threads": torch.get_num_threads(), "quick": args.quick,
    }  # fmt: skip
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    everything: dict[str, Any] = {"about": about}

    def left() -> float:
        return end - time.monotonic()

    wrong = []
    for title, rows in chapters(args.device, args.quick, left).items():
        print(f"\n## {title}\n")
        try:
            everything[title] = show(rows(), left)
        except Exception as error:  # the other chapters are worth having
            everything[title] = {"error": f"{type(error).__name__}: {error}"}
            wrong.append(f"{title}: {everything[title]['error']}")
            print(f"\n{everything[title]['error']}")
            continue
        bad = [row for row in everything[title] if not row.get("good", True) or row.get("failed")]
        wrong += [f"{title}: {row}" for row in bad]
        if args.json:
            args.json.write_text(json.dumps(everything, indent=1))
    print("\n" + ("\n".join(["Wrong:", *wrong]) if wrong else "All is right."))
    if args.json:
        args.json.write_text(json.dumps(everything, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
