"""The ``pet-flows`` command: a table of subcommands, each imported only when it is called."""

from __future__ import annotations

import difflib
import sys
from importlib import import_module

#: subcommand → one line of help; kept here so that ``--help`` imports nothing else
COMMANDS = {
    "init": "Write a commented campaign file for screen and submit.",
    "settings": "List the properties, or every setting of one with unit, default and meaning.",
    "screen": "Compute properties of structures here and now, and store the records.",
    "query": "List the records of a campaign, or what a MongoDB query finds.",
    "show": "Show one record: what it is, its numbers with units, its structure and plots.",
    "plot": "Draw records: equations of state, phonon bands, trajectories and so on.",
    "report": "Make a table of a campaign, or pages for a browser with everything about it.",
    "reference": "Add DFT results to compare with, list them, or remove them.",
    "compare": "Set a campaign's records next to DFT.",
    "benchmark": "Tell the errors of potentials on a sample of a public set.",
    "followup": "Give the best of a campaign to DFT flows of your own.",
    "audit": "Measure how symmetric a model is, per symmetrization and cost.",
    "models": "List the potentials there are.",
    "export": "Write a symmetrized model as one file for ASE, torch-sim and other engines.",
    "check": "Look whether store, LaunchPad, model and device are there and work.",
    "submit": "Put a campaign on the FireWorks LaunchPad.",
    "worker": "Run what is ready on the LaunchPad, with the model loaded once.",
    "status": "Say how far campaigns are: what is done, runs, waits, went wrong.",
    "pause": "Keep what has not begun of a campaign from running.",
    "resume": "Let what was paused of a campaign run.",
    "cancel": "Archive what has not begun of a campaign.",
    "retry": "Run again what broke down of a campaign.",
    "store": "Look after the store: what is damaged, missing or left over.",
    "recover": "Make ready again what dead workers had.",
}


def main(arguments: list[str] | None = None) -> None:
    """Entry point: a user's mistake ends in one sentence and exit code 1."""
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) > 1 and given[0] == "help":  # `help screen` means `screen --help`
        given = [given[1], "--help"]
    if not given or given[0] in ("-h", "--help", "help"):
        _print(_help())
        return
    if given[0] == "--version":
        from pet_flows import __version__

        _print(__version__)
        return
    name = given[0]
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)}."
        sys.exit(f"Error: pet-flows has no command {name!r}; {hint}")
    import typer

    from pet_flows.errors import PetFlowsError

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=None)(import_module(f"pet_flows.cli.{name}").command)
    try:
        app(args=given[1:], prog_name=f"pet-flows {name}")
    except PetFlowsError as error:
        sys.exit(f"Error: {error}")
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
    except Exception as error:
        errors = sys.modules.get("pymongo.errors")  # no database was asked without it
        if errors is None or not isinstance(error, errors.PyMongoError):
            raise
        from pet_flows.store.access import said_of

        sys.exit(f"Error: {said_of(error)}")


def _help() -> str:
    from pet_flows import __doc__ as line

    rows = "\n".join(f"  {name:9} {text}" for name, text in COMMANDS.items())
    return (
        f"{line.strip()}\n\nUsage: pet-flows COMMAND [OPTIONS]\n\n{rows}\n\n"
        "pet-flows COMMAND --help tells more; pet-flows --version prints the version."
    )


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
