"""Relaxation of positions and cell, symmetry kept, every structure flagged converged or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from ase import Atoms
from ase.units import GPa

from pet_flows.engines.potential import Potential
from pet_flows.engines.torchsim import Body
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.properties.batch import (
    Job,
    Progress,
    capacity_of,
    evaluate_each,
    failure,
    jobs,
    lattice,
    pressure_in_gpa,
    stress_in_gpa,
)
from pet_flows.properties.bodies import body_of, final_atoms
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.prepare import FIXED_CELL, Prepared, as_given, check, snapped
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.optimize import Freedom, Optimization, Optimized

#: what of the cell moves, by what of it does not
MOVES: dict[str | None, Freedom] = {None: "cell", "volume": "shape", "shape": "volume"}


def relax(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: RelaxSettings | None = None,
    inherited: Sequence[dict[str, Any] | None] | None = None,
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
    inherited
        Per structure, ``Bound.as_dict()`` of an earlier calculation on the same crystal.
    progress
        Called with (index, steps done, steps allowed) after each step.

    Yields
    ------
    Outcome
        As structures finish. ``ok`` and ``unconverged`` (reason ``steps_exhausted``, or
        ``stalled`` where round-off was in the way) have the result of ``RECORDS``; ``failed``
        covers unusable input, ``cell_runaway`` and results that are not finite. What a float32
        potential cannot bring to the criteria is finished in float64, with a warning.
    """
    settings = settings or RelaxSettings()
    moving: Freedom = "ions"
    if settings.relax_cell:
        moving = MOVES[settings.cell_constraint]
    ready: dict[Freedom, list[Job]] = {moving: [], "ions": []}
    for job in jobs(structures, potential, inherited, partial(_prepared, settings)):
        if isinstance(job, Outcome):
            yield job
        else:
            ready[moving if job.atoms.pbc.all() else "ions"].append(job)

    def on_step(job: Job, steps: int) -> None:
        if progress is not None:
            progress(job.index, steps, settings.steps)

    def outcome(done: Optimized, stalled_at: int | None) -> Outcome:
        return _outcome(done, structures[done.tag.index], settings, stalled_at)

    for freedom, batch in ready.items():
        stuck: list[Optimized] = []
        fresh = [(job, body_of(job.atoms, job), 0) for job in batch]
        for done in _optimize(potential, settings, freedom, fresh, on_step):
            if done.stalled:
                stuck.append(done)
            else:
                yield outcome(done, None)
        if not stuck:
            continue
        stalled_at = {done.tag.index: done.n_steps for done in stuck}
        try:
            precise = potential.with_(dtype="float64")
        except PetFlowsError as error:
            for done in stuck:
                done.tag.notes += (f"It cannot be finished in float64: {error}",)
                yield outcome(done, None)
            continue
        halfway = [(done.tag, _continued(done), done.n_steps) for done in stuck]
        for done in _optimize(precise, settings, freedom, halfway, on_step):
            yield outcome(done, stalled_at[done.tag.index])


def _optimize(
    potential: Potential,
    settings: RelaxSettings,
    freedom: Freedom,
    entries: Iterable[tuple[Job, Body, int]],
    on_step: Callable[[Job, int], None],
) -> Iterator[Optimized]:
    """Optimize (job, geometry, steps taken before) until each is done or gets no further."""
    optimization = Optimization(
        partial(evaluate_each, potential.evaluator),
        settings,
        freedom,
        capacity_of(potential),
        pressure=settings.pressure * GPa,
        notice_stalls=potential.spec.dtype == "float32",
        on_step=on_step,
    )
    for job, body, steps in entries:
        optimization.add(job, body, steps)
    for done in optimization:
        if not _bind_anew(done, potential, optimization):
            yield done


