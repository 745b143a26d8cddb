"""Comparisons as plain data, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pet_flows.compare.campaign import Compared
from pet_flows.compare.classification import Classification, symmetry_kept, verdicts
from pet_flows.compare.matching.unmatched import unmatched
from pet_flows.compare.metrics import measure, worst
from pet_flows.compare.several import beside_of, columns_of, rows_of_several
from pet_flows.compare.statistics import summarize
from pet_flows.compare.tables.row import COMPARED, Row


def as_dict(compared: Compared, properties: Sequence[str] = ()) -> dict[str, Any]:
    """Give campaigns beside DFT as JSON.

    Parameters
    ----------
    compared
        Of `compare_campaign`.
    properties
        Only these, if any are named.

    Returns
    -------
    dict
        Of the equations of state of the first campaign ``rows``, ``metrics`` and ``worst``, with
        relative errors in % and energies in eV/atom; ``properties``: mean errors of every quantity
        in the units named, relative ones in parts of one; ``stable`` and ``symmetry``: how often
        each potential says the same as DFT; ``unmatched``: names by reason and
        property; ``references``: levels of theory and where they were published; of several
        campaigns ``side_by_side``.
    """
    rows = compared.rows() if not properties or "eos" in properties else []
    documents = [d for d in compared.documents() if not properties or d["property"] in properties]
    alone = unmatched(documents)
    references = sorted(
        {(str(p.level), p.citation, p.doi, p.licence) for p in compared.published(documents)},
        key=str,
    )
    content: dict[str, Any] = {
        "campaigns": list(compared.campaigns),
        "force_fields": list(compared.force_fields),
        "rows": [_row_dict(row) for row in rows],
        "metrics": [asdict(metrics) for metrics in measure(rows)],
        "worst": {
            name: [
                {"crystal": str(row.crystal), "label": row.label, "error": 100 * found.relative}
                for row, found in worst(rows, name)
            ]
            for name in COMPARED
        },
        "properties": [asdict(summary) for summary in summarize(documents)],
        "stable": [asdict(one) | _ratios(one.counts) for one in verdicts(documents)],
        "symmetry": [asdict(one) for one in symmetry_kept(documents)],
        "unmatched": {
            "records": alone.records, "pairs": alone.pairs, "references": alone.references,
        },
        "references": [
            {"level": level, "citation": citation, "doi": doi, "licence": licence}
            for level, citation, doi, licence in references
        ],
    }  # fmt: skip
    if compared.is_of_several:
        columns, beside = columns_of(compared, properties), beside_of(compared, properties)
        content["side_by_side"] = [asdict(row) for row in rows_of_several(columns, beside)]
    return content


def _ratios(counts: Classification) -> dict[str, float | None]:
    names = ("f1", "precision", "recall", "accuracy", "daf")
    return {name: getattr(counts, name) for name in names}


def _row_dict(row: Row) -> dict[str, Any]:
    """Give one row as plain data."""
    content: dict[str, Any] = {
        "element": row.crystal.element,
        "prototype": row.crystal.prototype,
        "label": row.label,
        "potential": row.potential,
        "state": row.state,
        "reason": row.reason,
        "ground_state": row.ground_state,
        "in_training": row.in_training,
        "energy_above": row.energy_above,
        "level_differs": list(row.level_differs),
    }
    for name in COMPARED:
        found = row.comparisons.get(name)
        content[name] = row.values.get(name)
        content[f"{name}_dft"] = row.references.get(name)
        content[f"{name}_error"] = 100 * found.relative if found else None
    return content
