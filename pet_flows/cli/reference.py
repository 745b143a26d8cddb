"""``pet-flows reference``."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pet_flows.cli.arguments import parse_query
from pet_flows.cli.query import Format
from pet_flows.dft.importers.kinds import KINDS
from pet_flows.errors import PetFlowsError
from pet_flows.report.values import counted

if TYPE_CHECKING:
    from pet_flows.dft.importers.importing import Imported
    from pet_flows.dft.importers.options import Options

#: a key of a reference, or its beginning
_KEY = re.compile("[0-9a-f]{6,32}")
#: problems that are printed one by one
_SHOWN = 20


class Action(StrEnum):
    """What is done."""

    add = "add"
    list = "list"
    remove = "remove"


What = Annotated[Action, typer.Argument(help="add, list or remove.")]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[SOURCE|NAME]...",
        help="Of add: files and folders, or jobflow for your own store. Of list and remove: keys "
        "of references, identifiers of materials, formulas.",
    ),
]
As = Annotated[
    str | None,
    typer.Option(
        "--as", metavar="KIND", help=f"What a source is, if not as recognized: {', '.join(KINDS)}."
    ),
]
Level = Annotated[
    str | None,
    typer.Option(
        help="Level of theory where the source does not say it, or says it wrong: "
        "functional=PBE,spin=true,u.Fe=5.3,cutoff=520,..."
    ),
]
Map = Annotated[
    str | None, typer.Option("--map", help="Columns of a table: column=field,column=field.")
]
Dynamics = Annotated[
    str | None,
    typer.Option(
        "--md",
        help="The frames of a file are molecular dynamics, made like this: timestep=1,stride=10,"
        "temperature=300,equilibration=1000 (fs, steps, K, steps).",
    ),
]
MaterialId = Annotated[str | None, typer.Option(help="Identifier of the material, if it is one.")]
Citation = Annotated[str | None, typer.Option(help="Who published it, and where.")]
Doi = Annotated[str | None, typer.Option(help="DOI of that publication.")]
Licence = Annotated[str | None, typer.Option(help="Licence of the data.")]
Query = Annotated[
    str | None,
    typer.Option(
        help="A MongoDB query, as JSON: of add the documents of a store that are read, else the "
        "references."
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Read also what has not changed since it was added.")
]
Shape = Annotated[Format, typer.Option("--format", help="Of list: a table, or a JSON list.")]


def command(
    action: What,
    names: Names = None,
    kind: As = None,
    level: Level = None,
    columns: Map = None,
    md: Dynamics = None,
    material_id: MaterialId = None,
    citation: Citation = None,
    doi: Doi = None,
    licence: Licence = None,
    query: Query = None,
    again: Again = False,
    shape: Shape = Format.table,
) -> None:
    """Add DFT results to compare with, list them, or remove them.

    For example: pet-flows reference add jobflow my_vasp_runs/

    and again later: what has not changed there is not read again.
    """
    criteria = None if query is None else parse_query(query)
    if action is Action.add:
        from pet_flows.dft.importers.dynamics import parse_run
        from pet_flows.dft.importers.given_level import doubt_of, parse_level
        from pet_flows.dft.importers.options import Options, parse_columns

        options = Options(
            level=parse_level(level),
            columns=parse_columns(columns),
            md=parse_run(md),
            material_id=material_id,
            citation=citation,
            doi=doi,
            licence=licence,
            query=criteria,
        )
        if doubt := doubt_of(options.level):
            typer.echo(f"Warning: {doubt}", err=True)
        _add(names or [], kind, options, again)
        return
    wanted = _wanted(names or [], criteria)
    if action is Action.list:
        _list(wanted, shape)
    else:
        _remove(wanted)


def _add(sources: list[str], kind: str | None, options: Options, again: bool) -> None:
    from pet_flows.dft.importers.importing import import_references
    from pet_flows.dft.importers.kinds import other_kinds, reader_of
    from pet_flows.store.patience import ServerAwayError
    from pet_flows.store.results import ResultStore

    if not sources:
        raise PetFlowsError(
            "There is no source to add references from: name files or folders, or jobflow for "
            "your own store."
        )
    for source in sources:  # a misspelt one is found before the first is read
        reader_of(source, kind)
    failed = 0
    with ResultStore.open() as store:
        for source in sources:
            for other in other_kinds(source) if kind is None else ():
                said = f"{source} also holds some of kind {other}: add it with --as {other}."
                typer.echo(said, err=True)
            try:
                with _progress() as progress:
                    found = import_references(
                        store, source, kind, options, again=again, progress=progress
                    )
            except PetFlowsError as error:
                if len(sources) == 1 or isinstance(error, ServerAwayError):
                    raise
                typer.echo(str(error), err=True)  # it stops none of the others
                failed += 1
                continue
            nothing = "nothing that a reference could be made of yet"
            typer.echo(f"{source}: {found if found.total else nothing}")
            for problem in found.problems[:_SHOWN]:
                typer.echo(f"  {problem.name}: {problem.reason}", err=True)
            if len(found.problems) > _SHOWN:
                typer.echo(f"  and {len(found.problems) - _SHOWN} more", err=True)
            failed += len(found.problems) and found.total == len(found.problems)
    if failed:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[Imported], None] | None]:
    """What is shown on a terminal while references are read."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console

    with Console(stderr=True).status("reading") as status:
        yield lambda found: status.update(f"{found.total} read: {found}")


