"""Molecular dynamics of a batch of structures at constant volume."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa

from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.properties.batch import Job, Progress, evaluate_each, failure, jobs
from pet_flows.properties.integrate import Integration, Run
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.relax import body_of, room_of
from pet_flows.properties.settings import MDSettings
from pet_flows.properties.trajectory import Trajectory

#: evaluations of each step beyond which another symmetrization is worth a warning
MANY = 12


def md(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: MDSettings | None = None,
    carried: Sequence[dict[str, Any] | None] | None = None,
    *,
    checkpoints: Path | None = None,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Run a trajectory of each structure: NVE (velocity Verlet) or NVT (Langevin, BAOAB).

    Parameters
    ----------
    structures
        Never changed; repeated to ``settings.min_length``.
    potential
        Bound once to each structure: ``crystal:orientation``, ``grid`` or ``ecse`` suit thermal
        motion, ``crystal`` evaluates a whole holohedry at each step.
    settings
        Ensemble, temperature, time step, seed.
    carried
        Per structure, ``Bound.as_dict()`` of its relaxation.
    checkpoints
        Folder where runs leave their frames and checkpoints, and from which a killed run goes on
        as if nothing had happened; files are named by structure, settings and potential, and
        deleted when their run has ended. None keeps everything in memory.
    progress
        Called with (index, steps done, steps) when a run ends.

    Yields
    ------
    Outcome
        Result as in ``RECORDS``; blob ``trajectory`` (:func:`.trajectory.read_trajectory`).
        A run that explodes is ``failed`` (``exploded``, ``not_finite``) and keeps the frames it
        had. ``drift`` is a linear fit to the conserved energy, which for Langevin is the total
        energy minus the heat given by the thermostat.
    """
    settings = settings or MDSettings()
    integration = Integration(
        partial(evaluate_each, potential.evaluator), settings, room_of(potential)
    )
    for job in jobs(structures, potential, carried, repeats=partial(_repeats, settings.min_length)):
        if isinstance(job, Outcome):
            yield job
            continue
        name = _name(job.atoms, settings, potential)
        trajectory = Trajectory(len(job.atoms), checkpoints, name)
        integration.add(job, body_of(job.atoms, job), trajectory)
    for run in integration:
        if progress is not None:
            progress(run.tag.index, run.step, settings.steps)
        yield _outcome(run, settings)
        run.trajectory.remove()


def _repeats(min_length: float, atoms: Atoms) -> tuple[int, int, int]:
    """Copies along each periodic axis that make the cell ``min_length`` Å high."""
    if not atoms.pbc.all():
        return 1, 1, 1
    cell = atoms.cell.array
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    a, b, c = (max(1, int(np.ceil(min_length / h - 1e-6))) for h in heights)
    return a, b, c


def _name(atoms: Atoms, settings: MDSettings, potential: Potential) -> str:
    """File name of a run: the same for the same run, another for any other."""
    words = hashlib.sha256()
    for array in (atoms.numbers.astype("<i8"), atoms.positions, atoms.cell.array, atoms.pbc):
        words.update(np.ascontiguousarray(array).tobytes())
    words.update(settings.model_dump_json().encode())
    words.update(potential.spec.digest.encode())
    return f"md-{words.hexdigest()[:16]}"


def _outcome(run: Run, settings: MDSettings) -> Outcome:
    job: Job = run.tag
    body, trajectory = run.body, run.trajectory
    known: dict[str, Any] = {
        "n_evaluations": body.n_evaluations,
        "reference_digest": job.bound.reference_digest,
    }
    wall_time = job.wall_time + body.wall_time
    if not trajectory.frames:
        error = run.exploded or StructureError("no_frames", "The run gave no frame.")
        return failure(job.index, error, wall_time, **known)
    arrays = trajectory.arrays(job.atoms, settings.timestep)
    blobs = {"trajectory": arrays}
    atoms = job.atoms.copy()
    atoms.positions = arrays["positions"][-1]
    atoms.set_momenta(arrays["momenta"][-1])
    result = summary(arrays, run, settings)
    if run.exploded is not None:
        return failure(
            job.index, run.exploded, wall_time, result=result, blobs=blobs, atoms=atoms, **known
        )
    warnings = [*job.bound.warnings, *job.notes]
    each = body.n_evaluations / (run.step + 1)
    if each > MANY:
        warnings.append(f"Each step took {each:.0f} evaluations; 'crystal:orientation' takes one.")
    assert body.latest is not None
    final = body.latest[2]
    return Outcome(
        index=job.index,
        state="ok",
        result=result,
        atoms=atoms,
        blobs=blobs,
        energy_spread=final.energy_spread,
        force_spread=final.force_spread,
        carried=job.bound.as_dict(),
        warnings=tuple(warnings),
        wall_time=wall_time,
        **known,
    )


def summary(arrays: dict[str, np.ndarray], run: Run, settings: MDSettings) -> dict[str, Any]:
    """Result of a run from its frames, equilibration left out of averages and drift."""
    kept = arrays["step"] >= settings.equilibration
    if kept.sum() < 2:
        kept[:] = True
    temperature = np.array([run.temperature(k) for k in arrays["kinetic"][kept]])
    pressure = None
    if arrays["pbc"].all():
        volume = abs(float(np.linalg.det(arrays["cell"])))
        static = -np.trace(arrays["stress"][kept], axis1=1, axis2=2) / 3
        pressure = _sampled((static + 2 * arrays["kinetic"][kept] / (3 * volume)) / GPa, None)
    time = arrays["time"][kept]
    conserved = arrays["conserved"][kept] / len(arrays["numbers"])
    moved = len(time) > 2 and np.ptp(time) > 0
    return {
        "ensemble": settings.ensemble,
        "temperature": _sampled(
            temperature, settings.temperature if settings.ensemble != "nve" else None
        ),
        "pressure": pressure,
        "time": float(run.step * settings.timestep * 1e-3),
        "timestep": settings.timestep,
        "drift": float(np.polyfit(time, conserved, 1)[0]) if moved else None,
        "diffusion": None,
        "seed": settings.seed,
        "exploded": run.exploded is not None,
    }


def _sampled(values: np.ndarray, target: float | None) -> dict[str, float | None]:
    return {"target": target, "mean": float(values.mean()), "std": float(values.std())}
