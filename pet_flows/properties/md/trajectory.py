"""Trajectories of records as structures and as files of ASE's formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.stress import full_3x3_to_voigt_6_stress

from pet_flows.errors import PetFlowsError


def read_trajectory(arrays: dict[str, np.ndarray]) -> list[Atoms]:
    """ASE structures of a ``trajectory`` blob, with momenta, energies, forces and stresses.

    Parameters
    ----------
    arrays
        ``numbers (N,)``, ``pbc (3,)``, and per frame ``time`` ps, ``step``, ``potential``,
        ``kinetic``, ``conserved`` eV, ``stress (3, 3)`` eV/Å³ (the potential's part), ``cell (3,
        3)`` and ``positions (N, 3)`` Å (never wrapped), ``momenta (N, 3)`` in ASE's units,
        ``forces (N, 3)`` eV/Å.
    """
    found = []
    for t in range(len(arrays["step"])):
        atoms = Atoms(
            numbers=arrays["numbers"],
            positions=arrays["positions"][t],
            cell=arrays["cell"][t],
            pbc=arrays["pbc"],
            momenta=arrays["momenta"][t],
            info={"time": float(arrays["time"][t])},
        )
        results = {"energy": float(arrays["potential"][t]), "forces": arrays["forces"][t]}
        if atoms.pbc.all():
            results["stress"] = full_3x3_to_voigt_6_stress(arrays["stress"][t])
        atoms.calc = SinglePointCalculator(atoms, **results)
        found.append(atoms)
    return found


def refuse_format(path: Path | str) -> None:
    """Refuse a file name from whose suffix no trajectory can be written.

    Raises
    ------
    PetFlowsError
        ASE knows no such format, or writes single structures in it.
    """
    from ase.io.formats import UnknownFileTypeError, filetype, ioformats

    try:
        kind = ioformats[filetype(str(path), read=False)]
    except (KeyError, UnknownFileTypeError):
        kind = None
    if kind is None or not kind.can_write or kind.single:
        raise PetFlowsError(
            f"No trajectory can be written to {str(path)!r}: end its name in .extxyz, .extxyz.gz "
            "or .traj."
        )


def write_trajectory(arrays: dict[str, np.ndarray], path: Path | str) -> None:
    """Write a ``trajectory`` blob as one file that ``ase.io.read(path, ":")`` reads.

    Parameters
    ----------
    path
        Its suffix is the format; ``.extxyz.gz`` (``.xz``, ``.bz2``) is compressed, ``.traj`` is
        binary.
    """
    write(path, read_trajectory(arrays))
