"""A document of a database, wherever it was found, on its way to references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pymatgen.core import Structure

from pet_flows.dft.importers.given_level import doubt_of
from pet_flows.dft.importers.options import Options
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError
from pet_flows.inputs.documents import value_at


def _as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class JobFacts:
    """What the calculations that a document was made of say, where it does not say it itself.

    Parameters
    ----------
    level
        Of theory.
    ions_relaxed
        Whether ions moved; None where it is not known.
    """

    level: LevelOfTheory
    ions_relaxed: bool | None = None


def _unknown(uuids: Sequence[str], folders: Sequence[str]) -> JobFacts | None:
    return None


@dataclass(frozen=True)
class Found:
    """One document, and what is known of where it lay.

    Parameters
    ----------
    content
        The document; of a jobflow store its ``output``.
    name
        For people.
    options
        What the user said.
    origin
        Fields of :class:`~pet_flows.dft.reference.Origin`.
    metadata
        Of the job, where links to records and materials are.
    blob
        Where the document has ``{"blob_uuid": ..., "store": ...}``, gives what that stands for.
    further
        Gives more fields of the document, which are large and read only of some; of a document
        that is whole there are none.
    jobs
        What the first of these jobs, named by uuid or folder, says whose document is there.
    """

    content: Mapping[str, Any]
    name: str
    options: Options
    origin: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    blob: Callable[[Any], Any] = _as_it_is
    further: Callable[[Sequence[str]], Mapping[str, Any]] | None = None
    jobs: Callable[[Sequence[str], Sequence[str]], JobFacts | None] = _unknown

    def at(self, path: str) -> Any:
        """Value at keys joined by dots; None where there is none."""
        return value_at(self.content, path)

    def need(self, path: str) -> Any:
        """Value that the document must have.

        Raises
        ------
        PetFlowsError
            It has none.
        """
        value = self.at(path)
        if value is None:
            raise PetFlowsError(f"The document has no {path}: export or compute it again.")
        return value

    def more(self, fields: Sequence[str]) -> Mapping[str, Any]:
        """Document with these fields, where it has them."""
        return self.content if self.further is None else self.further(fields)

    def structure(self, path: str = "structure") -> Structure:
        """Structure at a path."""
        return structure_in(self.need(path))

    def reference(
        self,
        property: str,
        result: Mapping[str, Any],
        structure: Structure,
        level: Callable[[], LevelOfTheory] | LevelOfTheory | None,
        *,
        entry: dict[str, Any] | None = None,
        arrays: Mapping[str, Mapping[str, np.ndarray]] | None = None,
        problems: Iterable[str] = (),
    ) -> Reference:
        """Reference of one property of this document; what is None in `result` is left out."""
        records = self.metadata.get("pet_record")
        return Reference(
            property=property,
            result={name: value for name, value in result.items() if value is not None},
            structure=structure,
            level=self.options.level_of(level),
            source=self.options.origin(name=self.name, **self.origin),
            material_ids=self.options.identifiers(
                [
                    *several(self.metadata.get("material_id")),
                    *several(self.content.get("material_id")),
                    *several((structure.properties or {}).get("material_id")),
                ]
            ),
            records=tuple(str(key) for key in several(records)),
            entry=entry,
            arrays={name: dict(held) for name, held in (arrays or {}).items()},
            problems=(*problems, *filter(None, [doubt_of(self.options.level)])),
        )


def structure_in(content: Any) -> Structure:
    """Decode a structure, of which the class names that it holds are not called."""
    return content if isinstance(content, Structure) else Structure.from_dict(content)


def several(value: Any) -> list[Any]:
    """List of what may be one value, several or none."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | set) else [value]


def date_of(value: Any) -> datetime | None:
    """Date of a document: an object, ISO text, or ``{"$date": ...}``; None where it is none."""
    if isinstance(value, Mapping):
        value = value.get("$date") or value.get("string")
    if isinstance(value, int | float) and not isinstance(value, bool):  # of "$date", milliseconds
        return datetime.fromtimestamp(value / 1000, UTC)
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    return value if isinstance(value, datetime) else None
