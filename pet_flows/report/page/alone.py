"""References without a partner, as the page of problems lists them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from pet_flows.report.damage import SYMPTOMS
from pet_flows.store.results import ResultStore

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]


def with_references(
    store: ResultStore, alone: Iterable[dict[str, Any]], most: int
) -> tuple[list[dict[str, Any]], dict[str, Document]]:
    """Say of references that stand alone what they are known as and where they are from.

    Parameters
    ----------
    store
        Where the references are.
    alone
        As `pet_flows.report.page.series.Beside` has them.
    most
        References whose documents are given back, the first ones.

    Returns
    -------
    alone, documents
        References with ``known``, ``from``, ``doi`` and ``document`` (whether it is among the
        documents); the documents by key.
    """
    told: list[dict[str, Any]] = []
    documents: dict[str, Document] = {}
    for one in alone:
        if one["what"] != "reference":
            told.append(one)
            continue
        reference = store.references.get(one["key"])
        try:
            about = _about(reference) if reference is not None else {}
        except SYMPTOMS as error:
            logger.warning("Reference %s is damaged (%s): import it again.", one["key"], error)
            reference, about = None, {}
        if reference is not None and len(documents) < most:
            documents[one["key"]] = reference
        about["document"] = one["key"] in documents
        told.append({**one, "known": one["material"], **about})
    return told, documents


def _about(reference: Document) -> dict[str, Any]:
    source = reference["source"]
    where = [source.get("database"), source.get("collection"), source.get("name")]
    return {
        "known": ", ".join(map(str, reference["material_ids"])) or source.get("name"),
        "from": " / ".join(str(part) for part in where if part),
        "doi": source.get("doi"),
    }
