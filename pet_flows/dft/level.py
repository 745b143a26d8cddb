"""The level of theory of a DFT value, or of the data that a potential was trained on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, field_validator, model_validator

from pet_flows.dft.functionals import dispersion_name, functional_name
from pet_flows.errors import PetFlowsError

MATERIALS_PROJECT_U = {
    "V": 3.25, "Cr": 3.7, "Mn": 3.9, "Fe": 5.3, "Co": 3.32, "Ni": 6.2, "Mo": 4.38, "W": 6.2,
}  # fmt: skip
"""eV, beside O or F only: pymatgen's ``MPRelaxSet``, which OMat24 and Alexandria follow."""

ALL_ELECTRON = "all-electron"

FORCE_FIELD = "force field"
"""``code`` of what another potential calculated, whose name is the ``functional``."""

_SPIN = {
    "non-magnetic": False, "nonmagnetic": False, "none": False, "non-spin-polarized": False,
    "spin-polarized": True, "collinear": True, "non-collinear": True, "magnetic": True,
}  # fmt: skip
_IVDW = {
    1: "D2", 10: "D2", 11: "D3", 12: "D3(BJ)", 13: "D4",
    2: "TS", 20: "TS", 21: "TS-HI", 202: "MBD", 263: "MBD-FI", 4: "dDsC",
}  # fmt: skip
"""VASP's tag → name; 0 is none."""

_FAMILIES = {"PAW_PBE": "PBE", "PAW_GGA": "PW91", "PAW": "LDA", "US": "LDA"}
"""Beginning of a POTCAR's title → the functional that VASP uses where the INCAR names none."""


class LevelOfTheory(BaseModel):
    """What was calculated, in one spelling: two equal levels have equal digests.

    :func:`pet_flows.dft.differences.differences` says what two levels do not share for given
    elements.

    Examples
    --------
    >>> print(LevelOfTheory(functional="R2SCAN", spin=True, cutoff=680))
    r2SCAN, 680 eV, spin-polarized
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    functional: str | None = Field(description="PBE, PBEsol, r2SCAN, ...; null is unknown")
    u: dict[str, float] | None = Field(
        default_factory=dict, description="element → Hubbard U in eV; null is unknown"
    )
    u_with: tuple[str, ...] = Field(
        default=(), description="U is used only beside one of these elements; empty: always"
    )
    spin: bool | None = Field(default=None, description="spin-polarized; null is unknown")
    dispersion: str | None = Field(default=None, description="D3(BJ), MBD, ...; null is none")
    pseudopotentials: dict[str, str] | str | None = Field(
        default=None, description="all-electron, name of a set, or POTCAR title by element"
    )
    code: str | None = None
    cutoff: PositiveFloat | None = Field(default=None, description="eV, of plane waves")
    settings: str | None = Field(default=None, description="what else there is to say")

    @model_validator(mode="before")
    @classmethod
    def _one_spelling(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and isinstance(values.get("functional"), str):
            name, dispersion = functional_name(values["functional"])
            if not name:
                raise ValueError("functional must be a name such as PBE (got an empty text)")
            said = dispersion_name(values.get("dispersion") or "")
            return {**values, "functional": name, "dispersion": said or dispersion}
        return values

    @field_validator("spin", mode="before")
    @classmethod
    def _spin_of_names(cls, value: Any) -> Any:
        if isinstance(value, str):
            if value.casefold() not in _SPIN:
                raise ValueError(f"spin must be true, false or null (got {value!r})")
            return _SPIN[value.casefold()]
        return value

    @field_validator("u_with", mode="before")
    @classmethod
    def _one_element(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("u")
    @classmethod
    def _no_zeros(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        _refuse_other_names(value or ())
        return value and {element: value[element] for element in sorted(value) if value[element]}

    @field_validator("u_with")
    @classmethod
    def _sorted(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _refuse_other_names(value)
        return tuple(sorted(value))

    @property
    def digest(self) -> str:
        """Hex digest of everything in it."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __hash__(self) -> int:
        """Allow levels in sets."""
        return hash(self.digest)

    def __str__(self) -> str:
        """Say it on one line."""
        u = "U unknown" if self.u is None else ""
        if self.u:
            u = "U " + ", ".join(f"{element} {value:g} eV" for element, value in self.u.items())
            u += f" beside {' or '.join(self.u_with)}" if self.u_with else ""
        spin = {True: "spin-polarized", False: "non-magnetic", None: ""}[self.spin]
        set_ = self.pseudopotentials if isinstance(self.pseudopotentials, str) else ""
        cutoff = f"{self.cutoff:g} eV" if self.cutoff else ""
        name = self.functional or "unknown functional"
        parts = (name, u, self.dispersion, set_, cutoff, self.settings, spin)
        return ", ".join(part for part in parts if part)

    def same_functional(self, other: LevelOfTheory) -> bool:
        """Whether both have one functional, dispersion corrections aside."""
        return (self.functional or "").casefold() == (other.functional or "").casefold()

    def u_of(self, elements: set[str]) -> dict[str, float] | None:
        """U on the elements of one structure, eV; None where it is not known."""
        if self.u is None:
            return None
        if self.u_with and not elements & set(self.u_with):
            return {}
        return {element: value for element, value in self.u.items() if element in elements}

    @classmethod
    def from_card(cls, card: Mapping[str, Any]) -> LevelOfTheory:
        """Level of a potential's training data, from its card.

        Parameters
        ----------
        card
            ``functional``, ``run_type``, ``u``, ``spin``, ``dispersion``, ``pseudopotentials``;
            what it does not hold is unknown. ``u`` is true, false or eV by element; true beside
            the run type ``GGA_GGA+U`` is what the Materials Project uses.
        """
        run_type, u = str(card.get("run_type") or ""), card.get("u")
        content: dict[str, Any] = {
            name: card.get(name)
            for name in ("functional", "spin", "dispersion", "pseudopotentials")
        }
        if isinstance(u, Mapping):
            content["u"] = dict(u)
        elif u is False:
            content["u"] = {}
        elif is_mixture(run_type):
            content |= {"u": MATERIALS_PROJECT_U, "u_with": ("F", "O")}
        else:
            content["u"] = {} if run_type and "+U" not in run_type and u is None else None
        return cls(**content)

    @classmethod
    def from_run_type(
        cls,
        run_type: str,
        *,
        incar: Mapping[str, Any] | None = None,
        hubbards: Mapping[str, float] | None = None,
        titles: Sequence[str] | None = None,
    ) -> LevelOfTheory:
        """Level of a VASP calculation from what emmet and the Materials Project say of it.

        Parameters
        ----------
        run_type
            Such as ``GGA``, ``PBE``, ``PBEsol``, ``r2SCAN``, ``GGA+U``, ``HSE06``, or the mixture
            ``GGA_GGA+U``. VASP without a ``GGA`` tag is ``GGA`` there, and PBE.
        incar
            All tags of the calculation (``ISPIN``, ``IVDW``, ``ENCUT``, ``GGA`` count): one
            that is absent has VASP's default. None: not known.
        hubbards
            Element → U in eV.
        titles
            Of its POTCARs, such as ``PAW_PBE Fe_pv 02Aug2007``.

        Raises
        ------
        PetFlowsError
            The run type says LDA only for want of anything else, mixes functionals, or is
            contradicted by ``hubbards`` or the POTCARs.
        """
        written = run_type.strip()
        tags = {str(name).upper(): value for name, value in (incar or {}).items()}
        families = {_FAMILIES.get(title.split()[0]) for title in titles or () if title.split()}
        base, with_u = written.removesuffix("+U"), written.endswith("+U")
        content: dict[str, Any] = {"code": "VASP", "cutoff": tags.get("ENCUT") or None}
        if is_mixture(written):
            base = "PBE"
            content |= {"u": MATERIALS_PROJECT_U, "u_with": ("F", "O")}
        elif "_" in base:
            raise PetFlowsError(
                f"The run type {written} mixes calculations of several functionals: take the "
                "entries of one of them."
            )
        else:
            content["u"] = _hubbard(written, with_u, hubbards)
        name = "PBE" if base in ("--", "") else functional_name(base)[0]
        if name == "LDA" and families != {"LDA"} and not _names_lda(tags):
            raise PetFlowsError(
                "The run type says LDA, which it also does where the functional was not read: "
                "neither its tag GGA nor its POTCARs are those of LDA. Give the calculation's "
                "parameters (vasprun.xml), or its functional."
            )
        if base in ("GGA", "--", "") and families - {None, "PBE"}:
            theirs = " and ".join(sorted(filter(None, families)))
            raise PetFlowsError(
                f"The run type {written or 'without a name'} leaves the functional to the POTCARs, "
                f"and these are {theirs}'s: give the functional itself."
            )
        if incar is not None:
            content["spin"] = _is_spin_polarized(tags)
            number = int(tags.get("IVDW") or 0)
            content["dispersion"] = _IVDW.get(number, f"IVDW {number}") if number else None
        if titles:
            content["pseudopotentials"] = {_element_of(title): title.strip() for title in titles}
        return cls(functional=base if name != "PBE" else name, **content)


