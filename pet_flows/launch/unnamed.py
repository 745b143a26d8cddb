"""Fireworks of campaigns whose workflows do not say what they are about, as earlier ones do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pet_flows.inputs.structure import InputStructure
from pet_flows.jobs.base import PropertyMaker
from pet_flows.jobs.entries import StructureReference

if TYPE_CHECKING:
    from fireworks import LaunchPad


def inputs_of(
    launchpad: LaunchPad, fw_ids: Sequence[int]
) -> Iterator[tuple[PropertyMaker, list[Any]]]:
    """Give the maker of each firework, and the structures it starts from.

    Parameters
    ----------
    launchpad
        Where they are.
    fw_ids
        Of fireworks of ours. One that waits for a relaxation has the structures of that.
    """
    inputs: dict[int, list[Any]] = {}
    for fw_id in fw_ids:
        job = _job(launchpad, fw_id)
        if not isinstance(getattr(job, "maker", None), PropertyMaker):
            continue
        if fw_id not in inputs:
            inputs[fw_id] = _structures(job)
        for parent in [] if inputs[fw_id] else _parents(launchpad, fw_id):
            if parent not in inputs:
                inputs[parent] = _structures(_job(launchpad, parent))
            inputs[fw_id] += inputs[parent]
        yield job.maker, inputs[fw_id]


def _job(launchpad: LaunchPad, fw_id: int) -> Any:
    return launchpad.get_fw_by_id(fw_id).tasks[0].get("job")


def _structures(job: Any) -> list[Any]:
    given = [*job.function_args, *job.function_kwargs.values()]
    flat = [one for value in given for one in (value if isinstance(value, list) else [value])]
    return [one for one in flat if isinstance(one, StructureReference | InputStructure)]


def _parents(launchpad: LaunchPad, fw_id: int) -> list[int]:
    found = launchpad.workflows.find_one({"nodes": fw_id}, {"parent_links": 1}) or {}
    return list((found.get("parent_links") or {}).get(str(fw_id), []))
