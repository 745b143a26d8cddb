"""Hulls are pymatgen's, the potential's own and DFT's apart; stability is matbench-discovery's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from emmet.core.thermo import ThermoDoc
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram
from pymatgen.core import Composition, Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry

from pet_flows.compare.build import build
from pet_flows.compare.energies.above import above_hull, e_above_hull
from pet_flows.compare.energies.hull import Hull, Phase
from pet_flows.compare.energies.stability import stability
from pet_flows.dft.level import FORCE_FIELD, LevelOfTheory
from pet_flows.store.results import ResultStore
from tests.compare.stored import (
    OAM,
    caesium_chloride,
    element,
    put_record,
    put_reference,
    rocksalt,
)

ENERGIES = {
    "Mo": -10.93, "Nb": -10.10, "Ta": -11.85, "W": -12.96,
    "MoNb": -10.60, "MoTa": -11.57, "MoW": -11.90, "Mo3Nb": -10.79, "MoNb3": -10.30,
    "NbTaMoW": -11.45, "Mo2Ta": -11.10,
}  # fmt: skip


def phases(energies=ENERGIES):
    return [Phase(formula, formula, energy) for formula, energy in energies.items()]


def entry(formula, energy):
    return PDEntry(Composition(formula), energy * Composition(formula).num_atoms)


def test_distances_are_those_of_pymatgens_whole_diagram():
    hull = Hull(phases())
    entries = [entry(formula, energy) for formula, energy in ENERGIES.items()]
    diagram = PhaseDiagram(entries)
    for phase, there in zip(phases(), entries, strict=True):
        assert hull.above(phase) == pytest.approx(diagram.get_e_above_hull(there), abs=1e-12)
        assert hull.formation(phase) == pytest.approx(
            diagram.get_form_energy_per_atom(there), abs=1e-12
        )
    assert hull.above(Phase("", "NbTaMoW", -11.45)) > 0.05
    # what is not on it can lie below
    assert hull.distance(Phase("new", "NbTaMoW", -12.0)) < -0.4
    assert hull.missing(["Mo", "V", "Cr"]) == ["Cr", "V"]
    with pytest.raises(KeyError):
        hull.distance(Phase("", "MoV", -9.0))


def test_a_potential_beside_the_fixed_hull_is_as_matbench_discovery_defines():
    hull = Hull(phases())
    for phase in phases():
        formation = hull.formation(phase) + 0.037
        expected = hull.distance(phase) + formation - hull.formation(phase)
        assert hull.distance(phase, formation) == pytest.approx(expected, abs=1e-12)


def test_distances_are_those_of_emmets_thermo_documents():
    cell = Lattice.cubic(4.0)
    entries = []
    for n, (formula, energy) in enumerate(ENERGIES.items()):
        symbols = [e.symbol for e, k in Composition(formula).items() for _ in range(int(k))]
        places = np.random.default_rng(n).random((len(symbols), 3))
        entries.append(
            ComputedStructureEntry(
                Structure(cell, symbols, places), energy * len(symbols),
                data={"run_type": "GGA", "material_id": f"mp-{n + 1}", "task_id": f"mp-{n + 1}"},
            )
        )  # fmt: skip
    documents = ThermoDoc.from_entries(entries, thermo_type="GGA_GGA+U")
    hull = Hull(phases())
    theirs = {str(d.material_id.string): d.energy_above_hull for d in documents}
    assert len(theirs) == len(ENERGIES)
    for n, phase in enumerate(phases()):
        assert hull.above(phase) == pytest.approx(theirs[f"mp-{n + 1}"], abs=1e-9)


def test_stability_is_that_of_matbench_discovery_on_a_thousand():
    """By the definition of ``stable_metrics`` of matbench-discovery 1.3, written out here."""
    generator = np.random.default_rng(7)
    dft = generator.normal(0.05, 0.12, 1000)
    pet = dft + generator.normal(0.0, 0.06, 1000)
    pet[generator.choice(1000, 60, replace=False)] = np.nan
    given = [None if math.isnan(value) else float(value) for value in pet]
    found = stability(dft.tolist(), given)
    stable = dft <= 0.0
    called = np.where(np.isnan(pet), False, pet <= 0.0)
    tp, fn = int((stable & called).sum()), int((stable & ~called).sum())
    fp, tn = int((~stable & called).sum()), int((~stable & ~called).sum())
    counts = found.counts
    assert (
        counts.true_positive, counts.false_negative, counts.false_positive, counts.true_negative
    ) == (tp, fn, fp, tn)  # fmt: skip
    precision, recall, prevalence = tp / (tp + fp), tp / (tp + fn), (tp + fn) / 1000
    assert counts.precision == precision
    assert counts.recall == recall
    assert counts.f1 == pytest.approx(2 * precision * recall / (precision + recall), rel=1e-15)
    assert counts.daf == precision / prevalence
    assert counts.accuracy == (tp + tn) / 1000
    there = ~np.isnan(pet)
    wrong = pet[there] - dft[there]
    assert found.missing == 60
    assert found.mae == pytest.approx(np.abs(wrong).mean(), rel=1e-14)
    assert found.rmse == pytest.approx((wrong**2).mean() ** 0.5, rel=1e-14)
    total = ((dft[there] - dft[there].mean()) ** 2).sum()
    assert found.r2 == pytest.approx(1 - (wrong**2).sum() / total, rel=1e-12)


def test_stability_is_that_of_their_own_function():
    """Where matbench-discovery is installed (its dependencies are many); it gives NaN for none."""
    theirs = pytest.importorskip(
        "matbench_discovery.metrics",
        reason="matbench-discovery is not installed, whose function this would be beside",
        exc_type=ImportError,
    ).stable_metrics
    generator = np.random.default_rng(8)
    dft = generator.normal(0.05, 0.12, 1000)
    pet = dft + generator.normal(0.0, 0.06, 1000)
    pet[generator.choice(1000, 60, replace=False)] = np.nan
    expected = theirs(dft, pet, fillna=True)
    found = stability(dft.tolist(), [None if math.isnan(value) else value for value in pet])
    counts = found.counts
    said = {
        "TP": counts.true_positive, "FN": counts.false_negative, "FP": counts.false_positive,
        "TN": counts.true_negative, "F1": counts.f1, "Precision": counts.precision,
        "Recall": counts.recall, "DAF": counts.daf, "MAE": found.mae,
        "RMSE": found.rmse, "R2": found.r2,
    }  # fmt: skip
    for name, value in said.items():
        assert value == pytest.approx(float(expected[name]), rel=1e-12), name
    # theirs counts materials without a prediction as unstable, and divides by those that have one
    assert counts.accuracy == pytest.approx(float(expected["Accuracy"]) * 940 / 1000, rel=1e-12)


def test_without_any_energy_nothing_is_called_stable():
    found = stability([0.0, 0.1], [None, math.nan])
    assert (found.missing, found.mae, found.counts.f1) == (2, None, 0.0)


# campaigns ----------------------------------------------------------------------------------------


@pytest.fixture
def store():
    with ResultStore.open() as store:
        yield store


#: eV/atom of potential and DFT; the potential has another zero of each element
TRUTH = {"MgO": (-6.1, -5.95), "MgO CsCl": (-5.6, -5.7), "Mg": (-1.6, -1.5), "O": (-4.9, -4.9)}


def oxides(store, **changes):
    cells = {
        "MgO": rocksalt(), "MgO CsCl": caesium_chloride(), "Mg": element("Mg", "hcp"),
        "O": element("O", "sc"),
    }  # fmt: skip
    level = LevelOfTheory(functional="PBE", spin=True)
    keys = {}
    for name, (pet, dft) in TRUTH.items():
        put_reference(store, "static", cells[name], name, level=level, energy_per_atom=dft)
        relaxed = put_record(store, "relax", cells[name], name, potential=OAM)
        keys[name] = relaxed
        state = changes.get(name, "ok")
        put_record(
            store, "static", cells[name], name, parent=relaxed, potential=OAM,
            state=state, energy_per_atom=pet,
        )  # fmt: skip
    build(store, ["first"])
    return keys


def test_the_own_hull_and_dfts_are_two_things(store):
    keys = oxides(store)
    own = e_above_hull(store, "first")
    assert own[keys["MgO"]] == 0.0
    assert own[keys["MgO CsCl"]] == pytest.approx(0.5)
    fixed = e_above_hull(store, "first", "dft")
    pet = (-6.1 - (-1.6 - 4.9) / 2, -5.6 - (-1.6 - 4.9) / 2)  # formation from its own elements
    dft = -5.95 - (-1.5 - 4.9) / 2
    assert fixed[keys["MgO"]] == pytest.approx(pet[0] - dft)
    assert fixed[keys["MgO CsCl"]] == pytest.approx(pet[1] - dft)
    assert fixed[keys["Mg"]] == fixed[keys["O"]] == pytest.approx(0.0)
    # of each crystal all records have it, the relaxation that a follow-up starts from among them
    assert len(own) == len(fixed) == 8


@pytest.mark.parametrize("gone", ["state", "potential", "property", "reason"])
def test_a_damaged_record_stops_no_hull(store, gone):
    keys = oxides(store)
    # without the static of one phase there are more relaxations, whose energies then count
    broken = {"parent": keys["MgO CsCl"]}
    store.records.update_one(broken, {"$unset": {gone: ""}})
    own = e_above_hull(store, "first")
    assert own[keys["MgO"]] == 0.0
    assert len(own) == (8 if gone == "reason" else 7)


def test_stability_of_a_campaign_and_what_is_missing_is_unstable(store):
    keys = oxides(store, MgO="failed")
    (found,) = above_hull(store, "first", "dft")
    assert found.missing[keys["MgO"]] == "its static is failed (max_steps)"
    assert found.references.method.functional == "PBE"
    counts = found.stability.counts
    # Mg, O and rock salt are stable; the potential says so of the elements
    assert (counts.true_positive, counts.false_negative) == (2, 1)
    assert found.stability.missing == 1


def test_without_an_element_there_is_no_hull_and_the_reason_is_told(store):
    oxides(store, Mg="failed")
    (found,) = above_hull(store, "first")
    assert "the campaign has no energy of the element Mg" in found.missing.values()
    assert len(found.above) == 2  # static and relaxation of oxygen


def test_energies_of_another_zero_are_not_on_the_hull(store):
    oxides(store)
    other = LevelOfTheory(functional="PBE", spin=True, pseudopotentials="all-electron")
    put_reference(store, "static", rocksalt(), level=other, energy_per_atom=-1000.0)
    # nor are those of another potential, whatever it was trained on
    trained = LevelOfTheory(functional="PBE", spin=True, code=FORCE_FIELD)
    put_reference(store, "static", rocksalt(), level=trained, energy_per_atom=-9.0)
    (found,) = above_hull(store, "first", "dft")
    assert found.references.refused == {"of another method": 1}
    assert len(found.references.phases) == 4
