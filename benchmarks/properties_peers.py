"""What the cases of ``benchmarks/properties.py`` share: peers, and how flows are run."""

from __future__ import annotations

import tempfile
from contextlib import chdir
from functools import lru_cache
from typing import Any

import numpy as np
from ase import Atoms
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.engines.potential import get_potential
from pet_flows.models.load import load_model
from pet_flows.models.spec import PotentialSpec


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
