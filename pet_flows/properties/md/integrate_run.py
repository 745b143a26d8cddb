"""One trajectory on its way: what it keeps from step to step, and over a kill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from ase import units

from pet_flows.engines.moving import MovingSystem
from pet_flows.properties.md.barostat import Piston
from pet_flows.properties.md.declaration import MDSettings, degrees_of_freedom
from pet_flows.properties.md.kept import Trajectory
from pet_flows.properties.md.observables import Observables
from pet_flows.properties.md.thermostat import NoseHooverChain
from pet_flows.properties.specimen import Specimen

#: keys of a checkpoint under which the observables are
_OBSERVED = "observables."


class Schedule:
    """Targets along a run: constant, or linear between the first and the last step."""

    def __init__(self, settings: MDSettings):
        s = settings
        self._steps = s.steps
        last = s.temperature if s.final_temperature is None else s.final_temperature
        self._kT = (s.temperature * units.kB, last * units.kB)
        final = s.pressure if s.final_pressure is None else s.final_pressure
        self._pressure = (s.pressure * units.GPa, final * units.GPa)

    @property
    def first_kT(self) -> float:
        """EV, of the first velocities."""
        return self._kT[0]

    def kT(self, step: int) -> float:
        """EV, held during the step that follows ``step``."""
        return self._at(self._kT, step)

    def pressure(self, step: int) -> float:
        """EV/Å³, held during the step that follows ``step``."""
        return self._at(self._pressure, step)

    def _at(self, ends: tuple[float, float], step: int) -> float:
        return ends[0] + (ends[1] - ends[0]) * (step + 0.5) / self._steps


@dataclass(kw_only=True, eq=False)
class Run(MovingSystem):
    """One trajectory; `error` says why it ended before its last step."""

    specimen: Specimen
    trajectory: Trajectory
    observables: Observables
    generator: torch.Generator
    degrees: int
    """degrees of freedom of the momenta"""
    chain: NoseHooverChain | None = None
    piston: Piston | None = None
    step: int = 0
    heat: float = 0.0
    """eV, what the thermostat of the atoms has given so far"""
    positions: np.ndarray | None = None
    """(N, 3) to go on from; None at the beginning"""
    cell: np.ndarray | None = None
    """(3, 3) likewise, rows"""
    momenta: np.ndarray | None = None
    """(N, 3) likewise; drawn if None"""

    @classmethod
    def begin(
        cls,
        specimen: Specimen,
        trajectory: Trajectory,
        settings: MDSettings,
        momenta: np.ndarray | None = None,
    ) -> Run:
        """A run at its beginning, with momenta drawn from its temperature if none are given."""
        atoms = specimen.atoms
        degrees = degrees_of_freedom(settings.ensemble, len(atoms))
        run = cls(
            specimen=specimen,
            start=specimen.system,
            trajectory=trajectory,
            observables=Observables(atoms.numbers, bool(atoms.pbc.all()), degrees, settings),
            generator=torch.Generator().manual_seed(settings.seed),
            degrees=degrees,
            momenta=momenta,
        )
        # inertia fits the higher temperature of a ramp: the lower one then responds no faster
        kT = max(settings.temperature, settings.final_temperature or 0.0) * units.kB
        picosecond = 1e3 * units.fs
        if settings.ensemble == "nvt_nose_hoover":
            run.chain = NoseHooverChain(degrees, kT, settings.thermostat_time * picosecond)
        if settings.ensemble == "npt_langevin":
            time = settings.barostat_time * picosecond
            run.piston = Piston(settings.cell_motion, degrees, kT, time)
            run.max_strain = settings.max_strain
        return run

    def save(
        self, positions: np.ndarray, cell: np.ndarray, momenta: np.ndarray, copy: bool = False
    ) -> None:
        """Make a checkpoint of this step; ``cell`` as the integrator has it.

        See :meth:`.kept.Trajectory.checkpoint`.
        """
        state = {
            "step": np.array(self.step),
            "heat": np.array(self.heat),
            "positions": positions,
            "cell": self.hand * cell,
            "momenta": momenta,
            "n_evaluations": np.array(self.n_evaluations),
            "wall_time": np.array(self.wall_time),
            "generator": self.generator.get_state().numpy(),
        }
        if self.chain is not None:
            state["chain"] = self.chain.state()
        if self.piston is not None:
            state["piston"] = self.piston.state()
        observed = self.observables.state()
        state.update({_OBSERVED + key: value for key, value in observed.items()})
        self.trajectory.checkpoint(state, copy)

    def resume(self) -> None:
        """Go on from the last checkpoint, if there is one.

        Raises
        ------
        StructureError
            See :meth:`.kept.Trajectory.resume`.
        """
        self.trajectory.resume(self._restore)

    def _restore(self, saved: dict[str, np.ndarray]) -> None:
        n = len(self)
        shapes = {"positions": (n, 3), "momenta": (n, 3), "cell": (3, 3)}
        for key, shape in shapes.items():
            if saved[key].shape != shape or not np.isfinite(saved[key]).all():
                raise ValueError(f"{key} of shape {saved[key].shape}, not {shape}, or not finite")
        self.step, self.heat = int(saved["step"]), float(saved["heat"])
        self.positions, self.cell = saved["positions"], saved["cell"]
        self.momenta = saved["momenta"]
        self.n_evaluations = int(saved["n_evaluations"])
        self.wall_time = float(saved["wall_time"])
        self.generator.set_state(torch.from_numpy(saved["generator"]))
        if self.chain is not None:
            self.chain.restore(saved["chain"])
        if self.piston is not None:
            self.piston.restore(saved["piston"])
        start = _OBSERVED
        self.observables.restore(
            {k.removeprefix(start): v for k, v in saved.items() if k.startswith(start)}
        )
