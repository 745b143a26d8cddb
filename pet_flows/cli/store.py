"""``pet-flows store``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from pet_flows.report.values import counted

if TYPE_CHECKING:
    from pet_flows.store.check import Checked

#: of each kind, that are named
_SHOWN = 20


class Action(StrEnum):
    """What is done."""

    check = "check"
    clean = "clean"
    migrate = "migrate"


What = Annotated[
    Action,
    typer.Argument(
        help="check: look at every record and array. clean: remove arrays that nobody names, and "
        "let damaged records be computed again. migrate: bring records of earlier versions up to "
        "this one."
    ),
]


def command(what: What) -> None:
    """Look after the store: what is damaged, missing or left over.

    check changes nothing, and may run beside workers; the exit code is 1 if something is wrong.
    """
    from pet_flows.store.check import check_store, clean, migrate
    from pet_flows.store.results import ResultStore

    with ResultStore.open(read_only=what is Action.check) as results:
        if what is Action.migrate:
            n = migrate(results)
            typer.echo(f"{counted(n, 'record')} brought up to this version.")
            return
        found = check_store(results)
        if what is Action.clean:
            clean(results, found)
            typer.echo(
                f"{counted(len(found.orphans), 'blob')} and the chunks of "
                f"{counted(len(found.chunks) + len(found.broken), 'file')} removed."
            )
            if n := len(found.damaged) + sum(key.startswith("records ") for key in found.gone):
                typer.echo(
                    f"{counted(n, 'record')} that cannot be read: submit or screen their campaign "
                    "again, and they are replaced."
                )
            return
    typer.echo("\n".join(_lines(found)))
    if not found.is_sound:
        raise typer.Exit(1)


def _lines(found: Checked) -> list[str]:
    lines = [counted(found.versions.total(), "record")]
    if found.n_older:
        lines.append(
            f"{counted(found.n_older, 'record')} of an earlier version, read as they are: "
            "pet-flows store migrate brings them up to this one."
        )
    if found.n_newer:
        lines.append(
            f"{counted(found.n_newer, 'record')} of a later version of pet_flows: update it here."
        )
    lines += _listed(
        "damaged",
        [f"{key}: {said}" for key, said in found.damaged.items()],
        "pet-flows store clean, then submit or screen their campaign again: they are replaced.",
    )
    gone = [f"{key}: {', '.join(names)}" for key, names in found.gone.items()]
    records = [said for said in gone if said.startswith("records ")]
    lines += _listed(
        "without all of its arrays",
        records,
        "Restore the store `data` from a backup; or pet-flows store clean, then submit or screen "
        "their campaign again: they are replaced.",
    )
    lines += _listed(
        "without all of its arrays, and no record",
        [said for said in gone if said not in records],
        "Restore the store `data` from a backup; or remove these documents, and import or submit "
        "again.",
    )
    lines += _listed("blob that no document names", found.orphans, "pet-flows store clean.")
    lines += _listed(
        "file of GridFS that has chunks only",
        list(map(str, found.chunks)),
        "pet-flows store clean.",
    )
    if found.is_sound:
        lines.append("Nothing is damaged, missing or left over.")
    return lines


def _listed(what: str, items: list[str], then: str) -> list[str]:
    if not items:
        return []
    more = [f"  and {len(items) - _SHOWN} more"] if len(items) > _SHOWN else []
    return [f"{len(items)} {what}:", *(f"  {one}" for one in items[:_SHOWN]), *more, f"  {then}"]
