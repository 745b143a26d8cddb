"""Everything that a source holds → the collection ``pet_references``, entry by entry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pet_flows.dft.documents import document_of
from pet_flows.dft.importers.kinds import kind_of, reader_of
from pet_flows.dft.importers.known import Known
from pet_flows.dft.importers.options import Options
from pet_flows.dft.importers.read import LeftOut, Problem, Read, Unchanged
from pet_flows.dft.reference import Reference
from pet_flows.errors import PetFlowsError
from pet_flows.store.patience import ServerAwayError
from pet_flows.store.writes import at_once

if TYPE_CHECKING:
    from pet_flows.store.results import ResultStore


#: references that are stored at once: few, because each may have arrays of some MB
_AT_ONCE = 20


@dataclass
class Imported:
    """What became of the entries of a source.

    Parameters
    ----------
    new, changed, same
        References; those of entries that were not read again, because nothing changed, are the
        same.
    problems
        Entries that gave none, each with its reason.
    left_out
        Entries that are parts of others: their number by what they are.
    """

    new: int = 0
    changed: int = 0
    same: int = 0
    problems: list[Problem] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """What was looked at."""
        parts = sum(self.left_out.values())
        return self.new + self.changed + self.same + len(self.problems) + parts

    def __str__(self) -> str:
        """Say it on one line."""
        said = [f"{self.new} new", f"{self.changed} changed", f"{self.same} the same"]
        if n := len(self.problems):
            said.append(f"{n} problem{'s' * (n != 1)}")
        said += [f"left out {n} {what}{'s' * (n != 1)}" for what, n in self.left_out.items()]
        return ", ".join(said)


def import_references(
    store: ResultStore,
    source: str,
    kind: str | None = None,
    options: Options | None = None,
    *,
    again: bool = False,
    progress: Callable[[Imported], None] | None = None,
) -> Imported:
    """Store the references of a source; run again, only what changed there is read.

    Parameters
    ----------
    store
        Where they go.
    source
        A file, a folder, a ``jobflow.yaml``, ``jobflow`` (your own store) or another name of
        :data:`~pet_flows.dft.importers.kinds.KINDS`.
    kind
        A key of ``KINDS``; by default it is recognized.
    options
        What the source does not say itself.
    again
        Read also what has not changed.
    progress
        Called after each entry.

    Returns
    -------
    Imported
        An entry that gives no reference is a problem there and stops none of the others.

    Raises
    ------
    PetFlowsError
        The source as a whole cannot be read or holds nothing, or the database stays away.

    Examples
    --------
    >>> import_references(store, "jobflow")  # doctest: +SKIP
    Imported(new=12, changed=0, same=0, problems=[])
    """
    given = options or Options()
    known = Known(store.references, given, again=again)
    found = store_all(store, reader_of(source, kind)(source, given, known), progress)
    if not found.total and (kind or kind_of(source)) != "store":  # which may be new
        raise PetFlowsError(
            f"{source} holds nothing that a reference could be made of: name another, or say with "
            "--as what it is."
        )
    return found


def store_all(
    store: ResultStore,
    entries: Iterable[Read],
    progress: Callable[[Imported], None] | None = None,
) -> Imported:
    """Store the references among these entries, some at a time.

    What was read before the source fails, or a person stops it, is stored.
    """
    found = Imported()
    waiting: list[Reference] = []
    try:
        for entry in entries:
            if isinstance(entry, Problem):
                found.problems.append(entry)
            elif isinstance(entry, Unchanged):
                found.same += entry.references
            elif isinstance(entry, LeftOut):
                found.left_out[entry.reason] = found.left_out.get(entry.reason, 0) + 1
            else:
                waiting.append(entry)
            if len(waiting) == _AT_ONCE:
                _store(store, waiting, found)
                waiting = []
            if progress is not None:
                progress(found)
    finally:
        _store(store, waiting, found)
    return found


def _store(store: ResultStore, references: list[Reference], found: Imported) -> None:
    made = []
    for reference in references:
        try:
            made.append((reference.source.name, *document_of(reference)))
        except (TypeError, ValueError, PetFlowsError) as error:  # what a source added to an entry
            said = f"It cannot be stored ({error}): export it again."
            found.problems.append(Problem(reference.source.name, said))
    with at_once(store.references.collection):
        for name, document, blobs in made:
            try:
                done = store.references.put(document, blobs)
            except ServerAwayError:
                raise
            except PetFlowsError as error:
                found.problems.append(Problem(name, str(error)))
            else:
                setattr(found, done, getattr(found, done) + 1)


def attempt(name: str, read: Callable[[], Iterable[Reference]]) -> Iterator[Reference | Problem]:
    """References of one entry, or the reason why there are none.

    Parameters
    ----------
    name
        Of the entry, for people.
    read
        What may fail; what it gave before it failed counts.
    """
    try:
        yield from read()
    except ServerAwayError:
        raise
    except PetFlowsError as error:
        yield Problem(name, str(error))
    except ValidationError as error:
        listed = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg'].removeprefix('Value error, ')}"
            for one in error.errors()[:3]
        )
        yield Problem(name, f"It is damaged or of another kind ({listed}): export it again.")
    except Exception as error:  # a damaged document causes any
        first = (str(error).splitlines() or [""])[0][:200]
        said = f"it has no {first}" if isinstance(error, KeyError) else first
        yield Problem(
            name,
            f"It is damaged or of another kind ({type(error).__name__}: {said}): export it again.",
        )
