"""Ensembles against ASE's integrators step by step, and against what statistics knows exactly."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk, fcc111, molecule
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import MTKNPT, NoseHooverChainThermostat
from pydantic import ValidationError

from pet_flows.engines.potential import Potential
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.md import md
from pet_flows.properties.md.running import RunningMean
from pet_flows.properties.md.thermostat import Chains, NoseHooverChain
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from tests.properties.md.potentials import LawCalculator, LawPotential, Springs, ideal_gas

BASE = MDSettings(min_length=0, timestep=4.0, steps=200, stride=10, rdf_cutoff=2.6, seed=3)
NPT = {"ensemble": "npt_langevin", "barostat_time": 0.3}


def alloy() -> Atoms:
    """Two species of very different mass, on a lattice that springs keep in shape."""
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    atoms.numbers = np.tile([3, 53, 53, 3], 4)
    return atoms


def with_(**changes: object) -> MDSettings:
    return MDSettings(**{**BASE.model_dump(), **changes})


def run(atoms: Atoms, settings: MDSettings, potential: LawPotential | None = None) -> Outcome:
    outcome = next(md([atoms], potential or LawPotential(Springs(atoms)), settings))
    assert outcome.state == "ok", outcome.message
    get_property("md").result.model_validate(outcome.result)
    return outcome


def test_the_chain_is_the_one_of_ase() -> None:
    masses = alloy().get_masses()[:, None]
    p = np.random.default_rng(0).normal(size=(len(masses), 3)) * np.sqrt(masses * 0.05)
    kT, time, delta = 300 * units.kB, 20 * units.fs, 2 * units.fs
    theirs = NoseHooverChainThermostat(len(masses), masses, 300, time)
    ours = Chains([NoseHooverChain(3 * len(masses), kT, time)])
    q = p.copy()
    for _ in range(50):
        p = theirs.integrate_nhc(p, delta)
        q = q * ours.advance((q**2 / masses).sum(keepdims=True)[0] / 2, np.array([kT]), delta)
    assert q == pytest.approx(p, abs=1e-12)
    assert ours.energies[0] == pytest.approx(theirs.get_thermostat_energy(), abs=1e-10)


@pytest.mark.parametrize("motion", ["full", "isotropic"])
def test_the_piston_without_noise_is_that_of_ase(motion: str) -> None:
    atoms = bulk("Cu", cubic=True) * 2
    law = Springs(atoms)
    atoms.set_cell(atoms.cell.array * 1.01, scale_atoms=True)
    if motion == "full":
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + np.diag([0.01, 0.0], 1)), scale_atoms=True)
    settings = with_(
        **NPT, cell_motion=motion, friction=1e-20, barostat_friction=1e-20, pressure=2.0, steps=150,
        timestep=2.0,
    )  # fmt: skip
    ours = run(atoms, settings, LawPotential(law)).blobs["trajectory"]
    theirs = atoms.copy()
    theirs.calc = LawCalculator(law)
    theirs.set_momenta(ours["momenta"][0])
    dynamics = MTKNPT(
        theirs, 2 * units.fs, temperature_K=300, pressure_au=2 * units.GPa, tdamp=1e15,
        pdamp=300 * units.fs, pchain=1,
    )  # fmt: skip
    dynamics._barostat._R[:] = 1e30  # no thermostat of the cell
    if motion == "isotropic":
        step = dynamics._integrate_p_cell

        def of_the_volume(delta: float) -> None:
            step(delta)
            dynamics._p_g = np.trace(dynamics._p_g) / 3 * np.eye(3)

        dynamics._integrate_p_cell = of_the_volume
    dynamics.run(150)
    assert np.abs(theirs.cell.array - atoms.cell.array).max() > 0.02
    assert ours["cell"][-1] == pytest.approx(theirs.cell.array, abs=1e-9)
    assert ours["positions"][-1] == pytest.approx(theirs.positions, abs=1e-9)
    assert ours["momenta"][-1] == pytest.approx(theirs.get_momenta(), abs=1e-9)


def test_an_ideal_gas_has_its_volume() -> None:
    """exp(-PV/kT) V^N dV: <V> = (N + 1) kT/P, variance (N + 1) (kT/P)²."""
    n, unit = 4, 300 * units.kB / units.GPa
    settings = with_(
        **NPT, pressure=1.0, timestep=10.0, steps=3000, equilibration=300, friction=20.0,
        max_strain=9.0, stride=1000, rdf_cutoff=0.1, correlation_time=0.1,
    )  # fmt: skip
    result = run(bulk("Cu", cubic=True), settings, LawPotential(ideal_gas)).result
    volume = result["volume_per_atom"]
    assert abs(volume["mean"] * n - (n + 1) * unit) < 4 * volume["error"] * n
    assert volume["error"] * n < 0.1 * (n + 1) * unit
    assert volume["std"] * n == pytest.approx(np.sqrt(n + 1) * unit, rel=0.2)
    assert result["pressure"]["target"] == 1.0


ENSEMBLES = [
    {"ensemble": "nve"},
    {"ensemble": "nvt_langevin"},
    {"ensemble": "nvt_nose_hoover"},
    {**NPT, "cell_motion": "isotropic"},
    {**NPT, "cell_motion": "full"},
]


@pytest.mark.parametrize("ensemble", ENSEMBLES, ids=lambda e: "_".join(map(str, e.values())))
def test_what_is_conserved_deviates_with_the_square_of_the_time_step(ensemble: dict) -> None:
    ramp: dict = {}
    if ensemble["ensemble"] != "nve":
        ramp["final_temperature"] = 600.0
    if ensemble["ensemble"] == "npt_langevin":
        ramp.update(pressure=-0.5, final_pressure=1.5)
    deviation = []
    for timestep in (8.0, 4.0, 2.0):
        steps, stride = int(1600 / timestep), int(16 / timestep)
        settings = with_(**ensemble, **ramp, timestep=timestep, steps=steps, stride=stride)
        conserved = run(alloy(), settings).blobs["trajectory"]["conserved"]
        deviation.append(np.std(conserved) / len(alloy()))
    assert deviation[2] < 5e-4
    assert 1.6 < np.log2(deviation[0] / deviation[2]) / 2 < 2.5


def test_averages_are_those_of_ase() -> None:
    atoms = bulk("Cu", cubic=True) * 2
    # soft and hot: a chain does not get round all of phase space of a harmonic crystal
    law = Springs(atoms, stiffness=1.0)
    theirs = atoms.copy()
    theirs.calc = LawCalculator(law)
    dynamics = Langevin(
        theirs, 8 * units.fs, temperature_K=1000, friction=0.01 / units.fs, fixcm=False,
        rng=np.random.default_rng(5),
    )  # fmt: skip
    dynamics.run(300)
    potential, temperature = RunningMean(), RunningMean()

    def sample() -> None:
        potential.add(theirs.get_potential_energy() / len(theirs))
        temperature.add(theirs.get_temperature())

    dynamics.attach(sample, interval=5)
    dynamics.run(2000)
    expected = {"potential_energy_per_atom": potential, "temperature": temperature}
    # begin where ASE ended: a chain takes long to forget that a perfect crystal was given
    momenta = theirs.get_momenta() - theirs.get_masses()[:, None] * (
        theirs.get_momenta().sum(0) / theirs.get_masses().sum()
    )
    for ensemble in ("nvt_langevin", "nvt_nose_hoover"):
        settings = with_(
            ensemble=ensemble, temperature=1000.0, timestep=8.0, steps=2200, equilibration=200,
            friction=10.0, rdf_cutoff=0.1, stride=1000, correlation_time=0.1,
        )  # fmt: skip
        (outcome,) = md([theirs], LawPotential(law), settings, momenta=[momenta])
        result = outcome.result
        for name, series in expected.items():
            apart = abs(result[name]["mean"] - series.mean)
            assert apart < 4 * np.hypot(result[name]["error"], series.error), (ensemble, name)
            assert result[name]["error"] < 0.04 * abs(series.mean)
            assert result[name]["std"] == pytest.approx(series.std, rel=0.2), (ensemble, name)
        canonical = result["temperature_std_canonical"]
        assert result["temperature"]["std"] == pytest.approx(canonical, rel=0.15)
        if ensemble == "nvt_nose_hoover":
            assert result["momentum"] < 1e-10
            assert abs(result["drift"]) < 3e-5


@pytest.mark.parametrize("ensemble", [ENSEMBLES[1], ENSEMBLES[4]], ids=["nvt", "npt"])
def test_every_element_has_the_temperature(ensemble: dict) -> None:
    # light atoms in stiff springs: a longer step would cool them
    settings = with_(**ensemble, timestep=2.0, steps=1800, equilibration=300, friction=20.0)
    outcome = run(alloy(), settings)
    error = outcome.result["temperature"]["error"]
    kinds = outcome.blobs["observables"]["kinetic_temperature"]
    assert kinds == pytest.approx(300.0, abs=6 * error)
    assert error < 12.0


def test_ramps_arrive() -> None:
    settings = with_(
        **NPT, cell_motion="full", temperature=100.0, final_temperature=500.0, pressure=0.0,
        final_pressure=5.0, steps=1500, friction=50.0, barostat_friction=20.0,
    )  # fmt: skip
    outcome = run(alloy(), settings)
    frames = outcome.blobs["trajectory"]
    temperature = frames["kinetic"] / (1.5 * len(alloy()) * units.kB)
    third = len(temperature) // 3
    for part, expected in enumerate((100 + 400 / 6, 300.0, 500 - 400 / 6)):
        mean = temperature[part * third : (part + 1) * third].mean()
        assert mean == pytest.approx(expected, rel=0.12)
    static = -np.trace(frames["stress"], axis1=1, axis2=2) / 3
    volume = np.abs(np.linalg.det(frames["cell"]))
    pressure = (static + 2 * frames["kinetic"] / (3 * volume)) / units.GPa
    assert pressure[-third:].mean() == pytest.approx(5 - 5 / 6, abs=0.4)
    assert outcome.result["temperature"]["target"] is None
    assert outcome.result["pressure"]["target"] is None
    assert outcome.atoms.get_volume() < alloy().get_volume()


def test_averages_over_the_start_are_said() -> None:
    """Half of the heat goes into the springs of a perfect lattice before the thermostat returns."""
    atoms = bulk("Cu", cubic=True) * (2, 2, 1)
    settings = MDSettings(temperature=300.0, steps=400, friction=0.1, timestep=2.0, min_length=0)
    (cold,) = md([atoms], LawPotential(Springs(atoms)), settings)
    assert cold.result["temperature"]["mean"] < 250
    assert any("averages hold the start" in w for w in cold.warnings)


def test_no_pressure_without_a_volume() -> None:
    slab = fcc111("Cu", (2, 2, 3), vacuum=8.0, periodic=True)
    box = molecule("N2", vacuum=6.0, pbc=True)
    crystal = bulk("Cu", cubic=True)
    potential = LawPotential(Springs(crystal))
    found = list(md([slab, box, molecule("N2"), crystal], potential, with_(**NPT, steps=5)))
    by_index = {o.index: o for o in found}
    for index in (0, 1, 2):
        assert by_index[index].reason == "no_volume"
        assert "nvt_langevin" in str(by_index[index].message)
    assert by_index[3].state == "ok"


def test_an_explosion_at_constant_pressure_keeps_what_it_had() -> None:
    crystal = bulk("Cu", cubic=True) * 2
    soft, gas = (
        with_(**NPT, timestep=60.0, temperature=3000.0, stride=1),
        with_(**NPT, pressure=-20.0, max_strain=0.2, stride=1),
    )
    reasons = {"exploded", "not_finite", "cell_runaway"}
    for settings, law in ((soft, Springs(crystal)), (gas, ideal_gas)):
        outcome = next(md([crystal], LawPotential(law), settings))
        assert outcome.state == "failed"
        assert outcome.reason in reasons
        assert outcome.result["exploded"]
        frames = outcome.blobs["trajectory"]
        assert 0 < len(frames["step"]) < settings.steps
        assert all(np.isfinite(values).all() for values in frames.values())


@pytest.mark.parametrize("motion", ["isotropic", "full"])
def test_a_crystal_keeps_its_reference_under_pressure(pet: Potential, motion: str) -> None:
    atoms = bulk("W", cubic=True)
    left = Atoms(atoms.numbers, -atoms.positions, cell=-atoms.cell.array, pbc=True)
    oriented = pet.with_(symmetrization="crystal:orientation", dtype="float64")
    known = [oriented.bind(a).as_dict() for a in (atoms, left)]
    settings = with_(
        **NPT, cell_motion=motion, pressure=20.0, steps=8, min_length=6.0, timestep=1.0, stride=1
    )
    for outcome in md([atoms, left], oriented, settings, known):
        assert outcome.state == "ok", outcome.message
        assert outcome.n_evaluations == 9
        inherited = known[outcome.index]
        assert outcome.inherited["reference"] == inherited["reference"]
        assert outcome.inherited["N"] == (2 * np.array(inherited["N"])).tolist()
        frames = outcome.blobs["trajectory"]
        assert np.abs(frames["cell"][-1] - frames["cell"][0]).max() > 1e-4
        assert np.ptp(frames["conserved"]) < 5e-3


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in (
        {"ensemble": "nve", "final_temperature": 500.0},
        {"ensemble": "nvt_langevin", "pressure": 1.0},
        {"ensemble": "nvt_nose_hoover", "final_pressure": 1.0},
        {"ensemble": "npt"},
    ):
        with pytest.raises(ValidationError, match=r"ensemble|thermostat"):
            MDSettings(**wrong)
