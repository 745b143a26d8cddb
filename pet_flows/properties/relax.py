"""Relaxation of positions and cell, symmetry kept, every structure flagged converged or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.engines.potential import Potential
from pet_flows.engines.torchsim import Body
from pet_flows.errors import StructureError
from pet_flows.properties.batch import (
    Job,
    Progress,
    as_given,
    check,
    evaluate_each,
    failure,
    jobs,
    lattice,
    pressure_in_gpa,
    snapped,
    stress_in_gpa,
)
from pet_flows.properties.optimize import Freedom, Optimization, Optimized
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.settings import RelaxSettings

#: batches hold this many chunks of the evaluator: enough that the optimizer's own time is small
CHUNKS_IN_FLIGHT = 4

#: Å; tolerance for the symmetry of a structure whose cell stays as it is
FIXED_CELL = 1e-5


def relax(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: RelaxSettings | None = None,
    carried: Sequence[dict[str, Any] | None] | None = None,
    *,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Relax a batch of structures of any sizes.

    Parameters
    ----------
    structures
        Never changed.
    potential
        Its strategy is bound to each structure once and stays frozen on the way.
    settings
        What moves and when it is done.
    carried
        Per structure, ``Bound.as_dict()`` of an earlier calculation on the same crystal.
    progress
        Called with (index, steps done, steps allowed) when a structure leaves.

    Yields
    ------
    Outcome
        As structures finish. ``ok`` and ``unconverged`` (reason ``steps_exhausted``) have the
        result of ``RECORDS``; ``failed`` covers unusable input, ``cell_runaway`` and results that
        are not finite.
    """
    settings = settings or RelaxSettings()
    ready: dict[Freedom, list[Job]] = {"cell": [], "ions": []}
    # a cell that is not to change must not be snapped either: a small strain may be its point
    symprec = settings.symprec if settings.relax_cell else min(settings.symprec, FIXED_CELL)
    prepare = partial(snapped, symprec=symprec) if settings.fix_symmetry else as_given
    for job in jobs(structures, potential, carried, prepare):
        if isinstance(job, Outcome):
            yield job
            continue
        cell_too = settings.relax_cell and bool(job.atoms.pbc.all())
        ready["cell" if cell_too else "ions"].append(job)
    for freedom, batch in ready.items():
        optimization = Optimization(
            partial(evaluate_each, potential.evaluator), settings, freedom, room_of(potential)
        )
        for job in batch:
            optimization.add(job, body_of(job.atoms, job))
        for optimized in optimization:
            job = optimized.tag
            if _bind_anew(optimized, potential, optimization):
                continue
            if progress is not None:
                progress(job.index, optimized.n_steps, settings.steps)
            yield _outcome(optimized, job, structures[job.index], settings)


def body_of(atoms: Atoms, job: Job) -> Body:
    """What enters the optimizer: a geometry of a job's structure."""
    return Body(
        numbers=atoms.numbers.copy(),
        positions=atoms.positions.copy(),
        cell=atoms.cell.array.copy(),
        pbc=atoms.pbc.copy(),
        bound=job.bound,
        group=job.group,
    )


def room_of(potential: Potential) -> int:
    """Atoms × evaluations in flight."""
    return CHUNKS_IN_FLIGHT * potential.evaluator.chunk_atoms


def final_atoms(body: Body) -> Atoms:
    """Structure at the last evaluated geometry."""
    assert body.latest is not None
    positions, cell, _ = body.latest
    return Atoms(numbers=body.numbers, positions=positions, cell=cell, pbc=body.pbc)


def _outcome(optimized: Optimized, job: Job, given: Atoms, settings: RelaxSettings) -> Outcome:
    body = optimized.body
    known: dict[str, Any] = {
        "n_evaluations": body.n_evaluations,
        "reference_digest": job.bound.reference_digest,
    }
    wall_time = job.wall_time + body.wall_time
    error = optimized.error
    if error is None:
        atoms = final_atoms(body)
        try:
            check(atoms)
        except StructureError as found:
            error = StructureError(
                "collapsed", f"The relaxation ended in an impossible geometry. {found.message}"
            )
    if error is not None:
        return failure(job.index, error, wall_time, **known)
    assert body.latest is not None
    final = body.latest[2]
    warnings = [*job.bound.warnings, *job.notes]
    if settings.relax_cell and not given.pbc.all():
        warnings.append("The cell was kept: it is not periodic along all three axes.")
    message = None
    if not optimized.converged:
        message = (
            f"Not converged after {optimized.n_steps} steps: largest force "
            f"{optimized.max_force:.2g} eV/Å (asked for {settings.fmax:g}), largest cell force "
            f"{optimized.max_cell_force:.2g} eV (asked for {settings.smax:g}); allow more steps."
        )
    result = {
        "energy": final.energy,
        "energy_per_atom": final.energy / len(atoms),
        "max_force": optimized.max_force,
        "stress": stress_in_gpa(final.stress),
        "pressure": pressure_in_gpa(final.stress),
        "n_steps": optimized.n_steps,
        "converged": optimized.converged,
        "volume_change": _volume_change(given, atoms),
        "lattice": lattice(atoms),
        "rmsd": rmsd(given, atoms),
    }
    return Outcome(
        index=job.index,
        state="ok" if optimized.converged else "unconverged",
        result=result,
        atoms=atoms,
        reason=None if optimized.converged else "steps_exhausted",
        message=message,
        energy_spread=final.energy_spread,
        force_spread=final.force_spread,
        carried=job.bound.as_dict(),
        warnings=tuple(warnings),
        wall_time=wall_time,
        **known,
    )


def _bind_anew(optimized: Optimized, potential: Potential, optimization: Optimization) -> bool:
    """Let a structure go on that has left the range of its crystal reference, at most twice.

    Its input was so far from the minimum that it became another crystal on the way: the reference
    of that one is taken from here on.
    """
    job, body, error = optimized.tag, optimized.body, optimized.error
    if error is None or error.reason != "symmetrization_refused" or body.latest is None:
        return False
    if job.rebound == 2:
        return False
    atoms = final_atoms(body)
    try:
        bound = potential.bind(atoms)
    except StructureError:
        return False
    job.rebound += 1
    job.bound = bound
    job.notes += (
        f"The cell left the range of its crystal reference after {optimized.n_steps} steps and "
        "was bound anew there.",
    )
    fresh = body_of(atoms, job)
    fresh.n_evaluations, fresh.wall_time = body.n_evaluations, body.wall_time
    optimization.add(job, fresh, steps=optimized.n_steps)
    return True


def _volume_change(before: Atoms, after: Atoms) -> float:
    """Relative change of the volume; zero without a volume."""
    if not before.pbc.all():
        return 0.0
    return float(after.get_volume() / before.get_volume() - 1.0)


def rmsd(before: Atoms, after: Atoms) -> float:
    """Root mean square displacement in Å of atoms beyond what the cell carries along.

    Displacements are taken in fractional coordinates (Cartesian without a cell), in the final
    cell, without their mean; atoms are not wrapped on the way.
    """
    if after.pbc.all():
        start = np.linalg.solve(before.cell.array.T, before.positions.T).T @ after.cell.array
    else:
        start = before.positions
    shift = after.positions - start
    shift = shift - shift.mean(0)
    return float(np.sqrt((shift**2).sum(1).mean()))
