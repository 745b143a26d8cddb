"""What the user names on the command line → structures with their identifiers."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pet_flows.errors import PetFlowsError
from pet_flows.inputs.files import files_in, read_file
from pet_flows.inputs.prototypes import build_prototypes
from pet_flows.inputs.structure import InputStructure

__all__ = ["InputStructure", "read_inputs"]

PROTOTYPES = "prototypes:"


def read_inputs(
    arguments: Sequence[str], structure_path: str | None = None
) -> list[InputStructure]:
    """Read everything that was named; see `iter_inputs`."""
    return list(iter_inputs(arguments, structure_path))


def iter_inputs(
    arguments: Sequence[str], structure_path: str | None = None
) -> Iterator[InputStructure]:
    """Read everything that was named, in that order; each file once.

    Parameters
    ----------
    arguments
        Each a file (see `pet_flows.inputs.files.READERS`), a folder (searched to the bottom, in
        the order of names), a glob pattern, or ``prototypes:Li,Si``.
    structure_path
        Where documents in JSON files hold their structure, keys joined by dots
        (``output.structure``); by default wherever there is one.

    Yields
    ------
    InputStructure
        What could not be read is among them, with its ``problem``.

    Raises
    ------
    PetFlowsError
        If something named is not there: a mistake in the command, not in the data.
    """
    if isinstance(arguments, str):
        arguments = [arguments]
    if not arguments:
        raise PetFlowsError(
            "No input was given: name a file, a folder, a pattern or prototypes:Li,Si."
        )
    none = True
    seen: set[str] = set()
    for argument in arguments:
        if argument.startswith(PROTOTYPES):
            none = False
            yield from build_prototypes(_elements(argument))
            continue
        for path, chosen in _files(argument):
            where = os.path.abspath(path)  # two links to one file are two inputs
            if where in seen:
                continue
            seen.add(where)
            for given in read_file(path, chosen=chosen, structure_path=structure_path):
                none = False
                yield given
    if none:
        raise PetFlowsError(
            f"No structure was found in {', '.join(map(str, arguments))}, whose files are sound, "
            "but hold something else: name files of structures."
        )


def _files(argument: str) -> list[tuple[Path, bool]]:
    """Find the files that an argument means, and whether the user named each of them."""
    path = Path(argument).expanduser()
    if path.is_dir():
        return _files_of_folder(path)
    if path.exists() or path.is_symlink():
        return [(path, True)]
    if glob.has_magic(argument):
        matches = sorted(Path(match) for match in glob.glob(str(path), recursive=True))
        folders = [match for match in matches if match.is_dir()]
        files = [(match, True) for match in matches if match not in folders]
        if not matches:
            raise PetFlowsError(f"No file matches {argument!r}: check the pattern and the folder.")
        if folders and not files:
            return [pair for folder in folders for pair in _files_of_folder(folder)]
        return files  # of both, ** already lists what the folders hold
    raise PetFlowsError(
        f"There is no {argument!r}: name a file, a folder, a pattern or prototypes:Li,Si."
    )


def _files_of_folder(folder: Path) -> list[tuple[Path, bool]]:
    """List a folder's files, refusing one without any."""
    files = files_in(folder)
    if not files:
        raise PetFlowsError(
            f"The folder {str(folder)!r} holds no structure files (CIF, POSCAR, extxyz, JSON, "
            "ASE database): check the path."
        )
    return [(file, False) for file in files]


def _elements(argument: str) -> list[str]:
    """Split ``prototypes:Li,Si``."""
    names = [name.strip() for name in argument.removeprefix(PROTOTYPES).split(",")]
    return [name for name in names if name]
