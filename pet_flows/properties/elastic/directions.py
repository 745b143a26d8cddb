"""What an elastic tensor is along one direction of the crystal."""

from __future__ import annotations

from itertools import product

import numpy as np


def young_modulus(stiffness: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Young's modulus of a rod cut along each direction.

    ``1/E = n_i n_j n_k n_l S_ijkl``, stress over strain where stress acts along n alone (J. F.
    Nye, Physical Properties of Crystals, 1985, chapter VIII).

    Parameters
    ----------
    stiffness
        ``(6, 6)`` Voigt's notation, GPa, positive definite.
    directions
        ``(..., 3)`` unit vectors in the tensor's axes.

    Returns
    -------
    numpy.ndarray
        ``(...)`` GPa.
    """
    x, y, z = np.moveaxis(np.asarray(directions), -1, 0)
    # stress of unit size along n in Voigt's notation; engineering shears make the strain along n
    # the scalar product with the same six numbers
    stress = np.stack([x * x, y * y, z * z, y * z, x * z, x * y], axis=-1)
    compliance = np.linalg.inv(np.asarray(stiffness))
    return 1.0 / np.einsum("...i,ij,...j->...", stress, compliance, stress)


def sphere(n_polar: int = 91, n_around: int = 181) -> np.ndarray:
    """Unit vectors ``(n_polar, n_around, 3)`` from the pole z down and around it from x."""
    polar, around = np.meshgrid(
        np.linspace(0.0, np.pi, n_polar), np.linspace(0.0, 2 * np.pi, n_around), indexing="ij"
    )
    sine = np.sin(polar)
    return np.stack([sine * np.cos(around), sine * np.sin(around), np.cos(polar)], axis=-1)


def extremes(stiffness: np.ndarray) -> tuple[tuple[float, str], tuple[float, str]]:
    """Largest and smallest Young's modulus in GPa, and along which direction each is.

    A direction is written as small whole numbers where these are as good, and of equal ones that
    with the simplest numbers is taken: (1, 1, 1), not (−1, 1, 1).
    """
    fine = sphere().reshape(-1, 3)
    whole = sorted(
        (w for w in product(range(-3, 4), repeat=3) if any(w)),
        key=lambda w: (np.abs(w).sum(), sum(w) < 0, sum(n < 0 for n in w), [-n for n in w]),
    )
    simple = np.array(whole, dtype=float)
    at_fine = young_modulus(stiffness, fine)
    at_simple = young_modulus(stiffness, simple / np.linalg.norm(simple, axis=1, keepdims=True))
    found = []
    for sign in (1.0, -1.0):
        best = np.argmax(sign * at_fine)
        as_good = np.nonzero(sign * at_simple >= sign * at_fine[best] - 2e-4 * at_fine[best])[0]
        if len(as_good):
            chosen, text = at_simple[as_good[0]], "({}, {}, {})".format(*whole[as_good[0]])
        else:
            direction = fine[best] if fine[best].sum() >= 0 else -fine[best]
            chosen, text = at_fine[best], "({:.2f}, {:.2f}, {:.2f})".format(*(direction + 0.0))
        found.append((float(chosen), text.replace("-", "−")))
    return found[0], found[1]
