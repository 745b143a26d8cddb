"""What a model says of its own error, averaged over the orientations of its symmetrization.

A checkpoint that is wrapped for uncertainties (last-layer prediction rigidity: Bigi et al., Mach.
Learn.: Sci. Technol. 5, 045018 (2024)) gives the standard deviation of an energy. Where it holds an
ensemble too, each member is a potential, symmetrized like their mean; forces and stresses deviate
from those of the mean by what the members say.
"""

from __future__ import annotations

import numpy as np
from ase.units import GPa

from pet_flows.engines.covariant import covariant
from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from pet_flows.engines.metatomic import beside_energy

#: members of an ensemble that are asked for forces: a standard deviation of 16 is known to 18 %
MEMBERS = 16


def uncertainty(evaluator: Evaluator, system: System) -> dict[str, float | None] | None:
    """Standard deviations that a model expects of its own results.

    Parameters
    ----------
    evaluator
        Model and strategy: ``potential.evaluator``.
    system
        A structure with its bound strategy.

    Returns
    -------
    dict or None
        ``energy_per_atom`` (eV), and ``forces`` (eV/Å) and ``stress`` (GPa), rms over atoms and
        components, None without an ensemble. None where the model says nothing.
    """
    own = getattr(evaluator, "raw", None)  # what calculates with another code has none
    raw = None if own is None else own.general
    if raw is None:
        return None
    of_energy, ensemble = (beside_energy(raw.key, w) for w in ("uncertainty", "ensemble"))
    if of_energy not in raw.outputs:
        return None
    energy = float(covariant(evaluator, [system], of_energy, per_atom=False, summed=False)[0])
    found: dict[str, float | None] = {
        "energy_per_atom": energy / len(system), "forces": None, "stress": None,
    }  # fmt: skip
    members = [raw.member(number) for number in range(min(MEMBERS, raw.n_members))]
    if ensemble not in raw.outputs or not members:
        return found
    strategy, most = evaluator.strategy, evaluator.chunk_atoms
    results = [Evaluator(one, strategy, most).evaluate([system])[0] for one in members]
    found["forces"] = _deviation([one.forces for one in results])
    stresses = [one.stress for one in results if one.stress is not None]
    if stresses:
        found["stress"] = _deviation(stresses) / GPa
    return found


def _deviation(values: list[np.ndarray]) -> float:
    """Root of the mean variance over members."""
    return float(np.sqrt(np.var(values, axis=0, ddof=1 if len(values) > 1 else 0).mean()))
