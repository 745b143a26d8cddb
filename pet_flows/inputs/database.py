"""Structures from documents in the user's database."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from maggma.core import Store

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.documents import read_document
from pet_flows.inputs.identifiers import MATERIAL_KEYS
from pet_flows.inputs.structure import InputStructure


def read_store(
    store: Store,
    query: Mapping[str, Any] | None = None,
    structure_path: str = "structure",
    limit: int = 0,
    *,
    collection: str | None = None,
) -> list[InputStructure]:
    """Read the structures of the documents that a query finds; see `iter_store`."""
    return list(iter_store(store, query, structure_path, limit, collection=collection))


def iter_store(
    store: Store,
    query: Mapping[str, Any] | None = None,
    structure_path: str = "structure",
    limit: int = 0,
    *,
    collection: str | None = None,
) -> Iterator[InputStructure]:
    """Read the structures of the documents that a query finds, ordered by ``_id``.

    Parameters
    ----------
    store
        Any maggma store of the user's database; it is connected if it is not yet.
    query
        In MongoDB's language; by default everything.
    structure_path
        Where a document holds its pymatgen structure, keys joined by dots.
    limit
        At most so many documents; 0 for all.
    collection
        Another collection of the same database. By default the store's own.

    Yields
    ------
    InputStructure
        ``material_id``, ``task_id`` and ``tags`` from the document (else its ``_id``),
        ``database`` and ``collection`` from the store. A document without a structure there has
        a ``problem``.

    Raises
    ------
    PetFlowsError
        If the database does not answer, refuses the query, or has nothing that matches.
    """
    from pymongo.errors import ConnectionFailure, PyMongoError

    source = store if collection is None else _sibling(store, collection)
    name = collection or getattr(store, "collection_name", None)
    database = getattr(store, "database", None)
    none = True
    try:
        source.connect()
        documents = source.query(
            criteria=dict(query or {}),
            properties=_wanted(structure_path),
            sort={"_id": 1},
            limit=limit,
        )
        for document in documents:
            none = False
            yield read_document(
                document, structure_path=structure_path, database=database, collection=name
            )
    except ConnectionFailure as error:
        raise PetFlowsError(
            f"The database {database!r} does not answer ({_brief(error)}): check that the server "
            "runs and what jobflow.yaml says of it."
        ) from None
    except PyMongoError as error:
        raise PetFlowsError(
            f"The database refused the query {json.dumps(query, default=str)} on {name!r} "
            f"({_brief(error)}): correct it."
        ) from None
    finally:
        if source is not store:
            source.close()
    if none:
        raise PetFlowsError(
            f"No document of the collection {name!r} matches {json.dumps(query or {}, default=str)}"
            ": check the collection and the query."
        )


def _sibling(store: Store, collection: str) -> Store:
    """Give the store of another collection of the same database."""
    described = store.as_dict()
    if "collection_name" not in described:
        raise PetFlowsError(
            f"A {type(store).__name__} has no collections, so {collection!r} cannot be read from "
            "it: configure MongoDB in jobflow.yaml."
        )
    sibling: Store = type(store).from_dict({**described, "collection_name": collection})  # type: ignore[assignment]
    return sibling


def _wanted(structure_path: str) -> list[str]:
    """List the fields that are read: identifiers and the structure, not all of a large document."""
    in_data = [f"data.{key}" for key in (*MATERIAL_KEYS, "task_id")]
    names = ["_id", *MATERIAL_KEYS, "task_id", "tags", "sources", *in_data, structure_path]
    # MongoDB refuses a field together with something inside of it
    return [
        name
        for name in dict.fromkeys(names)
        if not any(name.startswith(f"{other}.") for other in names)
    ]


def _brief(error: Exception) -> str:
    """Keep the part of pymongo's message that says what happened."""
    return str(error).split(", Timeout:")[0].split(", full error:")[0][:200]
