"""``pet-flows screen``."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from pet_flows.cli.arguments import Asked, campaign_command
from pet_flows.cli.campaign import Campaign, build_campaign, read_campaign
from pet_flows.cli.compare import PICTURES, check_file
from pet_flows.cli.report import check_output
from pet_flows.errors import PetFlowsError
from pet_flows.report.values import counted

if TYPE_CHECKING:
    from pet_flows.flows.campaign_file import CampaignFile

STATES = ("ok", "unconverged", "failed", "skipped")
#: so many failures are told one by one
MOST_FAILURES = 20
#: exit code of a campaign that ran to its end but has failed records
SOME_FAILED = 3
#: and of one that Ctrl-C ended
INTERRUPTED = 130


@campaign_command
def command(asked: Asked) -> None:
    """Relax structures and compute their properties; store one record for each.

    Run again, it computes only what is missing. The exit code is 0 when every record is ok or
    unconverged, 3 when some failed (with reasons), 1 when nothing could be started, 130 after
    Ctrl-C.
    """
    started = time.monotonic()
    asked_for = read_campaign(asked)
    _refuse_missing_gpu(asked_for.execution.device)
    check_file(asked_for.comparison.picture, PICTURES, "comparison.picture")
    check_output(asked_for.report.output, "report.output")
    campaign = build_campaign(asked_for)
    try:
        outcomes = run_here(campaign)
    except KeyboardInterrupt:
        typer.echo(
            "Stopped. What was computed is stored; the same command goes on from there.", err=True
        )
        raise typer.Exit(INTERRUPTED) from None
    typer.echo(_summary(asked_for.name, campaign, outcomes, time.monotonic() - started))
    _afterwards(asked_for)
    if any(_state(slim) == "failed" for _, slim, _ in outcomes):
        raise typer.Exit(SOME_FAILED)


def _afterwards(campaign: CampaignFile) -> None:
    """Compare and report, where the campaign asks for it."""
    if campaign.comparison.show or campaign.comparison.picture is not None:
        from pet_flows.cli.compare import command as compare

        _say(partial(compare, [campaign.name], picture=campaign.comparison.picture))
    if campaign.report.output is not None:
        from pet_flows.cli.report import command as report

        _say(partial(report, campaign.name, output=campaign.report.output))


def _say(work: Callable[[], None]) -> None:
    """Do what comes after a campaign, which ended as it did whatever becomes of this."""
    try:
        work()
    except PetFlowsError as error:
        typer.echo(f"Error: {error}", err=True)


def _refuse_missing_gpu(device: str | None) -> None:
    """Ask torch for the GPU before anything else is imported, read or registered."""
    from pet_flows.settings import get_settings

    wanted = device or get_settings().device
    if wanted.startswith("cuda"):
        from pet_flows.models.load import pick_device

        pick_device(wanted)


def run_here(campaign: Campaign) -> list[tuple[str, dict[str, Any], bool]]:
    """Run the flow in this process; (property, slim result, computed?) per record."""
    from jobflow import run_locally

    from pet_flows.cli.progress import Course, shown
    from pet_flows.jobs.observe import observers, watchers

    outcomes: list[tuple[str, dict[str, Any], bool]] = []
    course = Course(campaign.n_results)

    def observe(name: str, slim: dict[str, Any], computed: bool) -> None:
        outcomes.append((name, slim, computed))
        course.advance(name, slim, computed)

    def watch(name: str, label: str | None, done: int, total: int) -> None:
        course.watch(name, label, done, total, time.monotonic())

    observers.append(observe)
    watchers.append(watch)
    try:
        with shown(course):
            run_locally(campaign.flow, store=campaign.store, log=False, raise_immediately=True)
    finally:
        observers.remove(observe)
        watchers.remove(watch)
    return outcomes


def _state(slim: dict[str, Any]) -> str:
    """State of a result; what has no relaxed structure to start from is skipped, not failed."""
    return "skipped" if str(slim["reason"]).startswith("parent_") else str(slim["state"])


def _summary(
    name: str, campaign: Campaign, outcomes: list[tuple[str, dict[str, Any], bool]], seconds: float
) -> str:
    computed = sum(new for _, _, new in outcomes)
    states = Counter((prop, _state(slim)) for prop, slim, _ in outcomes)
    lines = [
        f"Campaign {name}: {counted(campaign.n_inputs, 'structure')}, "
        f"{counted(len(outcomes), 'result')}, "
        + (f"{computed} computed" if computed else "nothing computed: all of it was there")
        + f", {seconds:.0f} s."
    ]
    for prop in campaign.properties:
        counts = [f"{states[prop, state]} {state}" for state in STATES if states[prop, state]]
        lines.append(f"  {prop:8} {', '.join(counts)}")
    shown: dict[tuple[str, str], str] = {}
    for prop, slim, _ in outcomes:
        label, path = slim["source"].get("material_id"), slim["source"].get("path")
        if path and str(path) not in str(slim["message"]):
            label = f"{label} in {path}" if label else path
        if _state(slim) == "failed":
            line = f"  failed: {label or '?'} ({prop}): {slim['message']}"
            shown.setdefault((str(label), slim["reason"]), line)
    lines += list(shown.values())[:MOST_FAILURES]
    if len(shown) > MOST_FAILURES:
        rest = len(shown) - MOST_FAILURES
        query = f"""pet-flows query {name} --filter '{{"state": "failed"}}'"""
        lines.append(f"  and {rest} more, which {query} lists.")
    lines.append(f"See pet-flows report {name}, pet-flows plot {name}, pet-flows compare {name}.")
    return "\n".join(lines)