def _wanted(names: list[str], criteria: dict[str, Any] | None) -> dict[str, Any]:
    """Query for the references that were named."""
    from pet_flows.dft.material_ids import spellings

    parts: list[dict[str, Any]] = [] if criteria is None else [criteria]
    if names:
        identifiers = [way for name in names for way in spellings(name)]
        fields = {"material_ids": identifiers, "formula_pretty": names}
        either: list[dict[str, Any]] = [{name: {"$in": held}} for name, held in fields.items()]
        # a table shows the beginnings of keys
        either += [{"_id": {"$regex": f"^{name}"}} for name in names if _KEY.fullmatch(name)]
        parts.append({"$or": either})
    return {"$and": parts} if parts else {}


def _list(wanted: dict[str, Any], shape: Format) -> None:
    from pet_flows.store.results import ResultStore

    with ResultStore.open(read_only=True) as store:
        if shape is Format.json:
            from bson import json_util

            found = [
                json_util.dumps(one, ensure_ascii=False) for one in store.references.find(wanted)
            ]
            _refuse_none(found, wanted)
            sys.stdout.write("[" + ",\n".join(found) + "]\n")
            return
        heads = ["material_ids", "formula_pretty", "property", "level", "result", "source.name"]
        rows = [_row(one) for one in store.references.find(wanted, heads)]
    _refuse_none(rows, wanted)
    if not rows:
        typer.echo("There are no references yet: add some with pet-flows reference add.")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for head in ("material", "formula", "property", "level", "result", "source", "key"):
        table.add_column(head, overflow="ellipsis" if head == "key" else "fold")
    for row in sorted(rows):
        table.add_row(*map(escape, row))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    typer.echo(counted(len(rows), "reference"))


def _refuse_none(found: Sequence[Any], wanted: Mapping[str, Any]) -> None:
    """Refuse names and queries that no reference has."""
    if wanted and not found:
        raise PetFlowsError(
            "There is no such reference: name others, of those that pet-flows reference list shows."
        )


def _row(document: Mapping[str, Any]) -> tuple[str, ...]:
    from pet_flows.dft.documents import level_of

    return (
        ", ".join(document["material_ids"]),
        document["formula_pretty"],
        document["property"],
        str(level_of(document)),
        _numbers(document),
        document["source"]["name"],
        document["_id"][:12],
    )


def _numbers(document: Mapping[str, Any]) -> str:
    """The numbers that a table of this property shows, as far as the reference has them."""
    from pet_flows.properties.registry import properties
    from pet_flows.report.fields import cell_of, columns_of, number_text

    declared = properties().get(document["property"])
    if declared is None:
        return ""
    said = [
        f"{column.name} {number_text(value)} {column.unit}".strip()
        for column in columns_of(declared)
        if (value := cell_of(column, document["result"])) is not None
    ]
    return ", ".join(said)


def _remove(wanted: dict[str, Any]) -> None:
    from pet_flows.store.results import ResultStore

    if not wanted:
        raise PetFlowsError(
            "Nothing says which references to remove: name them, or give --query '{}' for all."
        )
    with ResultStore.open() as store:
        removed = store.references.remove(wanted)
    if not removed:
        raise PetFlowsError(
            "There is no such reference, and none was removed: name others, of those that "
            "pet-flows reference list shows."
        )
    typer.echo(f"Removed {counted(removed, 'reference')}.")
