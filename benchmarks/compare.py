"""Comparisons of many records with as many references, by identifier and by structure.

    python benchmarks/compare.py [--size 10000] [--by structure] [--folder runs/compare-benchmark]

Records and references are synthetic: perovskites and rock salts of many compositions, two crystals
of each formula, the records' atoms moved by 0.02 Å and their volumes by up to 3 %. They are written
as jobs and importers write them, into an embedded store; only what is printed is timed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.compare.build import Built, build
from pet_flows.dft.documents import document_of
from pet_flows.dft.reference import LevelOfTheory, Origin, Reference
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.static.declaration import StaticSettings
from pet_flows.records.build import build_record
from pet_flows.settings import get_settings
from pet_flows.store.results import ResultStore

ALKALINE = ("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd", "Hg", "Pb", "Sn")
METALS = (
    "Al", "Ga", "In", "Sc", "Y", "La", "Lu", "Zr", "Hf", "Nb", "Ta", "Tl", "Bi", "Sb", "Ge", "Si",
    "Be", "B", "Ag", "Au", "Pd", "Pt",
)  # fmt: skip
ANIONS = ("O", "F", "S", "Cl", "Se", "Br", "Te", "I", "N", "P", "As")
LEVEL = LevelOfTheory(functional="PBE", spin=True)
POTENTIAL = {
    "digest": "0" * 32, "name": "pet-oam-xl-v1.0.0", "sha256": "0" * 64, "functional": "PBE",
    "symmetrization": "crystal", "dtype": "float64", "run_type": "GGA_GGA+U",
}  # fmt: skip


def crystals(size: int) -> Iterator[Structure]:
    """Cubic perovskites, and the same with another order of its sites."""
    places: list[list[float]] = [
        [0, 0, 0],
        [0.5, 0.5, 0.5],
        [0.5, 0.5, 0],
        [0.5, 0, 0.5],
        [0, 0.5, 0.5],
    ]
    made = 0
    for x, b, a in itertools.product(ANIONS, METALS, ALKALINE):
        for shift in (0.0, 0.08):  # the second is tetragonal
            at = np.array(places, dtype=float)
            at[1, 2] += shift
            lattice = Lattice.tetragonal(4.0, 4.0 * (1 + 2 * shift))
            yield Structure(lattice, [a, b, x, x, x], at)
            made += 1
            if made == size:
                return
    places = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5]]
    for x, b, a in itertools.product(ANIONS, METALS, ALKALINE):
        for c in (1.0, 1.3):
            yield Structure(Lattice.tetragonal(3.6, 3.6 * c), [a, b, x, x], np.array(places))
            made += 1
            if made == size:
                return
    sys.exit(f"There are only {made} crystals: choose a smaller --size.")


def reference(n: int, structure: Structure, energy: float, named: bool) -> Reference:
    return Reference(
        property="static",
        result={"energy_per_atom": energy},
        structure=structure,
        level=LEVEL,
        source=Origin(name=str(n), database="benchmark"),
        material_ids=(f"mp-{n}",) if named else (),
    )


def record(n: int, structure: Structure, campaign: str, generator: np.random.Generator) -> Any:
    moved = Structure(
        structure.lattice.matrix * generator.uniform(0.99, 1.01),
        structure.species,
        structure.cart_coords + generator.normal(scale=0.02 / 3**0.5, size=(len(structure), 3)),
        coords_are_cartesian=True,
    )
    if n % 10 == 0:
        moved.make_supercell([2, 1, 1])
    energy = float(generator.normal())
    result = {
        "energy": energy * len(moved), "energy_per_atom": energy, "max_force": 0.0,
        "stress": np.zeros((3, 3)), "pressure": 0.0,
    }  # fmt: skip
    atoms = AseAtomsAdaptor.get_atoms(moved, msonable=False)
    return build_record(
        Outcome(index=0, state="ok", atoms=atoms, result=result, n_evaluations=1),
        input_structure=moved,
        property="static",
        settings=StaticSettings(),
        potential=POTENTIAL,
        sources=[{"campaign": campaign, "material_id": f"mp-{n}"}],
    )


def timed(label: str, store: ResultStore, campaign: str) -> Built:
    wall, cpu = time.perf_counter(), time.process_time()
    built = build(store, [campaign])
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        f"{label:34} {wall:8.2f} s, {cpu:8.2f} s CPU; records {built.records}, looked at "
        f"{built.looked_at}, confirmed {built.confirmed}, written {built.written}",
        flush=True,
    )
    if built.looked_at:
        print(f"{'':34} {1000 * cpu / built.looked_at:8.2f} ms CPU a record looked at", flush=True)
    return built


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--by", choices=("identifier", "structure"), help="one of them alone")
    parser.add_argument("--folder", type=Path, default=Path("runs/compare-benchmark"))
    args = parser.parse_args()
    shutil.rmtree(args.folder, ignore_errors=True)
    args.folder.mkdir(parents=True)
    for named in (True, False):
        way = "identifier" if named else "structure"
        label = f"by {way}"
        if args.by not in (None, way):
            continue
        os.environ["PET_FLOWS_STORE"] = str(args.folder / f"{way}.db")
        get_settings.cache_clear()
        with ResultStore.open() as store:
            start = time.perf_counter()
            generator = np.random.default_rng(0)
            for n, structure in enumerate(crystals(args.size)):
                store.put(*record(n, structure, "many", generator))
                store.references.put(*document_of(reference(n, structure, -1.0, named)))
            print(f"{args.size} of each written in {time.perf_counter() - start:.0f} s", flush=True)
            timed(label, store, "many")
            pairs = list(store.comparisons.find({"values.0.name": "energy_per_atom"}))
            print(f"{'':34} {len(pairs)} pairs with values", flush=True)
            timed(f"{label}, nothing changed", store, "many")
            changed = reference(0, next(crystals(1)), -2.0, named)
            store.references.put(*document_of(changed))
            timed(f"{label}, one reference changed", store, "many")


if __name__ == "__main__":
    main()
