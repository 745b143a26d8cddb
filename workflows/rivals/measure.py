"""What is measured of a trained potential, by pet_flows alone, in float64."""

from __future__ import annotations

import statistics
import time
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from scipy.spatial.transform import Rotation

from pet_flows.engines.evaluation import Evaluation, System
from pet_flows.engines.potential import Potential, get_potential
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from rivals.tables import MOVED

#: orientations of each structure, every second one improper
ORIENTATIONS = 4
#: groups of cells of some sixty atoms without symmetry, of which ecse evaluates thousands of frames
SLOW = ("AIMD-NVT", "Vacancy")
#: molecules and small cells that are rotated, and how many atoms these have at most
ROTATED, SMALL = 5, 40
#: Å and settings from which silicon starts; the modes at Γ do not depend on the supercell
START, PHONON = 5.50, {"min_length": 10.0}


def potential_of(model: str, symmetrization: str) -> Potential:
    """A trained potential, ready."""
    spec = PotentialSpec(
        model=model, symmetrization=symmetrization, dtype="float64", device="cpu"
    )  # fmt: skip
    return get_potential(resolve(spec, trust=True))


def evaluated(potential: Potential, atoms: Atoms) -> Evaluation:
    """One structure."""
    return potential.evaluator.evaluate([System.of(atoms, potential.bind(atoms))])[0]


def few(frames: list[Atoms]) -> list[Atoms]:
    """Those that are cheap for every symmetrization: molecules, small cells, symmetric ones."""
    quick = sorted((atoms for atoms in frames if atoms.info["group"] not in SLOW), key=len)
    by_group = {atoms.info["group"]: atoms for atoms in reversed(quick)}
    return [*by_group.values()] if len(by_group) > 1 else frames[:ROTATED]


def small(frames: list[Atoms]) -> list[Atoms]:
    """Those that are rotated."""
    return [atoms for atoms in frames if len(atoms) <= SMALL][:ROTATED]


def accuracy(potential: Potential, frames: list[Atoms]) -> dict[str, Any]:
    """Errors against the labels, in the orientation of the file, and the time of evaluations.

    ``energy`` and ``force`` are mean absolute errors, meV/atom and meV/Å; ``ms_per_atom`` is CPU
    time of energy, forces and stress, the neighbour search included, structure by structure.
    """
    energies, forces, times = [], [], []
    for k, atoms in enumerate([frames[0], *frames]):  # the first once more: it warms up
        start = time.process_time()
        found = evaluated(potential, atoms)
        if k == 0:
            continue
        times.append((time.process_time() - start) / len(atoms))
        energies.append((found.energy - atoms.info["ref_energy"]) / len(atoms))
        forces.append((found.forces - atoms.arrays["ref_forces"]).ravel())
    return {
        "structures": len(frames),
        "energy": 1e3 * float(np.abs(energies).mean()),
        "force": 1e3 * float(np.abs(np.concatenate(forces)).mean()),
        "ms_per_atom": 1e3 * statistics.median(times),
    }


def rotational_error(potential: Potential, frames: list[Atoms]) -> dict[str, float]:
    """Rms deviation from the mean over orientations, energies in meV/atom and forces in meV/Å."""
    energies, forces = [], []
    for k, atoms in enumerate(frames):
        matrices = Rotation.random(ORIENTATIONS, random_state=k).as_matrix()
        matrices[::2] *= -1
        found = [(evaluated(potential, turned(atoms, q)), q) for q in matrices]
        own = np.array([one.energy / len(atoms) for one, _ in found])
        back = np.array([one.forces @ q.T for one, q in found])
        energies.append(own - own.mean())
        forces.append((back - back.mean(0)).ravel())
    return {
        "energy_rotation": 1e3 * float(np.sqrt(np.mean(np.concatenate(energies) ** 2))),
        "force_rotation": 1e3 * float(np.sqrt(np.mean(np.concatenate(forces) ** 2))),
    }


def turned(atoms: Atoms, matrix: np.ndarray) -> Atoms:
    """Every row vector x replaced by ``x @ matrix``."""
    copy = atoms.copy()
    copy.set_cell(atoms.cell.array @ matrix)
    copy.positions = atoms.positions @ matrix
    return copy


def silicon(potential: Potential) -> dict[str, Any]:
    """Relaxation and phonons of diamond silicon by the makers of pet_flows.

    ``lattice`` (Å) and ``gamma`` (THz, highest mode at Γ), or in ``failure`` why there is none;
    ``frozen``, that mode by :func:`frozen_mode` of `MOVED`.
    """
    from jobflow import Flow, JobStore, run_locally
    from pymatgen.io.ase import AseAtomsAdaptor

    from pet_flows.jobs import PhononMaker, RelaxMaker
    from pet_flows.store.locate import BLOBS, OUTPUTS
    from pet_flows.store.results import ResultStore
    from pet_flows.store.sqlite import SqliteStore

    crystal = AseAtomsAdaptor.get_structure(bulk("Si", "diamond", a=START))
    relax = RelaxMaker(potential=potential.spec).make([crystal])
    phonon = PhononMaker(potential=potential.spec, settings=PHONON).make(relax.output)
    with TemporaryDirectory() as folder:
        blobs = SqliteStore(f"{folder}/blobs.db", BLOBS, False, key="blob_uuid")
        store = JobStore(SqliteStore(f"{folder}/records.db", OUTPUTS, False), {"data": blobs})
        store.connect()
        run_locally(Flow([relax, phonon]), store=store, log=False)
        found = _of_records(ResultStore.from_job_store(store))
        store.close()
    if "lattice" in found:
        found["frozen"] = [frozen_mode(potential, found["lattice"], moved) for moved in MOVED]
    return found


def frozen_mode(potential: Potential, lattice: float, moved: float) -> float:
    """Optical mode of diamond silicon at Γ (THz, negative if imaginary), by central differences.

    Parameters
    ----------
    lattice, moved
        Å; ``moved`` is how far the sublattices are displaced against each other.
    """
    forces = []
    for sign in (1, -1):
        crystal = bulk("Si", "diamond", a=lattice)
        crystal.positions[0, 0] += sign * moved
        forces.append(evaluated(potential, crystal).forces[0, 0])
    stiffness = (forces[1] - forces[0]) / (2 * moved)
    squared = 2 * stiffness / crystal.get_masses()[0]  # both atoms move, against each other
    return float(np.sign(squared) * np.sqrt(abs(squared)) / (2 * np.pi) * 1e3 * units.fs)


def _of_records(results: Any) -> dict[str, Any]:
    """What the records of one relaxation and one phonon say."""
    found: dict[str, Any] = {}
    failures = []
    for record in results.query({}):
        if record["state"] != "ok":
            failures.append(f"{record['property']} {record['state']} ({record['reason']})")
        elif record["property"] == "relax":
            final = results.final_structure(record)
            found["lattice"] = float((8 * final.volume / len(final)) ** (1 / 3))
        else:
            arrays = results.blob(record["_id"], "phonon")
            at = np.abs(arrays["mesh_qpoints"]).max(1) < 1e-9
            found["gamma"] = float(np.max(np.array(arrays["mesh_frequencies"])[at]))
            found["imaginary"] = record["result"]["has_imaginary_modes"]
    return {**found, "failure": "; ".join(failures) or None}
