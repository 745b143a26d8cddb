"""Documents of a jobflow store that hold references: which there are, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pet_flows.dft.importers import elastic, eos, force_field_task, phonon, vasp_task
from pet_flows.dft.importers.found import Found, JobFacts
from pet_flows.dft.reference import Reference


@dataclass(frozen=True)
class DocumentKind:
    """One kind of output.

    Parameters
    ----------
    classes
        ``output.@class``; none where the output is plain.
    fields
        What is read of an output.
    references
        Document → its references; PetFlowsError says why it has none.
    parts
        Gives uuids and folders of the calculations that a document was made of and that are no
        references by themselves, from its ``parts_fields``.
    part
        What such a calculation is, for people.
    facts
        What a document says of others that were made of it.
    """

    classes: tuple[str, ...]
    fields: tuple[str, ...]
    references: Callable[[Found], Iterator[Reference]]
    parts: Callable[[Mapping[str, Any]], tuple[list[str], list[str]]] | None = None
    parts_fields: tuple[str, ...] = ()
    part: str = ""
    facts: Callable[[Found], JobFacts] | None = None


KINDS = (
    DocumentKind(vasp_task.CLASSES, vasp_task.FIELDS, vasp_task.references, facts=vasp_task.facts),
    DocumentKind(
        force_field_task.CLASSES,
        force_field_task.FIELDS,
        force_field_task.references,
        facts=force_field_task.facts,
    ),
    DocumentKind(
        elastic.CLASSES,
        elastic.FIELDS,
        elastic.references,
        parts=elastic.strained,
        parts_fields=("fitting_data.uuids", "fitting_data.job_dirs"),
        part="strained cell",
    ),
    DocumentKind(
        phonon.CLASSES,
        phonon.FIELDS,
        phonon.references,
        parts=phonon.displaced,
        parts_fields=("uuids", "jobdirs", "calc_meta"),
        part="displaced cell",
    ),
    DocumentKind(
        (),
        eos.FIELDS,
        eos.references,
        parts=eos.scaled,
        parts_fields=eos.SCALED_FIELDS,
        part="scaled cell",
    ),
)


def kind_of_output(output: Mapping[str, Any]) -> DocumentKind | None:
    """Kind of an output, from its class or, of an equation of state, from what it has."""
    name = output.get("@class")
    for kind in KINDS:
        if name in kind.classes or (name is None and not kind.classes):
            return kind
    return None
