"""Which crystals are recognized, and what a table of equations of state says of each."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from pet_flows.compare.campaign import compare_campaign
from pet_flows.compare.matching.identify import identify
from pet_flows.compare.metrics import measure
from pet_flows.dft import acwf
from pet_flows.dft.reference import Origin
from pet_flows.errors import PetFlowsError
from pet_flows.inputs.prototypes import PROTOTYPES, build_prototype
from pet_flows.models.catalogue import find
from pet_flows.store.results import ResultStore
from tests.compare.stored import element, potential, put_record, put_reference, rocksalt

# which crystal ------------------------------------------------------------------------------------


@pytest.mark.parametrize("prototype", PROTOTYPES)
def test_prototypes_are_recognized_in_any_cell(prototype):
    cell = build_prototype("Cu", prototype)
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned = Structure(
        Lattice(cell.lattice.matrix @ turn),
        cell.species,
        cell.frac_coords + np.array([0.1, 0.2, 0.3]),
    )
    skewed = turned.make_supercell([[1, 1, 0], [0, 1, 0], [0, 1, 1]], in_place=False)
    larger = turned.make_supercell([2, 1, 3], in_place=False)
    cycled = Structure(
        Lattice(cell.lattice.matrix[[2, 0, 1]]), cell.species, cell.frac_coords[:, [2, 0, 1]]
    )
    larger.scale_lattice(0.8 * larger.volume)
    for structure in (cell, turned, skewed, larger, cycled):
        found = identify(structure)
        assert (found.element, found.prototype) == ("Cu", prototype)


@pytest.mark.parametrize(
    "structure",
    [
        Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
        ),
        # simple hexagonal; graphite's layers; lonsdaleite; β-tin; hcp pulled apart
        Structure(Lattice.hexagonal(2.5, 2.4), ["Si"], [[0, 0, 0]]),
        Structure.from_spacegroup(
            194, Lattice.hexagonal(2.46, 6.7), ["C", "C"], [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25]]
        ),
        Structure.from_spacegroup(
            194, Lattice.hexagonal(2.5, 4.1), ["C"], [[1 / 3, 2 / 3, 0.0625]]
        ),
        Structure.from_spacegroup(141, Lattice.tetragonal(5.8, 3.2), ["Sn"], [[0, 0, 0]]),
        Structure.from_spacegroup(194, Lattice.hexagonal(2.5, 6.5), ["C"], [[1 / 3, 2 / 3, 0.25]]),
        # the cube of fcc without its corners
        Structure.from_spacegroup(221, Lattice.cubic(4.0), ["Cu"], [[0, 0.5, 0.5]]),
        # the group of diamond, on a place of more atoms
        Structure.from_spacegroup(227, Lattice.cubic(8.0), ["Si"], [[0.1, 0.1, 0.1]]),
    ],
)
def test_other_crystals_are_not_taken_for_prototypes(structure):
    assert identify(structure) is None


def test_a_strained_cubic_cell_is_no_prototype_any_more():
    cell = build_prototype("Cu", "fcc")
    cell.apply_strain([0.02, 0.0, 0.0])
    assert identify(cell) is None


# rows ---------------------------------------------------------------------------------------------


@pytest.fixture
def store():
    with ResultStore.open() as store:
        yield store


def rows(store, **options):
    return compare_campaign(store, "first", **options).rows()


def crystal(store, symbol, prototype, *, energy=None, state="ok", **values):
    """Records of one relaxed crystal: its equation of state, and a static with this energy."""
    start = element(symbol, prototype)
    name = f"{symbol}-{prototype}"
    relaxed = put_record(store, "relax", start, name)
    put_record(store, "eos", start, name, parent=relaxed, **values)
    if energy is not None:
        put_record(
            store, "static", start, name, parent=relaxed, state=state, energy_per_atom=energy
        )


def test_the_final_geometry_decides_not_the_tag(store):
    tags = ["prototype:fcc", "element:Si"]
    start = element("Si", "fcc")
    relaxed = put_record(store, "relax", start, "a", tags=tags, final=element("Si", "diamond"))
    put_record(store, "eos", element("Si", "diamond"), "a", tags=tags, parent=relaxed)
    failed = put_record(store, "relax", None, "b", tags=tags, state="failed")
    put_record(store, "eos", None, "b", tags=tags, state="failed", parent=failed)
    put_record(store, "eos", None, "c", tags=["prototype:A15", "element:W"], state="failed")
    assert [f"{row.crystal} {row.label}" for row in rows(store)] == [
        "Si fcc b", "Si diamond a", "? c"
    ]  # fmt: skip


def test_a_crystal_without_tags_meets_its_reference(store):
    crystal(store, "Si", "diamond", v0_per_atom=20.5, b0=90.0)
    (row,) = rows(store)
    reference = acwf.find("Si", "diamond").result["v0_per_atom"]
    assert reference == pytest.approx(20.46, abs=0.01)
    assert row.ground_state is True
    assert row.in_training is None
    pair = row.comparisons["v0_per_atom"]
    assert pair.difference == pytest.approx(20.5 - reference)
    assert pair.relative == pytest.approx(20.5 / reference - 1)


def test_a_partial_reference_hides_no_other_ones_quantity(store):
    copper = element("Cu", "fcc")
    put_reference(store, "eos", copper, "mine", v0_per_atom=11.5)
    put_record(store, "eos", copper, "mine", v0_per_atom=12.0, b0=140.0)
    compared = compare_campaign(store, "first")
    (row,) = compared.rows()
    published = acwf.find("Cu", "fcc").result
    assert row.references == {"v0_per_atom": 11.5, "b0": published["b0"]}
    assert set(row.comparisons) == {"v0_per_atom", "b0"}
    assert {one.doi is None for one in row.published} == {True, False}
    found = {v["name"]: v["dft"] for d in compared.documents() for v in d["values"]}
    assert found["v0_per_atom"] == 11.5
    # of two of one level, the one that is not taken
    later = Origin(name="later", database="tests", completed_at=datetime(2026, 1, 1))
    put_reference(store, "eos", copper, "mine", source=later, b0=99.0)
    (row,) = compare_campaign(store, "first").rows()
    assert row.references == {"v0_per_atom": 11.5, "b0": 99.0}


def test_compounds_have_rows_and_what_has_no_reference_says_why(store):
    crystal(store, "Si", "hcp")
    put_record(store, "eos", rocksalt(), "b", b0=150.0)
    hcp, salt = rows(store)
    assert (str(hcp.crystal), hcp.alone) == ("Si hcp", "no reference with this structure")
    assert (str(salt.crystal), salt.label) == ("MgO Fm-3m", "b")
    assert salt.alone == "no reference of this property and formula"
    assert salt.values["b0"] == 150.0
    assert salt.in_training is None


def test_the_first_cause_is_told_and_no_error_is_made_of_what_did_not_converge(store):
    start = element("Si", "diamond")
    relaxed = put_record(store, "relax", start, "a", state="unconverged")
    put_record(store, "eos", start, "a", state="failed", parent=relaxed)
    other = put_record(store, "relax", element("Si", "fcc"), "b")
    put_record(store, "eos", element("Si", "fcc"), "b", state="unconverged", parent=other, b0=80.0)
    fcc, diamond = rows(store)
    assert (diamond.state, diamond.reason, diamond.values) == ("failed", "max_steps", {})
    assert diamond.references["b0"] == pytest.approx(88.5, abs=0.1)
    assert fcc.values["b0"] == 80.0
    assert fcc.comparisons == diamond.comparisons == {}
    assert measure([fcc, diamond]) == []


def test_training_phases(store):
    bundled = find("pet-mvl")
    used = potential("pet-mvl", sha256=bundled.sha256)
    for symbol, prototype in (("Si", "diamond"), ("Si", "sc"), ("Ag", "fcc")):
        put_record(store, "eos", element(symbol, prototype), potential=used)
    assert {str(row.crystal): row.in_training for row in rows(store)} == {
        "Si diamond": True, "Si sc": False, "Ag fcc": False,
    }  # fmt: skip


def test_energies_above_the_ground_state_come_from_statics_of_one_potential(store):
    for name, energy in (("diamond", -5.0), ("fcc", -4.5), ("sc", -5.5)):
        crystal(store, "Si", name, energy=energy)
    crystal(store, "Si", "bcc", energy=-4.0, state="failed")
    other = potential("other")
    put_record(store, "static", element("Si", "hcp"), potential=other, energy_per_atom=-4.0)
    # no ground state known: the lowest phase
    crystal(store, "Ag", "hcp", energy=-2.9)
    crystal(store, "Ag", "fcc", energy=-3.0)
    above = {str(row.crystal): row.energy_above for row in rows(store)}
    assert above["Si diamond"] == 0.0
    assert above["Si fcc"] == pytest.approx(0.5)
    assert above["Si sc"] == pytest.approx(-0.5)  # a model's mistake stays visible
    assert above["Si bcc"] is None
    assert above["Si hcp"] is None
    assert above["Ag hcp"] == pytest.approx(0.1)
    assert above["Ag fcc"] == 0.0


def test_without_equations_of_state_there_are_no_rows(store):
    put_record(store, "static", element("Si", "diamond"))
    assert rows(store) == []


def test_a_campaign_that_is_not_there_is_named(store):
    with pytest.raises(PetFlowsError, match="belongs to a campaign 'second'"):
        compare_campaign(store, "second")
