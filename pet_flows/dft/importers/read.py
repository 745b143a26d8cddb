"""What a reader of references yields for each entry of its source.

A reader is a function ``read(source, options, known)`` that yields, in the order of the source,
a :class:`~pet_flows.dft.reference.Reference` for each property an entry has, a :class:`Problem` for
an entry that gives none, :class:`Unchanged` for one that is stored already, or :class:`LeftOut` for
one that is a part of others. It raises
:class:`~pet_flows.errors.PetFlowsError` only where the source as a whole cannot be read, and wraps
each entry in :func:`pet_flows.dft.importers.importing.attempt`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pet_flows.dft.reference import Reference


@dataclass(frozen=True)
class Problem:
    """An entry of a source without a reference.

    Parameters
    ----------
    name
        What it is called there: a path, an identifier, a row.
    reason
        A sentence for a person: what is wrong and what to do.
    """

    name: str
    reason: str


@dataclass(frozen=True)
class Unchanged:
    """An entry of a source that is stored as it is there, and was not read.

    Parameters
    ----------
    name
        What it is called there.
    references
        How many of it are stored.
    """

    name: str
    references: int = 1


@dataclass(frozen=True)
class LeftOut:
    """An entry of a source that is none by itself, such as one strained cell of many.

    Parameters
    ----------
    name
        What it is called there.
    reason
        What it is.
    """

    name: str
    reason: str


Read = Reference | Problem | Unchanged | LeftOut
