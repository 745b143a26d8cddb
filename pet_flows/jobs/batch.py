"""The batch runner behind every maker: resume, compute what is missing, store each as it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pet_flows.errors import PetFlowsError
from pet_flows.jobs.compute import RUNS, compute_records
from pet_flows.jobs.entries import BatchReference, Entry, JobInput, load_entries
from pet_flows.jobs.observe import tell_progress, tell_result
from pet_flows.models.resolve import ResolvedPotential
from pet_flows.models.spec import PotentialSpec
from pet_flows.properties.ahead import Handed, processes_for
from pet_flows.properties.settings import PropertySettings
from pet_flows.store.leases import Held
from pet_flows.store.writer import Making, Writer

if TYPE_CHECKING:
    from pet_flows.jobs.base import PropertyMaker
    from pet_flows.records.build import Recorded, Unrecorded
    from pet_flows.store.results import ResultStore


#: fields of records that a slim result is made of
SLIM = ("state", "reason", "message", "result.energy_per_atom")


def run_batch(
    maker: PropertyMaker,
    given: Sequence[JobInput] | BatchReference,
    potential: ResolvedPotential,
    store: ResultStore,
) -> list[dict[str, Any]]:
    """Records of one property for a batch; computes only those that are missing.

    Returns
    -------
    list of dict
        Per input, in order: ``key``, ``state``, ``reason``, ``message``, ``energy_per_atom`` (eV),
        ``source``.
    """
    from pet_flows.records.keys import input_digest, record_key, settings_digest

    settings = maker.physics()
    if maker.manifest is not None:
        refuse_other_campaign(maker, maker.manifest, settings, potential.spec)
        store.campaigns.put(maker.manifest)
    entries = load_entries(given, store)
    key_parts = (maker.property_name, settings_digest(settings), potential.digest)
    asked: dict[str, list[Entry]] = {}
    for entry in entries:
        of = entry.given
        if entry.parent is None:
            start = entry.digest or input_digest(None, of.source, of.problem)
            entry.key = record_key(start, *key_parts)
        elif of.structure is not None:
            entry.key = record_key(entry.parent, *key_parts)
        if entry.key is not None:
            asked.setdefault(entry.key, []).append(entry)
    missing: set[str] = set()
    left = list(asked)
    while left:
        with store.leases.held(left) as held:
            needed = store.needs(left, retry_failed=maker.retry_failed)
            todo = [asked[key] for key in needed if key in held.keys]
            _compute(maker, todo, settings, potential, store, held)
            if RUNS in maker.declared().takes:  # not before their records are there
                store.runs.remove_finished(held.keys)
        missing.update(key for key in needed if key in held.keys)
        left = [key for key in needed if key not in held.keys]
        if left:  # another process has them in hand
            tell = partial(tell_progress, maker.property_name, None, 0, len(left))
            store.leases.wait(left, tell)

    done = store.existing(list(asked), SLIM)
    known = [entry for entry in entries if entry.key is not None and entry.key not in missing]
    store.add_sources([(str(entry.key), maker.source(entry.given.source)) for entry in known])
    computed = {id(asked[key][0]) for key in missing}
    results: list[dict[str, Any]] = []
    for entry in entries:
        if entry.key is None:
            reason, message = entry.given.problem or ("missing", "there is nothing to start from")
            slim = {"key": None, "state": "failed", "reason": reason, "message": message,
                    "energy_per_atom": None, "source": entry.given.source}  # fmt: skip
        else:
            slim = slim_result(done[entry.key], entry)
        if id(entry) not in computed:
            tell_result(maker.property_name, slim, False)
        results.append(slim)
    if maker.campaign is not None:
        store.campaigns.add_keys(maker.campaign, list(asked))
    return results


def _compute(
    maker: PropertyMaker,
    todo: Sequence[list[Entry]],
    settings: PropertySettings,
    potential: ResolvedPotential,
    store: ResultStore,
    held: Held,
) -> None:
    """Compute and store records that this process holds; each is told when it is stored."""
    from pet_flows.records.build import recorded

    found: list[dict[str, Any]] = []
    told = 0

    def tell(acknowledged: int) -> None:
        nonlocal told
        while told < acknowledged:
            told += 1
            tell_result(maker.property_name, found[told - 1], True)

    def making(entry: Entry, one: Unrecorded, result: Callable[[], Recorded]) -> Making:
        def made() -> Recorded:
            record, blobs = result()
            outcome = one.outcome
            if (record["state"], record["reason"]) == (outcome.state, outcome.reason):
                # as they would not be if something of it were not finite
                blobs = {**outcome.blobs, **blobs}
            found.append(slim_result(record, entry))
            return record, blobs

        return made

    with Handed(recorded) as handed, Writer(store) as writer:
        for entry, one in compute_records(maker, todo, settings, potential, store.runs):
            held.refuse_taken_over()
            processes = processes_for(len(todo), one.recording.device or "cpu")
            # those that check and bind have more to do; blobs are large, and stay here
            lean = replace(one, outcome=replace(one.outcome, blobs={}))
            result = handed.give(lean, (processes + 1) // 2)
            writer.put(making(entry, one, result))
            if RUNS in maker.declared().takes:  # whose files are removed next
                writer.flush()
            tell(writer.written)
    tell(len(found))


def refuse_other_campaign(
    maker: PropertyMaker,
    manifest: dict[str, Any],
    settings: PropertySettings,
    spec: PotentialSpec,
) -> None:
    """Refuse to compute what the manifest of the maker's campaign does not say.

    ``flow.update_maker_kwargs`` changes makers after `ScreenMaker` wrote down what they are.

    Raises
    ------
    PetFlowsError
        Says what differs, and where it is to be changed.
    """
    name = maker.property_name
    said = manifest.get("settings", {}).get(name)
    is_set = settings.identity()
    differ = [
        f"{key} {said.get(key)!r}, not {value!r}"
        for key, value in is_set.items()
        if said is not None and said.get(key) != value
    ]
    potentials = manifest.get("potentials", {})
    of_property = [p.get(name) for p in potentials] if isinstance(potentials, list) else [
        potentials.get(name)
    ]  # fmt: skip
    used = spec.model_dump(
        include={"sha256", "variant", "symmetrization", "dtype"}, exclude_none=True
    )
    if used not in of_property:
        first: dict[str, Any] = next((p for p in of_property if p), {})
        differ += [f"{k} {first.get(k)!r}, not {v!r}" for k, v in used.items() if first.get(k) != v]
    if differ:
        raise PetFlowsError(
            f"The campaign {manifest['name']!r} was made with {name} {'; '.join(differ)}: give "
            "ScreenMaker the potential and settings that are wanted instead of changing the makers "
            "of its flow."
        )


def slim_result(record: dict[str, Any], entry: Entry) -> dict[str, Any]:
    """What a batch job returns per structure."""
    return {
        "key": record["_id"],
        "state": record["state"],
        "reason": record.get("reason"),
        "message": record.get("message"),
        "energy_per_atom": (record.get("result") or {}).get("energy_per_atom"),
        "source": entry.given.source,
    }
