"""Elastic tensors beside those of DFT: moduli, eigenvalues, constants in one setting, stability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.crystallography.alignment import PrimitiveCell, align
from pet_flows.crystallography.group import SpaceGroup
from pet_flows.errors import StructureError
from pet_flows.properties.comparison import NotComparable, Side, Value, number
from pet_flows.properties.elastic.axes import ieee_frames
from pet_flows.properties.elastic.tensor import WEIGHTS, mandel_rotations, moduli, voigt

_UNIT = "GPa"
MODULI = ("k_vrh", "g_vrh", "young")
#: constants below this, of the largest one, are none
VANISHING = 1e-3
#: axes that a tensor published in IEEE's setting may differ by: rotations by 180°
_TWOFOLD = np.array([np.diag(d) for d in ((1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1))])


def values(ours: Side, theirs: Side) -> list[Value]:
    """Compare stability, and of stable crystals moduli, eigenvalues and constants.

    ``k_vrh``, ``g_vrh`` and ``young``; the eigenvalues of the tensor in Mandel's notation, which
    no choice of axes changes, by size; the constants that the Laue class leaves independent, both
    in the axes of our ``tensor_ieee``. Of a tensor that DFT has in the standard's axes alone, the
    senses of these are chosen so that it is nearest to ours: C14 and C15 are compared up to their
    sign. Where one of the two is unstable, there are only ``stable`` and ``min_eigenvalue``: the
    errors of such tensors stay apart from the others.

    Raises
    ------
    NotComparable
        Ions are clamped on one side and relaxed on the other; or one side is unstable, and the
        other has no tensor.
    """
    pet, dft = _tensor(ours.result), _tensor(theirs.result)
    _refuse_clamped(ours, theirs)
    if pet is None or dft is None:
        for tensor, whose in ((pet, "record"), (dft, "reference")):
            if tensor is not None and np.linalg.eigvalsh(tensor)[0] <= 0:
                raise NotComparable(f"the {whose} is unstable, and beside it are moduli alone")
        numbers = (number(n, _UNIT, ours.result.get(n), theirs.result.get(n)) for n in MODULI)
        return [value for value in numbers if value]
    eigenvalues = np.linalg.eigvalsh(pet), np.linalg.eigvalsh(dft)
    stable = [bool(e[0] > 0) for e in eigenvalues]
    found: list[Value | None] = [Value("stable", "", stable[0], stable[1], None)]
    if not all(stable):
        lowest = (float(e[0]) for e in eigenvalues)
        found.append(number("min_eigenvalue", _UNIT, *lowest))
        return [value for value in found if value]
    one, other = moduli(pet, ours.structure), moduli(dft, theirs.structure)
    for name in MODULI:
        found.append(number(name, _UNIT, getattr(one, name), getattr(other, name)))
    for n, pair in enumerate(zip(*eigenvalues, strict=True), start=1):
        found.append(number(f"eigenvalue_{n}", _UNIT, *map(float, pair)))
    return [value for value in found if value] + _constants(ours, theirs)


def _tensor(result: Mapping[str, Any]) -> np.ndarray | None:
    """``(6, 6)`` Mandel, GPa; in whatever axes there is one."""
    given = result.get("tensor") or result.get("tensor_ieee")
    return None if given is None else np.array(given) * np.outer(WEIGHTS, WEIGHTS)


def _refuse_clamped(ours: Side, theirs: Side) -> None:
    """Ions relax in DFT unless it says otherwise; an atom alone in its cell has nowhere to go."""
    pet, dft = (side.result.get("ions_relaxed") is not False for side in (ours, theirs))
    if pet == dft or _atoms(ours.structure) == 1:
        return
    which = "relaxed in ours and clamped in DFT" if pet else "clamped in ours and relaxed in DFT"
    raise NotComparable(f"the ions of the strained cells are {which}")


def _atoms(structure: Structure) -> int:
    return len(_group(structure).primitive.atoms)


def _group(structure: Structure) -> SpaceGroup:
    return SpaceGroup.find(AseAtomsAdaptor.get_atoms(structure, msonable=False))


def _constants(ours: Side, theirs: Side) -> list[Value]:
    """Independent constants in one setting; none where the two crystals are of two classes."""
    given = ours.result.get("tensor_ieee")
    try:
        groups = _group(ours.structure), _group(theirs.structure)
    except StructureError:
        return []
    names = independent(groups[0].number)
    if given is None or names != independent(groups[1].number):
        return []
    pet = np.array(given)
    dft = _nearest(_in_our_axes(ours, theirs, groups[0]), pet)[1]
    least = VANISHING * np.abs(pet).max()
    found = []
    for i, j in names:
        pair = float(pet[i - 1, j - 1]), float(dft[i - 1, j - 1])
        if max(map(abs, pair)) > least:
            found.append(number(f"c{i}{j}", _UNIT, *pair))
    return [value for value in found if value]


def _in_our_axes(ours: Side, theirs: Side, group: SpaceGroup) -> np.ndarray:
    """``(k, 6, 6)`` GPa, Voigt: DFT's tensor in the axes of our ``tensor_ieee``.

    One, where DFT's axes are known from its structure and that lies on ours: then axes that the
    standard names by length are not exchanged where the order of the lengths is. Else four, of a
    tensor in the standard's axes whose senses nobody has said.
    """
    raw, structure = theirs.result.get("tensor"), ours.structure
    if raw is None or ours.result.get("tensor") is None:
        return _rotated(theirs.result.get("tensor_ieee", raw), _TWOFOLD)
    one, other = PrimitiveCell.of(theirs.structure), PrimitiveCell.of(structure)
    laid = align(one, other)
    if laid is None:
        frames = ieee_frames(_group(theirs.structure), np.array(theirs.structure.lattice.matrix))
        return _rotated(raw, frames)
    frames = ieee_frames(group, np.array(structure.lattice.matrix))
    own = _rotated(ours.result["tensor"], frames)
    chosen, _ = _nearest(own, np.array(ours.result["tensor_ieee"]))
    # rows of a frame are axes, in which DFT's vectors v are v @ Q
    return _rotated(raw, (frames[chosen] @ laid.rotation(one.cell, other.cell).T)[None])


def _rotated(tensor: Any, frames: np.ndarray) -> np.ndarray:
    """``(k, 6, 6)`` Voigt: a tensor in the axes that are the rows of each frame ``(k, 3, 3)``."""
    rotations = mandel_rotations(frames.transpose(0, 2, 1))
    mandel = np.array(tensor) * np.outer(WEIGHTS, WEIGHTS)
    return voigt(rotations @ mandel @ rotations.transpose(0, 2, 1))


def _nearest(tensors: np.ndarray, to: np.ndarray) -> tuple[int, np.ndarray]:
    """Which of tensors ``(k, 6, 6)`` in Voigt's notation is nearest to another, and that one."""
    weighted = (tensors - to) * np.outer(WEIGHTS, WEIGHTS)
    best = int(np.linalg.norm(weighted, axis=(1, 2)).argmin())
    return best, tensors[best]


def independent(number: int) -> tuple[tuple[int, int], ...]:
    """Voigt's indices of the constants that the Laue class of a space group leaves independent.

    J. F. Nye, Physical Properties of Crystals (1985), table 9; monoclinic crystals with y along
    the unique axis. Of trigonal ones C14 or C15 vanishes where there are axes or mirrors along or
    between the vectors a.
    """
    if number >= 195:
        return ((1, 1), (1, 2), (4, 4))
    if number >= 168:
        return ((1, 1), (1, 2), (1, 3), (3, 3), (4, 4))
    if number >= 143:
        return ((1, 1), (1, 2), (1, 3), (3, 3), (4, 4), (1, 4), (1, 5))
    if number >= 75:
        square = ((1, 1), (1, 2), (1, 3), (3, 3), (4, 4), (6, 6))
        return square if number >= 89 else (*square, (1, 6))
    right = ((1, 1), (2, 2), (3, 3), (1, 2), (1, 3), (2, 3), (4, 4), (5, 5), (6, 6))
    if number >= 16:
        return right
    if number >= 3:
        return (*right, (1, 5), (2, 5), (3, 5), (4, 6))
    return tuple((i, j) for i in range(1, 7) for j in range(i, 7))
