"""``pet-flows status``."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pet_flows.cli.submit import LaunchpadFile

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pet_flows.launch.status import Status

CampaignName = Annotated[str | None, typer.Argument(help="Name of a campaign; all without it.")]
Watch = Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")]
Every = Annotated[float, typer.Option(min=0.5, help="Seconds between two looks of --watch.")]

#: width of a table off a terminal
_WIDTH = 110
_STYLES = {"ok": "green", "unconverged": "yellow", "failed": "red"}


def command(
    campaign: CampaignName = None,
    launchpad: LaunchpadFile = None,
    watch: Watch = False,
    every: Every = 5.0,
) -> None:
    """Say how far campaigns are: records, what runs where, what waits, what went wrong.

    For example: pet-flows status oxides --watch

    Without a LaunchPad only the records are counted, as of a campaign of screen.
    """
    from pymongo.errors import PyMongoError
    from rich.console import Console
    from rich.live import Live

    from pet_flows.store.patience import brief
    from pet_flows.store.results import ResultStore

    pad = _launchpad(launchpad)
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    with ResultStore.open(read_only=True) as store:
        if not watch:
            console.print(_shown(store, pad, campaign))
            return
        with Live(_shown(store, pad, campaign), console=console, auto_refresh=False) as live:
            while True:
                try:
                    time.sleep(every)
                except KeyboardInterrupt:
                    return
                try:
                    live.update(_shown(store, pad, campaign), refresh=True)
                except PyMongoError as error:
                    console.print(f"MongoDB does not answer ({brief(error)}); trying again")


def _launchpad(file: Path | None) -> Any:
    """The LaunchPad that is named or configured; None where there is none."""
    from fireworks import fw_config

    from pet_flows.launch.launchpad import load_launchpad

    return None if file is None and fw_config.LAUNCHPAD_LOC is None else load_launchpad(file)


def _shown(store: Any, pad: Any, campaign: str | None) -> RenderableType:
    from pet_flows.launch.status import status_of

    if campaign is not None:
        return of_one(status_of(store, campaign, pad))
    names = store.campaigns.names()
    if not names:
        return "There are no campaigns in this store: run pet-flows screen or submit first."
    return of_all([status_of(store, name, pad) for name in names])


def of_all(found: list[Status]) -> RenderableType:
    """One line for each campaign."""
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("campaign", overflow="fold")
    heads = ("structures", "records", "failed", "running", "waiting", "fizzled", "per hour", "left")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for one in found:
        works = one.fireworks
        failed = sum(count["failed"] for count in one.records.values())
        done = f"{one.done} of {one.expected}" if one.expected else str(one.done)
        waiting = works["READY"] + works["WAITING"] + works["PAUSED"]
        table.add_row(
            one.campaign, str(one.n_structures or "?"), done, str(failed or ""),
            str(works["RUNNING"] or ""), str(waiting or ""), str(works["FIZZLED"] or ""),
            _rate(one), _left(one),
        )  # fmt: skip
    return table


def of_one(found: Status) -> RenderableType:
    """Everything about one campaign."""
    from rich.console import Group
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="bold")
    table.add_column("property", no_wrap=True)
    for state, style in _STYLES.items():
        table.add_column(state, justify="right", style=style)
    for name, count in found.records.items():
        table.add_row(name, *(str(count[state] or "") for state in _STYLES))
    of = f" of {found.expected}" if found.expected else ""
    lines = [f"[bold]{escape(found.campaign)}[/bold]: {found.done}{of} records"]
    if found.without_start:
        lines[0] += f", {found.without_start} cannot begin without their relaxation"
    if found.per_hour:
        left = f", {_left(found)} left" if found.hours_left else ""
        lines.append(f"{_rate(found)} records per hour in the last half hour{left}")
    tail = [f"{n:6} {escape(reason)}" for reason, n in found.reasons.most_common(10)]
    if found.fireworks:
        said = ", ".join(f"{n} {state}" for state, n in sorted(found.fireworks.items()))
        tail.append(f"[bold]fireworks[/bold] {said}")
    for one in found.running:
        silent = "" if one.silent is None else f", no sign of life for {one.silent:.0f} s"
        tail.append(
            f"  {one.fw_id} {escape(one.name)} on {escape(one.host)} for "
            f"{one.minutes:.0f} min{silent}"
        )
    for reason, n in found.fizzled.most_common(5):
        tail.append(f"  [red]{n} fizzled[/red]: {escape(reason[:300])}")
    return Group(*lines, table, *tail)


def _rate(found: Status) -> str:
    return f"{found.per_hour:.0f}" if found.per_hour else ""


def _left(found: Status) -> str:
    hours = found.hours_left
    if not hours:
        return ""
    return f"{60 * hours:.0f} min" if hours < 1.5 else f"{hours:.1f} h"
