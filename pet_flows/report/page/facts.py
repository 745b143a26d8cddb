"""What a campaign is, and how it is made again: for its first and its last page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pet_flows.records.provenance import versions
from pet_flows.report.page.again import Inputs, campaign_file
from pet_flows.report.page.rows import states
from pet_flows.report.page.series import Beside
from pet_flows.report.table import Report
from pet_flows.store.results import ResultStore


def facts(store: ResultStore, table: Report, beside: Beside) -> dict[str, Any]:
    """Facts about a campaign.

    Returns
    -------
    dict
        ``name``, ``created``, ``written``, ``n_structures``, ``n_comparisons``, ``potentials``,
        ``states``, ``levels``, ``matched`` (way → structures), ``manifest`` and its ``digest``,
        ``versions``, ``devices``, ``hosts``, ``wall_time`` (s), ``evaluations``,
        ``campaign_file`` (text), ``writer`` (versions of today).
    """
    name = table.campaign
    campaign = _campaign(store, name)
    found = _computed(store, name)
    manifest = campaign.get("manifest") or {}
    inputs: Inputs = found.pop("inputs")
    return {
        "name": name,
        "created": campaign.get("created"),
        "written": datetime.now(UTC).replace(microsecond=0),
        "n_structures": len(table.rows),
        "n_comparisons": beside.n_comparisons,
        "states": states(table.rows),
        "levels": beside.levels,
        "matched": Counter(beside.matched.values()),
        "manifest": {key: value for key, value in manifest.items() if key != "name"},
        "digest": campaign.get("digest"),
        "campaign_file": campaign_file(name, manifest, found["potentials"], inputs),
        "writer": versions(),
        **found,
    }


def _campaign(store: ResultStore, name: str) -> Mapping[str, Any]:
    """Document of a campaign without its keys; empty where records name one that has none."""
    document = store.campaigns.collection.find_one({"_id": name}, {"keys": 0})
    return document or {}


def _computed(store: ResultStore, name: str) -> dict[str, Any]:
    """Sums and sets over the records, which are read one after the other."""
    fields = ["potential", "provenance", "n_evaluations", "sources"]
    potentials: dict[str, Mapping[str, Any]] = {}
    used: dict[str, Counter[str]] = {}
    devices: Counter[str] = Counter()
    hosts: Counter[str] = Counter()
    inputs = Inputs()
    seconds, evaluations = 0.0, 0
    for record in store.query({"sources.campaign": name}, fields):
        if potential := record.get("potential"):
            potentials.setdefault(str(potential["digest"]), potential)
        about = record.get("provenance") or {}
        for package, version in (about.get("versions") or {}).items():
            used.setdefault(package, Counter())[version] += 1
        devices[about.get("device") or "none"] += 1
        hosts[about.get("host") or "unknown"] += 1
        seconds += about.get("wall_time") or 0.0
        evaluations += record.get("n_evaluations") or 0
        for source in record["sources"]:
            if source.get("campaign") == name:
                inputs.add(source)
    return {
        "potentials": list(potentials.values()),
        "versions": {package: list(found) for package, found in used.items()},
        "devices": dict(devices),
        "hosts": dict(hosts),
        "wall_time": seconds,
        "evaluations": evaluations,
        "inputs": inputs,
    }
