"""Whether ions follow a strain, or fall into another structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pet_flows.errors import StructureError

#: of what ways that grow as the root of the strain, as at an instability, miss of growing with it;
#: those that do not grow at all miss more
FOLLOWING = 0.6
#: Å; what a soft mode may have left in each cell, whatever `fmax`
LEFT = 0.003
#: eV/Å²; of a soft mode, which is left as far from its place as forces of `fmax` allow
SOFT = 1.0


def refuse_falling(
    ways: Mapping[tuple[int, float], np.ndarray], magnitudes: Sequence[float], fmax: float
) -> None:
    """Refuse a crystal that is a saddle of the energy for its ions.

    Its symmetry alone keeps the ions where they are; a strain that breaks it lets them fall, and
    the stress jumps instead of growing with the strain. Where ions follow, they go twice as far
    under twice the strain.

    Parameters
    ----------
    ways
        Strain and signed magnitude → ``(n, 3)`` Å, what ions moved beyond the affine deformation,
        of cells whose ions are at rest.
    magnitudes
        Of the strains, smallest first; of a single one nothing is known.
    fmax
        eV/Å, forces at which ions are at rest.

    Raises
    ------
    StructureError
        ``unstable_ions``.
    """
    if len(magnitudes) < 2:
        return
    small, large = magnitudes[-2:]
    ratio = large / small
    left = (LEFT + fmax / SOFT) * (1 + ratio)
    for (n, magnitude), far in ways.items():
        near = ways.get((n, np.sign(magnitude) * small))
        if abs(magnitude) != large or near is None:
            continue
        length = _longest(far)
        if _longest(far - ratio * near) > max(left, FOLLOWING * (np.sqrt(ratio) - 1) * length):
            raise StructureError(
                "unstable_ions",
                f"Strained by {100 * small:g} and {100 * large:g} %, ions move by "
                f"{_longest(near):.2g} and {length:.2g} Å: they do not follow the strain, but fall "
                "into another structure, and there are no elastic constants. Move its atoms a "
                "little, and relax it with fix_symmetry false.",
            )


def _longest(way: np.ndarray) -> float:
    """Å, of a rigid translation nothing."""
    return float(np.linalg.norm(way - way.mean(axis=0), axis=1).max())
