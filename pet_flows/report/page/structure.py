"""The page of one structure: its records, the references beside them, and what is drawn of both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from pet_flows.compare.energies.corrections import SCHEME
from pet_flows.compare.statistics import RAW_ENERGIES
from pet_flows.errors import PetFlowsError
from pet_flows.properties.registry import properties
from pet_flows.report.damage import SYMPTOMS, damage
from pet_flows.report.fields import fields_of
from pet_flows.report.listing import headline
from pet_flows.report.page.curves import equation_of_state, phonons
from pet_flows.report.page.levels import level_text
from pet_flows.report.page.lines import PANELS, drawn
from pet_flows.report.page.rows import page_of, state_of
from pet_flows.report.page.series import relative_of
from pet_flows.report.page.viewer import viewed
from pet_flows.report.table import Row
from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]
#: of the source of a reference, what its page shows
_SOURCE = (
    "name", "database", "collection", "uuid", "index", "dir_name", "citation", "doi", "licence",
    "completed_at",
)  # fmt: skip


class StructurePages:
    """Makes the pages of the structures of one campaign.

    Parameters
    ----------
    store
        Where records, references and comparisons are.
    campaign
        Its name.
    """

    def __init__(self, store: ResultStore, campaign: str):
        self._store = store
        self._campaign = campaign

    def page(self, row: Row) -> tuple[dict[str, Any], dict[str, Document]]:
        """Everything that is shown of a row.

        Returns
        -------
        page, documents
            The documents of its records and references by key.
        """
        records = self._records(row)
        pairs = self._pairs(records)
        references = self._references(pairs)
        first = next((r for r in records.values() if r["state"] == "ok"), None)
        about = first or next(iter(records.values()), {})
        found = {
            "page": page_of(row),
            "material": row.material,
            "formula": row.formula,
            "potential": row.potential,
            "state": state_of(row),
            "absent": row.absent,
            "spacegroup": about.get("spacegroup"),
            "nsites": about.get("nsites"),
            "density": about.get("density"),
            "volume_per_atom": about.get("volume_per_atom"),
            "records": [_record(record) for record in records.values()],
            "references": [_reference(reference) for reference in references.values()],
            "pairs": [_pair(pair) for pair in pairs if pair["reference"] in references],
            "alone": [
                {"property": pair["property"], "reason": pair["reason"]}
                for pair in pairs
                if not pair.get("reference")
            ],
            "eos": self._eos(records, references),
            "phonon": self._phonon(records, references),
            "lines": self._lines(records, references),
            "viewer": viewed(self._store, records.values(), references.values()),
        }
        return found, {**records, **references}

    def _records(self, row: Row) -> dict[str, Document]:
        keys = [member.key for member in row.members]
        found: dict[str, Document] = {
            record["_id"]: record
            for record in self._store.query({"_id": {"$in": keys}}, {"symmetry_reference": 0})
        }
        return {key: found[key] for key in keys if key in found}

    def _pairs(self, records: Mapping[str, Document]) -> list[Document]:
        criteria = {"record": {"$in": list(records)}, "campaigns": self._campaign}
        return list(self._store.comparisons.find(criteria))

    def _references(self, pairs: list[Document]) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for key in dict.fromkeys(pair["reference"] for pair in pairs if pair.get("reference")):
            document = self._store.references.get(key)
            if document is None:
                logger.warning(
                    "Reference %s of a comparison is not in this store: run pet-flows compare "
                    "again.", key,
                )  # fmt: skip
                continue
            found[key] = document
        return found

    def _eos(
        self, records: Mapping[str, Document], references: Mapping[str, Document]
    ) -> dict[str, Any] | None:
        record = _of("eos", records)
        if record is None:
            return None
        theirs = [one for one in references.values() if one["property"] == "eos"]
        volumes = [*(record["result"].get("volumes") or ())]
        minima = [one["result"].get("v0_per_atom") for one in theirs]
        # far from ours, a minimum of DFT's is still to be seen
        shown = [*volumes, *(f * v0 for v0 in minima if v0 and volumes for f in (0.97, 1.03))]
        ours = equation_of_state(record["result"], volumes)
        if ours is None:
            return None
        beside = [
            {"name": name, **curve}
            for name, reference in _named(theirs).items()
            if (curve := equation_of_state(reference["result"], shown))
        ]
        return {"ours": ours, "beside": beside}

    def _lines(
        self, records: Mapping[str, Document], references: Mapping[str, Document]
    ) -> list[dict[str, Any]]:
        """Diagrams of properties that are curves themselves."""
        found = []
        for panel in PANELS:
            record = _of(panel.property, records)
            if record is None:
                continue
            beside = [one for one in references.values() if one["property"] == panel.property]
            theirs = {
                name: partial(self._read, reference, panel.blob)
                for name, reference in _named(beside).items()
            }
            one = drawn(panel, partial(self._read, record, panel.blob), theirs)
            if one is not None:
                found.append(one)
        return found

    def _read(
        self, document: Document, blob: str | None
    ) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Result of a record or reference, and the arrays of a blob."""
        arrays = {} if blob is None else self._store.blobs.read(document["blobs"][blob])
        return document["result"] or {}, arrays

    def _phonon(
        self, records: Mapping[str, Document], references: Mapping[str, Document]
    ) -> dict[str, Any] | None:
        record = _of("phonon", records)
        if record is None or "phonon" not in record["blobs"]:
            return None
        theirs = {}
        try:
            ours = self._store.blobs.read(record["blobs"]["phonon"])
            with_arrays = [
                one
                for one in references.values()
                if one["property"] == "phonon" and "phonon" in one["blobs"]
            ]
            for name, reference in _named(with_arrays).items():
                theirs[name] = self._store.references.blob(reference, "phonon")
            return phonons(ours, theirs)
        except PetFlowsError as error:  # a blob that is gone leaves the numbers
            logger.warning("%s", error)
        except SYMPTOMS as error:
            logger.warning("%s Its bands are not drawn.", damage(record, error))
        return None


