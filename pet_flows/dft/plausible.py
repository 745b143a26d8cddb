"""Numbers that no crystal has: most often they are in another unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pet_flows.errors import PetFlowsError


@dataclass(frozen=True)
class _Bounds:
    """What a number of a result must be.

    Parameters
    ----------
    above, most
        It is larger than the one and at most the other; None is no bound.
    unit
        Of both.
    hint
        A unit that a number beyond them is often in.
    """

    above: float | None
    most: float | None
    unit: str
    hint: str = ""


#: the largest constant of diamond is about 1100 GPa
_MODULUS = _Bounds(0.0, 2000.0, "GPa", "Pa")
#: of an unstable crystal moduli may have any sign
_SIGNED_MODULUS = _Bounds(-2000.0, 2000.0, "GPa", "Pa")
#: crystals of noble gases and the emptiest frameworks have some 100 Å³ per atom
_VOLUME = _Bounds(0.0, 1000.0, "Å³ per atom", "Å³ of the cell, for which --map has /cell")
_LENGTH = _Bounds(0.0, None, "Å")
_ANGLE = _Bounds(0.0, 180.0, "degrees")
#: molecular hydrogen has 132 THz
_FREQUENCY = _Bounds(-200.0, 200.0, "THz", "1/cm, of which 33.36 are 1 THz")

_MODULI = ("k_voigt", "k_reuss", "k_vrh", "g_voigt", "g_reuss", "g_vrh", "young")
_BOUNDS: dict[str, dict[str, _Bounds]] = {
    "eos": {"v0_per_atom": _VOLUME, "volumes": _VOLUME, "b0": _MODULUS},
    "elastic": {
        **dict.fromkeys(_MODULI, _MODULUS),
        "tensor": _SIGNED_MODULUS,
        "tensor_ieee": _SIGNED_MODULUS,
    },
    "phonon": {"min_frequency": _FREQUENCY, "max_frequency": _FREQUENCY},
    "relax": {
        **{f"lattice.{name}": _LENGTH for name in "abc"},
        **{f"lattice.{name}": _ANGLE for name in ("alpha", "beta", "gamma")},
    },
    "qha": {"volume_per_atom": _VOLUME, "bulk_modulus": _MODULUS},
}


def refuse_impossible_numbers(property: str, result: Mapping[str, Any]) -> None:
    """Refuse a result with a number that no crystal has.

    Energies are left alone: those of all electrons are of any size. So are signs of the moduli
    of a tensor that is said to be unstable.

    Parameters
    ----------
    property, result
        Of a reference, in the units of a record.

    Raises
    ------
    PetFlowsError
        Names the first such number, its bounds, and the unit that it may be in.
    """
    unstable = result.get("stable") is False
    for path, bounds in _BOUNDS.get(property, {}).items():
        if unstable and bounds is _MODULUS:
            bounds = _SIGNED_MODULUS
        for value in _numbers(result, path):
            if bounds.above is not None and value <= bounds.above:
                must = f"above {bounds.above:g}"
            elif bounds.most is not None and value > bounds.most:
                must = f"at most {bounds.most:g}"
            else:
                continue
            asked = f" (are these {bounds.hint}?)" if abs(value) > (bounds.most or 0.0) else ""
            asked = asked if bounds.hint else ""
            raise PetFlowsError(
                f"Its {path} of {property} must be {must} {bounds.unit}, and is {value:g}{asked}: "
                "correct it, or leave it out."
            )


def _numbers(result: Mapping[str, Any], path: str) -> Iterator[float]:
    """Numbers at a path, also those in lists; None is none."""
    first, _, rest = path.partition(".")
    held = result.get(first)
    if rest:
        if isinstance(held, Mapping):
            yield from _numbers(held, rest)
        return
    yield from _flat(held)


def _flat(held: Any) -> Iterator[float]:
    if isinstance(held, list | tuple):
        for inside in held:
            yield from _flat(inside)
    elif held is not None:
        yield float(held)