def is_mixture(run_type: str) -> bool:
    """Whether it is the Materials Project's PBE, with U beside O and F."""
    return run_type.replace(" ", "") in ("GGA_GGA+U", "PBE_PBE+U")


def _refuse_other_names(names: Iterable[str]) -> None:
    from pymatgen.core import Element

    for name in names:
        if not Element.is_valid_symbol(name):
            raise ValueError(f"there is no element {name!r}: write its symbol, such as Fe")


def _hubbard(
    run_type: str, with_u: bool, hubbards: Mapping[str, float] | None
) -> dict[str, float] | None:
    used = {element: float(value) for element, value in (hubbards or {}).items() if value}
    if used and not with_u:
        listed = ", ".join(f"{element} {value:g} eV" for element, value in used.items())
        raise PetFlowsError(
            f"The run type {run_type} is without U, but hubbards say {listed}: correct one of them."
        )
    return None if with_u and not used else used


def _names_lda(tags: Mapping[str, Any]) -> bool:
    tag = str(tags.get("GGA") or "").strip()
    return bool(tag) and functional_name(tag)[0] == "LDA"


def _is_spin_polarized(tags: Mapping[str, Any]) -> bool:
    """Whether VASP ran with spin; ISPIN is 1 where it is not said."""
    return int(tags.get("ISPIN") or 1) == 2 or any(
        tags.get(name) is True for name in ("LNONCOLLINEAR", "LSORBIT")
    )


def _element_of(title: str) -> str:
    """Find the element in the title of a POTCAR.

    Raises
    ------
    PetFlowsError
        There is none.
    """
    parts = title.split()
    name = parts[1] if len(parts) > 1 and parts[0] in _FAMILIES else ""
    if not name[:1].isalpha():
        raise PetFlowsError(
            f"{title!r} is not the title of a POTCAR: write it like 'PAW_PBE Fe_pv 02Aug2007'."
        )
    return name.split("_")[0].split(".")[0]
