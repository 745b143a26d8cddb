"""What a user says of references that their source does not say, or says wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pet_flows.dft.documents import level_of
from pet_flows.dft.importers.given_level import checked, completed
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.material_ids import normalized, shown
from pet_flows.dft.reference import Origin
from pet_flows.errors import PetFlowsError


@dataclass(frozen=True)
class Options:
    """What holds for all references of one import.

    Parameters
    ----------
    level
        Fields of :class:`~pet_flows.dft.level.LevelOfTheory`; they take the place of what the
        source says.
    columns
        Column of a table → field, or path in a document.
    material_id
        Identifier of the material, where there is only one.
    citation, doi, licence
        Of the data.
    query
        MongoDB's, for sources that are databases.
    md
        How trajectories were made: fields of :class:`~pet_flows.dft.importers.dynamics.Run`, which
        take the place of what the source says.
    """

    level: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    material_id: str | None = None
    citation: str | None = None
    doi: str | None = None
    licence: str | None = None
    query: Mapping[str, Any] | None = None
    md: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reading(self) -> list[str]:
        """What was said of how entries are to be read, as it is kept with each."""
        said = {"map": self.columns, "md": self.md}
        return sorted(f"{of} {name}={v}" for of, held in said.items() for name, v in held.items())

    def level_of(self, found: Callable[[], LevelOfTheory] | LevelOfTheory | None) -> LevelOfTheory:
        """Level of an entry, completed by what was given.

        Parameters
        ----------
        found
            What the source says, or a function that finds it out; what that raises counts only
            where no functional was given.

        Raises
        ------
        PetFlowsError
            Nobody names the functional, or a field is wrong.
        """
        if callable(found):
            try:
                found = found()
            except PetFlowsError:
                if "functional" not in self.level:
                    raise
                found = None
        # what a level that is given leaves out is unknown: a U as well
        said = {"functional": None, "u": None} if found is None else found.model_dump(mode="json")
        level = checked({**said, **completed(self.level)})
        if level.functional is None:
            raise PetFlowsError(
                "It does not say with which functional it was calculated: give it, as with "
                "--level functional=PBE,spin=true."
            )
        return level

    def origin(self, **found: Any) -> Origin:
        """Where an entry comes from, with what was given of its publication."""
        given: dict[str, Any] = {
            "citation": self.citation,
            "doi": self.doi,
            "licence": self.licence,
        }
        given |= {"reading": self.reading}
        return Origin(**{**found, **{name: said for name, said in given.items() if said}})

    def identifiers(self, found: Iterable[Any] = ()) -> tuple[str, ...]:
        """Identifiers of an entry as they are written, each once; one given comes first."""
        once: dict[str, str] = {}
        for one in filter(None, [self.material_id, *found]):
            once.setdefault(normalized(str(one)), shown(str(one)))
        return tuple(once.values())

    def are_in(self, document: Mapping[str, Any]) -> bool:
        """Whether a stored reference was read with these same options."""
        source = document["source"]
        if self.reading != list(source.get("reading") or ()):
            return False
        if self.material_id and shown(self.material_id) not in document["material_ids"]:
            return False
        given = {"citation": self.citation, "doi": self.doi, "licence": self.licence}
        if any(said and source.get(name) != said for name, said in given.items()):
            return False
        if not self.level:
            return True
        stored = level_of(document)
        return self.level_of(stored) == stored


def parse_columns(text: str | None) -> dict[str, str]:
    """Column → field from ``column=field,column=field``.

    Raises
    ------
    PetFlowsError
        A part is not of this form.
    """
    found = {}
    for part in text.split(",") if text else ():
        column, equals, name = (piece.strip() for piece in part.partition("="))
        if not (column and equals and name):
            raise PetFlowsError(f"--map holds {part.strip()!r}: write it like column=field.")
        found[column] = name
    return found
