"""Frequencies with their weights, whatever they were calculated on, and what they say per mode."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase.units import _hplanck, _k, _Nav

from pet_flows.properties.phonon.modes import ZERO


@dataclass(frozen=True)
class Spectrum:
    """Phonons of a primitive cell of n atoms at q-points that stand for the whole zone.

    Attributes
    ----------
    frequencies
        ``(q, 3n)`` THz, imaginary ones negative.
    weights
        ``(q,)``.
    translations
        ``(q, 3n)`` bool, the three modes at Γ that are translations; None where it is not known
        which q-point is Γ.
    """

    frequencies: np.ndarray
    weights: np.ndarray
    translations: np.ndarray | None = None

    @classmethod
    def of(
        cls, frequencies: np.ndarray, weights: np.ndarray, qpoints: np.ndarray | None
    ) -> Spectrum:
        """With ``qpoints (q, 3)``, fractions of the reciprocal vectors, among which Γ is sought."""
        if qpoints is None:
            return cls(frequencies, weights)
        translations = np.zeros(frequencies.shape, dtype=bool)
        for q in np.nonzero((np.abs(qpoints) < 1e-9).all(1))[0]:
            translations[q, np.argsort(np.abs(frequencies[q]), kind="stable")[:3]] = True
        return cls(frequencies, weights, translations)

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Spectrum | None:
        """From the mesh of a blob ``phonon``; None where it has none."""
        if "mesh_frequencies" not in arrays or "mesh_weights" not in arrays:
            return None
        qpoints = arrays.get("mesh_qpoints")
        return cls.of(arrays["mesh_frequencies"], arrays["mesh_weights"], qpoints)

    @property
    def shares(self) -> np.ndarray:
        """``(q, 3n)``, of which the sum is one."""
        each = self.weights / self.weights.sum() / self.frequencies.shape[1]
        return np.broadcast_to(each[:, None], self.frequencies.shape)

    @property
    def range(self) -> tuple[float | None, float]:
        """Lowest and highest frequency in THz; the lowest without translations, or None."""
        highest = float(self.frequencies.max())
        if self.translations is None or self.translations.all():
            return None, highest
        return float(self.frequencies[~self.translations].min()), highest

    @property
    def mean(self) -> float:
        """THz, over all modes."""
        return float((self.shares * self.frequencies).sum())

    def distance(self, other: Spectrum) -> float:
        """Wasserstein's W₁ in THz: by how much modes have to move, on average, to the other's.

        The area between the two cumulative densities of states, each of which ends at one: the
        cells need not have equally many atoms.
        """
        from scipy.stats import wasserstein_distance

        return float(
            wasserstein_distance(
                self.frequencies.ravel(), other.frequencies.ravel(),
                self.shares.ravel(), other.shares.ravel(),
            )
        )  # fmt: skip

    def thermal(self, temperature: float) -> dict[str, float]:
        """Harmonic heat capacity and entropy (J/K/mol) and free energy (kJ/mol) per atom.

        Sums over oscillators above :data:`.modes.ZERO`, at a temperature above zero in K.
        """
        real = self.frequencies > ZERO
        shares = 3.0 * _k * _Nav * self.shares[real]
        x = _hplanck * 1e12 * self.frequencies[real] / (_k * temperature)
        occupied, decay = np.expm1(x), -np.expm1(-x)
        return {
            "cv": float(shares @ (x**2 / (occupied * decay))),
            "s": float(shares @ (x / occupied - np.log(decay))),
            "f": float(shares @ (x / 2 + np.log(decay)) * temperature / 1000.0),
        }
