"""A batch of 200 structures of 1 to 200 atoms, ten of them bad.

    OMP_NUM_THREADS=1 python benchmarks/batch_200.py [--json batch_200.json]

All 200 go through one static job into an embedded store: three have NaN positions, three have two
atoms on top of each other, three are of an element that the model does not know, and one needs
twice the memory that is free. Printed are the states of the records, the peak of the process's
memory, and by how much results change when the batch is shuffled and cut into other chunks. The
same is done for relaxations of the smaller ones. Float64, one evaluation for each geometry
(``crystal:orientation``), the bundled model.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from jobflow import run_locally
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.engines.memory import bytes_per_edge, free_memory
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.jobs import StaticMaker
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax
from pet_flows.properties.static.static import static
from pet_flows.store.locate import open_job_store
from pet_flows.store.results import ResultStore

SPEC = PotentialSpec(model="pet-mvl", symmetrization="crystal:orientation", dtype="float64")
ELEMENTS = ("Cu", "W", "Ni", "Mo", "Ta", "Nb")
#: atoms; larger ones are not relaxed here
RELAXED = 30


def good_ones(count: int, rng: np.random.Generator) -> list[Atoms]:
    """Rattled supercells of one-atom cells, their sizes spread from 1 to 200."""
    shapes = [(a, b, c) for a in range(1, 9) for b in range(1, a + 1) for c in range(1, b + 1)]
    by_size = {int(np.prod(s)): s for s in shapes if np.prod(s) <= 200}
    sizes = np.array(sorted(by_size))
    found = []
    for n, wanted in enumerate(np.linspace(1, 200, count)):
        size = int(sizes[np.abs(sizes - wanted).argmin()])
        atoms = bulk(ELEMENTS[n % len(ELEMENTS)]) * by_size[size]
        atoms.rattle(0.03, rng=rng)
        found.append(atoms)
    return found


def bad_ones(potential: Potential, rng: np.random.Generator) -> list[Atoms]:
    """Three without numbers, three overlapping, three unknown, one too large."""
    found = []
    for _ in range(3):
        broken = bulk("Si", cubic=True)
        broken.positions[rng.integers(8), 1] = np.nan
        overlapping = bulk("W", cubic=True) * 2
        overlapping.positions[1] = overlapping.positions[0] + rng.uniform(0.05, 0.2, 3)
        found += [broken, overlapping, bulk("Xe", "fcc", a=rng.uniform(6.0, 6.4))]
    per_atom = 26 * bytes_per_edge(potential.raw)  # neighbours of tungsten
    edge = int((2 * free_memory(potential.device) / per_atom) ** (1 / 3)) + 1
    large = bulk("W") * (edge, edge, edge)
    large.rattle(0.03, rng=rng)
    return [*found, large]


def difference(one: list[Outcome], other: list[Outcome]) -> float:
    """Largest difference of energies (eV/atom) and of states (infinite) of the same structures."""
    worst = 0.0
    for a, b in zip(one, other, strict=True):
        if (a.state, a.reason) != (b.state, b.reason):
            return np.inf
        if a.state != "failed":
            worst = max(worst, abs(a.result["energy_per_atom"] - b.result["energy_per_atom"]))
    return worst


def shuffled(
    call: Callable[[list[Atoms], Potential], Iterator[Outcome]],
    given: list[Atoms],
    rng: np.random.Generator,
) -> tuple[list[Outcome], float]:
    """Outcomes in order, and by how much they differ in another order and in other chunks."""
    potential = get_potential(SPEC)
    whole = sorted(call(given, potential), key=lambda o: o.index)
    order = rng.permutation(len(given))
    other = get_potential(SPEC, chunk_atoms=120)
    mixed = sorted(call([given[n] for n in order], other), key=lambda o: o.index)
    return whole, difference([whole[n] for n in order], mixed)


def peak() -> float:
    """Largest memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rng = np.random.default_rng(1)
    potential = get_potential(SPEC)
    good, bad = good_ones(190, rng), bad_ones(potential, rng)
    everything = [*good, *bad]
    order = rng.permutation(200)
    structures = [AseAtomsAdaptor.get_structure(everything[n]) for n in order]
    for n, structure in enumerate(structures):
        structure.properties["material_id"] = f"case-{order[n]}"
    list(static(good[:3], potential))  # warm
    table: dict[str, Any] = {"sizes": sorted(len(a) for a in everything), "before_gb": peak()}

    with tempfile.TemporaryDirectory() as folder:
        os.environ["PET_FLOWS_STORE"] = str(Path(folder) / "records.db")
        store = open_job_store()
        start, cpu = time.perf_counter(), time.process_time()
        job = StaticMaker(potential=SPEC, name="batch", campaign="batch").make(structures)
        run_locally(job, store=store, log=False, ensure_success=True, root_dir=folder)
        table["records"] = {
            "wall_s": time.perf_counter() - start, "cpu_s": time.process_time() - cpu,
        }  # fmt: skip
        records = list(
            ResultStore.from_job_store(store).query({}, ["state", "reason", "message", "nsites"])
        )
        store.close()
    states = Counter((r["state"], r["reason"]) for r in records)
    table["records"]["states"] = {f"{s} {r or ''}".strip(): n for (s, r), n in states.items()}
    table["records"]["peak_gb"] = peak()

    outcomes, change = shuffled(lambda a, p: static(a, p), everything, rng)
    table["static"] = {
        "states": Counter(f"{o.state} {o.reason or ''}".strip() for o in outcomes),
        "changed_by_ev_per_atom": change,
    }
    small = [a for a in good if len(a) <= RELAXED] + bad[:9]
    settings = RelaxSettings(fix_symmetry=False)
    start = time.perf_counter()
    outcomes, change = shuffled(lambda a, p: relax(a, p, settings), small, rng)
    table["relax"] = {
        "structures": len(small),
        "states": Counter(f"{o.state} {o.reason or ''}".strip() for o in outcomes),
        "changed_by_ev_per_atom": change,
        "wall_s": time.perf_counter() - start,
    }
    table["after_gb"] = peak()
    for message in sorted({o.message for o in outcomes if o.message}):
        print("  ", message)
    sizes = table.pop("sizes")
    print(f"200 structures of {sizes[0]} to {sizes[-2]} atoms, one of them of {sizes[-1]}")
    for name, entry in table.items():
        print(f"{name:10} {entry}")
    if args.json:
        args.json.write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
