"""Kinds of source: how each is recognized, and what reads it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pet_flows.dft.importers.unrecognized import DAMAGED, fault_of
from pet_flows.errors import PetFlowsError
from pet_flows.properties.property import imported

#: bytes at the beginning of a file that tell what it is
_HEAD = 65536
_PIECE = 1024
_OPENERS: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}


@dataclass(frozen=True)
class Kind:
    """One kind of source.

    Parameters
    ----------
    what
        For people.
    reader
        ``module:function``, imported when it is used; see `pet_flows.dft.importers.read`.
    names
        Patterns of file names, small letters, without the ending of a compression.
    beginning
        Regular expression that is found at the beginning of such a file, decompressed.
    folder
        Patterns of a name in a folder of this kind.
    below
        Patterns of a name at any depth of such a folder.
    called
        What is given instead of a path; with a colon, its beginning.
    """

    what: str
    reader: str
    names: tuple[str, ...] = ()
    beginning: bytes | None = None
    folder: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    called: tuple[str, ...] = ()


_PACKAGE = "pet_flows.dft.importers"

KINDS: dict[str, Kind] = {
    "store": Kind(
        "jobflow store: your own (jobflow), or that of a jobflow.yaml",
        f"{_PACKAGE}.jobflow_store:read",
        names=("*.yaml", "*.yml"),
        beginning=rb"(?m)^\s*(JOB_STORE|docs_store)\s*:",
        called=("jobflow",),
    ),
    "phonopy": Kind(
        "phonopy or phono3py: YAML, FORCE_SETS or FORCE_CONSTANTS, or a folder with one",
        f"{_PACKAGE}.phonopy_files:read",
        names=("phonopy*.yaml", "phono3py*.yaml", "force_sets", "force_constants"),
        below=("phonopy*.yaml", "phono3py*.yaml", "force_sets", "force_constants"),
    ),
    "materials-project": Kind(
        "materials-project:mp-149,mp-13 or materials-project:phonon:mp-149, downloaded with mp-api",
        f"{_PACKAGE}.mp_api:read",
        called=("materials-project:",),
    ),
    "documents": Kind(
        "JSON of documents of the Materials Project or of atomate2",
        f"{_PACKAGE}.document_files:read",
        names=("*.json", "*.jsonl", "*.ndjson"),
        beginning=(
            rb'"(builder_meta|property_name|thermo_type|elastic_tensor|calcs_reversed|orig_inputs|'
            rb'phonon_dos|phonon_bandstructure|forcefield_name|deprecation_reasons|output)"\s*:'
        ),
    ),
    "vasp": Kind(
        "folder with vasprun.xml, or of such folders",
        f"{_PACKAGE}.vasp_folder:read",
        names=("vasprun*.xml*",),
        below=("vasprun*.xml*",),
    ),
    "ase": Kind(
        "ASE database or trajectory, extended XYZ",
        f"{_PACKAGE}.ase_file:read",
        names=("*.db", "*.traj", "*.xyz", "*.extxyz"),
    ),
    "benchmark": Kind(
        "JSON with numbers beside structures, as matcalc's benchmarks",
        f"{_PACKAGE}.table:read_benchmark",
        names=("*.json", "*.jsonl", "*.ndjson"),
        beginning=rb'"(bulk_modulus_vrh|shear_modulus_vrh|heat_capacity|corrected_energy)"\s*:',
    ),
    "table": Kind(
        "CSV with a column for each number, and one for the structure",
        f"{_PACKAGE}.table:read",
        names=("*.csv", "*.tsv"),
    ),
}
"""Name → kind, in the order in which they are tried."""


def reader_of(source: str, kind: str | None = None) -> Callable[..., Iterable[Any]]:
    """Give the reader of a source.

    Parameters
    ----------
    source
        As the user gave it.
    kind
        A key of `KINDS`; by default the first one that recognizes the source.

    Raises
    ------
    PetFlowsError
        There is no such kind, nothing of this name, or nothing that any kind recognizes.
    """
    if kind is not None and kind not in KINDS:
        raise PetFlowsError(
            f"There is no kind of reference {kind!r}: choose from {', '.join(KINDS)}."
        )
    found: Callable[..., Iterable[Any]] = imported(KINDS[kind or kind_of(source)].reader)
    return found


def kind_of(source: str) -> str:
    """Recognize a source.

    Raises
    ------
    PetFlowsError
        It is not there, or of no kind.
    """
    for name, kind in KINDS.items():
        if source in kind.called or source.startswith(
            tuple(one for one in kind.called if one.endswith(":"))
        ):
            return name
    path = Path(source).expanduser()
    if not path.exists():
        called = [name for kind in KINDS.values() for name in kind.called]
        raise PetFlowsError(
            f"There is no file or folder {source!r}: name one, or one of {', '.join(called)}."
        )
    for name, kind in KINDS.items():
        if _is_of(path, kind):
            return name
    if fault := fault_of(path):
        raise PetFlowsError(f"{source} {fault}")
    listed = "; ".join(f"{name}: {kind.what}" for name, kind in KINDS.items())
    raise PetFlowsError(
        f"{source} is of no known kind: name another, or say with --as what it is ({listed})."
    )


def other_kinds(source: str) -> list[str]:
    """Kinds of which a folder also holds something, besides the one it is recognized as."""
    path = Path(source).expanduser()
    if not path.is_dir():
        return []
    return [name for name, kind in KINDS.items() if _is_of(path, kind)][1:]


def _is_of(path: Path, kind: Kind) -> bool:
    if path.is_dir():
        return any(_matches(entry.name, kind.folder) for entry in path.iterdir()) or (
            bool(kind.below) and any(_matches(name, kind.below) for name in _names_below(path))
        )
    if not _matches(path.name, kind.names):
        return False
    return kind.beginning is None or re.search(kind.beginning, head(path)) is not None


def _names_below(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.rglob("*") if path.is_file())


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    lower = name.lower()
    bare = lower.removesuffix(Path(lower).suffix) if Path(lower).suffix in _OPENERS else lower
    return any(fnmatch(bare, pattern) for pattern in patterns)


def opened(path: Path) -> Any:
    """Open a file for reading its bytes, decompressed."""
    return _OPENERS.get(path.suffix.lower(), open)(path, "rb")


def head(path: Path) -> bytes:
    """Give the beginning of a file, decompressed; of a damaged one what can be read."""
    found = b""
    try:
        with opened(path) as file:
            while len(found) < _HEAD and (more := file.read(_PIECE)):
                found += more
    except DAMAGED:
        pass
    return found
