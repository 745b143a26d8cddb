"""Whether ions follow a strain, or fall into another structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pet_flows.errors import StructureError

#: of a way, by how much it may miss twice that under half the strain: it does by 0.41 where ways
#: grow as the root of the strain, as at an instability, and by 1 where they do not grow
FOLLOWING = 0.25
#: Å; what a soft mode has left within `fmax`
LEFT = 0.01


def refuse_falling(
    ways: Mapping[tuple[int, float], np.ndarray], magnitudes: Sequence[float]
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

    Raises
    ------
    StructureError
        ``unstable_ions``.
    """
    if len(magnitudes) < 2:
        return
    small, large = magnitudes[-2:]
    for (n, magnitude), far in ways.items():
        near = ways.get((n, np.sign(magnitude) * small))
        if abs(magnitude) != large or near is None:
            continue
        length = _longest(far)
        if _longest(far - large / small * near) > max(LEFT, FOLLOWING * length):
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
