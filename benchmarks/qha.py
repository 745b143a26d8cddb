"""Quasi-harmonic: our property against atomate2's QHA and Grüneisen flows with our makers in them.

    python benchmarks/qha.py [--element Nb] [--min-length 7] [--cubic] [--json runs/qha.json]

Same potential, supercell and mesh on both sides. Prints thermal expansion and mode Grüneisen
parameters of both, their ratio, and the seconds each took (model loaded before). With ``--cubic``
atomate2 chooses its own supercell with right angles, which need not be ours.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from ase.build import bulk
from jobflow import Flow, JobStore, run_locally
from maggma.stores import MemoryStore
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

TEMPERATURES = (100.0, 200.0, 300.0, 400.0, 500.0)


def run(flow: Flow) -> tuple[dict[str, Any], JobStore, float]:
    """Outputs by type name, the store, seconds."""
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    start = time.perf_counter()
    done = run_locally(flow, store=store, log=False, raise_immediately=True)
    seconds = time.perf_counter() - start
    outputs = [response[max(response)].output for response in done.values()]
    return {type(output).__name__: output for output in outputs}, store, seconds


def ours(crystal: Structure, min_length: float, mesh: int) -> tuple[dict, dict, float]:
    from pet_flows.jobs import QHAMaker, RelaxMaker
    from pet_flows.store.results import ResultStore

    relax = RelaxMaker(fmax=1e-5).make([crystal])
    qha = QHAMaker(min_length=min_length, mesh=(mesh,) * 3, temperatures=TEMPERATURES).make(
        relax.output
    )
    _, store, seconds = run(Flow([relax, qha]))
    results = ResultStore.from_job_store(store)
    (record,) = results.query({"property": "qha"})
    assert record["state"] == "ok", record["message"]
    return record, results.blob(record["_id"], "qha"), seconds


def theirs(crystal: Structure, min_length: float, cubic: bool) -> tuple[Any, Any, float, float]:
    """atomate2's documents of the two flows, every calculation made by our makers."""
    from atomate2.forcefields.flows.gruneisen import GruneisenMaker
    from atomate2.forcefields.flows.phonons import PhononMaker
    from atomate2.forcefields.flows.qha import ForceFieldQhaMaker

    from pet_flows.jobs import RelaxMaker, StaticMaker

    size = {} if cubic else {"force_diagonal": True}
    phonon: dict[str, Any] = {
        "bulk_relax_maker": None,
        "phonon_displacement_maker": StaticMaker(),
        "min_length": min_length,
        "get_supercell_size_kwargs": size,
        "generate_frequencies_eigenvectors_kwargs": {"npoints_band": 3},
    }
    # what atomate2 asks of a maker ours have, without being of its classes
    relax: Any
    fixed: Any
    static: Any = StaticMaker()
    relax, fixed = RelaxMaker(fmax=1e-5), RelaxMaker(fmax=1e-5, relax_cell=False)
    qha = ForceFieldQhaMaker(
        initial_relax_maker=relax,
        eos_relax_maker=fixed,
        phonon_maker=PhononMaker(static_energy_maker=static, **phonon),
        linear_strain=(-0.015, 0.024),
        number_of_frames=8,
        min_length=min_length,
        get_supercell_size_kwargs=size,
    ).make(crystal)
    gruneisen = GruneisenMaker(
        bulk_relax_maker=relax,
        const_vol_relax_maker=fixed,
        phonon_maker=PhononMaker(static_energy_maker=None, **phonon),
    ).make(crystal)
    expansion, _, first = run(qha)
    modes, _, second = run(gruneisen)
    return expansion["PhononQHADoc"], modes["GruneisenParameterDocument"], first, second


def mean(frequencies: np.ndarray, gammas: np.ndarray, weights: np.ndarray) -> float:
    """Mean mode Grüneisen parameter (q, 3n); without the translations at Γ, which have none."""
    real = frequencies > 1e-3
    return float((weights[:, None] * np.where(real, gammas, 0.0)).sum() / (weights @ real.sum(1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--element", default="Nb")
    parser.add_argument("--min-length", type=float, default=7.0)
    parser.add_argument("--cubic", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    report = args.json and args.json.resolve()
    warnings.simplefilter("ignore")
    from pet_flows.engines.potential import get_potential

    get_potential("pet-mvl")
    crystal = AseAtomsAdaptor.get_structure(bulk(args.element))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["PET_FLOWS_STORE"] = str(Path(folder) / "pet_flows.db")
        qha, gruneisen, *seconds = theirs(crystal, args.min_length, args.cubic)
        shape = gruneisen.gruneisen_parameter
        mesh = round(float(np.sum(shape.multiplicities)) ** (1 / 3))
        record, blob, own_seconds = ours(crystal, args.min_length, mesh)
        os.chdir("/")
    result = record["result"]
    rows = []
    print(f"{args.element}: supercell {result['supercell_matrix']}, theirs {qha.supercell_matrix}")
    print(f"{'T (K)':>8} {'ours':>12} {'atomate2':>12} {'ratio':>8}   volume expansion, 1/K")
    for temperature, alpha in zip(result["temperatures"], result["thermal_expansion"], strict=True):
        at = int(np.argmin(np.abs(np.array(qha.temperatures) - temperature)))
        other = qha.thermal_expansion[at]
        rows.append({"T": temperature, "ours": alpha, "atomate2": other})
        print(f"{temperature:8.0f} {alpha:12.4e} {other:12.4e} {alpha / other:8.4f}")
    pair = (
        mean(blob["gruneisen_frequencies"], blob["mode_gruneisen"], blob["mesh_weights"]),
        mean(shape.frequencies.T, shape.gruneisen.T, np.array(shape.multiplicities)),
    )
    print(f"{'mean':>8} {pair[0]:12.4f} {pair[1]:12.4f} {pair[0] / pair[1]:8.4f}   Grüneisen")
    print(f"atomate2's own average {gruneisen.derived_properties.average_gruneisen:.4f} takes in Γ")
    print(f"seconds: ours {own_seconds:.1f}, atomate2 {seconds[0]:.1f} and {seconds[1]:.1f}")
    if report:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps({"expansion": rows, "gruneisen": pair}, indent=1))


if __name__ == "__main__":
    main()
