"""Relaxation of positions and cell, symmetry kept, every structure flagged converged or not."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ase import Atoms
from ase.units import GPa

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import Potential
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.geometry.faces import volume_of
from pet_flows.properties.outcome import (
    Outcome,
    Progress,
    lattice,
    pressure_in_gpa,
    spent,
    stress_in_gpa,
)
from pet_flows.properties.prepare import FIXED_CELL, check
from pet_flows.properties.relax.change import rmsd, volume_change
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.optimize import Descent, Freedom, Optimization
from pet_flows.properties.relax.path import path_of
from pet_flows.properties.specimen import Specimen, specimens

#: what of the cell moves, by what of it does not
MOVES: dict[str | None, Freedom] = {None: "cell", "volume": "shape", "shape": "volume"}
#: a structure may leave the range of its crystal reference so often
MOST_BINDINGS = 2


@dataclass(eq=False)
class _Relaxation:
    """One structure that relaxes."""

    specimen: Specimen
    given: Atoms
    """the structure of the batch"""
    new_references: int = 0
    """how many it got on the way"""
    float32_steps: int | None = None
    """after which round-off was in the way, and float64 took over"""


#: of :meth:`.Optimization.add`
_Entering = tuple[_Relaxation, System, SpaceGroup | None]


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
        ``stalled`` where round-off was in the way) have a result as
        :class:`.declaration.RelaxResult`; ``failed`` covers unusable input, ``cell_runaway`` and
        results that are not finite. What a float32 potential cannot bring to the criteria is
        finished in float64, with a warning.
    """
    settings = settings or RelaxSettings()
    moving: Freedom = MOVES[settings.cell_constraint] if settings.relax_cell else "ions"
    checked = specimens(
        structures,
        potential,
        inherited,
        symprec=_symprec(settings) if settings.fix_symmetry else None,
        keep_volume=settings.cell_constraint == "volume",
    )
    refused: deque[Outcome] = deque()
    ions: list[_Entering] = []

    def ready() -> Iterator[_Entering]:
        """Those whose cell moves, or nobody's does, as they are needed."""
        for specimen in checked:
            if isinstance(specimen, Outcome):
                refused.append(specimen)
                continue
            relaxation = _Relaxation(specimen, structures[specimen.index])
            entering = relaxation, specimen.system, specimen.group
            if specimen.atoms.pbc.all():
                yield entering
            else:
                ions.append(entering)

    both: tuple[tuple[Freedom, Iterable[_Entering]], ...] = (moving, ready()), ("ions", ions)
    for freedom, entering in both:
        optimization = _optimization(potential, settings, freedom, progress, entering)
        stuck: list[Descent[_Relaxation]] = []
        for descent in _finished(optimization, potential):
            while refused:
                yield refused.popleft()
            if descent.stalled:
                stuck.append(descent)
            else:
                yield _outcome(descent, settings)
        yield from refused
        refused.clear()
        if stuck:
            yield from _in_float64(stuck, potential, settings, freedom, progress)


def _symprec(settings: RelaxSettings) -> float:
    """Tolerance in Å of the symmetry that is made exact, tight unless the cell's shape relaxes.

    A shape that is not to change must not be snapped either: a small strain may be its point.
    """
    loose = settings.relax_cell and settings.cell_constraint != "shape"
    return settings.symprec if loose else min(settings.symprec, FIXED_CELL)


def _optimization(
    potential: Potential,
    settings: RelaxSettings,
    freedom: Freedom,
    progress: Progress | None,
    source: Iterable[_Entering] = (),
) -> Optimization[_Relaxation]:
    def on_step(relaxation: _Relaxation, steps: int) -> None:
        if progress is not None:
            progress(relaxation.specimen.index, steps, settings.steps)

    return Optimization(
        potential.evaluator,
        settings,
        freedom,
        pressure=settings.pressure * GPa,
        notice_stalls=potential.spec.dtype == "float32",
        on_step=on_step,
        source=source,
    )


def _finished(
    optimization: Optimization[_Relaxation], potential: Potential
) -> Iterator[Descent[_Relaxation]]:
    """What is done or gets no further; what can be bound again goes on."""
    for descent in optimization:
        if not _bind_again(descent, potential, optimization):
            yield descent


