"""The commented campaign file that ``pet-flows init`` writes, from the models themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pet_flows.flows.campaign_file import DEFAULT_PROPERTIES, CampaignExecution, Submission
from pet_flows.properties.registry import get_property

WIDTH = 100

_HEAD = """\
# A campaign: `pet-flows screen campaign.yaml` computes it here, `pet-flows submit campaign.yaml`
# puts it on the FireWorks LaunchPad. Lines behind # show defaults: remove the # to change one.
# Paths are relative to this file; options on the command line win over it.
name: screen

# Files (CIF, POSCAR, extxyz, JSON, ASE databases), folders, globs, or prototypes:Li,Si,...
inputs:
  - prototypes:Si,Cu
# structure_path: output.structure      # where in JSON documents the structure is
# from_store:                           # documents of the database of your jobflow.yaml
#   collection: tasks
#   query: {nsites: {$lt: 20}}

# One potential, or several to be compared: `pet-flows models` lists names.
potentials:
  - model: pet-mvl                      # or pet-mad-s, or the path of a .ckpt or .pt file
    # symmetrization: crystal           # or ecse, none, grid:icosahedral, ...
    # dtype: float64
    # trust: false                      # open the pickled checkpoint that `model` names
"""
_TAIL = """\
# When `screen` has ended:
# comparison:
#   show: true                          # print the comparison with DFT
#   picture: comparison.png
# report:
#   output: report.csv                  # one row per structure; or report: a folder of pages
"""


def campaign_template(names: Sequence[str] = DEFAULT_PROPERTIES) -> str:
    """Text of a campaign file with every setting of some properties, commented out.

    Raises
    ------
    PetFlowsError
        There is no such property.
    """
    parts = [_HEAD, "# What is computed; `pet-flows settings` lists all properties.\nproperties:"]
    for name in names:
        declared = get_property(name)
        parts.append(f"  {name}:{' ' * max(1, 34 - len(name))} # {declared.title}")
        for key, value in declared.in_campaign.items():
            parts.append(f"    {key}: {written(value)}")
        parts += _lines(declared.settings, "    ", set(declared.in_campaign))
    parts.append("\n# How it is executed: nothing here changes a result.\n# execution:")
    parts += _lines(CampaignExecution, "  ")
    parts.append("\n# For `pet-flows submit`:\n# submit:")
    parts += _lines(Submission, "  ")
    return "\n".join([*parts, "", _TAIL])


def _lines(model: type[BaseModel], indent: str, done: set[str] | None = None) -> list[str]:
    """One commented line per field, and its meaning behind it."""
    found = []
    for name, info in model.model_fields.items():
        if done and name in done:
            continue
        start = f"{indent}# {name}: {written(info.get_default(call_default_factory=True))}"
        meaning = textwrap.wrap(meaning_of(info), WIDTH - 42)
        first = f"{start:39} # {meaning[0]}" if len(start) < 40 else f"{start}  # {meaning[0]}"
        found.append(first if len(first) <= WIDTH else start)
        rest = meaning[1:] if len(first) <= WIDTH else meaning
        found += [f"{indent}#{' ' * (38 - len(indent))} # {line}" for line in rest]
    return found


def meaning_of(info: FieldInfo) -> str:
    """Unit and description of a field."""
    extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    unit = f"{extra['unit']}; " if "unit" in extra else ""
    return f"{unit}{info.description or ''}"


def written(value: Any) -> str:
    """A default as YAML has it, on one line."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, float):
        return f"{value:g}" if "e" not in f"{value:g}" else f"{value:.1e}"
    return str(value)
