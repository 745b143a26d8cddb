"""Which crystals are recognized, and which reference may stand beside which record."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from pet_flows.compare.identify import crystal_of_record, identify
from pet_flows.compare.match import match
from pet_flows.dft import acwf
from pet_flows.inputs.prototypes import PROTOTYPES, build_prototype


def record(prop, name, **changes):
    """A record as stored, of Si diamond unless told otherwise."""
    element, phase = changes.pop("crystal", ("Si", "diamond"))
    base = {
        "_id": f"{prop}-{name}",
        "property": prop,
        "state": "ok",
        "reason": None,
        "parent": None if prop == "relax" else f"relax-{name}",
        "nelements": 1,
        "structure": build_prototype(element, phase).as_dict(),
        "sources": [{"material_id": name, "tags": []}],
        "potential": {"name": "m", "digest": "d", "sha256": "s", "functional": "PBE"},
        "settings_digest": "x",
        "result": {},
    }
    return {**base, **changes}


def eos(name, v0, b0, **changes):
    return record("eos", name, result={"v0_per_atom": v0, "b0": b0}, **changes)


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


def test_the_final_geometry_decides_not_the_tag():
    tags = ["prototype:fcc", "element:Si"]
    changed = record("relax", "a", sources=[{"material_id": "a", "tags": tags}])
    assert str(crystal_of_record(changed)) == "Si diamond"
    assert str(crystal_of_record({**changed, "structure": None})) == "Si fcc"
    assert crystal_of_record({**changed, "nelements": 2}) is None
    bare = {"structure": None, "sources": [{"tags": ["prototype:A15", "element:W"]}]}
    assert crystal_of_record(bare) is None


# which reference ----------------------------------------------------------------------------------


def test_a_crystal_without_tags_meets_its_reference():
    (row,) = match([record("relax", "mp-149"), eos("mp-149", 20.5, 90.0)]).rows
    reference = acwf.find("Si", "diamond", "v0_per_atom")
    assert reference.value == pytest.approx(20.46, abs=0.01)
    assert row.label == "mp-149"
    assert row.ground_state is True
    assert row.in_training is None
    comparison = row.comparisons["v0_per_atom"]
    assert comparison.record == "eos-mp-149"
    assert comparison.difference == pytest.approx(20.5 - reference.value)
    assert comparison.relative == pytest.approx(20.5 / reference.value - 1)


@pytest.mark.parametrize("functional", ["PBEsol", "r2SCAN", None])
def test_another_functional_meets_no_reference(functional):
    potential = {"name": "m", "functional": functional}
    matched = match([eos("a", 20.0, 90.0, potential=potential)])
    (row,) = matched.rows
    assert row.references == row.comparisons == {}
    assert row.values == {"v0_per_atom": 20.0, "b0": 90.0}
    (cause,) = matched.unmatched
    assert (functional or "unknown functional") in cause


def test_what_has_no_reference_is_counted():
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    matched = match(
        [
            eos("a", 15.0, 90.0, crystal=("Si", "hcp")),
            eos("b", 15.0, 90.0, structure=salt.as_dict(), nelements=2),
        ]
    )
    assert [str(row.crystal) for row in matched.rows] == ["Si hcp"]
    assert matched.unmatched == {
        "no DFT value for hcp": ["a"],
        "no element in sc, bcc, fcc, hcp or diamond": ["b"],
    }


def test_the_first_cause_is_told_and_no_error_is_made_of_what_did_not_converge():
    (row,) = match(
        [
            record("relax", "a", state="unconverged", reason="max_steps"),
            eos("a", 19.0, 80.0, state="failed", reason="parent_failed"),
        ]
    ).rows
    assert (row.state, row.reason) == ("failed", "max_steps")
    assert row.values["v0_per_atom"] == 19.0
    assert row.comparisons == {}


@pytest.mark.parametrize("result", [None, {}, {"v0_per_atom": None}, {"v0_per_atom": np.nan}])
def test_no_result_is_no_value(result):
    (row,) = match([record("eos", "a", result=result)]).rows
    assert row.values == {}


def test_training_phases():
    phases = {"Si": ["diamond"], "Cu": ["fcc"]}
    crystals = [("Si", "diamond"), ("Si", "fcc"), ("Ag", "fcc")]
    rows = match(
        [
            eos(str(c), 20.0, 90.0, crystal=c, parent=None, structure_digest=str(c))
            for c in crystals
        ],
        phases,
    ).rows
    assert {str(row.crystal): row.in_training for row in rows} == {
        "Si diamond": True,
        "Si fcc": False,
        "Ag fcc": False,
    }


# energies -----------------------------------------------------------------------------------------


def static(name, crystal, energy, **changes):
    return record("static", name, crystal=crystal, result={"energy_per_atom": energy}, **changes)


def test_energies_above_the_ground_state_come_from_statics_of_one_potential():
    other = {"name": "m", "digest": "other", "sha256": "s", "functional": "PBE"}
    rows = match(
        [
            record("relax", "a", result={"energy_per_atom": -99.0}),
            static("a", ("Si", "diamond"), -5.0),
            static("b", ("Si", "fcc"), -4.5),
            static("c", ("Si", "sc"), -5.5),  # a model's mistake stays visible
            static("d", ("Si", "bcc"), -4.0, state="failed"),
            static("e", ("Si", "hcp"), -4.0, potential=other),
            static("f", ("Ag", "hcp"), -2.9),  # no ground state known: the lowest phase
            static("g", ("Ag", "fcc"), -3.0),
        ]
    ).rows
    above = {str(row.crystal): row.energy_above for row in rows}
    assert above["Si diamond"] == 0.0
    assert above["Si fcc"] == pytest.approx(0.5)
    assert above["Si sc"] == pytest.approx(-0.5)
    assert above["Si bcc"] is None
    assert above["Si hcp"] is None
    assert above["Ag hcp"] == pytest.approx(0.1)
    assert above["Ag fcc"] == 0.0


# documents ----------------------------------------------------------------------------------------


def test_documents_for_the_store():
    records = [record("relax", "a"), eos("a", 20.5, 90.0)]
    matched = match(records)
    documents = matched.comparison_documents()
    assert [d["property"] for d in documents] == ["v0_per_atom", "b0"]
    assert documents == match(records).comparison_documents()
    references = {d["_id"]: d for d in matched.reference_documents()}
    for document in documents:
        assert document["record"] == "eos-a"
        reference = references[document["reference"]]
        assert reference["value"] == document["reference_value"]
        assert document["difference"] == pytest.approx(document["value"] - reference["value"])
        assert reference["level"]["functional"] == "PBE"
        assert "Nat. Rev. Phys." in reference["citation"]
        assert reference["licence"] == "MIT"
    assert len({d["_id"] for d in documents}) == 2