def _bind_again(
    descent: Descent[_Relaxation], potential: Potential, optimization: Optimization[_Relaxation]
) -> bool:
    """Let a structure go on that has left the range of its crystal reference, at most twice.

    Its input was so far from the minimum that it became another crystal on the way: the reference
    of that one is taken from here on.
    """
    relaxation, error = descent.owner, descent.error
    if error is None or error.reason != "symmetrization_refused" or descent.evaluation is None:
        return False
    if relaxation.new_references == MOST_BINDINGS:
        return False
    here = descent.evaluation.system
    try:
        bound = potential.bind(here.atoms)
    except StructureError:
        return False
    note = (
        f"The cell left the range of its crystal reference after {descent.n_steps} steps; a new "
        "reference was taken there, and energies before and after it do not compare."
    )
    specimen = relaxation.specimen
    relaxation.new_references += 1
    relaxation.specimen = replace(specimen, bound=bound, notes=(*specimen.notes, note))
    optimization.add(relaxation, replace(here, bound=bound), specimen.group, after=descent)
    return True


def _in_float64(
    stuck: list[Descent[_Relaxation]],
    potential: Potential,
    settings: RelaxSettings,
    freedom: Freedom,
    progress: Progress | None,
) -> Iterator[Outcome]:
    """Finish what float32 could not."""
    try:
        precise = potential.with_(dtype="float64")
    except PetFlowsError as error:
        for descent in stuck:
            descent.owner.specimen.notes += (f"It cannot be finished in float64: {error}",)
            yield _outcome(descent, settings)
        return
    optimization = _optimization(precise, settings, freedom, progress)
    for descent in stuck:
        descent.owner.float32_steps = descent.n_steps
        group = descent.owner.specimen.group
        optimization.add(descent.owner, descent.last.system, group, after=descent)
    for descent in _finished(optimization, precise):
        yield _outcome(descent, settings)


def _outcome(descent: Descent[_Relaxation], settings: RelaxSettings) -> Outcome:
    relaxation = descent.owner
    specimen, given = relaxation.specimen, relaxation.given
    cost = spent([descent])
    if descent.error is not None:
        return specimen.failure(descent.error, **cost)
    final = descent.last
    atoms = final.system.atoms
    try:
        check(atoms)
    except StructureError as found:
        error = StructureError(
            "collapsed",
            f"The relaxation ended in an impossible geometry ({found.message.partition(';')[0]}); "
            "start nearer to a minimum, or use another model.",
        )
        return specimen.failure(error, **cost)
    warnings = []
    if settings.relax_cell and not given.pbc.all():
        warnings.append("The cell was kept: it is not periodic along all three axes.")
    rough = relaxation.float32_steps
    if rough is not None:
        warnings.append(
            f"Round-off of float32 kept it from the criteria after {rough} steps; it was "
            "finished in float64."
        )
    volume = abs(volume_of(atoms.cell.array)) if atoms.pbc.all() else 0.0
    first = descent.first_energy
    if relaxation.new_references:  # energies of one crystal under two references do not compare
        first = None
    result = {
        "energy": final.energy,
        "energy_per_atom": final.energy_per_atom,
        "max_force": descent.residual.force,
        "stress": stress_in_gpa(final.stress),
        "pressure": pressure_in_gpa(final.stress),
        "n_steps": descent.n_steps,
        "n_steps_float64": 0 if rough is None else descent.n_steps - rough,
        "converged": descent.converged,
        "enthalpy_per_atom": (final.energy + settings.pressure * GPa * volume) / len(atoms),
        "energy_change": None if first is None else (final.energy - first) / len(atoms),
        "volume_change": volume_change(given, atoms),
        "lattice": lattice(atoms),
        "rmsd": rmsd(given, atoms),
        "path": path_of(descent.path),
    }
    return specimen.outcome(
        result=result,
        atoms=atoms,
        energy_spread=final.energy_spread,
        force_spread=final.force_spread,
        warnings=warnings,
        **_state(descent, settings),
        **cost,
    )


def _state(descent: Descent[_Relaxation], settings: RelaxSettings) -> dict[str, Any]:
    """State of an outcome; reason and message of one that is not converged."""
    if descent.converged:
        return {}
    advice = "set dtype to float64" if descent.stalled else "raise steps"
    return {
        "state": "unconverged",
        "reason": "stalled" if descent.stalled else "steps_exhausted",
        "message": (
            f"Not converged after {descent.n_steps} steps: largest force "
            f"{descent.residual.force:.2g} eV/Å (fmax is {settings.fmax:g}), largest cell force "
            f"{descent.residual.cell_force:.2g} eV (smax is {settings.smax:g}); {advice}."
        ),
    }