def _prepared(settings: RelaxSettings, atoms: Atoms) -> Prepared:
    """What is relaxed: the structure as given, or snapped to the symmetry that is kept."""
    if not settings.fix_symmetry:
        return as_given(atoms)
    # a shape that is not to change must not be snapped either: a small strain may be its point
    loose = settings.relax_cell and settings.cell_constraint != "shape"
    prepared = snapped(atoms, settings.symprec if loose else min(settings.symprec, FIXED_CELL))
    if settings.cell_constraint == "volume" and atoms.pbc.all():
        cell = prepared.atoms.cell.array
        ratio = abs(np.linalg.det(atoms.cell.array) / np.linalg.det(cell))
        prepared.atoms.set_cell(cell * ratio ** (1 / 3), scale_atoms=True)
    return prepared


def _continued(optimized: Optimized) -> Body:
    """The same structure where it is now, with what it has cost so far."""
    body = optimized.body
    fresh = body_of(final_atoms(body), optimized.tag)
    fresh.n_evaluations, fresh.wall_time = body.n_evaluations, body.wall_time
    fresh.first_energy = body.first_energy
    return fresh


def _outcome(
    optimized: Optimized, given: Atoms, settings: RelaxSettings, stalled_at: int | None
) -> Outcome:
    body, job = optimized.body, optimized.tag
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
    if stalled_at is not None:
        warnings.append(
            f"Round-off of float32 kept it from the criteria after {stalled_at} steps; it was "
            "finished in float64."
        )
    reason = message = None
    if not optimized.converged:
        reason = "stalled" if optimized.stalled else "steps_exhausted"
        advice = "use float64" if optimized.stalled else "allow more steps"
        message = (
            f"Not converged after {optimized.n_steps} steps: largest force "
            f"{optimized.max_force:.2g} eV/Å (asked for {settings.fmax:g}), largest cell force "
            f"{optimized.max_cell_force:.2g} eV (asked for {settings.smax:g}); {advice}."
        )
    volume = atoms.get_volume() if atoms.pbc.all() else 0.0
    assert body.first_energy is not None
    result = {
        "energy": final.energy,
        "energy_per_atom": final.energy / len(atoms),
        "max_force": optimized.max_force,
        "stress": stress_in_gpa(final.stress),
        "pressure": pressure_in_gpa(final.stress),
        "n_steps": optimized.n_steps,
        "n_steps_float64": 0 if stalled_at is None else optimized.n_steps - stalled_at,
        "converged": optimized.converged,
        "enthalpy_per_atom": (final.energy + settings.pressure * GPa * volume) / len(atoms),
        # energies of one crystal under two references are not to be subtracted
        "energy_change": (None if job.rebound else (final.energy - body.first_energy) / len(atoms)),
        "volume_change": _volume_change(given, atoms),
        "lattice": lattice(atoms),
        "rmsd": rmsd(given, atoms),
    }
    return Outcome(
        index=job.index,
        state="ok" if optimized.converged else "unconverged",
        result=result,
        atoms=atoms,
        reason=reason,
        message=message,
        energy_spread=final.energy_spread,
        force_spread=final.force_spread,
        inherited=job.bound.as_dict(),
        warnings=tuple(warnings),
        wall_time=wall_time,
        **known,
    )


def _bind_anew(optimized: Optimized, potential: Potential, optimization: Optimization) -> bool:
    """Let a structure go on that has left the range of its crystal reference, at most twice.

    Its input was so far from the minimum that it became another crystal on the way: the reference
    of that one is taken from here on.
    """
    job, error = optimized.tag, optimized.error
    if error is None or error.reason != "symmetrization_refused" or job.rebound == 2:
        return False
    if optimized.body.latest is None:
        return False
    try:
        bound = potential.bind(final_atoms(optimized.body))
    except StructureError:
        return False
    job.rebound += 1
    job.bound = bound
    job.notes += (
        f"The cell left the range of its crystal reference after {optimized.n_steps} steps and "
        "was bound anew there.",
    )
    optimization.add(job, _continued(optimized), steps=optimized.n_steps)
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
