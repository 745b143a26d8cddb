"""Spec strings → strategies: the same words in Python, makers, records and on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:  # torch stays away from those who only want the canonical spelling
    from pet_flows.symmetrization.strategy import Strategy

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
    kind, *options = [word.strip().lower() for word in spec.split(":")]
    match kind, options:
        case "none", []:
            return "none"
        case "grid", [name] if name in _GRIDS:
            return f"grid:{name}"
        case "grid", [name, "inversion"] if name in _GRIDS:
            return f"grid:{name}:inversion"
        case "grid", ["lebedev", degree] if degree.isdecimal() and 1 <= int(degree) <= 131:
            return f"grid:lebedev:{int(degree)}"
        case "crystal", []:
            return "crystal"
        case "crystal", [name] if name in (*_GROUPS, "orientation"):
            return f"crystal:{name}"
        case "ecse", [*words] if _ecse(words) is not None:
            scope, group = _ecse(words) or ("local", None)
            return ":".join(
                ["ecse", *([] if scope == "local" else [scope]), *filter(None, [group])]
            )
    raise PetFlowsError(f"There is no symmetrization {spec!r}; choose one of: {'; '.join(FORMS)}.")


def parse_strategy(spec: str) -> Strategy:
    """Strategy of a spec string; its ``spec`` attribute is the canonical form.

    Raises
    ------
    PetFlowsError
        No strategy has this spec; the sentence lists those that exist.
    """
    spec = canonical_spec(spec)
    kind, *options = spec.split(":")
    if kind == "crystal":
        from pet_flows.symmetrization.crystal import Crystal

        return Crystal(options[0] if options else None)
    if kind == "ecse":
        from pet_flows.symmetrization.ecse import Ecse

        scope, group = _ecse(options) or ("local", None)
        return Ecse(scope, group)
    from pet_flows.symmetrization.grid import Grid

    return Grid(spec)


def _ecse(words: list[str]) -> tuple[str, str | None] | None:
    """Scope and group of ecse options; None if they are none."""
    scope = words[0] if words and words[0] in _SCOPES else "local"
    rest = words[1:] if words and words[0] in _SCOPES else words
    if not rest:
        return scope, None
    return (scope, rest[0]) if len(rest) == 1 and rest[0] in _GROUPS else None
