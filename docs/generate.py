"""Pages that the code writes itself: commands, settings, results, and two of the root.

MkDocs calls `on_files`, tests call `pages`. Nothing here imports torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: page of the site → file at the root, which GitHub shows under its own name
FROM_ROOT = {"contributing.md": "CONTRIBUTING.md", "changelog.md": "CHANGELOG.md"}


def pages() -> dict[str, str]:
    """Path in the site → Markdown."""
    made = {page: from_root(file) for page, file in FROM_ROOT.items()}
    made |= {"reference/commands.md": commands_page(), "reference/settings.md": settings_page()}
    return made | {"reference/results.md": results_page()}


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages to those of docs/."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def from_root(name: str) -> str:
    """A page of the repository's root, with its links as they are from docs/."""
    return (ROOT / name).read_text("utf-8").replace("](docs/", "](")


# ------------------------------------------------------------------------------------- commands


def commands_page() -> str:
    """Every command with its arguments and options, from what ``--help`` is made of."""
    from pet_flows.cli import COMMANDS

    lines = [
        "# Commands",
        "",
        "What `pet-flows COMMAND --help` says, written by the commands themselves.",
        "",
    ]
    for name, summary in COMMANDS.items():
        lines += [f"## {name}", "", summary, "", *_command(name)]
    return "\n".join(lines)


def _command(name: str) -> Iterator[str]:
    import typer

    app = typer.Typer(add_completion=False)
    app.command(help=None)(import_module(f"pet_flows.cli.{name}").command)
    command = typer.main.get_command(app)
    context = command.make_context(f"pet-flows {name}", [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    yield from ("```text", f"pet-flows {name} {usage}", "```", "")
    yield from (inspect.cleandoc(command.help or ""), "")
    yield from ("| argument or option | meaning | default |", "|---|---|---|")
    for parameter in command.get_params(context):
        if "--help" in parameter.opts:
            continue
        if parameter.param_type_name == "argument":
            more = "..." if parameter.nargs == -1 else ""
            shown = f"`{str(parameter.name).upper()}{more}`"
        else:
            shown = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
        meaning = getattr(parameter, "help", None) or ""
        yield f"| {_cell(shown)} | {_cell(meaning)} | {_cell(_option_default(parameter))} |"
    yield ""


def _option_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    value = parameter.default
    return "" if value in (None, False, ()) else f"`{getattr(value, 'value', value)}`"


# --------------------------------------------------------------------------- settings and results


def settings_page() -> str:
    """Every setting of the process, of execution and of each property, from the models."""
    from pet_flows.flows.campaign_file import CampaignFile
    from pet_flows.properties.execution import Execution
    from pet_flows.properties.registry import properties
    from pet_flows.settings import Settings

    lines = [
        "# Settings",
        "",
        "Written by the models that check what is given. Settings of a property change its physics "
        "and are part of a record's identity; those of execution and of the process are not.",
        "",
        "## Of the process",
        "",
        "Variables `PET_FLOWS_MODEL`, `PET_FLOWS_STORE` and so on, or the names below in "
        "`~/.pet_flows.yaml` (`PET_FLOWS_CONFIG` names another file). Options of a command win "
        "over variables, variables over the file.",
        "",
        *_fields(Settings),
        "## Of execution",
        "",
        "How work is done. The same record comes out.",
        "",
        *_fields(Execution),
    ]
    for name, declared in properties().items():
        lines += [f"## {name}", "", f"{_sentence(declared.title)}", "", *_fields(declared.settings)]
    lines += [
        "## Of a campaign file",
        "",
        "What `pet-flows screen campaign.yaml` and `submit` read; `pet-flows init` writes one. "
        "Settings of properties stand below `properties`, under the property's name.",
        "",
        *_fields(CampaignFile),
    ]
    return "\n".join(lines)


def results_page() -> str:
    """Every field of every property's result, from the models that check the records."""
    from pet_flows.properties.registry import properties

    lines = [
        "# Results",
        "",
        "The `result` of a record, by property; [records](../records.md) explains all the rest of "
        "a record and what is behind some of these. A field without a unit has none.",
        "",
    ]
    for name, declared in properties().items():
        lines += [f"## {name}", "", f"{_sentence(declared.title)}", ""]
        if declared.plots:
            drawn = ", ".join(f"`{plot}`" for plot in declared.plots)
            lines += [f"Plots: {drawn}.", ""]
        lines += _fields(declared.result, defaults=False)
    return "\n".join(lines)


def _fields(model: Any, *, defaults: bool = True) -> Iterator[str]:
    """Table of a pydantic model's fields, those of models within it under ``outer.inner``."""
    kind = "setting" if defaults else "field"
    yield f"| {kind} | type | unit | {'default | ' if defaults else ''}meaning |"
    yield f"|---|---|---|{'---|' if defaults else ''}---|"
    yield from _rows(model, "", defaults)
    yield ""


def _rows(model: Any, prefix: str, defaults: bool) -> Iterator[str]:
    from pet_flows.validate import inner_model

    for name, field in model.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        cells = [f"`{prefix}{name}`", f"{_type(field.annotation)}{_bounds(field)}"]
        cells.append(str(extra.get("unit", "")))
        if defaults:
            cells.append(_default(field))
        cells.append(field.description or "")
        yield f"| {' | '.join(_cell(cell) for cell in cells)} |"
        if (inner := inner_model(field.annotation)) is not None:
            yield from _rows(inner, f"{prefix}{name}.", defaults)


def _type(annotation: Any) -> str:
    """An annotation as a person would say it."""
    from types import NoneType, UnionType
    from typing import Annotated, Literal, Union, get_args, get_origin

    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inside[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin in (Union, UnionType):
        return " or ".join("none" if part is NoneType else _type(part) for part in inside)
    if origin in (list, tuple):
        parts = list(dict.fromkeys(_type(part) for part in inside if part is not Ellipsis))
        return f"list of {' and '.join(parts)}"
    if origin is dict:
        return f"{_type(inside[1])} by {_type(inside[0])}"
    simple = {float: "number", int: "integer", bool: "true or false", str: "text", Path: "path"}
    return simple.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(field: Any) -> str:
    signs = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}
    found = [
        f"{sign} {getattr(part, name):g}"
        for part in _metadata(field)
        for name, sign in signs.items()
        if isinstance(getattr(part, name, None), int | float)
    ]
    return f", {' and '.join(dict.fromkeys(found))}" if found else ""


def _metadata(field: Any) -> list[Any]:
    """Constraints of a field, also of ``Annotated`` within a union (``Positive | None``)."""
    from typing import Annotated, get_args, get_origin

    from pydantic.fields import FieldInfo

    found = list(field.metadata)
    for part in get_args(field.annotation):
        if get_origin(part) is Annotated:
            for one in part.__metadata__:
                found += one.metadata if isinstance(one, FieldInfo) else [one]
    return found


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "empty"
    if hasattr(value, "model_fields"):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
