"""What a property declares of itself, once: makers, flows, records and commands read it here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from pet_flows.properties.comparison import Side, Value, numbers
from pet_flows.properties.result import Strict
from pet_flows.properties.settings import PropertySettings

if TYPE_CHECKING:
    from pet_flows.properties.outcome import Outcome

#: what the energies are used for, which decides which symmetrization serves it best:
#: ``derivatives`` of one crystal, ``dynamics`` without any symmetry, differences of ``phases``
Purpose = Literal["derivatives", "dynamics", "phases"]


#: K, at which tables of many structures show what depends on temperature
ROOM_TEMPERATURE = 300.0


@dataclass(frozen=True)
class Column:
    """A column of a table of many structures that is no single field of the result.

    Parameters
    ----------
    name
        Head of the column.
    value
        ``result`` of a record → what its cell says.
    unit
        Of the value.
    """

    name: str
    value: Callable[[Mapping[str, Any]], Any]
    unit: str = ""


@dataclass(frozen=True)
class Property:
    """One property of a structure: how it is computed, stored, listed and drawn.

    Each package of `pet_flows.properties` has one in its ``declaration`` module, as ``PROPERTY``;
    other distributions name theirs under the entry point group ``pet_flows.properties``. Nothing
    that a declaration imports may import torch: the functions are named, and imported when called.

    Parameters
    ----------
    name
        As it is called in records, options and campaign files.
    title
        The same as text.
    compute
        ``module:function`` of ``(structures, potential, settings, inherited, *, progress)``, which
        yields an `Outcome` per structure as these finish, failed ones included.
    settings, result
        Models of what the user chooses and of a record's ``result``.
    headline
        ``result`` of a record in state ``ok`` → the short text that says most about it.
    table
        What a table of many structures shows, most telling first: fields of the result, dots
        going into nested ones (``temperature.mean``), and `Column` where no field says it.
    counts
        What progress counts (``volumes``); empty where it counts structures only.
    bounded
        Whether the total that progress tells is what there will be, not the most there may be.
    dtype
        The only precision in which it is right; None for that of the potential.
    purpose
        Gives the purpose, which the settings may decide.
    takes
        Fields of `Execution` that ``compute`` has arguments for; with ``store_every`` it also has
        ``backups``, see :class:`pet_flows.properties.md.backup.Backup`.
    in_campaign
        Settings that a campaign begins with instead of their defaults: it puts different
        structures beside each other.
    plots
        Name → ``module:function`` of a `PlotData`, which gives a matplotlib figure; the first is
        drawn where none is named.
    order
        Smaller ones are computed first; ``relax`` has 0, and the others start from what it gives.
    extra
        Optional dependency of this package that it needs.
    compared
        ``module:function`` of two `~pet_flows.properties.comparison.Side`, ours and DFT's, which
        gives the list of their `~pet_flows.properties.comparison.Value`. Without it, all single
        numbers of the result that both sides have are compared.
    crystal
        Which structure of a record says of what crystal it is: dynamics ends in a snapshot, and is
        of the one that it began with.
    """

    name: str
    title: str
    compute: str
    settings: type[PropertySettings]
    result: type[Strict]
    headline: Callable[[Mapping[str, Any]], str]
    table: tuple[str | Column, ...] = ()
    counts: str = ""
    bounded: bool = True
    dtype: Literal["float64"] | None = None
    purpose: Callable[[Any], Purpose] = lambda settings: "derivatives"
    takes: tuple[str, ...] = ()
    in_campaign: Mapping[str, Any] = field(default_factory=dict)
    plots: Mapping[str, str] = field(default_factory=dict)
    order: int = 100
    extra: str | None = None
    compared: str | None = None
    crystal: Literal["final", "input"] = "final"

    def compare(self, ours: Side, theirs: Side) -> list[Value]:
        """Set two results beside each other.

        Returns
        -------
        list of Value
            By the property's own function, else all single numbers that both results have.

        Raises
        ------
        NotComparable
            The results are not of the same thing.
        """
        if self.compared is None:
            return numbers(self.result, ours, theirs)
        own: Callable[[Side, Side], list[Value]] = imported(self.compared)
        return own(ours, theirs)

    def function(self) -> Callable[..., Iterator[Outcome]]:
        """Import and give the function that computes it."""
        found: Callable[..., Iterator[Outcome]] = imported(self.compute)
        return found

    def line(self, record: Mapping[str, Any]) -> str:
        """One line about a record of this property, whatever its state."""
        if record["state"] == "failed":
            return f"{record['reason']}: {record['message']}"
        try:
            text = self.headline(record.get("result") or {})
        except (KeyError, TypeError, ValueError, IndexError):  # unconverged ones may lack fields
            text = record.get("message") or ""
        return text if record["state"] == "ok" else f"{record['reason']}: {text}"


@dataclass(frozen=True)
class PlotData:
    """What a plot is drawn from: one record, or one result that was never stored.

    Parameters
    ----------
    title
        Formula, identifier and potential, for above the axes.
    result, settings
        Of the record.
    arrays
        Gives the arrays of a blob by its name; KeyError where there is none of this name.
    """

    title: str
    result: Mapping[str, Any]
    settings: Mapping[str, Any]
    arrays: Callable[[str], Mapping[str, Any]]


def imported(path: str) -> Any:
    """Object that ``module:name`` names."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
