"""What each property would give, from formulas: results that its model accepts, and its blobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.eos import birchmurnaghan
from ase.units import GPa, _hplanck, _k, kB

from pet_flows.properties.property import PlotData
from pet_flows.properties.registry import get_property

TITLE = "Si · mp-149 · pet-mvl"
IDENTITY = np.eye(3, dtype=int).tolist()
#: J/K/mol
GAS = 8.31446261815324


@dataclass
class Example:
    """One result."""

    property: str
    result: dict[str, Any]
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        declared = get_property(self.property)
        declared.result.model_validate(self.result)
        self.settings = declared.settings(**self.settings).model_dump(mode="json")

    def data(self, **changes: Any) -> PlotData:
        """What a plot is given, perhaps with parts of the result changed."""
        result = {**self.result, **changes}
        return PlotData(TITLE, result, self.settings, self.arrays.__getitem__)


def eos() -> Example:
    volumes = np.linspace(18.5, 21.5, 7)
    energies = birchmurnaghan(volumes, -5.4, 100.0 * GPa, 4.5, 20.0)
    result = {
        "v0_per_atom": 20.0, "e0_per_atom": -5.4, "b0": 100.0, "b0_prime": 4.5, "residual": 1e-6,
        "volumes": volumes.tolist(), "energies": energies.tolist(),
    }  # fmt: skip
    return Example("eos", result)


#: GPa, copper's (W. C. Overton and J. Gaffney, Phys. Rev. 98, 969, 1955)
C11, C12, C44 = 168.4, 121.4, 75.4


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    tensor = np.diag([c11 - c12] * 3 + [c44] * 3)
    tensor[:3, :3] += c12
    return tensor


def elastic() -> Example:
    tensor = cubic(C11, C12, C44).tolist()
    numbers = dict.fromkeys(
        (
            "min_eigenvalue", "k_voigt", "g_voigt", "k_reuss", "g_reuss", "k_vrh", "g_vrh",
            "young", "poisson", "anisotropy", "debye_temperature", "residual", "nonlinearity",
            "residual_stress",
        ),
        1.0,
    )  # fmt: skip
    result = {"tensor": tensor, "tensor_ieee": tensor, "stable": True, "ions_relaxed": True}
    return Example("elastic", {**result, **numbers, "n_strains": 6})


def thermal_point(frequencies: np.ndarray, weights: np.ndarray, t: float) -> dict[str, float]:
    """Harmonic oscillators with hyperbolic functions, per atom: J/K/mol, kJ/mol."""
    share = weights[:, None] / weights.sum() / (frequencies.shape[1] / 3)
    quantum = _hplanck * frequencies * 1e12
    if t == 0:
        return {
            "T": 0.0,
            "cv": 0.0,
            "s": 0.0,
            "f": float((share * quantum / 2).sum() * 6.02214076e20),
        }
    half = quantum / (2 * _k * t)
    cv = GAS * (share * (half / np.sinh(half)) ** 2).sum()
    s = GAS * (share * (half / np.tanh(half) - np.log(2 * np.sinh(half)))).sum()
    f = GAS * t / 1000 * (share * np.log(2 * np.sinh(half))).sum()
    return {"T": t, "cv": float(cv), "s": float(s), "f": float(f)}


def phonon(lowest: float = 0.0) -> Example:
    """Two elements; below zero the softest band goes down to `lowest` THz."""
    segments = np.array([[0, 10], [11, 15], [16, 26], [27, 36]])
    labels = np.array([["GAMMA", "X"], ["X", "U_1"], ["K", "GAMMA"], ["GAMMA", "L"]])
    lengths = [1.0, 0.4, 1.1, 0.9]
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    distances = np.concatenate(
        [
            np.linspace(starts[n], starts[n + 1], last - first + 1)
            for n, (first, last) in enumerate(segments)
        ]
    )
    bands = np.abs(np.sin(2.0 * distances))[:, None] * np.array([3.0, 4.0, 6.0]) + 0.0
    optical = 11.0 + 0.5 * np.cos(distances)[:, None] * np.array([1.0, 1.0, 2.0])
    bands[:, 0] += lowest * (1 - np.cos(3 * distances)) / 2
    mesh = np.array([[3.0, 4.0, 5.0, 11.0, 11.5, 12.0], [2.0, 2.5, 5.5, 10.5, 11.0, 11.2]])
    weights = np.array([1, 7])
    mesh[1, 0] = 2.0 if lowest == 0 else lowest
    points = np.linspace(-3.0, 13.0, 161)
    parts = np.exp(-0.5 * (points[None] - np.array([[4.0], [11.0]])) ** 2)
    temperatures = [0.0, 100.0, 300.0, 600.0]
    result = {
        "min_frequency": float(mesh.min()), "max_frequency": 12.0,
        "has_imaginary_modes": lowest < 0,
        "tolerance": 0.05, "imaginary": [], "supercell_matrix": IDENTITY, "mesh": [2, 2, 2],
        "displacement": 0.01, "residual_force": 0.0, "has_nac": False,
        "zero_point_energy_per_atom": 0.05,
        "thermal": [thermal_point(np.abs(mesh), weights, t) for t in temperatures],
    }  # fmt: skip
    arrays = {
        "band_distances": distances, "band_frequencies": np.concatenate([bands, optical], axis=1),
        "band_segments": segments, "band_labels": labels, "mesh_frequencies": mesh,
        "mesh_weights": weights, "frequency_points": points, "total_dos": parts.sum(0),
        "projected_dos": parts, "primitive_numbers": np.array([14, 32]),
    }  # fmt: skip
    return Example("phonon", result, {"phonon": arrays})


def vinet(volumes: np.ndarray, e0: float, b0: float, slope: float, v0: float) -> np.ndarray:
    """P. Vinet et al., J. Phys.: Condens. Matter 1, 1941 (1989); b0 in eV/Å³."""
    x, eta = (volumes / v0) ** (1 / 3), 1.5 * (slope - 1)
    inside = 1 - (1 + eta * (x - 1)) * np.exp(eta * (1 - x))
    return e0 + 9 * b0 * v0 / eta**2 * inside


def qha() -> Example:
    temperatures = [0.0, 300.0, 600.0, 900.0]
    volumes = np.linspace(19.0, 22.0, 8)
    minima = [20.0 + 1e-3 * t for t in temperatures]
    depths = [-5.0 - 1e-4 * t for t in temperatures]
    free = [vinet(volumes, e, 0.5, 4.5, v) for e, v in zip(depths, minima, strict=True)]
    result = {
        "temperatures": temperatures, "volume_per_atom": minima,
        "thermal_expansion": [0.0, 1e-5, 2e-5, 3e-5], "bulk_modulus": [100.0, 95.0, 90.0, 85.0],
        "cp": [0.0, 20.0, 24.0, 26.0], "cv": [0.0, 19.0, 23.0, 24.5],
        "gruneisen": [None, 1.0, 1.0, 1.0], "free_energy_per_atom": depths,
        "mode_gruneisen_mean": 1.0, "mode_gruneisen_min": 0.5, "mode_gruneisen_max": 2.0,
        "n_volumes": 8, "volumes": volumes.tolist(), "energies": free[0].tolist(),
        "equation": "vinet", "supercell_matrix": IDENTITY, "mesh": [2, 2, 2], "displacement": 0.01,
    }  # fmt: skip
    arrays = {
        "volumes": volumes, "temperatures": np.array(temperatures), "free_energies": np.array(free)
    }  # fmt: skip
    return Example("qha", result, {"qha": arrays})


def kappa() -> Example:
    points = [
        {"T": t, "tensor": np.diag([90e2 / t, 90e2 / t, 120e2 / t]).tolist(), "mean": 100e2 / t}
        for t in (100.0, 250.0, 500.0, 1000.0)
    ]
    result = {
        "kappa": points, "mesh": [4, 4, 4], "isotopes": False, "min_frequency": 1.0,
        "has_imaginary_modes": False, "has_nac": False, "supercell_matrix": IDENTITY,
        "third_supercell_matrix": IDENTITY, "n_displacements": 12, "residual_force": 0.0,
    }  # fmt: skip
    return Example("kappa", result)


def sampled(mean: float, target: float | None = None) -> dict[str, float | None]:
    return {"target": target, "mean": mean, "std": 1.0, "error": None}


#: atoms, and the temperature at which the example's kinetic energy is that of 3 N degrees
N_ATOMS, HOT = 8, 650.0
#: cm²/s
DIFFUSION = 2e-5


def md(ensemble: str = "npt_langevin") -> Example:
    time = np.arange(0.0, 2.01, 0.1)
    n = len(time)
    cells = np.eye(3) * (5.0 + 0.1 * np.sin(time))[:, None, None]
    trajectory = {
        "time": time, "numbers": np.array([3, 14] * 4), "potential": -5.0 * N_ATOMS + np.sin(time),
        "conserved": np.full(n, -30.0), "kinetic": np.full(n, 1.5 * N_ATOMS * kB * HOT),
        "stress": np.tile(-0.01 * np.eye(3), (n, 1, 1)), "cell": cells,
    }  # fmt: skip
    lags = np.linspace(0.0, 1.5, 31)
    # 6 D t, with D in Å²/ps, one third of it along each axis
    lithium = np.tile((2.0 * DIFFUSION * 1e4 * lags + 0.05)[:, None], (1, 3))
    observables = {
        "elements": np.array(["Li", "Si"]), "msd_time": lags,
        "msd": np.array([lithium, np.full((31, 3), 0.02)]),
        "vdos_frequency": np.linspace(0.0, 50.0, 101),
        "vdos": np.exp(-0.5 * (np.linspace(0.0, 50.0, 101) - np.array([[8.0], [12.0]])) ** 2),
        "rdf_r": np.linspace(0.0, 6.0, 61), "rdf_pairs": np.array([["Li", "Li"], ["Li", "Si"]]),
        "rdf": np.ones((2, 61)),
    }  # fmt: skip
    result = {
        "ensemble": ensemble, "temperature": sampled(HOT, 600.0), "temperature_std_canonical": 60.0,
        "pressure": sampled(5.0), "potential_energy_per_atom": sampled(-5.0),
        "volume_per_atom": sampled(15.6), "lattice": None, "time": 2.0, "timestep": 1.0,
        "drift": 1e-6, "momentum": 0.0, "diffusion": {"Li": DIFFUSION},
        "diffusion_error": {"Li": 1e-6}, "lindemann": 0.1, "seed": 0, "exploded": False,
    }  # fmt: skip
    settings = {"ensemble": ensemble, "temperature": 600.0, "equilibration": 400, "steps": 2000}
    if ensemble == "npt_langevin":
        settings |= {"pressure": 5.0, "final_pressure": 7.0}
    return Example("md", result, {"trajectory": trajectory, "observables": observables}, settings)


def static() -> Example:
    result = {
        "energy": -10.8, "energy_per_atom": -5.4, "max_force": 0.2,
        "stress": (0.5 * np.eye(3)).tolist(), "pressure": -0.5,
    }  # fmt: skip
    return Example("static", result)


def relax() -> Example:
    result = {
        **static().result, "n_steps": 3, "n_steps_float64": 0, "converged": True,
        "enthalpy_per_atom": -5.4, "energy_change": -0.1, "volume_change": 0.02, "rmsd": 0.0,
        "lattice": {"a": 5.4, "b": 5.4, "c": 5.4, "alpha": 90.0, "beta": 90.0, "gamma": 90.0},
    }  # fmt: skip
    result["path"] = {
        "step": [0, 1, 2, 3],
        "energy_per_atom": [-5.3, -5.38, -5.399, -5.4],
        "max_force": [0.5, 0.1, 0.0, 0.0005],
        "volume_per_atom": [19.6, 19.9, 20.05, 20.0],
    }
    return Example("relax", result)


EXAMPLES = {
    made.property: made
    for made in (eos(), elastic(), phonon(), qha(), kappa(), md(), static(), relax())
}
