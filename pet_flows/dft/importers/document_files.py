"""Database documents in JSON files: the Materials Project's, and outputs of jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import batched, chain
from pathlib import Path
from typing import Any

from pet_flows.dft.importers.found import Found, date_of
from pet_flows.dft.importers.importing import attempt
from pet_flows.dft.importers.job_documents import kind_of_output
from pet_flows.dft.importers.kinds import opened
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.materials_project import model_of, name_of, names_of, origin_of
from pet_flows.dft.importers.options import Options
from pet_flows.dft.importers.read import Problem, Read, Unchanged
from pet_flows.dft.importers.unrecognized import DAMAGED
from pet_flows.dft.reference import Origin, Reference
from pet_flows.errors import PetFlowsError
from pet_flows.inputs.text import first_line

_EACH_LINE = (".jsonl", ".ndjson")
#: documents that are looked up at once
_AT_ONCE = 200


def read(source: str, options: Options, known: Known) -> Iterator[Read]:
    """References of the documents in a file: one, a list of them, or one on each line.

    Parameters
    ----------
    source
        JSON or JSON lines, also compressed.
    """
    path = Path(source).expanduser()
    yield from read_documents(_documents(path), f"{path.name}, document {{}}", options, known)


def read_documents(
    documents: Iterable[Any], named: str, options: Options, known: Known
) -> Iterator[Read]:
    """References of documents; those that have not changed are not read.

    Parameters
    ----------
    documents
        Problems among them are given on.
    named
        What a document is called that cannot be read, with braces for its number.
    """
    for chunk in batched(enumerate(documents, start=1), _AT_ONCE):
        origins = {number: _origins(document, options) for number, document in chunk}
        unchanged = known.unchanged(chain.from_iterable(origins.values()))
        for number, document in chunk:
            if isinstance(document, Problem):
                yield document
                continue
            mine = origins[number]
            if mine and all(origin.identity in unchanged for origin in mine):
                n = sum(unchanged[origin.identity] for origin in mine)
                yield Unchanged(mine[0].name, n)
                continue
            where = named.format(number) + (f" ({mine[0].name})" if mine else "")
            yield from attempt(where, partial(references, document, where, options))


def _origins(document: Any, options: Options) -> list[Origin]:
    """Where the references of a document come from; none where that is not known yet."""
    if not isinstance(document, Mapping):
        return []
    if "uuid" in document and isinstance(document.get("output"), Mapping):
        return [options.origin(name=_title(document), **_where(document))]
    if (model := model_of(document)) is None:
        return []
    try:
        return [
            options.origin(name=name, **origin_of(document, model)) for name in names_of(document)
        ]
    except PetFlowsError:  # said when it is read
        return []


def references(document: Any, where: str, options: Options) -> Iterator[Reference]:
    """References of one document.

    Raises
    ------
    PetFlowsError
        It is of no kind that holds any.
    """
    if not isinstance(document, Mapping):
        raise PetFlowsError(
            f"It is not a document, but {type(document).__name__}: export it again."
        )
    output = document.get("output")
    if "uuid" in document and isinstance(output, Mapping):
        kind = kind_of_output(output)
        if kind is not None:
            yield from kind.references(_of_job(document, output, options))
            return
    elif (model := model_of(document)) is not None:
        origin = origin_of(document, model)
        yield from model.references(Found(document, name_of(document), options, origin=origin))
        return
    elif document.get("@class") and (kind := kind_of_output(document)) is not None:
        origin = {"completed_at": date_of(document.get("completed_at"))}
        yield from kind.references(Found(document, where, options, origin=origin))
        return
    raise PetFlowsError(
        "It is of no kind that is known: give documents of the Materials Project (thermo, "
        "materials, elasticity, phonon, summary) or of atomate2."
    )


def _of_job(document: Mapping[str, Any], output: Mapping[str, Any], options: Options) -> Found:
    return Found(
        output,
        _title(document),
        options,
        origin=_where(document),
        metadata=document.get("metadata") or {},
    )


def _title(document: Mapping[str, Any]) -> str:
    return f"{document.get('name') or ''} {document['uuid']}".strip()


def _where(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "uuid": str(document["uuid"]),
        "index": document.get("index"),
        "dir_name": document["output"].get("dir_name"),
        "completed_at": date_of(document.get("completed_at")),
    }


def _documents(path: Path) -> Iterator[Any]:
    """Documents of a file; a line that is damaged is a problem.

    Raises
    ------
    PetFlowsError
        The file as a whole cannot be read.
    """
    lines = path.name.lower().removesuffix(".gz").endswith(_EACH_LINE)
    try:
        with opened(path) as file:
            if not lines:
                content = json.load(file)
                yield from content if isinstance(content, list) else [content]
                return
            for number, line in enumerate(file, start=1):
                if not line.strip():
                    continue
                try:
                    yield json.loads(line)
                except ValueError as error:
                    yield Problem(
                        f"{path.name}, line {number}",
                        f"It is not JSON ({first_line(error)}): write this line again.",
                    )
    except DAMAGED as error:
        raise PetFlowsError(
            f"{path} cannot be read as JSON ({first_line(error)}): check the file, or "
            "download it again."
        ) from None
