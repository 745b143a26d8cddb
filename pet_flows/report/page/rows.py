"""The table of a campaign in columns, each of them one list."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pet_flows.properties.registry import properties
from pet_flows.report.describe import group_name
from pet_flows.report.fields import fields_of
from pet_flows.report.table import Report, Row

#: states of a row, from worst to best; ``incomplete``: properties have no record yet
STATES = ("failed", "unconverged", "incomplete", "ok")


def page_of(row: Row) -> str:
    """Name of the page of a row: the same each time, made of nothing that a path could not hold."""
    first = row.members[0].key if row.members else ""
    return hashlib.sha256(f"{row.material}\n{row.potential}\n{first}".encode()).hexdigest()[:12]


def state_of(row: Row) -> str:
    """Worst state of a row's records."""
    found = {member.state for member in row.members} | ({"incomplete"} if row.absent else set())
    return next((state for state in STATES if state in found), "ok")


def columns(table: Report) -> dict[str, Any]:
    """Everything the pages show of every row.

    Returns
    -------
    dict
        ``heads`` (``key``, ``property``, ``name``, ``unit``, ``meaning``), and lists over the rows:
        ``page``, ``material``, ``formula``, ``group``, ``potential``, ``state``, ``problems``,
        ``reasons``, ``spread`` (eV/atom), and in ``cells`` one by key of each head.
    """
    rows = table.rows
    return {
        "heads": [
            {
                "key": head.key,
                "property": head.of,
                "name": head.name,
                "unit": head.unit,
                "meaning": _meanings(head.of).get(head.name, ""),
            }
            for head in table.heads
        ],
        "page": [page_of(row) for row in rows],
        "material": [row.material for row in rows],
        "formula": [row.formula for row in rows],
        "group": [group_name(row.space_group) for row in rows],
        "potential": [row.potential for row in rows],
        "state": [state_of(row) for row in rows],
        "problems": ["; ".join(row.problems) for row in rows],
        "reasons": [[m.reason for m in row.members if m.state != "ok"] for row in rows],
        "spread": [_spread(row) for row in rows],
        "cells": {head.key: [row.cells.get(head.key) for row in rows] for head in table.heads},
    }


def _meanings(name: str) -> dict[str, str]:
    return {field.path: field.description for field in fields_of(properties()[name].result)}


def _spread(row: Row) -> float | None:
    """Largest spread of the energy that any record of a row has, eV/atom."""
    found = [value for m in row.members if (value := m.spread.get("energy_per_atom"))]
    return max(found, default=None)


def states(rows: Sequence[Row]) -> dict[str, Any]:
    """How many records are in which state, by property, and reasons by how often they occur."""
    by_property: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    seen = set()
    for row in rows:
        for name in row.absent:
            by_property.setdefault(name, Counter())["incomplete"] += 1
        for member in row.members:
            if member.key in seen:  # one record under two identifiers
                continue
            seen.add(member.key)
            by_property.setdefault(member.of, Counter())[member.state] += 1
            if member.state != "ok":
                reasons[member.reason or "no reason"] += 1
    order = [name for name in properties() if name in by_property]
    order += sorted(set(by_property) - set(order))
    return {
        "properties": [{"name": name, "states": dict(by_property[name])} for name in order],
        "reasons": reasons.most_common(),
    }
