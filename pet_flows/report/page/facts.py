"""What a campaign is, and how it is made again: for its first and its last page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from pet_flows.properties.registry import properties
from pet_flows.records.provenance import versions
from pet_flows.report.fields import number_text
from pet_flows.report.page.rows import states
from pet_flows.report.page.series import Beside
from pet_flows.report.table import Report
from pet_flows.store.results import ResultStore

#: paths of inputs that are listed
_LISTED = 12


def facts(store: ResultStore, table: Report, beside: Beside) -> dict[str, Any]:
    """Facts about a campaign.

    Returns
    -------
    dict
        ``name``, ``created``, ``written``, ``n_structures``, ``n_comparisons``, ``potentials``,
        ``states``, ``levels``, ``matched`` (way → structures), ``manifest`` and its ``digest``,
        ``versions``, ``devices``, ``hosts``, ``wall_time`` (s), ``evaluations``, ``inputs``,
        ``campaign_file`` (text), ``writer`` (versions of today).
    """
    name = table.campaign
    campaign = _campaign(store, name)
    found = _computed(store, name)
    manifest = campaign.get("manifest") or {}
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
        "campaign_file": _campaign_file(name, manifest, found["potentials"], found["inputs"]),
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
    paths: Counter[str] = Counter()
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
        paths.update(_inputs(record["sources"], name))
    return {
        "potentials": list(potentials.values()),
        "versions": {package: list(found) for package, found in used.items()},
        "devices": dict(devices),
        "hosts": dict(hosts),
        "wall_time": seconds,
        "evaluations": evaluations,
        "inputs": list(paths)[:_LISTED],
        "n_inputs_more": max(0, len(paths) - _LISTED),
    }


def _inputs(sources: Iterable[Mapping[str, Any]], name: str) -> set[str]:
    """Files, or collections of a database, that a record's structure came from, else its name."""
    found = set()
    for source in sources:
        if source.get("campaign") != name:
            continue
        place = (
            source.get("path")
            or "/".join(
                str(source[part]) for part in ("database", "collection") if source.get(part)
            )
            or source.get("material_id")
        )
        if place:
            found.add(str(place))
    return found


def _campaign_file(
    name: str, manifest: Mapping[str, Any], potentials: list[Mapping[str, Any]], inputs: list[str]
) -> str:
    """Campaign file (see ``pet-flows init``) with the settings that are not the default."""
    lines = [f"name: {_quoted(name)}", "inputs:"]
    lines += [f"  - {_quoted(path)}" for path in inputs] or ["  # the structures of this campaign"]
    models = list(dict.fromkeys(potential["name"] for potential in potentials))
    lines += [f"potentials: [{', '.join(_quoted(model) for model in models)}]", "properties:"]
    known = properties()
    for which in manifest.get("properties", ()):
        lines.append(f"  {which}:")
        prop = known.get(which)
        defaults: Mapping[str, Any] = {}
        if prop is not None:
            try:
                defaults = prop.settings(**prop.in_campaign).model_dump(mode="json")
            except ValueError:  # some of it has no default
                defaults = {}
        for key, value in (manifest.get("settings", {}).get(which) or {}).items():
            if defaults.get(key) != value and isinstance(value, int | float | str | list):
                lines.append(f"    {key}: {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quoted(value) if isinstance(value, str) else number_text(value, 12)


def _quoted(text: str) -> str:
    """Text as YAML reads it back, whatever is in it."""
    plain = text.replace("-", "").replace("_", "").replace("/", "").replace(".", "")
    if plain.isalnum() and not plain.isdigit():
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
