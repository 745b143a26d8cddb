"""Observables against brute force, and against models whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.neighborlist import neighbor_list

from pet_flows.properties.md.correlation import (
    Displacements,
    VelocityCorrelation,
    density_of_states,
)
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.frames import Snapshot
from pet_flows.properties.md.md import md
from pet_flows.properties.md.observables import Observables
from pet_flows.properties.md.running import RunningMean, RunningSlope
from pet_flows.properties.md.structure import (
    Fluctuation,
    RadialDistribution,
    nearest_neighbour_distance,
)
from tests.properties.md.potentials import LawPotential, Springs, ideal_gas

RNG = np.random.default_rng(0)
SPECIES = np.array([[1, 0, 1, 0, 1], [0, 1, 0, 1, 0]])


def test_running_numbers() -> None:
    series = np.zeros(40_000)
    a = 0.9  # x' = a x + noise: mean has the error σ √((1 + a)/(1 - a)/n)
    for k in range(1, len(series)):
        series[k] = a * series[k - 1] + RNG.normal()
    mean, slope = RunningMean(), RunningSlope()
    for k, value in enumerate(series):
        mean.add(7.0 + value)
        slope.add(3.0 + 0.1 * k, value)
    assert mean.mean == pytest.approx(7.0 + series.mean())
    assert mean.std == pytest.approx(series.std())
    assert mean.error == pytest.approx(series.std() * np.sqrt((1 + a) / (1 - a) / 4e4), rel=0.3)
    expected = np.polyfit(0.1 * np.arange(len(series)), series, 1)[0]
    assert slope.slope == pytest.approx(expected, rel=1e-9)
    assert RunningMean().error is None
    assert RunningSlope().slope is None


def test_displacements_are_those_over_all_origins() -> None:
    walk = np.cumsum(RNG.normal(size=(300, 5, 3)), axis=0)
    moved = Displacements(SPECIES)
    for positions in walk:
        moved.add(positions)
    lags, squares = moved.result()
    assert lags.max() >= 256
    assert len(set(lags.tolist())) == len(lags)
    for lag, square in zip(lags, np.moveaxis(squares, 1, 0), strict=True):
        spacing = 1 if lag <= 16 else 2 ** int(np.ceil(np.log2(lag / 16)))
        origins = np.arange(0, len(walk) - lag, spacing)
        apart = (walk[origins + lag] - walk[origins]) ** 2
        for kind, atoms in enumerate(SPECIES.astype(bool)):
            assert square[kind] == pytest.approx(apart[:, atoms].mean((0, 1)))


def test_velocity_correlation_is_that_of_each_block() -> None:
    velocities = RNG.normal(size=(130, 5, 3))
    found = VelocityCorrelation(SPECIES, 50)
    for v in velocities:
        found.add(v)
    lags, vacf = found.result()
    assert lags.tolist() == list(range(50))
    for kind, atoms in enumerate(SPECIES.astype(bool)):
        for lag in (0, 1, 17, 49):
            products = [
                (velocities[t, atoms] * velocities[t + lag, atoms]).sum(-1).mean()
                for start, end in ((0, 50), (50, 100), (100, 130))
                for t in range(start, end - lag)
            ]
            assert vacf[kind, lag] == pytest.approx(np.mean(products))


def test_vibrations_are_at_their_frequencies() -> None:
    time = np.arange(400) * 0.005
    correlation = 2.0 * np.cos(2 * np.pi * 7.0 * time) + np.cos(2 * np.pi * 20.0 * time)
    frequency, density = density_of_states(time, correlation, 1.0, 1.0)
    width = frequency[1]
    assert (density.sum() - density[0] / 2) * width == pytest.approx(3.0, rel=1e-3)
    low = frequency < 13.0
    assert frequency[low][density[low].argmax()] == pytest.approx(7.0, abs=width)
    assert frequency[~low][density[~low].argmax()] == pytest.approx(20.0, abs=width)
    assert density[low].sum() / density.sum() == pytest.approx(2 / 3, rel=0.01)


def test_pair_distributions_count_neighbours() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    atoms.rattle(0.05, seed=1)
    species = np.array([atoms.numbers == 11, atoms.numbers == 17]).astype(float)
    pairs = RadialDistribution(species, 9.0)
    for _ in range(3):
        pairs.add(atoms.positions, atoms.cell.array)
    r, g = pairs.result()
    i, j, d = neighbor_list("ijd", atoms, 9.0)
    shells = 4 / 3 * np.pi * np.diff(pairs.edges**3)
    assert len(pairs.pairs) == 3
    for (a, b), values in zip(pairs.pairs, g, strict=True):
        chosen = d[(species[a][i] == 1) & (species[b][j] == 1)]
        counts = np.histogram(chosen, pairs.edges)[0] / species[a].sum()
        density = species[b].sum() / atoms.get_volume()
        assert values * density * shells == pytest.approx(counts)
    first = (r > 2.4) & (r < 3.3)
    assert (g[1] * shells * 4 / atoms.get_volume())[first].sum() == pytest.approx(6.0)


def test_fluctuation_and_nearest_neighbours() -> None:
    crystal = bulk("Cu", cubic=True) * 2
    fluctuation = Fluctuation(len(crystal))
    samples = [crystal.positions + RNG.normal(size=(32, 3)) * 0.1 for _ in range(400)]
    for positions in samples:
        fluctuation.add(positions)
    expected = np.sqrt(np.var(samples, axis=0).sum(-1).mean())
    assert fluctuation.rms == pytest.approx(expected)
    assert nearest_neighbour_distance(crystal.positions, crystal.cell.array) == pytest.approx(
        3.61 / np.sqrt(2)
    )


def test_a_checkpoint_loses_nothing() -> None:
    numbers = np.array([3, 53, 3, 53])
    settings = MDSettings(stride=4, correlation_time=0.05, equilibration=7, rdf_cutoff=4.0)
    cells = [np.eye(3) * (4.0 + 0.01 * RNG.normal()) for _ in range(400)]
    walk = np.cumsum(0.05 * RNG.normal(size=(400, 4, 3)), axis=0)

    def observe(broken_at: int | None) -> Observables:
        found = Observables(numbers, True, 12, settings)
        for step in range(400):
            if step == broken_at:
                state = {key: np.array(value) for key, value in found.state().items()}
                found = Observables(numbers, True, 12, settings)
                found.restore(state)
            if found.wants(step):
                p = walk[step] * 3.0
                found.add(
                    Snapshot(step, -1.0 * step, 2.0, 0.1 * step, np.eye(3), cells[step],
                             walk[step], p, p)
                )  # fmt: skip
        return found

    whole = observe(None)
    for broken_at in (3, 7, 110, 399):
        again = observe(broken_at)
        assert again.result() == whole.result()
        for key, values in whole.arrays().items():
            assert np.array_equal(again.arrays()[key], values), key


def test_a_gas_diffuses_as_einstein_says_and_no_solid_does() -> None:
    # without forces the velocity decays with the friction γ: D = kT / (m γ)
    gas = Atoms("Li24I24", positions=RNG.uniform(0, 12, (48, 3)), cell=[12, 12, 12], pbc=True)
    gas = _apart(gas)
    settings = MDSettings(
        timestep=10.0, steps=2500, friction=20.0, min_length=0, rdf_cutoff=4.0, stride=50, seed=5
    )
    (outcome,) = md([gas], LawPotential(ideal_gas, "crystal:orientation"), settings)
    speed = units.kB * 300 * (1e3 * units.fs) ** 2  # u Å²/ps² per u
    for element, mass in (("Li", 6.94), ("I", 126.90447)):
        expected = speed / (mass * 20.0) * 1e-4
        error = outcome.result["diffusion_error"][element]
        assert outcome.result["diffusion"][element] == pytest.approx(expected, rel=0.25)
        assert error < 0.25 * expected
        kind = outcome.blobs["observables"]["elements"].tolist().index(element)
        density = outcome.blobs["observables"]["vdos"][kind]
        # g(0) = 12 m D / kT
        assert density[0] == pytest.approx(12 * mass * expected * 1e4 / speed, rel=0.2)
    assert outcome.result["lindemann"] > 0.2
    assert any("melted" in warning for warning in outcome.warnings)
    observed = outcome.blobs["observables"]
    assert observed["rdf"][:, 30:].mean() == pytest.approx(1.0, abs=0.1)

    crystal = bulk("Cu", cubic=True) * 2
    potential = LawPotential(Springs(crystal), "crystal:orientation")
    solid = MDSettings(
        timestep=5.0, steps=1500, equilibration=100, min_length=0, stride=50, friction=0.5
    )
    (outcome,) = md([crystal], potential, solid)
    assert outcome.result["diffusion"] is None
    assert 0.02 < outcome.result["lindemann"] < 0.1
    assert not outcome.warnings
    observed = outcome.blobs["observables"]
    frequency, density = observed["vdos_frequency"], observed["vdos"][0]
    assert density.sum() * frequency[1] == pytest.approx(3.0, rel=0.05)
    # highest frequency of fcc with springs between nearest neighbours: 8 k = m ω²
    highest = np.sqrt(8 * 5.0 / 63.546) * 1e3 * units.fs / (2 * np.pi)
    assert density[frequency > highest + 1.0].sum() < 0.03 * density.sum()


def _apart(atoms: Atoms) -> Atoms:
    """Move atoms that lie on top of each other."""
    while neighbor_list("d", atoms, 0.6).size:
        i = neighbor_list("i", atoms, 0.6)
        atoms.positions[i[0]] = RNG.uniform(0, 12, 3)
    return atoms
