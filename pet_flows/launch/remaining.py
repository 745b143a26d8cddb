"""Which structures of a campaign still need a firework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pet_flows.flows.screen import FIRST, ScreenMaker
from pet_flows.inputs.structure import InputStructure
from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.entries import JobInput, StructureReference
from pet_flows.launch.live import mark_of
from pet_flows.records.keys import input_digest, record_key, settings_digest
from pet_flows.records.schema import SOURCE_IDENTITY, Source
from pet_flows.store.results import ResultStore
from pet_flows.store.writes import chunks


@dataclass(frozen=True)
class Remaining:
    """Structures of a campaign by what there is to do for them."""

    left: list[JobInput]
    """to be submitted"""
    n_done: int
    n_live: int
    """what is missing of them waits or runs"""


def remaining(
    maker: ScreenMaker,
    inputs: Sequence[JobInput],
    results: ResultStore,
    live: Mapping[str, set[str]] | None = None,
) -> Remaining:
    """Leave out the structures for which a worker would have nothing to compute or to write down.

    Such a one has a record of each property that is not to be computed again, in this campaign and
    under this identifier, or a firework that will write it; without a relaxed structure the
    relaxation's alone.

    Parameters
    ----------
    maker
        Of the campaign.
    inputs
        References and impossible inputs, as `pet_flows.jobs.entries.by_reference` makes them.
    results
        Where the records are.
    live
        What waits or runs (`pet_flows.launch.live.live_structures`); nothing without it.
    """
    makers = [
        {name: maker.maker(name, spec) for name in maker.properties} for spec in maker.specs()
    ]
    parts = [{name: _key_parts(of) for name, of in of_spec.items()} for of_spec in makers]
    keys = [[_keys(of_spec, given) for of_spec in parts] for given in inputs]
    wanted = [key for of_input in keys for of_spec in of_input for key in of_spec.values()]
    known = set(results.campaigns.get(maker.name)["keys"])
    known -= set(results.needs(wanted, retry_failed=maker.retry_failed))
    records: dict[str, dict[str, Any]] = {}
    for chunk in chunks([key for key in dict.fromkeys(wanted) if key in known]):
        for record in results.query({"_id": {"$in": chunk}}, ["state", "sources"]):
            records[record["_id"]] = record

    def missing(
        given: JobInput, of_spec: dict[str, str], own: dict[str, PropertyMaker]
    ) -> set[str]:
        found = set()
        for name, key in of_spec.items():
            record = records.get(key)
            if record is None or not _refers(record, own[name], given):
                found.add(name)
            elif name == FIRST and record["state"] != "ok":
                return set()
        return found

    left: list[JobInput] = []
    n_done = n_live = 0
    hashes = [spec.sha256 for spec in maker.specs()]
    for given, of_input in zip(inputs, keys, strict=True):
        gaps = [missing(given, k, own) for k, own in zip(of_input, makers, strict=True)]
        waits = [(live or {}).get(str(mark_of(given, sha256)), set()) for sha256 in hashes]
        if not any(gaps):
            n_done += 1
        # what starts from a relaxation that runs is submitted when that is done
        elif all(
            gap <= alive or FIRST in gap & alive for gap, alive in zip(gaps, waits, strict=True)
        ):
            n_live += 1
        else:
            left.append(given)
    return Remaining(left, n_done, n_live)


def _key_parts(maker: PropertyMaker) -> tuple[str, str, str]:
    """What of a record's key does not depend on the structure."""
    return maker.property_name, settings_digest(maker.physics()), maker.spec().digest


def _keys(key_parts: dict[str, tuple[str, str, str]], given: JobInput) -> dict[str, str]:
    """Keys of an input's records, that of the relaxation first."""
    if isinstance(given, StructureReference):
        start = given.digest
    elif isinstance(given, InputStructure):
        start = input_digest(given.structure, given.source, given.problem)
    else:
        raise TypeError(f"a {type(given).__name__} was not made by by_reference")
    keys: dict[str, str] = {}
    for name, of_property in key_parts.items():
        keys[name] = record_key(keys.get(FIRST, start), *of_property)
    return keys


def _refers(record: dict[str, Any], maker: PropertyMaker, given: JobInput) -> bool:
    """Whether a record knows that this campaign asked for it, and under which identifier."""
    source = Source(**maker.source(given.source)).model_dump()  # type: ignore[union-attr]
    return any(
        all(known.get(name) == source[name] for name in SOURCE_IDENTITY)
        for known in record.get("sources") or ()  # a damaged one has none: it is told again
    )
