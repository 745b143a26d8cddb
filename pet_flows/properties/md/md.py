"""Molecular dynamics of a batch of structures."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from pet_flows.engines.potential import Potential
from pet_flows.errors import StructureError
from pet_flows.geometry.connectivity import refuse_vacuum
from pet_flows.properties.md.backup import Backup
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.files import RunFiles
from pet_flows.properties.md.integrate import Integration
from pet_flows.properties.md.integrate_run import Run
from pet_flows.properties.md.kept import LAYOUT, Trajectory
from pet_flows.properties.md.observables import MELTED
from pet_flows.properties.outcome import Outcome, Progress, spent
from pet_flows.properties.specimen import Specimen, specimens
from pet_flows.symmetrization.spec import parse_spec

#: reasons of runs whose atoms or cell went beyond bounds; devices and disks fail in sound ones
EXPLOSIONS = ("exploded", "not_finite", "cell_runaway")
#: evaluations of each step beyond which another symmetrization is worth a warning
MANY = 12


def md(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: MDSettings | None = None,
    inherited: Sequence[dict[str, Any] | None] | None = None,
    *,
    momenta: Sequence[np.ndarray | None] | None = None,
    checkpoints: Path | None = None,
    checkpoint_every: int = 100,
    backups: Sequence[Backup | None] | None = None,
    store_every: int = 1000,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Run a trajectory of each structure at constant energy, temperature, or pressure.

    ``nve``: velocity Verlet. ``nvt_langevin``: BAOAB. ``nvt_nose_hoover``: chain of three, which
    does not get round all of phase space of a nearly harmonic crystal (choose Langevin there).
    ``npt_langevin``: Langevin piston, the volume alone or the whole cell
    (:mod:`~pet_flows.properties.md.barostat`).

    Parameters
    ----------
    structures
        Never changed; repeated to ``settings.min_length``.
    potential
        Bound once to each structure: ``crystal:orientation``, ``grid`` or ``ecse`` suit thermal
        motion, ``crystal`` evaluates a whole holohedry at each step. A crystal's reference and
        integer map stay those of the first geometry, also when the cell moves.
    settings
        Ensemble, targets, time step, seed.
    inherited
        Per structure, ``Bound.as_dict()`` of its relaxation.
    momenta
        Per structure, those of its repeated cell to begin with, ``(N, 3)`` in ASE's units; drawn
        from the temperature where there are none.
    checkpoints
        Folder where runs leave their frames and checkpoints, and from which a killed run goes on
        as if nothing had happened; files are named by structure, settings and potential, and
        deleted when their run has ended; what failed for want of memory or of a device goes on
        from them. A process locks the runs it is in; in a second one they
        are ``failed`` (``run_in_use``, retryable). None keeps everything in memory.
    checkpoint_every
        Steps between checkpoints.
    backups
        Per structure, where copies of its checkpoints go, from which a run goes on whose folder is
        another one; they are for whoever stores the outcome to remove.
    store_every
        Steps between these copies; one is made also where the process is told to stop.
    progress
        Called with (index, steps done, steps) after each step.

    Yields
    ------
    Outcome
        Result as :class:`.declaration.MDResult`; blobs ``trajectory``
        (:func:`.trajectory.read_trajectory`) and ``observables``
        (:meth:`.observables.Observables.arrays`). A run that explodes is ``failed``
        (:data:`EXPLOSIONS`) and keeps what it had; so does one whose cell leaves the range of its
        crystal's reference (``symmetrization_refused``) or whose files cannot be written
        (``storage_error``, retryable). Where a run cannot go on from its files
        (``checkpoint_damaged``, retryable) they are left as they are. A slab or a molecule at
        constant pressure is ``failed`` too (``no_volume``). ``drift`` is a linear fit to the
        conserved energy: the total energy, plus that of chain or piston, minus the heat that random
        noise has given.
    """
    settings = settings or MDSettings()

    def on_step(run: Run) -> None:
        if progress is not None:
            progress(run.specimen.index, run.step, settings.steps)

    integration = Integration(potential.evaluator, settings, on_step, checkpoint_every, store_every)
    ready = specimens(
        structures,
        potential,
        inherited,
        require=partial(_require, settings, potential.cutoff),
        repeats=partial(_repeats, settings.min_length),
    )
    twins: Counter[str] = Counter()
    for specimen in ready:
        if isinstance(specimen, Outcome):
            yield specimen
            continue
        first = None if momenta is None else momenta[specimen.index]
        name = _name(specimen, first, settings, potential)
        twins[name] += 1
        if twins[name] > 1:  # a structure that is given twice must not write into the same files
            name = f"{name}-{twins[name]}"
        files = None if checkpoints is None else RunFiles(checkpoints, name)
        backup = None if backups is None or files is None else backups[specimen.index]
        trajectory = Trajectory(len(specimen.atoms), files, backup)
        integration.add(Run.begin(specimen, trajectory, settings, first))
    for run in integration:
        try:
            outcome = _outcome(run, settings, potential.spec.symmetrization)
            yield outcome
            if not outcome.retryable:
                run.trajectory.remove()
        finally:
            run.trajectory.release()


