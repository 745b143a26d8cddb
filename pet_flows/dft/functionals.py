"""One spelling for each exchange-correlation functional, and its dispersion correction apart."""

from __future__ import annotations

import re

_SPELLINGS = {
    "LDA": ("LDA", "PZ", "CA", "PW92", "LSDA"),
    "PBE": ("PBE", "PE", "GGA", "GGA-PBE", "PBE-GGA", "PBE96"),
    "PBEsol": ("PBEsol", "PS"),
    "RPBE": ("RPBE",),
    "revPBE": ("revPBE", "RE"),
    "PW91": ("PW91", "91"),
    "AM05": ("AM05", "AM"),
    "SCAN": ("SCAN",),
    "r2SCAN": ("r2SCAN", "r²SCAN"),
    "rSCAN": ("rSCAN",),
    "TPSS": ("TPSS",),
    "PBE0": ("PBE0", "PBEh"),
    "HSE03": ("HSE03",),
    "HSE06": ("HSE06", "HSE"),
    "B3LYP": ("B3LYP",),
}
"""The name → how codes and data sets also write it: VASP's GGA tags among them, and emmet's ``GGA``
for a VASP calculation that leaves the tag to its PBE potentials."""

_DISPERSION = re.compile(r"^(?P<base>.+?)[-+](?P<name>D2|D3\(?BJ\)?|D3|D4|TS|MBD)$", re.IGNORECASE)
_OWN_DISPERSION = re.compile("(wB97|ωB97|B97)", re.IGNORECASE)
"""Functionals that were fitted together with their correction: the whole is one functional."""


def _bare(name: str) -> str:
    return re.sub(r"[\s_\-]", "", name).replace("²", "2").casefold()


KNOWN = tuple(_SPELLINGS)
"""Names in their one spelling."""

_NAMES = {_bare(way): name for name, ways in _SPELLINGS.items() for way in ways}


def functional_name(written: str) -> tuple[str, str | None]:
    """Give the one spelling of a functional, and the dispersion correction its name holds.

    Parameters
    ----------
    written
        As a paper, a code or a data set writes it. One that is not known stays as it is.

    Examples
    --------
    >>> functional_name("R2SCAN"), functional_name("gga"), functional_name("PBE-D3(BJ)")
    (('r2SCAN', None), ('PBE', None), ('PBE', 'D3(BJ)'))
    """
    written = written.strip()
    found = _DISPERSION.match(written)
    if found is None or _OWN_DISPERSION.match(written):
        return _NAMES.get(_bare(written), written), None
    return functional_name(found["base"])[0], dispersion_name(found["name"])


def is_known(written: str) -> bool:
    """Whether a functional, its dispersion correction aside, is one of `KNOWN`."""
    return functional_name(written)[0] in KNOWN


def dispersion_name(written: str) -> str | None:
    """Give the one spelling of a dispersion correction; None for none."""
    bare = re.sub(r"[\s_\-()]", "", written).upper().removeprefix("DFT")
    if bare in ("", "NONE", "NO"):
        return None
    return {"D3BJ": "D3(BJ)", "D3ZERO": "D3", "D30": "D3"}.get(bare, bare)
