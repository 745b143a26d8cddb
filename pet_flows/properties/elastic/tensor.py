"""Elastic tensors as 6×6 matrices: what a point group leaves free, the fit, the moduli.

Strains and stresses are vectors in Mandel's notation, (11, 22, 33, √2·23, √2·13, √2·12): there
scalar products are those of the tensors, a rotation is an orthogonal 6×6 matrix, and the
eigenvalues of the elastic tensor do not depend on the axes. In Voigt's notation, in which tensors
are published, none of this holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from pymatgen.core import Structure
from pymatgen.core.elasticity.elastic import ElasticTensor

#: indices of a symmetric (3, 3) matrix in Voigt's order
ROWS, COLUMNS = np.array([0, 1, 2, 1, 0, 0]), np.array([0, 1, 2, 2, 2, 1])
#: (6,) what Mandel's components have beyond those of the matrix
WEIGHTS = np.sqrt([1.0, 1.0, 1.0, 2.0, 2.0, 2.0])


def mandel(matrices: np.ndarray) -> np.ndarray:
    """Symmetric ``(..., 3, 3)`` → ``(..., 6)``."""
    return matrices[..., ROWS, COLUMNS] * WEIGHTS


def matrix(vectors: np.ndarray) -> np.ndarray:
    """``(..., 6)`` → symmetric ``(..., 3, 3)``; inverse of :func:`mandel`."""
    made = np.zeros((*vectors.shape[:-1], 3, 3))
    made[..., ROWS, COLUMNS] = made[..., COLUMNS, ROWS] = vectors / WEIGHTS
    return made


def voigt(tensor: np.ndarray) -> np.ndarray:
    """Elastic tensor ``(6, 6)`` from Mandel's to Voigt's notation."""
    return tensor / np.outer(WEIGHTS, WEIGHTS)


def mandel_rotations(operations: np.ndarray) -> np.ndarray:
    """``(m, 6, 6)`` orthogonal matrices for Q ``(m, 3, 3)``, ``t → Qᵀ t Q`` for matrices t.

    Acting on columns: ``mandel(Qᵀ t Q) = mandel_rotations(Q) mandel(t)``.
    """
    units = matrix(np.eye(6))
    moved = np.swapaxes(operations, 1, 2)[:, None] @ units @ operations[:, None]
    return np.swapaxes(mandel(moved), 1, 2)


def invariant_basis(operations: np.ndarray) -> np.ndarray:
    """Orthonormal basis of the elastic tensors that a point group allows.

    Parameters
    ----------
    operations
        ``(m, 3, 3)`` orthogonal matrices, a group.

    Returns
    -------
    numpy.ndarray
        ``(n, 6, 6)`` symmetric, Mandel; n is 3 for cubic crystals, 5 hexagonal, 6 or 7 trigonal
        and tetragonal, 9 orthorhombic, 13 monoclinic, 21 triclinic.
    """
    units = []
    for i in range(6):
        for j in range(i + 1):
            unit = np.zeros((6, 6))
            unit[i, j] = unit[j, i] = 1.0 if i == j else np.sqrt(0.5)
            units.append(unit)
    symmetric = np.array(units)
    m = mandel_rotations(operations)
    moved = np.einsum("mab,kbc,mdc->kad", m, symmetric, m, optimize=True) / len(m)
    projector = np.einsum("kad,lad->kl", moved, symmetric)
    values, vectors = np.linalg.eigh(0.5 * (projector + projector.T))  # all zero or one
    return np.einsum("kn,kad->nad", vectors[:, values > 0.5], symmetric)


def design(strains: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """``(6 s, n)`` stresses of strains ``(s, 6)`` for each basis tensor ``(n, 6, 6)``."""
    return np.einsum("nij,sj->sin", basis, strains).reshape(-1, len(basis))


def fit(strains: np.ndarray, slopes: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, float]:
    """Tensor of the space of ``basis`` nearest to measured derivatives.

    Parameters
    ----------
    strains
        ``(s, 6)`` Mandel.
    slopes
        ``(s, 6)`` Mandel, derivative of the stress along each strain, GPa.
    basis
        ``(n, 6, 6)`` of :func:`invariant_basis`.

    Returns
    -------
    tuple
        Tensor ``(6, 6)``, Mandel, GPa, and the largest component in GPa by which a derivative
        misses it, per unit strain.
    """
    found = np.linalg.lstsq(design(strains, basis), slopes.ravel(), rcond=None)[0]
    tensor = np.einsum("n,nij->ij", found, basis)
    misses = slopes - strains @ tensor
    lengths = np.linalg.norm(strains, axis=1, keepdims=True)
    return tensor, float(np.abs(misses / lengths).max())


@dataclass(frozen=True)
class Moduli:
    """What a polycrystal without texture makes of a tensor; None where it makes no sense."""

    k_voigt: float
    """GPa"""
    g_voigt: float
    """GPa"""
    min_eigenvalue: float
    """GPa"""
    stable: bool
    k_reuss: float | None = None
    g_reuss: float | None = None
    k_vrh: float | None = None
    g_vrh: float | None = None
    young: float | None = None
    """GPa"""
    poisson: float | None = None
    anisotropy: float | None = None
    debye_temperature: float | None = None
    """K"""


def moduli(tensor: np.ndarray, structure: Structure) -> Moduli:
    """Stability and averages of an elastic tensor.

    Stable is, after Born, a positive smallest eigenvalue. The averages of an unstable tensor bound
    nothing and its Debye temperature is imaginary, so that only Voigt's, linear in the tensor, are
    given. Hill's averages, Young's modulus and Poisson's ratio are those of the isotropic solid;
    the anisotropy is the universal one, 5 G_V/G_R + K_V/K_R − 6 (Ranganathan and Ostoja-Starzewski,
    Phys. Rev. Lett. 101, 055504, 2008); the Debye temperature ħ/k (6π² n)^⅓ v with the mean sound
    velocity 3 v⁻³ = v_l⁻³ + 2 v_t⁻³ of Hill's moduli (Anderson, J. Phys. Chem. Solids 24, 909,
    1963).

    Parameters
    ----------
    tensor
        ``(6, 6)`` Mandel, GPa.
    structure
        For masses and volume.
    """
    lowest = float(np.linalg.eigvalsh(tensor)[0])
    whole = ElasticTensor.from_voigt(voigt(tensor))
    voigts: dict[str, Any] = {"k_voigt": float(whole.k_voigt), "g_voigt": float(whole.g_voigt)}
    if lowest <= 0:
        return Moduli(**voigts, min_eigenvalue=lowest, stable=False)
    return Moduli(
        **voigts,
        min_eigenvalue=lowest,
        stable=True,
        k_reuss=float(whole.k_reuss),
        g_reuss=float(whole.g_reuss),
        k_vrh=float(whole.k_vrh),
        g_vrh=float(whole.g_vrh),
        young=float(whole.y_mod) / 1e9,  # pymatgen gives it in Pa
        poisson=float(whole.homogeneous_poisson),
        anisotropy=float(whole.universal_anisotropy),
        debye_temperature=float(whole.debye_temperature(structure)),
    )
