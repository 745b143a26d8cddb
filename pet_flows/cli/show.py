"""``pet-flows show``."""

from __future__ import annotations

from typing import Annotated

import typer

from pet_flows.errors import PetFlowsError

Name = Annotated[
    str,
    typer.Argument(
        metavar="KEY|IDENTIFIER", help="A key (six characters suffice) or identifier (mp-149)."
    ),
]
Which = Annotated[
    str | None, typer.Option("--property", "-p", help="Of the records of an identifier, this one.")
]


def command(name: Name, which: Which = None) -> None:
    """Show one record: what it is, its numbers with units, structure, settings and plots.

    For example: pet-flows show mp-149 --property eos

    An identifier with several records is answered by a list of them.
    """
    from pet_flows.cli.query import print_table
    from pet_flows.properties.registry import get_property
    from pet_flows.report.damage import SYMPTOMS, damage
    from pet_flows.report.describe import describe
    from pet_flows.report.find import find
    from pet_flows.store.results import ResultStore

    if which is not None:
        get_property(which)
    with ResultStore.open(read_only=True) as store:
        named = find(store, name)
        if named.is_campaign and not named.is_identifier:
            raise PetFlowsError(
                f"{name} is a campaign: list its records with pet-flows query {name}, or make a "
                f"table of them with pet-flows report {name}."
            )
        criteria = {"sources.material_id": name} if named.is_identifier else named.criteria
        if which is not None:
            criteria = {"$and": [criteria, {"property": which}]}
        keys = [r["_id"] for r in store.query(criteria, ["_id"], {"property": 1})]
        if not keys:
            raise PetFlowsError(
                f"{name} has no record of {which}: list those it has with pet-flows show {name}."
            )
        if len(keys) > 1:
            print_table(store.query(criteria, sort={"property": 1, "last_updated": 1}))
            typer.echo(
                "Show one with pet-flows show KEY"
                + ("" if which is not None else ", or name its property with --property")
                + "."
            )
            return
        record = store.get(keys[0])
        assert record is not None
        try:
            said = describe(record, store)
        except SYMPTOMS as error:
            raise PetFlowsError(damage(record, error)) from None
        typer.echo(said)
