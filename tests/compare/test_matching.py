"""Which reference stands beside which record: by link, by identifier, by structure."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from pet_flows.compare.build import build
from pet_flows.compare.matching import same
from pet_flows.compare.matching.match import ANOTHER_CRYSTAL, NOT_THERE
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Origin
from pet_flows.store.results import ResultStore
from tests.compare.stored import (
    caesium_chloride,
    element,
    put_record,
    put_reference,
    rocksalt,
)


@pytest.fixture
def store():
    with ResultStore.open() as store:
        yield store


def compared(store, **options):
    """Comparisons of the campaign, by record; those of references alone under None."""
    build(store, ["first"], **options)
    found = {}
    for document in store.comparisons.find({"campaigns": "first"}):
        found.setdefault(document["record"], []).append(document)
    return found


def turned(structure: Structure) -> Structure:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    return Structure(
        Lattice(structure.lattice.matrix @ turn), structure.species, structure.frac_coords + 0.137
    )


def decorated(structure: Structure) -> Structure:
    structure = structure.copy()
    structure.add_oxidation_state_by_element({"Mg": 2, "O": -2})
    return structure


def strained(structure: Structure) -> Structure:
    structure = structure.copy()
    structure.apply_strain([0.02, 0.0, -0.01])
    return structure


FORMS = {
    "conventional": lambda s: s,
    "primitive": lambda s: s.get_primitive_structure(),
    "supercell": lambda s: s.get_primitive_structure().make_supercell(
        [[2, 1, 0], [0, 1, 0], [0, 0, 3]], in_place=False
    ),
    "rotated": turned,
    "decorated": decorated,
    "strained": strained,
    "larger": lambda s: Structure(s.lattice.matrix * 1.1, s.species, s.frac_coords),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_crystal_in_any_form_is_one_match(store, form):
    wanted = put_reference(store, "static", rocksalt(), "mp-1265", energy_per_atom=-5.0)
    put_reference(store, "static", caesium_chloride(), "mp-1009129", energy_per_atom=-4.0)
    key = put_record(store, "static", FORMS[form](rocksalt(4.25)), "another-name")
    (document,) = compared(store)[key]
    assert (document["reference"], document["matched_by"]) == (wanted, "structure")
    # a strained cell is as near as its strain, in units of the cube root of the volume per atom
    assert document["rmsd"] == pytest.approx(0.0, abs=0.05 if form == "strained" else 1e-6)
    assert document["reason"] is None
    assert document["level_differs"] == []
    (value,) = [v for v in document["values"] if v["name"] == "energy_per_atom"]
    assert (value["pet"], value["dft"], value["difference"]) == (-1.0, -5.0, 4.0)
    assert value["relative"] is None  # its zero is a convention


def test_rock_salt_and_caesium_chloride_are_no_match(store):
    alone = put_reference(store, "static", caesium_chloride(), energy_per_atom=-4.0)
    key = put_record(store, "static", rocksalt())
    found = compared(store)
    (document,) = found[key]
    assert (document["reference"], document["reason"]) == (None, ANOTHER_CRYSTAL)
    assert document["values"] == []
    (other,) = found[None]
    assert (other["reference"], other["reason"]) == (alone, "no record stands beside it")


@pytest.mark.parametrize("written", ["mp-1265", "mp-bwr", "mp-aaaabwr"])
def test_an_identifier_is_the_same_in_any_spelling(store, written):
    put_reference(store, "static", rocksalt(), "mp-1265", energy_per_atom=-5.0)
    key = put_record(store, "static", rocksalt(), written)
    (document,) = compared(store)[key]
    assert (document["matched_by"], document["rmsd"]) == ("identifier", None)


def test_a_link_comes_before_an_identifier_and_this_before_the_structure(store):
    relaxed = put_record(store, "relax", rocksalt(), "mp-1")
    key = put_record(store, "static", rocksalt(), "mp-1", parent=relaxed)
    put_reference(store, "static", rocksalt(), "mp-2", energy_per_atom=-9.0)
    assert compared(store)[key][0]["matched_by"] == "structure"
    named = put_reference(store, "static", rocksalt(), "mp-1", energy_per_atom=-5.0)
    (document,) = compared(store)[key]
    assert (document["reference"], document["matched_by"]) == (named, "identifier")
    # calculated for the relaxation whose structure this record is of
    linked = put_reference(store, "static", rocksalt(), records=(relaxed,), energy_per_atom=-4.0)
    (document,) = compared(store)[key]
    assert (document["reference"], document["matched_by"]) == (linked, "link")


def test_of_another_formula_or_property_nothing_stands_beside(store):
    put_reference(store, "static", rocksalt(4.7, "Ca"), "mp-1", energy_per_atom=-5.0)
    put_reference(store, "relax", rocksalt(), "mp-1", energy_per_atom=-5.0)
    key = put_record(store, "static", rocksalt(), "mp-1")
    assert compared(store)[key][0]["reason"] == NOT_THERE


def test_a_crystal_that_left_its_structure_is_not_compared_by_name(store):
    put_reference(store, "static", element("Cu", "bcc"), "mp-bcc", energy_per_atom=-3.0)
    fcc = put_reference(store, "static", element("Cu", "fcc"), "mp-fcc", energy_per_atom=-4.0)
    put_reference(store, "relax", element("Cu", "bcc"), "mp-bcc", energy_per_atom=-3.0)
    gone = {"final": element("Cu", "fcc")}
    relaxed = put_record(store, "relax", element("Cu", "bcc"), "mp-bcc", **gone)
    key = put_record(store, "static", element("Cu", "fcc"), "mp-bcc", parent=relaxed)
    found = compared(store)
    # what a relaxation did is what its metrics are about: it stays beside its start, with a warning
    (relax,) = found[relaxed]
    assert (relax["matched_by"], relax["rmsd"]) == ("identifier", None)
    assert any("not the crystal of mp-bcc any more" in line for line in relax["warnings"])
    (static,) = found[key]
    assert (static["reference"], static["matched_by"]) == (fcc, "structure")
    assert any("not the crystal of mp-bcc any more" in line for line in static["warnings"])


def test_a_name_that_still_fits_but_for_volume_is_looked_at(store):
    put_reference(store, "static", rocksalt(4.2), "mp-1265", energy_per_atom=-5.0)
    key = put_record(store, "static", rocksalt(4.6), "mp-1265")
    (document,) = compared(store)[key]
    assert document["matched_by"] == "identifier"
    assert document["rmsd"] == pytest.approx(0.0, abs=1e-6)  # looked at: the same crystal


def rutile(x: float) -> Structure:
    """SnO2 whose oxygen moves: alike for small differences, and ever less so."""
    oxygens = [[x, x, 0], [-x, -x, 0], [0.5 - x, 0.5 + x, 0.5], [0.5 + x, 0.5 - x, 0.5]]
    tins = [[0, 0, 0], [0.5, 0.5, 0.5]]
    return Structure(Lattice.tetragonal(4.74, 3.19), ["Sn"] * 2 + ["O"] * 4, tins + oxygens)


def test_the_nearest_structure_wins_and_ambiguity_is_reported(store):
    near = put_reference(store, "static", rutile(0.305), "mp-near", energy_per_atom=-8.0)
    put_reference(store, "static", rutile(0.34), "mp-far", energy_per_atom=-9.0)
    key = put_record(store, "static", rutile(0.304))
    (document,) = compared(store)[key]
    assert document["reference"] == near
    (warning,) = document["warnings"]
    assert warning.startswith("ambiguous: mp-far is also alike (RMSD 0.0")
    assert f"the taken mp-near {document['rmsd']:.3f}" in warning


def test_calculations_of_one_crystal_are_alternatives_and_the_lowest_is_taken(store):
    cells = [rocksalt(), rocksalt().get_primitive_structure(), decorated(rocksalt())]
    energies = [-5.0, -5.2, -5.1]
    ids = [
        put_reference(store, "static", cell, energy_per_atom=energy)
        for cell, energy in zip(cells, energies, strict=True)
    ]
    key = put_record(store, "static", rocksalt())
    found = compared(store)
    (document,) = found[key]
    assert document["reference"] == ids[1]
    assert document["alternatives"] == sorted([ids[0], ids[2]])
    assert document["warnings"] == [
        "3 references are of this crystal and level of theory; the lowest in energy is taken"
    ]
    assert None not in found  # they are not alone


def test_volumes_that_differ_are_values_and_a_warning(store):
    put_reference(store, "static", rocksalt(4.2), "mp-1", energy_per_atom=-5.0)
    put_reference(store, "static", rocksalt(4.8, "Ca"), "mp-2", energy_per_atom=-5.0)
    wide = put_record(store, "static", rocksalt(4.2 * 1.1), "mp-1")
    near = put_record(store, "static", rocksalt(4.9, "Ca"), "mp-2")
    found = compared(store)
    (document,) = found[wide]
    assert document["warnings"] == ["volumes differ: the record's is +33 % from the reference's"]
    (volume,) = [v for v in document["values"] if v["name"] == "volume_per_atom"]
    assert volume["relative"] == pytest.approx(1.1**3 - 1)
    assert found[near][0]["warnings"] == []


def tetragonal(ratio: float) -> Structure:
    """Rock salt with this c/a at one volume."""
    structure = rocksalt()
    structure.apply_strain([ratio ** (-1 / 3) - 1, ratio ** (-1 / 3) - 1, ratio ** (2 / 3) - 1])
    return structure


#: from c/a of 1.15 to the cubic cell, along c
STRAIN = f"{100 * (1 - 1.15 ** (-2 / 3)):.1f} %"


def test_a_distorted_cell_is_another_calculation_however_low_its_energy(store):
    """All RMSDs are zero: the atoms are at the same places of cells of other shapes."""
    put_reference(store, "static", tetragonal(1.15), "mp-1", energy_per_atom=-6.0)
    cubic = put_reference(store, "static", rocksalt(), "mp-1", energy_per_atom=-5.0)
    key = put_record(store, "static", rocksalt(), "mp-1")
    (document,) = compared(store)[key]
    assert (document["reference"], document["alternatives"]) == (cubic, [])
    (warning,) = document["warnings"]
    assert f"its cell is distorted by {STRAIN}" in warning
    assert "it is lower in energy, but not as near" in warning


def test_a_distorted_cell_alone_is_taken_with_a_warning(store):
    put_reference(store, "static", tetragonal(1.15), energy_per_atom=-6.0)
    key = put_record(store, "static", rocksalt())
    (document,) = compared(store)[key]
    assert document["matched_by"] == "structure"
    assert document["warnings"] == [
        f"the shapes of the cells of record and reference differ by {STRAIN}"
    ]


@pytest.mark.parametrize("latest", [0, 1, 2])
def test_without_energies_the_fewest_problems_then_the_latest_is_taken(store, latest):
    ids = []
    for n in range(3):
        day = datetime(2026, 1, 9 if n == latest else n + 1)
        source = Origin(name=f"run {n}", database="tests", completed_at=day)
        ids.append(put_reference(store, "eos", rocksalt(), source=source, b0=150.0 + n))
    last = Origin(name="newest", database="tests", completed_at=datetime(2026, 2, 1))
    bad = put_reference(store, "eos", rocksalt(), source=last, b0=99.0, problems=("no POTCAR",))
    key = put_record(store, "eos", rocksalt())
    (document,) = compared(store)[key]
    assert document["reference"] == ids[latest]
    assert document["warnings"] == [
        "4 references are of this crystal and level of theory; the latest is taken"
    ]
    store.references.remove({"_id": {"$in": [i for i in ids if i != ids[latest]]}})
    (document,) = compared(store)[key]
    assert (document["reference"], document["alternatives"]) == (ids[latest], [bad])
    assert "the one with the fewest problems is taken" in document["warnings"][0]


def test_each_level_of_theory_that_suits_has_its_comparison(store):
    for settings, energy in (("coarse", -5.0), ("fine", -5.1)):
        level = LevelOfTheory(functional="PBE", settings=settings)
        put_reference(store, "static", rocksalt(), level=level, energy_per_atom=energy)
    key = put_record(store, "static", rocksalt())
    documents = compared(store)[key]
    assert len(documents) == 2
    assert len({document["level"]["digest"] for document in documents}) == 2


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_large_cells_are_as_near_as_the_matcher_says(noise):
    """For them its search takes seconds to minutes, and another one is used."""
    generator = np.random.default_rng(3)
    lattice = Lattice.from_parameters(6.0, 6.4, 7.0, 90, 97, 90)
    one = Structure(lattice, ["Na"] * 6 + ["Cl"] * 12, generator.random((18, 3)))
    moved = one.cart_coords + generator.normal(scale=noise, size=(18, 3))
    other = Structure(lattice.matrix * 1.05, one.species, one.lattice.get_fractional_coords(moved))
    order = generator.permutation(18)
    skewed = Lattice(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ other.lattice.matrix)
    other = turned(Structure(
        skewed, [other.species[n] for n in order], other.cart_coords[order],
        coords_are_cartesian=True,
    ))  # fmt: skip
    found = [same._of_small(one, other), same._of_large(one, other)]
    assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert found[0] == pytest.approx(0.0, abs=1e-6) if noise == 0.0 else found[0] > 0.01
    stranger = Structure(lattice, one.species, generator.random((18, 3)))
    assert same._of_small(one, stranger) is same._of_large(one, stranger) is None


def test_molecules_are_matched_by_name_alone(store):
    water = Structure(
        Lattice(np.eye(3) * 12.0, pbc=(False, False, False)),
        ["O", "H", "H"], [[6, 6, 6.1], [6, 6.76, 5.5], [6, 5.24, 5.5]], coords_are_cartesian=True,
    )  # fmt: skip
    put_reference(store, "static", water, "water", energy_per_atom=-4.7)
    named = put_record(store, "static", water, "water")
    other = put_record(store, "static", water.copy().translate_sites([0, 1, 2], [0.1, 0, 0]), "h2o")
    found = compared(store)
    assert found[named][0]["matched_by"] == "identifier"
    assert found[other][0]["reason"] == "no structure to be matched"
