"""Spec strings: how strategies are called in Python, makers, records and on the command line.

What a strategy is good for is said here too, by fields and not by its string, for properties and
commands that have no use for torch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from pet_flows.errors import PetFlowsError

Kind = Literal["none", "grid", "crystal", "ecse"]

_GRIDS = ("tetrahedral", "octahedral", "icosahedral")
_GROUPS = ("tetrahedral", "icosahedral")
_SCOPES = ("local", "structure", "atom")

#: every form a spec can take, for messages and help
FORMS = (
    "none",
    "grid:tetrahedral|octahedral|icosahedral[:inversion]",
    "grid:lebedev:L with L from 1 to 131",
    "crystal[:tetrahedral|icosahedral]",
    "crystal:orientation",
    "ecse[:local|structure|atom][:tetrahedral|icosahedral]",
)


@dataclass(frozen=True)
class StrategySpec:
    """What a spec string asks for, and what that is good for.

    Attributes
    ----------
    kind
        What it begins with.
    group
        Rotation group averaged over: the grid itself, or what follows the frames of ``crystal``
        and ``ecse``; None without one.
    inversion
        Whether a grid holds the improper operations too.
    degree
        Of a Lebedev grid.
    scope
        Which frames of ``ecse`` serve an atom.
    oriented
        Whether ``crystal`` evaluates its oriented frame alone.
    """

    kind: Kind
    group: str | None = None
    inversion: bool = False
    degree: int | None = None
    scope: str = "local"
    oriented: bool = False

    @property
    def canonical(self) -> str:
        """The one spelling: lower case, no spaces, defaults left out."""
        parts = [
            self.kind,
            "" if self.degree is None else f"lebedev:{self.degree}",
            "orientation" if self.oriented else "",
            "" if self.scope == "local" else self.scope,
            self.group,
            "inversion" if self.inversion else "",
        ]
        return ":".join(filter(None, parts))

    @property
    def frame_follows_cell(self) -> bool:
        """Whether orientation is taken from the lattice, which says little of a liquid."""
        return self.kind == "crystal"

    @property
    def compares_phases(self) -> bool:
        """Whether energies of different phases may be subtracted.

        So they may where each is averaged over a group besides the orientation of its own lattice.
        That must be the lattice it has now: an inherited reference remembers another phase.
        """
        return self.kind == "crystal" and self.group is not None

    @property
    def evaluates_whole_structures(self) -> bool:
        """Whether every call of the model holds a whole structure, or its primitive cell.

        ``ecse`` evaluates the surroundings of its frames, however large the structure is.
        """
        return self.kind != "ecse"

    def shows_only(self, frames: StrategySpec) -> bool:
        """Whether each orientation that it shows a model is one that another strategy shows too.

        Examples
        --------
        >>> parse_spec("crystal:orientation").shows_only(parse_spec("crystal"))
        True
        """
        return self == frames or (self.oriented and frames == _CRYSTAL)

    @property
    def for_dynamics(self) -> StrategySpec:
        """The one for long runs without symmetry: of ``crystal`` the oriented frame alone.

        That is exactly invariant too, with one evaluation a step.
        """
        return replace(self, oriented=True) if self == _CRYSTAL else self

    @property
    def for_phases(self) -> StrategySpec:
        """The one whose energies of different phases may be subtracted, as far as there is one."""
        return replace(self, group="icosahedral") if self == _CRYSTAL else self


_CRYSTAL = StrategySpec("crystal")


@lru_cache(maxsize=256)
def parse_spec(spec: str) -> StrategySpec:
    """What a spec string asks for, however it is spelled.

    Raises
    ------
    PetFlowsError
        No strategy has this spec; the sentence lists those that exist.

    Examples
    --------
    >>> parse_spec("crystal:icosahedral").compares_phases
    True
    """
    kind, *options = [part.strip().lower() for part in spec.split(":")]
    match kind, options:
        case "none", []:
            return StrategySpec("none")
        case "grid", [name] if name in _GRIDS:
            return StrategySpec("grid", name)
        case "grid", [name, "inversion"] if name in _GRIDS:
            return StrategySpec("grid", name, inversion=True)
        case "grid", ["lebedev", degree] if degree.isdecimal() and 1 <= int(degree) <= 131:
            return StrategySpec("grid", degree=int(degree))
        case "crystal", []:
            return _CRYSTAL
        case "crystal", ["orientation"]:
            return StrategySpec("crystal", oriented=True)
        case "crystal", [name] if name in _GROUPS:
            return StrategySpec("crystal", name)
        case "ecse", []:
            return StrategySpec("ecse")
        case "ecse", [scope] if scope in _SCOPES:
            return StrategySpec("ecse", scope=scope)
        case "ecse", [name] if name in _GROUPS:
            return StrategySpec("ecse", name)
        case "ecse", [scope, name] if scope in _SCOPES and name in _GROUPS:
            return StrategySpec("ecse", name, scope=scope)
    raise PetFlowsError(f"There is no symmetrization {spec!r}; choose one of: {'; '.join(FORMS)}.")


def canonical_spec(spec: str) -> str:
    """The one spelling of a spec: lower case, no spaces, defaults left out.

    Raises
    ------
    PetFlowsError
        No strategy has this spec.

    Examples
    --------
    >>> canonical_spec("ECSE:local:Icosahedral")
    'ecse:icosahedral'
    """
    return parse_spec(spec).canonical


def serving(spec: str, purpose: Literal["derivatives", "dynamics", "phases"]) -> str:
    """Canonical spec of the strategy that serves a purpose best, given the one that was chosen.

    Only ``crystal`` leaves a choice: one orientation of each coset for ``derivatives`` of a
    crystal, the oriented frame alone for ``dynamics``, an icosahedral group besides for
    differences of ``phases``. Whoever names another strategy gets that.

    Examples
    --------
    >>> serving("Crystal", "dynamics")
    'crystal:orientation'
    """
    parsed = parse_spec(spec)
    match purpose:
        case "derivatives":
            return parsed.canonical
        case "dynamics":
            return parsed.for_dynamics.canonical
        case "phases":
            return parsed.for_phases.canonical
    raise ValueError(f"no purpose {purpose!r}: it is derivatives, dynamics or phases")