def _of(name: str, records: Mapping[str, Document]) -> Document | None:
    return next(
        (r for r in records.values() if r["property"] == name and r["state"] != "failed"), None
    )


def _named(references: list[Document]) -> dict[str, Document]:
    """Short names of references: the functional, with more of it where several have the same."""
    found: dict[str, Document] = {}
    for reference in references:
        level = reference["level"]
        names = (str(level.get("functional")), level_text(level), f"{reference['_id'][:8]}")
        found[next(name for name in names if name not in found)] = reference
    return found


def _record(record: Document) -> dict[str, Any]:
    prop = properties().get(record["property"])
    known = [] if prop is None else list(fields_of(prop.result))
    result = record["result"] or {}
    values = [
        {
            "name": field.path,
            "value": result[field.path],
            "unit": field.unit,
            "meaning": field.description,
        }
        for field in known
        if isinstance(result.get(field.path), int | float | str)
    ]
    defaults = {} if prop is None else {f.path: f.unit for f in fields_of(prop.settings)}
    return {
        "key": record["_id"],
        "property": record["property"],
        "title": prop.title if prop is not None else record["property"],
        "state": record["state"],
        "reason": record["reason"],
        "message": record["message"],
        "headline": headline(record),
        "warnings": record["warnings"],
        "values": values,
        "settings": [
            {"name": name, "value": value, "unit": defaults.get(name, "")}
            for name, value in record["settings"].items()
            if isinstance(value, int | float | str)
        ],
        "spread": record["spread"],
        "uncertainty": record.get("uncertainty"),
        "evaluations": record["n_evaluations"],
        "provenance": record["provenance"],
        "potential": record["potential"],
        "parent": record["parent"],
        "sources": record["sources"],
        "updated": record["last_updated"],
    }


def _reference(reference: Document) -> dict[str, Any]:
    return {
        "key": reference["_id"],
        "property": reference["property"],
        "level": level_text(reference["level"]),
        "functional": reference["level"].get("functional"),
        "source": {name: reference["source"].get(name) for name in _SOURCE},
        "materials": reference["material_ids"],
        "problems": reference["problems"],
        "updated": reference["last_updated"],
    }


def _pair(pair: Document) -> dict[str, Any]:
    names = (
        "record", "reference", "property", "matched_by", "rmsd", "level_differs", "values",
        "corrections", "warnings",
    )  # fmt: skip
    found = {name: pair.get(name) for name in names}
    found["values"] = [
        {**value, "relative": relative_of(value), "raw": value.get("name") in RAW_ENERGIES}
        for value in pair.get("values") or ()
    ]
    corrected = pair.get("corrections") or {}
    if not (corrected.get("pet") or corrected.get("dft")):
        # nobody asked for this scheme, and it changes nothing: what it says is left out
        found["warnings"] = [
            text for text in pair.get("warnings") or () if not text.startswith(f"{SCHEME}:")
        ]
    return found
