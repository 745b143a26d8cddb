"""What records cost, by those that are there."""

from __future__ import annotations

from dataclasses import dataclass

from pet_flows.store.results import ResultStore

#: latest records that are looked at
MOST = 200


@dataclass(frozen=True)
class Cost:
    """Means over records of one property and potential."""

    evaluations: float
    """of the model, for a record"""
    seconds: float
    """for an atom of its structure"""


def cost(results: ResultStore, property: str, potential: str) -> Cost | None:
    """Say what a record cost lately; None where there is none.

    Parameters
    ----------
    results
        Where they are.
    property
        Name of the property.
    potential
        Digest of the potential.
    """
    query = {"property": property, "potential.digest": potential, "state": "ok"}
    fields = ["n_evaluations", "provenance.wall_time", "nsites"]
    found = [
        (record["n_evaluations"], record["provenance"]["wall_time"], record["nsites"])
        for record in results.query(query, fields, {"last_updated": -1}, MOST)
        if {"n_evaluations", "provenance", "nsites"} <= record.keys()
    ]
    if not found:
        return None
    evaluations, seconds, atoms = map(sum, zip(*found, strict=True))
    return Cost(evaluations / len(found), seconds / max(1, atoms))
