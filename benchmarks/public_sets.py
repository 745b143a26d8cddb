r"""Heat capacities of a public set: errors by cell, as matcalc counts them, and shorter supercells.

Beside the store of `pet-flows benchmark alexandria-binary-pbe-phonon-....json.gz`::

    python benchmarks/public_sets.py benchmark/phonon-7-0.json
    python benchmarks/public_sets.py benchmark/phonon-7-0.json --campaign phonon-7-0-float32 \
        --again sevenn:7net-0
    python benchmarks/public_sets.py SET.json.gz --lengths chgnet:0.3.0

The first prints, for each potential, mean absolute errors in J/K/mol of atoms and of cells, of all
crystals and of those without imaginary modes. The second relaxes the ten crystals of the sample
with the fewest atoms again, in float64, and prints how far heat capacities of the store, of
crystals that were perhaps relaxed in float32, are from theirs. The third prints heat capacities of
four crystals of the set and CPU seconds with supercells of different `min_length`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Structure

import pet_flows

#: crystals that are computed again
AGAIN = 10
LENGTHS = (8.0, 10.0, 12.0, 16.0)
#: BaO2, CaC2, HgI, SnF4
CRYSTALS = ("mp-1105", "mp-2482", "mp-22859", "mp-2706")


def records(sample: Path, campaign: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], float]]:
    """Entry of the sample, record, and heat capacity at 300 K by atom, of the store of here."""
    entries = {entry["mp_id"]: entry for entry in json.loads(sample.read_text())}
    with pet_flows.ResultStore.open(read_only=True) as store:
        query = {"sources.campaign": campaign, "property": "phonon", "state": "ok"}
        for record in store.query(query):
            (cv,) = (point["cv"] for point in record["result"]["thermal"] if point["T"] == 300)
            yield entries[record["sources"][0]["material_id"]], record, cv


def errors(sample: Path, campaign: str) -> None:
    """Mean absolute errors of what the store of this folder has."""
    found: dict[str, list[tuple[float, int, bool]]] = defaultdict(list)
    for entry, record, cv in records(sample, campaign):
        atoms = len(entry["structure"]["sites"])
        wrong = abs(cv - entry["heat_capacity"] / atoms)
        row = wrong, atoms, record["result"]["has_imaginary_modes"]
        found[record["potential"]["name"]].append(row)
    for name, rows in sorted(found.items()):
        error, size, imaginary = map(np.array, zip(*rows, strict=True))
        for what, chosen in (("all", imaginary | True), ("no imaginary modes", ~imaginary)):
            by_atom, by_cell = error[chosen].mean(), (error * size)[chosen].mean()
            print(
                f"{name}, {what}: n = {chosen.sum()}, {by_atom:.2f} by atom, {by_cell:.1f} by cell"
            )


def again(sample: Path, campaign: str, model: str) -> None:
    """How far heat capacities are from those of crystals relaxed in float64, of the smallest."""
    potential = pet_flows.load_potential(model)
    name = model.rpartition(":")[2]
    there = [one for one in records(sample, campaign) if one[1]["potential"]["name"] == name]
    there.sort(key=lambda one: len(one[0]["structure"]["sites"]))
    for entry, record, cv in there[:AGAIN]:
        relaxed = pet_flows.relax(Structure.from_dict(entry["structure"]), potential)
        phonon = pet_flows.phonon(
            relaxed, potential, min_length=record["settings"]["min_length"], band_structure=False,
            dos=False,
        )  # fmt: skip
        (double,) = (point.cv for point in phonon.result.thermal if point.T == 300)
        print(f"{entry['formula']}: {cv:.4f}, float64 {double:.4f}, {cv - double:+.1e}", flush=True)


def lengths(path: Path, model: str) -> None:
    """Heat capacities at 300 K of some crystals of the set, by the length of the supercell."""
    with gzip.open(path, "rt") as stream:
        entries = {entry["mp_id"]: entry for entry in json.load(stream)}
    potential = pet_flows.load_potential(model)
    for name in CRYSTALS:
        structure = Structure.from_dict(entries[name]["structure"])
        relaxed = pet_flows.relax(structure, potential)
        told = []
        for length in LENGTHS:
            start = time.process_time()
            phonon = pet_flows.phonon(
                relaxed, potential, min_length=length, band_structure=False, dos=False
            )
            (cv,) = (point.cv for point in phonon.result.thermal if point.T == 300)
            told.append(f"{length:g} Å {cv:.3f} ({time.process_time() - start:.1f} s)")
        print(structure.reduced_formula, *told, sep="; ", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "sample", type=Path, help="that pet-flows benchmark wrote, or the whole set"
    )
    parser.add_argument("--again", metavar="MODEL", help="compute some in float64 again")
    parser.add_argument("--lengths", metavar="MODEL", help="vary supercells of this potential")
    parser.add_argument("--campaign", help="default: after the sample")
    args = parser.parse_args()
    campaign = args.campaign or args.sample.stem
    warnings.simplefilter("ignore")
    if args.lengths:
        lengths(args.sample, args.lengths)
    elif args.again:
        again(args.sample, campaign, args.again)
    else:
        errors(args.sample, campaign)


if __name__ == "__main__":
    main()
