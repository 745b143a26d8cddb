"""What the cases of ``benchmarks/properties.py`` share: crystals, peers, and how flows are run."""

from __future__ import annotations

import tempfile
from contextlib import chdir
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.engines.potential import get_potential
from pet_flows.models.load import load_model
from pet_flows.models.spec import PotentialSpec

#: ground states of the bundled model's elements: structure and lattice constant in Å
GROUND_STATES = {
    "Li": ("bcc", 3.43), "Si": ("diamond", 5.47), "Ni": ("fcc", 3.52), "Cu": ("fcc", 3.63),
    "Ge": ("diamond", 5.76), "Nb": ("bcc", 3.31), "Mo": ("bcc", 3.16), "Ta": ("bcc", 3.32),
    "W": ("bcc", 3.18),
}  # fmt: skip


def crystals(n: int, seed: int = 0, at_most: int = 16) -> list[Atoms]:
    """Mixed crystals: a third perfect, a third ordered or random alloys, a third without symmetry.

    All of 1 to ``at_most`` atoms, strained by up to 3 %; rattled ones by 0.05 Å.
    """
    rng = np.random.default_rng(seed)
    metals = ("Nb", "Mo", "Ta", "W")
    found = []
    for k in range(n):
        symbol = metals[k % 4] if k % 3 == 1 else list(GROUND_STATES)[k % len(GROUND_STATES)]
        structure, a = GROUND_STATES[symbol]
        cubic = k % 3 == 1 or bool(rng.integers(2))
        atoms = bulk(symbol, structure, a=a * rng.uniform(0.97, 1.03), cubic=cubic)
        repeats = rng.integers(1, 3, size=3)
        if len(atoms) * repeats.prod() <= at_most:
            atoms = atoms * tuple(int(r) for r in repeats)
        if k % 3 == 1:
            atoms.symbols = [metals[(k + int(i)) % 4] for i in rng.integers(2, size=len(atoms))]
        if k % 3 == 2:
            atoms.rattle(0.05, rng=rng)
        found.append(atoms)
    return found


def results(outcomes: Any) -> list[Any]:
    found = sorted(outcomes, key=lambda outcome: outcome.index)
    bad = [o.message for o in found if o.state == "failed"]
    if bad:
        raise RuntimeError(f"a benchmark's structure failed: {bad[0]}")
    return found


@lru_cache(maxsize=4)
def calculator(spec: PotentialSpec) -> Any:
    """Metatomic's own ASE calculator of the raw model."""
    from metatomic_ase import MetatomicCalculator

    return MetatomicCalculator(load_model(spec), device=str(get_potential(spec).device))


@lru_cache(maxsize=4)
def batched_model(spec: PotentialSpec) -> Any:
    """torch-sim's own face of the raw model."""
    from metatomic_torchsim import MetatomicModel

    return MetatomicModel(load_model(spec), device=get_potential(spec).device)


def largest(ours: list[float], theirs: list[float], unit: str, factor: float = 1.0) -> str:
    return f"within {factor * np.abs(np.subtract(ours, theirs)).max():.2g} {unit}"


def workflow(flow: Any) -> Any:
    """Responses of a jobflow flow in memory, run in a folder that goes away."""
    from jobflow import JobStore, run_locally
    from maggma.stores import MemoryStore

    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        return run_locally(flow, store=store, log=False, ensure_success=True)


def calculator_meta(spec: PotentialSpec) -> dict[str, Any]:
    """How atomate2's makers are given the same potential."""
    return {
        "calculator_meta": "pet_flows.engines.ase.SymmetrizedCalculator",
        "calculator_kwargs": {"potential": spec.model, "device": spec.device},
    }


def structure(atoms: Atoms) -> Any:
    return AseAtomsAdaptor.get_structure(atoms)
