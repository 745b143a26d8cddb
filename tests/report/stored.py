"""Stores with references and comparisons beside records, of the shape that comparing makes them."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import Any

import numpy as np

from pet_flows.dft.documents import document_of
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Origin, Reference
from pet_flows.properties.comparison import NotComparable, Side
from pet_flows.properties.registry import get_property
from pet_flows.report.find import identifiers
from pet_flows.store.results import ResultStore

LEVEL = LevelOfTheory(functional="PBE", spin=False, pseudopotentials="PAW 54", cutoff=520)
WAYS = ("link", "identifier", "structure")
#: of results, what a reference has
TAKEN = {
    "relax": ("energy_per_atom", "volume_change"),
    "static": ("energy_per_atom",),
    "eos": ("v0_per_atom", "e0_per_atom", "b0", "b0_prime", "volumes", "energies"),
    "elastic": ("k_vrh", "g_vrh", "young"),
    "phonon": ("min_frequency", "max_frequency"),
    "qha": (
        "temperatures",
        "volume_per_atom",
        "thermal_expansion",
        "bulk_modulus",
        "cp",
        "cv",
        "gruneisen",
    ),
    "kappa": ("kappa",),
    "md": ("ensemble", "temperature", "time", "timestep"),
}
#: what is the same beside a factor: where values are
PLACES = ("temperatures", "ensemble", "temperature", "time", "timestep")


def scaled(value: Any, factor: float) -> Any:
    """A number, or a list of them, times a factor."""
    if isinstance(value, list):
        return [scaled(item, factor) for item in value]
    if isinstance(value, dict):
        return {k: v if k == "T" else scaled(v, factor) for k, v in value.items()}
    return value * factor if isinstance(value, int | float) else value


def reference_beside(store: ResultStore, record: dict[str, Any], factor: float) -> Reference:
    """A reference whose numbers are those of a record times a factor, energies apart."""
    which = record["property"]
    result = {
        name: value if name in ("energies", "e0_per_atom", "energy_per_atom", *PLACES)
        else scaled(value, factor)
        for name in TAKEN[which]
        if (value := record["result"].get(name)) is not None
    }  # fmt: skip
    if "energy_per_atom" in result:
        result["energy_per_atom"] += factor - 1.0
    arrays: dict[str, dict[str, np.ndarray]] = {}
    if which == "phonon":
        blob = dict(store.blob(record["_id"], "phonon"))
        for name in ("band_frequencies", "mesh_frequencies", "frequency_points"):
            if name in blob:
                blob[name] = factor * blob[name]
        arrays["phonon"] = blob
    if which == "md" and "observables" in record["blobs"]:
        blob = dict(store.blob(record["_id"], "observables"))
        arrays["observables"] = {**blob, **{n: factor * blob[n] for n in ("rdf", "msd")}}
    name = (identifiers(record) or ["?"])[0]
    return Reference(
        property=which,
        result=result,
        structure=store.final_structure(record),
        level=LEVEL,
        source=Origin(
            name=name, database="vasp", collection="outputs", uuid=f"job {record['_id'][:6]}",
            citation="A. Author, in preparation", doi="10.1000/182", licence="CC BY 4.0",
            completed_at=datetime(2026, 1, 2),
        ),
        material_ids=(name,),
        arrays=arrays,
    )  # fmt: skip


def comparison(
    record: dict[str, Any], reference: dict[str, Any] | None, values: list[dict[str, Any]],
    campaign: str, way: str | None, reason: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Document of ``pet_comparisons``."""
    other = reference["_id"] if reference else ""
    return {
        "_id": hashlib.sha256(f"{record['_id']}\n{other}".encode()).hexdigest()[:32],
        "record": record["_id"],
        "reference": other or None,
        "campaigns": [campaign],
        "property": record["property"],
        "matched_by": way,
        "rmsd": 0.01 if way == "structure" else None,
        "level_differs": ["spin: polarized against non-magnetic"] if way == "identifier" else [],
        "potential": {k: record["potential"][k] for k in ("digest", "name")},
        "material_id": (identifiers(record) or [None])[0],
        "formula_pretty": record["formula_pretty"],
        "spacegroup": None,
        "level": {k: reference["level"][k] for k in ("functional", "digest")}
        if reference
        else None,
        "values": values,
        "corrections": None,
        "warnings": [],
        "record_state": record["state"],
        "record_updated": record["last_updated"],
        "reference_updated": None,
        "built_at": datetime(2026, 1, 3),
        "reason": reason,
    }


def reference_alone(store: ResultStore, campaign: str) -> dict[str, Any]:
    """A reference of a crystal that no record is of, as comparing notes it."""
    record = next(store.query({"property": "eos", "sources.campaign": campaign}, sort={"_id": 1}))
    found = reference_beside(store, record, 1.2)
    source = found.source.model_copy(update={"name": "row 7 of a table"})
    found = found.model_copy(update={"material_ids": ("agm-7", "mp-7"), "source": source})
    document, blobs = document_of(found)
    store.references.put(document, blobs)
    alone = comparison(record, document, [], campaign, None, "no record stands beside it")
    return {**alone, "record": None, "record_state": None, "material_id": None}


def put_comparisons(store: ResultStore, campaign: str) -> int:
    """Set a reference beside every record of a campaign but some; says how many."""
    n = 0
    documents = []
    for record in store.query({"sources.campaign": campaign}, sort={"_id": 1}):
        n += 1
        if record["property"] not in TAKEN or record["state"] == "failed":
            continue
        if n % 6 == 0:
            reason = "no reference of this formula"
            documents.append(comparison(record, None, [], campaign, None, reason))
            continue
        reference = reference_beside(store, record, 1.0 + 0.05 * math.sin(n))
        document, blobs = document_of(reference)
        store.references.put(document, blobs)
        sides = (
            Side(record["result"], store.final_structure(record)),
            Side(reference.result, reference.structure),
        )
        values, reason = [], None
        try:
            values = [v.document() for v in get_property(record["property"]).compare(*sides)]
        except NotComparable as error:
            reason = str(error)
        documents.append(comparison(record, document, values, campaign, WAYS[n % 3], reason))
    documents.append(reference_alone(store, campaign))
    store.put_comparisons(documents)
    return len(documents)
