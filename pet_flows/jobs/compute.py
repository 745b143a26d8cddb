"""Structures of a batch → records, whatever the property does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.geometry.electrons import NEUTRAL
from pet_flows.jobs.caution import MODEL, Caution, FreshProcess, lent
from pet_flows.jobs.entries import Entry
from pet_flows.jobs.observe import tell_progress, watchers
from pet_flows.models.resolve import ResolvedPotential
from pet_flows.properties.settings import PropertySettings

if TYPE_CHECKING:
    from pet_flows.engines.potential import Potential
    from pet_flows.jobs.base import PropertyMaker
    from pet_flows.properties.outcome import Outcome
    from pet_flows.records.build import Unrecorded
    from pet_flows.store.runs import Runs

logger = logging.getLogger(__name__)

#: field of `Execution` that a property takes whose runs go on from copies in the store
RUNS = "store_every"
#: an outcome on its way to a record, and the entry whose structure was computed
Computed = tuple[Entry, "Unrecorded"]


def compute_records(
    maker: PropertyMaker,
    asked: Sequence[list[Entry]],
    settings: PropertySettings,
    potential: ResolvedPotential,
    runs: Runs,
) -> Iterator[Computed]:
    """Compute what is missing, and yield each outcome as its structure is finished.

    Every entry gets one: what the property itself breaks down on, forgets, or gives in a form
    that cannot be stored becomes a ``failed`` record.

    Parameters
    ----------
    maker
        Whose property, settings and campaign these are.
    asked
        Per record, the entries of the batch that ask for it; the first is computed.
    settings, potential
        Those of the maker, validated and resolved.
    runs
        Where copies of unfinished runs are.
    """
    from pet_flows.properties.outcome import Outcome
    from pet_flows.records.build import Recording, Unrecorded

    if not asked:
        return

    recording = Recording.of(maker.property_name, settings, potential.as_record(), None)
    takes: tuple[str, ...] = ()

    def finish(entries: list[Entry], outcome: Outcome) -> Computed:
        first = entries[0]
        assumed = None
        if takes and first.kept is not None:
            given = {**NEUTRAL, **first.kept.electrons}
            assumed = {name: given[name] for name in takes}
        known = {
            "parent": first.parent,
            "sources": [maker.source(entry.given.source) for entry in entries],
            "dropped": first.given.dropped,
            "key": first.key,
            "digest": first.digest,
            "assumed": assumed,
        }
        return first, Unrecorded(recording, outcome, first.kept, known)

    sound = []
    for entries in asked:
        given = entries[0].given
        if given.problem is not None or given.structure is None:
            reason, message = given.problem or (
                "no_structure",
                "The input has no structure: check what was given.",
            )
            failed = Outcome(index=0, state="failed", reason=reason, message=message)
            yield finish(entries, failed)
        else:
            sound.append(entries)
    if not sound:
        return
    caution = lent() or Caution()
    loaded = _loaded(potential, maker, caution)
    takes, recording = loaded.takes, replace(recording, device=str(loaded.device))
    first = [entries[0] for entries in sound]
    for index, outcome in _outcomes(maker, first, settings, loaded, runs, caution):
        if lent() is None or not caution.holds_back(first[index].key, outcome.reason):
            yield finish(sound[index], outcome)
        if caution.alone and "device_error" in caution.wanted.values():
            break
    if caution.wanted:
        raise FreshProcess(", ".join(sorted(set(caution.wanted.values()))))


def _loaded(potential: ResolvedPotential, maker: PropertyMaker, caution: Caution) -> Potential:
    from pet_flows.engines.potential import get_potential

    if caution.alone:
        caution.begin(MODEL)
    try:
        return get_potential(potential, chunk_atoms=maker.run_options().chunk_atoms)
    except Exception as error:
        reason = _of_the_device(error)
        if lent() is None or reason is None:
            raise
        caution.wanted[None] = reason
        raise FreshProcess(reason) from None


def _outcomes(
    maker: PropertyMaker,
    entries: Sequence[Entry],
    settings: PropertySettings,
    potential: Potential,
    runs: Runs,
    caution: Caution,
) -> Iterator[tuple[int, Outcome]]:
    """One outcome per entry, in the order in which they finish."""
    declared, options = maker.declared(), maker.run_options()
    compute = declared.function()
    atoms = [entry.kept.atoms() for entry in entries if entry.kept is not None]
    taken = {name: getattr(options, name) for name in declared.takes}
    if "checkpoints" in taken and taken["checkpoints"] is None:
        from pet_flows.settings import get_settings

        taken["checkpoints"] = get_settings().store.parent / "pet_flows_md"

    def run(chosen: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
        def progress(index: int, done: int, total: int) -> None:
            if watchers:  # names are made of chemistry, which takes a while
                label = entries[chosen[index]].given.label
                tell_progress(maker.property_name, label, done, total)

        structures = [atoms[n] for n in chosen]
        inherited = [entries[n].inherited for n in chosen]
        if RUNS in taken:
            taken["backups"] = [runs.of(str(entries[n].key)) for n in chosen]
        found = compute(structures, potential, settings, inherited, progress=progress, **taken)
        for outcome in found:
            yield chosen[outcome.index], outcome

    tell_progress(maker.property_name, None, 0, len(entries))
    left = dict.fromkeys(range(len(entries)))
    if caution.alone:
        yield from _one_by_one(entries, caution, lambda n: _alone(run([n]), maker.property_name))
        return
    try:
        for index, outcome in run(list(left)):
            left.pop(index, None)
            yield index, outcome
    except Exception as error:
        if _of_the_job(error):
            raise
        logger.exception("the property %s broke down on a batch", maker.property_name)
    for index in left:
        yield index, _alone(run([index]), maker.property_name)


def _one_by_one(
    entries: Sequence[Entry], caution: Caution, compute: Callable[[int], Outcome]
) -> Iterator[tuple[int, Outcome]]:
    """Outcomes of structures that are computed alone, those under suspicion last."""
    from pet_flows.properties.outcome import failure

    keys = [str(entry.key) for entry in entries]
    for index in sorted(range(len(keys)), key=lambda n: caution.tried.get(keys[n], 0)):
        if keys[index] in caution.refused:
            yield index, failure(0, caution.refused[keys[index]])
            continue
        caution.begin(keys[index])
        yield index, compute(index)


def _alone(outcomes: Iterator[tuple[int, Outcome]], name: str) -> Outcome:
    """Outcome of a structure computed alone, after the batch that it was in broke down."""
    from pet_flows.properties.outcome import Outcome

    try:
        found = next(outcomes, None)
        said = f"The property {name} gave no result for this structure"
    except StructureError as error:
        return Outcome(
            index=0, state="failed", reason=error.reason, message=error.message,
            retryable=error.retryable,
        )  # fmt: skip
    except Exception as error:
        if _of_the_job(error):
            raise
        if (device := _of_the_device(error)) is not None:
            message = f"The computer failed, not the model ({error!s:.200}); run it again."
            return Outcome(0, "failed", reason=device, message=message, retryable=True)
        logger.exception("the property %s broke down on a structure", name)
        found, said = None, f"The property {name} broke down ({type(error).__name__}: {error})"
    if found is not None:
        return found[1]
    message = f"{said}: report it to the authors of {name}."
    return Outcome(index=0, state="failed", reason="property_error", message=message[:1000])


def _of_the_device(error: Exception) -> str | None:
    """Reason of a failure that says nothing about the structure."""
    from pet_flows.engines.memory import is_out_of_memory
    from pet_flows.properties.batch import is_device_error

    if is_out_of_memory(error):
        return "out_of_memory"
    return "device_error" if is_device_error(error) else None


def _of_the_job(error: Exception) -> bool:
    """Whether an error is of the job as a whole, such as a package that is missing."""
    return isinstance(error, PetFlowsError) and not isinstance(error, StructureError)
