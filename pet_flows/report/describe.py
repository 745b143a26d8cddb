"""One record as text, as a person wants to read it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from pet_flows.errors import PetFlowsError
from pet_flows.properties.property import Property
from pet_flows.properties.registry import properties
from pet_flows.report.fields import Described, fields_of
from pet_flows.report.find import identifiers
from pet_flows.report.listing import headline
from pet_flows.report.pictures import plots_of
from pet_flows.report.values import (
    counted,
    is_matrix,
    is_table,
    matrix_lines,
    scalar_text,
    table_lines,
)
from pet_flows.settings import get_settings
from pet_flows.store.results import ResultStore

WIDTH = 100
#: characters of a key in commands
_KEY = 12
#: characters up to which values are in one column, with what they mean beside
_COLUMN = 24


def describe(record: Mapping[str, Any], store: ResultStore) -> str:
    """Everything about a record but its arrays, in lines of at most 100 characters.

    Parameters
    ----------
    record
        The whole one.
    store
        It is in; what its blobs hold is looked up there.
    """
    prop = properties().get(record["property"])
    name = ", ".join(identifiers(record)) or "no identifier"
    what = prop.title if prop is not None else "a property that is not installed here"
    lines = [f"{record['property']} of {record['formula_pretty'] or '?'} ({name}): {what}", ""]
    lines += _table(_head(record))
    lines += _section("result", _result(prop, record["result"]))
    lines += _section("settings that are not the default", _settings(prop, record["settings"]))
    lines += _section("warnings", [("•", warning) for warning in record["warnings"]])
    lines += _section("asked for by", _sources(record["sources"]))
    lines += _section("blobs", _blobs(record, store))
    plots = plots_of(record)
    if plots and (record["state"] == "ok" or record["blobs"]):
        command = f"pet-flows plot {record['_id'][:_KEY]}"
        lines += _section("plots", [(plot, f"{command} --plot {plot}") for plot in plots])
    return "\n".join(lines)


Row = tuple[str, str]


def _section(title: str, rows: list[Row]) -> list[str]:
    return ["", title, *_table(rows, "  ")] if rows else []


def _table(rows: list[Row], indent: str = "") -> list[str]:
    """Names in one column, what is said of them beside, after a tab in a third one.

    The first line of it is wrapped; what comes after it are rows of numbers.
    """
    width = max((len(name) for name, _ in rows), default=0)
    lines = []
    for name, text in rows:
        start = f"{indent}{name:{width}}  "
        empty = " " * len(start)
        first, *more = text.split("\n")
        value, tab, meaning = first.partition("\t")
        if tab:
            start += f"{value:{_COLUMN}}"
            if len(value) > _COLUMN - 2:
                start += "  "
            first = meaning
        lines += textwrap.wrap(
            first, WIDTH, initial_indent=start, subsequent_indent=" " * len(start),
            break_long_words=False, break_on_hyphens=False,
        ) or [start.rstrip()]  # fmt: skip
        lines += [f"{empty}{line}" for line in more]
    return lines


def _head(record: Mapping[str, Any]) -> list[Row]:
    potential = record["potential"]
    used = [potential["name"], potential["symmetrization"], potential["dtype"]]
    used += [f"{name} {value}" for name, value in (potential.get("assumed") or {}).items()]
    trained = potential.get("functional")
    provenance = record["provenance"]
    versions = provenance["versions"]
    with_ = [f"{name} {versions[name]}" for name in ("pet-flows", "torch") if name in versions]
    rows = [("state", _state(record))]
    if record["state"] != "failed":
        rows.append(("in short", headline(record)))
    rows.append(("key", record["_id"]))
    rows.append(("potential", ", ".join(used) + f" (trained on {trained})" * bool(trained)))
    rows.append(("weights", f"sha256 {potential['sha256']}"))
    if record["parent"]:
        rows.append(("starts from", f"the structure of record {record['parent']}"))
    rows += _structure(record)
    seconds = provenance["wall_time"]
    times = f"{seconds:.0f}" if seconds >= 100 else f"{seconds:.2f}"
    evaluations = counted(record["n_evaluations"], "model evaluation")
    rows.append(
        (
            "computed",
            f"{evaluations} in {times} s on {provenance['device'] or 'no device'} of "
            f"{provenance['host']} with {', '.join(with_)}; last changed "
            f"{record['last_updated']:%Y-%m-%d %H:%M} UTC",
        )
    )
    spread = record["spread"]
    parts = [
        f"{spread[name]:.2g} {unit}"
        for name, unit in (("energy_per_atom", "eV/atom"), ("forces", "eV/Å"))
        if spread.get(name) is not None
    ]
    if parts:
        rows.append(("spread", f"{', '.join(parts)} over the rotations of the symmetrization"))
    expected = record.get("uncertainty") or {}
    parts = [
        f"{expected[name]:.2g} {unit}"
        for name, unit in (("energy_per_atom", "eV/atom"), ("forces", "eV/Å"), ("stress", "GPa"))
        if expected.get(name) is not None
    ]
    if parts:
        rows.append(("uncertainty", f"{', '.join(parts)}, as the model itself says"))
    return rows


def _state(record: Mapping[str, Any]) -> str:
    """State with its reason, and what can be done."""
    if record["state"] == "ok":
        return "ok"
    said = f"{record['state']}, {record['reason']}: {record['message']}"
    if record["state"] == "unconverged":
        return said
    most = get_settings().max_attempts
    tried = f"tried {record['attempts']} of {most} times"
    if record["retryable"] and record["attempts"] < most:
        return f"{said}\nAsked for again it is computed again ({tried})."
    again = "Asked for again it is computed again only with --retry-failed"
    return f"{said}\n{again}{f' ({tried})' * record['retryable']}."


def _structure(record: Mapping[str, Any]) -> Iterator[Row]:
    if record["nsites"] is None:
        return
    groups = record["spacegroup"]["final"] or record["spacegroup"]["input"]
    document = record["structure"] or record["input_structure"]
    n_atoms = record["nsites"] if document is None else len(document["sites"])
    atoms = f"{counted(n_atoms, 'atom')} per cell"
    yield "structure", f"{record['formula_pretty']}, {atoms}{_space_group(groups)}"
    if document is not None:
        cell = document["lattice"]
        lengths = ", ".join(f"{name} {cell[name]:.4f}" for name in "abc")
        angles = ", ".join(
            f"{letter} {cell[name]:.2f}"
            for letter, name in (("α", "alpha"), ("β", "beta"), ("γ", "gamma"))
        )
        yield "cell", f"{lengths} Å; {angles}°"
    if record["volume_per_atom"] is not None:
        yield (
            "volume",
            f"{record['volume_per_atom']:.4f} Å³/atom, {record['density']:.4g} g/cm³",
        )


def _space_group(groups: Mapping[str, Any] | None) -> str:
    """``, space group Fd-3m (227)``; both where they differ with the tolerance."""
    if groups is None:
        return ""
    loose, tight = group_name(groups["loose"]), group_name(groups["tight"])
    if not loose:
        return ""
    exact = f", exactly {tight or 'none'}" if tight != loose else ""
    return f", space group {loose}{exact}"


@lru_cache(maxsize=256)
def group_name(number: int | None) -> str:
    """``Fd-3m (227)``."""
    if number is None:
        return ""
    from pymatgen.symmetry.groups import sg_symbol_from_int_number

    return f"{sg_symbol_from_int_number(number, hexagonal=False)} ({number})"


def _result(prop: Property | None, result: Mapping[str, Any]) -> list[Row]:
    """Each field with unit and meaning, in the order of the model."""
    known = {} if prop is None else {field.path: field for field in fields_of(prop.result)}
    order = [] if prop is None else [name for name in prop.result.model_fields if name in result]
    rows = []
    for name in [*order, *(other for other in result if other not in order)]:
        value = result[name]
        about = known.get(name, Described(name))
        units = {
            path.removeprefix(f"{name}."): field.unit
            for path, field in known.items()
            if path.startswith(f"{name}.")
        }
        said = ", ".join(filter(None, (about.unit, about.description)))
        if is_matrix(value):
            lines = matrix_lines(value)
            rows.append((name, "\n".join([said, *lines] if said else lines)))
        elif is_table(value):
            rows.append((name, "\n".join(table_lines(value, units))))
        elif isinstance(value, Mapping):
            parts = [
                f"{field} {scalar_text(x, units.get(field, about.unit))}"
                for field, x in value.items()
                if x is not None
            ]
            rows.append((name, ", ".join(parts)))
        else:
            rows.append((name, f"{scalar_text(value, about.unit)}\t{about.description}"))
    return rows


def _settings(prop: Property | None, settings: Mapping[str, Any]) -> list[Row]:
    """Those whose value is not the default, each with it; all where nobody knows the defaults."""
    defaults: Mapping[str, Any] = {}
    units = {}
    if prop is not None:
        defaults = _defaults(prop.settings)
        units = {field.path: field.unit for field in fields_of(prop.settings)}
    rows = []
    for name, value in settings.items():
        if name in defaults and defaults[name] == value:
            continue
        if isinstance(value, Mapping):
            text = ", ".join(value) + " given"
        else:
            text = scalar_text(value, units.get(name, ""))
        default = f"default {scalar_text(defaults[name])}" if name in defaults else ""
        rows.append((name, f"{text}\t{default}"))
    return rows


def _defaults(model: type[BaseModel]) -> Mapping[str, Any]:
    try:
        return model().model_dump(mode="json")
    except ValueError:  # some of it has no default
        return {}


def _sources(sources: list[Mapping[str, Any]]) -> list[Row]:
    names = ("material_id", "task_id", "database", "collection", "path")
    rows = []
    for source in sources:
        parts = [str(source[name]) for name in names if source.get(name)]
        tags = [f"tags {', '.join(source['tags'])}"] if source.get("tags") else []
        rows.append((source.get("campaign") or "no campaign", ", ".join(parts + tags)))
    return rows


def _blobs(record: Mapping[str, Any], store: ResultStore) -> list[Row]:
    rows = []
    for name, blob_id in record["blobs"].items():
        try:
            shapes = store.blobs.shapes(blob_id)
        except PetFlowsError as error:
            rows.append((name, str(error)))
            continue
        rows.append((name, ", ".join(f"{array} {_shape(s)}" for array, s in shapes.items())))
    return rows


def _shape(shape: tuple[int, ...]) -> str:
    return f"({'×'.join(map(str, shape))})" if shape else "(number)"
