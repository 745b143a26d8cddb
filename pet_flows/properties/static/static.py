"""Energy, forces and stress of structures as they are."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any

from ase import Atoms

from pet_flows.engines.evaluation import Evaluation
from pet_flows.engines.memory import is_out_of_memory
from pet_flows.engines.potential import Potential
from pet_flows.engines.uncertainty import uncertainty
from pet_flows.errors import StructureError
from pet_flows.properties.batch import (
    BREAKDOWNS,
    capacity_of,
    evaluate_each,
    is_device_error,
)
from pet_flows.properties.outcome import Outcome, Progress, pressure_in_gpa, stress_in_gpa
from pet_flows.properties.specimen import Specimen, specimens
from pet_flows.properties.static.declaration import StaticSettings
from pet_flows.symmetrization.spec import parse_spec

logger = logging.getLogger(__name__)

#: structures evaluated together; the evaluator bounds memory by itself
BATCH = 64


def static(
    structures: Sequence[Atoms],
    potential: Potential,
    settings: StaticSettings | None = None,
    inherited: Sequence[dict[str, Any] | None] | None = None,
    *,
    progress: Progress | None = None,
) -> Iterator[Outcome]:
    """Evaluate a batch of structures.

    Parameters
    ----------
    structures
        Never changed.
    potential
        What evaluates them. With ``crystal:icosahedral`` as symmetrization
        (``potential.with_(symmetrization=...)``) energies of different phases may be subtracted.
    settings
        Those that there are act through the potential.
    inherited
        Per structure, ``Bound.as_dict()`` of an earlier calculation on the same crystal; not used
        where phases are compared, because an inherited reference remembers the phase it came from.
    progress
        Called with (index, 1, 1) when a structure is done.

    Yields
    ------
    Outcome
        Result: ``energy`` (eV), ``energy_per_atom`` (eV), ``max_force`` (eV/Å), ``stress`` (3×3,
        GPa), ``pressure`` (GPa); blob ``static`` with ``forces (N, 3)`` eV/Å and
        ``energies (N,)`` eV.
    """
    if parse_spec(potential.spec.symmetrization).compares_phases:
        inherited = None
    batch: list[Specimen] = []
    for specimen in specimens(structures, potential, inherited):
        if isinstance(specimen, Outcome):
            yield specimen
            continue
        # neighbour lists are held for the whole batch, rotated copies for a chunk of it
        atoms = len(specimen.atoms) + sum(len(other.atoms) for other in batch)
        if batch and (len(batch) == BATCH or atoms > capacity_of(potential.evaluator)):
            yield from _evaluate(batch, potential, progress)
            batch = []
        batch.append(specimen)
    yield from _evaluate(batch, potential, progress)


def _evaluate(
    batch: list[Specimen], potential: Potential, progress: Progress | None
) -> Iterator[Outcome]:
    start = perf_counter()
    results = evaluate_each(potential.evaluator, [specimen.system for specimen in batch])
    elapsed = perf_counter() - start
    cost = [
        len(s.atoms) * (r.n_evaluations if isinstance(r, Evaluation) else 1)
        for s, r in zip(batch, results, strict=True)
    ]
    for specimen, result, c in zip(batch, results, cost, strict=True):
        begin = perf_counter()
        specimen.wall_time += elapsed * c / sum(cost)
        if progress is not None:
            progress(specimen.index, 1, 1)
        if isinstance(result, StructureError):
            yield specimen.failure(result)
        else:
            said, notes = _uncertainty(specimen, potential)
            specimen.wall_time += perf_counter() - begin
            yield _outcome(specimen, result, said, notes)


def _uncertainty(
    specimen: Specimen, potential: Potential
) -> tuple[dict[str, float | None] | None, tuple[str, ...]]:
    """What the model says of its error, and a warning where it says nothing for a bad reason."""
    try:
        return uncertainty(potential.evaluator, specimen.system), ()
    except (StructureError, *BREAKDOWNS) as error:
        if is_device_error(error):
            raise
        logger.warning("no uncertainty of structure %d: %r", specimen.index, error)
        short = is_out_of_memory(error) or getattr(error, "reason", "") == "out_of_memory"
        why = "memory is short" if short else "the model broke down on it"
    return None, (
        f"The model's own uncertainty is left out, because {why}; the energy is not touched by it.",
    )


def _outcome(
    specimen: Specimen,
    evaluation: Evaluation,
    said: dict[str, float | None] | None,
    notes: tuple[str, ...],
) -> Outcome:
    return specimen.outcome(
        result={
            "energy": evaluation.energy,
            "energy_per_atom": evaluation.energy_per_atom,
            "max_force": evaluation.max_force,
            "stress": stress_in_gpa(evaluation.stress),
            "pressure": pressure_in_gpa(evaluation.stress),
        },
        atoms=specimen.atoms,
        blobs={"static": {"forces": evaluation.forces, "energies": evaluation.energies}},
        n_evaluations=evaluation.n_evaluations,
        energy_spread=evaluation.energy_spread,
        force_spread=evaluation.force_spread,
        uncertainty=said,
        warnings=notes,
    )