def _require(settings: MDSettings, cutoff: float, atoms: Atoms) -> None:
    """Refuse constant pressure without a volume, of which there would be none."""
    if settings.ensemble == "npt_langevin":
        instead = "run slabs, chains and molecules with nvt_langevin or nvt_nose_hoover"
        refuse_vacuum(atoms, cutoff, "Constant pressure", instead)


def _repeats(min_length: float, atoms: Atoms) -> tuple[int, int, int]:
    """Copies along each periodic axis that make the cell ``min_length`` Å high."""
    if not atoms.pbc.all():
        return 1, 1, 1
    cell = atoms.cell.array
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    a, b, c = (max(1, int(np.ceil(min_length / h - 1e-6))) for h in heights)
    return a, b, c


def _name(
    specimen: Specimen, momenta: np.ndarray | None, settings: MDSettings, potential: Potential
) -> str:
    """File name of a run: the same for the same run, another for any other."""
    atoms = specimen.atoms
    first = np.zeros((len(atoms), 3)) if momenta is None else np.asarray(momenta, dtype=float)
    digest = hashlib.sha256()
    for array in (atoms.numbers.astype("<i8"), atoms.positions, atoms.cell.array, atoms.pbc, first):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update(settings.model_dump_json().encode())
    reference = specimen.bound.reference_digest
    digest.update(f"{potential.spec.digest} {reference} {LAYOUT}".encode())
    return f"md-{digest.hexdigest()[:16]}"


def _outcome(run: Run, settings: MDSettings, symmetrization: str) -> Outcome:
    specimen, trajectory = run.specimen, run.trajectory
    try:
        if not len(trajectory):
            raise run.error or StructureError(
                "no_frames", "The run ended without a frame; run it again."
            )
        arrays = trajectory.arrays(specimen.atoms, settings.timestep)
    except StructureError as error:
        return specimen.failure(error, warnings=specimen.warnings, **spent([run]))
    warnings = _warnings(run, symmetrization)
    blobs = {"trajectory": arrays}
    if run.observables.count:
        blobs["observables"] = run.observables.arrays()
    atoms = specimen.atoms.copy()
    atoms.set_cell(arrays["cell"][-1])
    atoms.positions = arrays["positions"][-1]
    atoms.set_momenta(arrays["momenta"][-1])
    known: dict[str, Any] = {
        "result": _result(run, settings), "blobs": blobs, "atoms": atoms, **spent([run]),
    }  # fmt: skip
    if run.error is not None:
        return specimen.failure(run.error, warnings=(*specimen.warnings, *warnings), **known)
    return specimen.outcome(
        energy_spread=run.last.energy_spread,
        force_spread=run.last.force_spread,
        warnings=warnings,
        **known,
    )


def _result(run: Run, settings: MDSettings) -> dict[str, Any]:
    """Of a record; a run that ended before its averages began has none."""
    return {
        "ensemble": settings.ensemble,
        "time": float(run.step * settings.timestep * 1e-3),
        "timestep": settings.timestep,
        "seed": settings.seed,
        "exploded": run.error is not None and run.error.reason in EXPLOSIONS,
        **(run.observables.result() if run.observables.count else {}),
    }


def _warnings(run: Run, symmetrization: str) -> list[str]:
    """What a person should know who reads the result."""
    found = []
    each = run.n_evaluations / (run.step + 1)
    if each > MANY:
        found.append(f"Each step took {each:.0f} evaluations; 'crystal:orientation' takes one.")
    if not run.observables.count:
        return found
    sampled = run.observables.result()["temperature"]
    mean, target, error = sampled["mean"], sampled["target"], sampled["error"]
    if target is not None and error is not None and abs(mean - target) > 3 * error:
        found.append(
            f"The temperature averages {mean:.0f} ± {error:.0f} K, not the {target:.0f} K asked "
            "for: the averages hold the start of the run; raise equilibration or steps."
        )
    lindemann = run.observables.lindemann
    of_lattice = parse_spec(symmetrization).frame_follows_cell
    if of_lattice and lindemann is not None and lindemann > MELTED:
        found.append(
            f"The crystal melted (Lindemann ratio {lindemann:.2f}): its reference frame follows "
            "the cell and means little for a liquid; 'ecse' or 'grid:icosahedral' suits it."
        )
    return found
