"""Observables against brute force, and against models whose answers are known."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms, units
from ase.build import bulk
from ase.neighborlist import neighbor_list

from pet_flows.properties.md import samples
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
    Near,
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
    for some in np.split(walk, [1, 5, 40, 41, 200]):
        moved.add(some)
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
    for some in np.split(velocities, [3, 60]):
        found.add(some)
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
    pairs.add(np.stack([atoms.positions] * 3), np.stack([atoms.cell.array] * 3))
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
    moved = crystal.positions + RNG.normal(size=(400, 32, 3)) * 0.1
    for some in np.split(moved, [1, 30, 33]):
        fluctuation.add(some)
    expected = np.sqrt(np.var(moved, axis=0).sum(-1).mean())
    assert fluctuation.rms == pytest.approx(expected)
    assert nearest_neighbour_distance(crystal.positions, crystal.cell.array) == pytest.approx(
        3.61 / np.sqrt(2)
    )


def test_kept_pairs_are_those_of_a_search() -> None:
    """Of a cell that deforms, and of atoms that walk far out of it: bin by bin."""
    n, steps = 12, 60
    kinds = np.arange(n) % 2
    species = (kinds == np.arange(2)[:, None]).astype(float)
    walk = RNG.uniform(0, 6, (n, 3)) + np.cumsum(0.05 * RNG.normal(size=(steps, n, 3)), axis=0)
    strains = np.cumsum(0.004 * RNG.normal(size=(steps, 3, 3)), axis=0)
    cells = 6.0 * (np.eye(3) + strains)
    kept = RadialDistribution(species, 7.0)
    kept.add(walk, cells)
    found, near, searched = np.zeros((3, 140)), Near(walk[0], cells[0], 7.0), 1
    for positions, cell in zip(walk, cells, strict=True):
        atoms = Atoms("H12", positions, cell=cell, pbc=True)
        i, j, d = neighbor_list("ijd", atoms, 7.0)
        of = kinds[i] + kinds[j]
        found += [np.histogram(d[of == pair], kept.edges)[0] / 2 for pair in range(3)]
        if not near.holds(positions, cell):
            near, searched = Near(positions, cell, 7.0), searched + 1
    assert 3 < searched < steps / 2
    assert np.array_equal(kept.state()["counts"], found)


NUMBERS = np.array([3, 53, 3, 53])
SETTINGS = MDSettings(stride=4, correlation_time=0.05, equilibration=7, rdf_cutoff=4.0)
CELLS = [np.eye(3) * (4.0 + 0.01 * RNG.normal()) for _ in range(400)]
WALK = np.cumsum(0.05 * RNG.normal(size=(400, 4, 3)), axis=0)


def observed(settings: MDSettings, broken_at: int | None = None) -> Observables:
    """400 steps, with a checkpoint before one of them from which another goes on."""
    found = Observables(NUMBERS, True, 12, settings)
    for step in range(400):
        if step == broken_at:
            state = {key: np.array(value) for key, value in found.state().items()}
            found = Observables(NUMBERS, True, 12, settings)
            found.restore(state)
        if found.wants(step):
            p, kinetic = WALK[step] * 3.0, 2.0 + 0.1 * np.sin(step)
            found.add(
                Snapshot(step, -1.0 * step, kinetic, 0.1 * step, np.eye(3), CELLS[step],
                         WALK[step], p, p)
            )  # fmt: skip
    return found


@pytest.mark.parametrize("every", [1, 5])
def test_a_checkpoint_loses_nothing(every: int) -> None:
    settings = SETTINGS.model_copy(update={"observe_every": every})
    whole = observed(settings)
    for broken_at in (3, 7, 8, 110, 399):
        again = observed(settings, broken_at)
        assert again.result() == whole.result()
        for key, values in whole.arrays().items():
            assert np.array_equal(again.arrays()[key], values), key


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_how_many_samples_are_looked_at_together_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    settings = SETTINGS.model_copy(update={"observe_every": 1})
    whole = observed(settings)
    monkeypatch.setattr(samples, "MOST", most)
    other = observed(settings)
    for key, values in whole.arrays().items():
        if values.dtype.kind == "f":
            scale = np.abs(values).max()
            assert other.arrays()[key] == pytest.approx(values, rel=1e-12, abs=1e-13 * scale), key
    ours, theirs = whole.result(), other.result()
    for key in ("temperature", "pressure", "potential_energy_per_atom", "volume_per_atom", "drift"):
        assert theirs[key] == ours[key]
    assert theirs["lindemann"] == pytest.approx(ours["lindemann"], rel=1e-12)
    assert theirs["momentum"] == pytest.approx(ours["momentum"], rel=1e-12)


def test_samples_that_wait_have_few_bytes() -> None:
    for n_atoms in (1, 64, 5000, 10**6):
        waiting = samples.Samples(n_atoms)
        one = Snapshot(0, 0.0, 0.0, 0.0, *np.zeros((2, 3, 3)), *np.zeros((3, n_atoms, 3)))
        while not waiting.full:
            waiting.add(one)
        size = sum(array.nbytes for array in waiting.take().values())
        assert size < max(samples.BYTES + 200 * samples.MOST, 50 * n_atoms)


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
