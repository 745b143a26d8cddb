"""Potentials that are trained and measured side by side by ``benchmark_potentials.py``.

Each module that is named in `MODULES` is one architecture: `NEEDS`, the package that it takes;
`ABOUT`, its hyperparameters in a few words; and ``train(training, validation, seconds, out,
seed)``, which gives `Trained`. What comes of it has a model name of pet_flows, so that the same
code evaluates all of them. Each runs in a process of its own: their packages do not get on
together.
"""

from __future__ import annotations

from dataclasses import dataclass

#: name → module in this package
MODULES = {
    "PET": "pet",
    "NequIP": "nequip",
    "PaiNN": "painn",
    "MACE": "mace",
    "soap-bpnn": "soap_bpnn",
}
#: Å, of all of them
CUTOFF = 4.5


@dataclass(frozen=True)
class Trained:
    """What a training leaves."""

    model: str
    """name by which pet_flows finds it"""
    parameters: int
    """weights that were trained"""
    steps: int
    """updates of the weights"""
    seconds: float
    """CPU seconds of these"""
    validation: tuple[float, float]
    """mean absolute errors, eV/atom and eV/Å, at the end"""
