"""Heat capacities of a public set: errors by cell, as matcalc counts them, and shorter supercells.

Beside the store of `pet-flows benchmark alexandria-binary-pbe-phonon-....json.gz`::

    python benchmarks/public_sets.py benchmark/phonon-10-0.json
    python benchmarks/public_sets.py benchmark/phonon-10-0.json --lengths chgnet:0.3.0 --most 4

The first prints, for each potential, mean absolute errors in J/K/mol of atoms and of cells, of all
crystals and of those without imaginary modes; the second heat capacities of the smallest crystals
and CPU seconds with supercells of different `min_length`.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections import defaultdict
from pathlib import Path

import numpy as np
from pymatgen.core import Structure

import pet_flows

LENGTHS = (10.0, 12.0, 16.0)


def errors(sample: Path) -> None:
    """Mean absolute errors of what the store of this folder has."""
    sizes = {e["mp_id"]: len(e["structure"]["sites"]) for e in json.loads(sample.read_text())}
    found: dict[str, list[tuple[float, int, bool]]] = defaultdict(list)
    with pet_flows.ResultStore.open() as store:
        query = {"sources.campaign": sample.stem, "property": "phonon", "state": "ok"}
        soft = {r["_id"]: r["result"]["has_imaginary_modes"] for r in store.query(query)}
        compared = pet_flows.compare_campaign(store, sample.stem, across_levels=True)
        for document in compared.documents():
            for value in document["values"]:
                if value["name"] == "thermal.300.cv":
                    error = abs(value["pet"] - value["dft"])
                    name = document["potential"]["name"]
                    row = error, sizes[document["material_id"]], soft[document["record"]]
                    found[name].append(row)
    for name, rows in sorted(found.items()):
        error, size, imaginary = map(np.array, zip(*rows, strict=True))
        for what, chosen in (("all", imaginary | True), ("no imaginary modes", ~imaginary)):
            by_atom, by_cell = error[chosen].mean(), (error * size)[chosen].mean()
            print(
                f"{name}, {what}: n = {chosen.sum()}, {by_atom:.2f} by atom, {by_cell:.1f} by cell"
            )


def lengths(sample: Path, model: str, most: int) -> None:
    """Heat capacities at 300 K of the smallest crystals, by the length of the supercell."""
    entries = sorted(json.loads(sample.read_text()), key=lambda e: len(e["structure"]["sites"]))
    potential = pet_flows.load_potential(model)
    for entry in entries[:most]:
        relaxed = pet_flows.relax(Structure.from_dict(entry["structure"]), potential)
        told = []
        for length in LENGTHS:
            start = time.process_time()
            phonon = pet_flows.phonon(
                relaxed, potential, min_length=length, band_structure=False, dos=False
            )
            (cv,) = (point.cv for point in phonon.result.thermal if point.T == 300)
            told.append(f"{length:g} Å {cv:.3f} ({time.process_time() - start:.1f} s)")
        print(entry["mp_id"], entry["formula"], *told, sep="; ", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sample", type=Path, help="that pet-flows benchmark wrote")
    parser.add_argument("--lengths", metavar="MODEL", help="vary supercells of this potential")
    parser.add_argument("--most", type=int, default=4, help="crystals whose supercells vary")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if args.lengths:
        lengths(args.sample, args.lengths, args.most)
    else:
        errors(args.sample)


if __name__ == "__main__":
    main()
