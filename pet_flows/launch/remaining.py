"""What of a campaign still needs a firework: by structure and potential, which properties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pet_flows.flows.screen import ScreenMaker
from pet_flows.inputs.structure import InputStructure
from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.entries import JobInput, StructureReference
from pet_flows.launch.live import Live, mark_of, potential_used
from pet_flows.models.spec import PotentialSpec
from pet_flows.records.keys import FIRST, input_digest, record_key, settings_digest
from pet_flows.records.schema import SOURCE_IDENTITY, Source
from pet_flows.settings import get_settings
from pet_flows.store.repeated import is_to_be_repeated
from pet_flows.store.results import ResultStore


@dataclass(frozen=True)
class Missing:
    """What is to be computed of one structure with one potential."""

    given: JobInput
    """what the first job starts from: the structure, or the record of its relaxation"""
    n: int
    """place of the structure among those asked about"""
    mark: str
    """of the structure (`pet_flows.launch.live.mark_of`)"""


@dataclass
class Remaining:
    """Structures of a campaign by what there is to do for them."""

    items: dict[tuple[PotentialSpec, tuple[str, ...]], list[Missing]] = field(default_factory=dict)
    """by potential and properties that are missing"""
    n_left: int = 0
    n_done: int = 0
    n_live: int = 0
    """what is missing of them waits or runs"""
    keys: list[str] = field(default_factory=list)
    """of all records asked for, done or not"""
    starts: list[str] = field(default_factory=list)
    """digests of the structures"""


class Plan:
    """Leaves out what a worker would have nothing to compute or to write down of.

    That is what has a record that is not to be computed again, in this campaign and under this
    identifier, or a firework that will write it; without a relaxed structure, whatever starts from
    one. Of what is relaxed already, the other properties start from that record.

    Parameters
    ----------
    maker
        Of the campaign.
    results
        Where the records are.
    live
        What waits or runs; nothing without it.
    """

    def __init__(self, maker: ScreenMaker, results: ResultStore, live: Live | None = None):
        self.results = results
        self.live = live
        self.retry_failed = maker.retry_failed
        self.specs = maker.specs()
        self.makers = [
            {name: maker.maker(name, s) for name in maker.properties} for s in self.specs
        ]
        self._used = [potential_used(next(iter(own.values()))) for own in self.makers]
        self._key_parts = [{n: _key_parts(of) for n, of in own.items()} for own in self.makers]

    def digest(self, potential: PotentialSpec, name: str) -> str:
        """Digest of what a property makes of a potential, as its records have it."""
        return self._key_parts[self.specs.index(potential)][name][2]

    def of(self, inputs: Sequence[JobInput]) -> Remaining:
        """Look at some structures.

        Parameters
        ----------
        inputs
            References and impossible inputs, as `pet_flows.jobs.entries.reference` makes them.
        """
        found = Remaining(starts=[_start(given) for given in inputs])
        keys = [[_keys(parts, start) for parts in self._key_parts] for start in found.starts]
        found.keys = list(dict.fromkeys(k for of in keys for own in of for k in own.values()))
        fields = ["state", "retryable", "attempts", "sources"]
        records = self.results.usable(found.keys, fields)
        waiting = self._waiting(inputs)
        for n, (given, of_input) in enumerate(zip(inputs, keys, strict=True)):
            left = live = False
            for spec, own, own_keys, used in zip(
                self.specs, self.makers, of_input, self._used, strict=True
            ):
                mark = str(mark_of(given, used))
                alive = waiting.get(mark, frozenset())
                known = {name: records.get(key) for name, key in own_keys.items()}
                gap = self._gap(given, own, known)
                live |= bool(gap & alive)
                # what starts from a relaxation that runs is submitted when that is done
                wanted = set() if FIRST in gap & alive else gap - alive
                live |= bool(gap) and not wanted
                if not wanted:
                    continue
                left = True
                start: JobInput = given
                if FIRST in own and FIRST not in wanted:
                    source = given.source  # type: ignore[union-attr]
                    start = {"key": own_keys[FIRST], "state": "ok", "source": source}
                names = tuple(name for name in own if name in wanted)
                found.items.setdefault((spec, names), []).append(Missing(start, n, mark))
            found.n_left += left
            found.n_live += live and not left
            found.n_done += not (left or live)
        return found

    def _waiting(self, inputs: Sequence[JobInput]) -> Mapping[str, frozenset[str]]:
        if self.live is None:
            return {}
        return self.live.of([str(mark_of(given, one)) for given in inputs for one in self._used])

    def _gap(
        self,
        given: JobInput,
        makers: Mapping[str, PropertyMaker],
        records: Mapping[str, dict[str, Any] | None],
    ) -> set[str]:
        """Properties whose record is missing, to be computed again, or to be referred to."""
        most = get_settings().max_attempts
        found = set()
        for name, record in records.items():
            if record is None or is_to_be_repeated(record, self.retry_failed, most):
                found.add(name)
                continue
            if not _refers(record, makers[name], given):
                found.add(name)
            if name == FIRST and record["state"] != "ok":
                return found
        return found


def _key_parts(maker: PropertyMaker) -> tuple[str, str, str]:
    """What of a record's key does not depend on the structure."""
    return maker.property_name, settings_digest(maker.physics()), maker.spec().digest


def _start(given: JobInput) -> str:
    if isinstance(given, StructureReference):
        return given.digest
    if isinstance(given, InputStructure):
        return input_digest(given.structure, given.source, given.problem)
    raise TypeError(f"a {type(given).__name__} was not made by reference")


def _keys(key_parts: Mapping[str, tuple[str, str, str]], start: str) -> dict[str, str]:
    """Keys of an input's records, that of the relaxation first."""
    keys: dict[str, str] = {}
    for name, of_property in key_parts.items():
        keys[name] = record_key(keys.get(FIRST, start), *of_property)
    return keys


def _refers(record: Mapping[str, Any], maker: PropertyMaker, given: JobInput) -> bool:
    """Whether a record knows that this campaign asked for it, and under which identifier."""
    source = Source(**maker.source(given.source)).model_dump()  # type: ignore[union-attr]
    return any(
        all(known.get(name) == source[name] for name in SOURCE_IDENTITY)
        for known in record["sources"]
    )
