from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.geometry.rdf import get_rdf
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.stats import wasserstein_distance

from pet_flows.properties.comparison import NotComparable, Side, Value
from pet_flows.properties.md.compare import rdf_error
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.md.md import md
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from tests.properties.stub import AsePotential

SHORT = MDSettings(
    ensemble="nvt_langevin", temperature=300.0, steps=40, stride=4, equilibration=4,
    observe_every=2, timestep=2.0, min_length=0, rdf_cutoff=5.0, seed=1,
)  # fmt: skip


def alloy() -> Atoms:
    atoms = bulk("Cu", cubic=True, a=3.8) * (2, 2, 2)
    atoms.numbers[::4] = 79
    return atoms


def run(atoms: Atoms, **changes: Any) -> Outcome:
    outcome = next(md([atoms], AsePotential(), SHORT.model_copy(update=changes)))
    assert outcome.state == "ok", outcome.message
    return outcome


@pytest.fixture(scope="module")
def ours() -> Outcome:
    return run(alloy())


@pytest.fixture(scope="module")
def theirs() -> Outcome:
    return run(alloy(), seed=2)


def side(outcome: Outcome, *blobs: str, **result: Any) -> Side:
    kept = {name: outcome.blobs[name] for name in blobs}
    structure = AseAtomsAdaptor.get_structure(outcome.atoms)
    return Side({**outcome.result, **result}, structure, {}, kept.__getitem__)


def values(ours: Side, theirs: Side) -> dict[str, Value]:
    return {value.name: value for value in get_property("md").compare(ours, theirs)}


def test_the_rdf_of_frames_is_that_of_ase(ours: Outcome, theirs: Outcome) -> None:
    """AIMD frames without any averages: histograms by ASE, the integrals by hand."""
    found = values(side(ours, "observables"), side(theirs, "trajectory"))
    frames = theirs.blobs["trajectory"]
    bins = 76  # of 0.05 Å, up to half of the cell of 7.6 Å
    functions = []
    for positions in frames["positions"]:
        atoms = Atoms(frames["numbers"], positions, cell=frames["cell"][0], pbc=True)
        functions.append(get_rdf(atoms, bins * 0.05 - 1e-9, bins)[0])
    observed = ours.blobs["observables"]
    shares = {("Au", "Au"): 1 / 16, ("Au", "Cu"): 6 / 16, ("Cu", "Cu"): 9 / 16}
    mine = sum(
        shares[tuple(sorted(pair))] * g[:bins]
        for pair, g in zip(observed["rdf_pairs"], observed["rdf"], strict=True)
    )
    theirs_g = np.mean(functions, axis=0)
    inside = observed["rdf_r"][:bins]
    expected = np.trapezoid(np.abs(mine - theirs_g), inside) / np.trapezoid(
        np.abs(theirs_g - 1), inside
    )
    assert found["rdf"].difference == pytest.approx(expected, abs=0.01)
    assert 0.02 < expected < 1
    assert {"rdf_Au-Au", "rdf_Au-Cu", "rdf_Cu-Cu"} <= found.keys()


def test_averages_vibrations_and_the_same_run(ours: Outcome, theirs: Outcome) -> None:
    both = ("observables", "trajectory")
    same = values(side(ours, *both), side(ours, *both))
    for name in ("rdf", "vdos_w1_Cu", "pressure"):
        assert same[name].difference == pytest.approx(0, abs=1e-12)
    found = values(side(ours, *both), side(theirs, "observables"))
    a, b = ours.blobs["observables"], theirs.blobs["observables"]
    place = list(a["elements"]).index("Cu")
    w1 = wasserstein_distance(
        a["vdos_frequency"], b["vdos_frequency"], np.clip(a["vdos"][place], 0, None),
        np.clip(b["vdos"][place], 0, None),
    )  # fmt: skip
    assert found["vdos_w1_Cu"].difference == pytest.approx(w1)
    assert found["pressure"].pet == ours.result["pressure"]["mean"]
    assert found["potential_energy_per_atom"].unit == "eV"


def test_an_ideal_gas_is_as_far_as_can_be() -> None:
    r = np.linspace(0, 5, 101)
    crystal = 1 + np.sin(3 * r)
    assert rdf_error(r, np.ones_like(r), crystal) == pytest.approx(1)
    assert rdf_error(r, 5 * np.ones_like(r), crystal) == 1
    assert rdf_error(r, crystal, np.ones_like(r)) == 1


def test_runs_at_two_temperatures_are_not_of_one_state(ours: Outcome) -> None:
    mean = ours.result["temperature"]["mean"]
    hot = {**ours.result["temperature"], "mean": 1.2 * mean}
    with pytest.raises(NotComparable, match="K and DFT at"):
        values(side(ours, "observables"), side(ours, "observables", temperature=hot))
    assert values(side(ours, "observables"), Side({}, side(ours).structure)) == {}
