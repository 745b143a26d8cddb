"""Corrections are pymatgen's on both sides, and what it leaves out is said and counted."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from pymatgen.core import Lattice, Structure
from pymatgen.entries.compatibility import MaterialsProject2020Compatibility
from pymatgen.entries.computed_entries import ComputedStructureEntry

from pet_flows.compare.build import build
from pet_flows.compare.energies.above import above_hull
from pet_flows.compare.energies.corrections import Refused, adjust
from pet_flows.dft.level import MATERIALS_PROJECT_U, LevelOfTheory
from pet_flows.store.results import ResultStore
from tests.compare.stored import OAM, element, put_record, put_reference, rocksalt

TITLES = {
    "Mg": "PAW_PBE Mg_pv 06Sep2000", "O": "PAW_PBE O 08Apr2002", "Fe": "PAW_PBE Fe_pv 06Sep2000",
    "Ga": "PAW_PBE Ga_d 06Sep2000", "N": "PAW_PBE N 08Apr2002",
}  # fmt: skip


def made(structure, energy=-6.0, run_type="GGA", hubbards=None, titles=None):
    symbols = sorted({site.specie.symbol for site in structure})
    chosen = {symbol: (titles or {}).get(symbol, TITLES[symbol]) for symbol in symbols}
    return ComputedStructureEntry(
        structure, energy * len(structure),
        parameters={
            "run_type": run_type, "hubbards": hubbards or {},
            "potcar_spec": [{"titel": title} for title in chosen.values()],
        },
    )  # fmt: skip


def zincblende():
    cell = Lattice.cubic(4.5).matrix @ [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    return Structure(cell, ["Ga", "N"], [[0, 0, 0], [0.25, 0.25, 0.25]])


CASES = {
    "oxide": made(rocksalt()),
    "oxide with U": made(rocksalt(4.3, "Fe"), run_type="GGA+U", hubbards={"Fe": 5.3}),
    "nitride": made(zincblende()),
    "element": made(Structure(Lattice.cubic(3.0), ["Mg"], [[0, 0, 0]])),
}


@pytest.mark.parametrize("name", CASES)
def test_adjustments_are_pymatgens(name):
    entry = CASES[name]
    before = entry.as_dict()
    found = adjust(entry)
    expected = MaterialsProject2020Compatibility().process_entry(entry.copy())
    assert found.total == pytest.approx(expected.correction_per_atom, abs=1e-12)
    assert found.warnings == ()
    assert entry.as_dict() == before
    names = {a.name.removeprefix("MP2020 ") for a in expected.energy_adjustments}
    assert set(found.adjustments) == names


def test_every_case_but_the_element_has_some():
    totals = {name: adjust(entry).total for name, entry in CASES.items()}
    assert totals["element"] == 0.0
    assert totals["oxide with U"] < totals["oxide"] < -0.3  # a half of −0.687 eV for each oxygen
    assert totals["nitride"] == pytest.approx(-0.361 / 2)


@pytest.mark.parametrize("written", ["PBE", "GGA", "pbe"])
def test_pbe_is_gga_however_it_is_written(written):
    # pymatgen leaves PBE out without a word
    plain = made(rocksalt(), run_type="PBE")
    assert MaterialsProject2020Compatibility().process_entry(plain) is None
    assert adjust(made(rocksalt(), run_type=written)).total == adjust(CASES["oxide"]).total
    assert adjust(plain.as_dict()).total == adjust(CASES["oxide"]).total


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (made(rocksalt(), run_type=None), "the run type is not known"),
        (made(rocksalt(), run_type="r2SCAN"), "r2SCAN is not PBE"),
        (made(rocksalt(), run_type="PBEsol"), "PBEsol is not PBE"),
        (made(rocksalt(4.3, "Fe")), "U of Fe is 0 eV where the scheme has 5.3 eV"),
        (
            made(rocksalt(4.3, "Fe"), run_type="GGA+U", hubbards={"Fe": 4.0}),
            "U of Fe is 4 eV where the scheme has 5.3 eV",
        ),
        (made(rocksalt(), titles={"Mg": "PAW_PBE Mg 13Apr2007"}), "POTCARs are {"),
    ],
)
def test_what_the_scheme_is_not_made_for_is_refused(entry, said):
    with pytest.raises(Refused) as refused:
        adjust(entry)
    assert str(refused.value).startswith(said)


def test_potcars_that_are_not_known_are_not_checked_with_a_warning():
    entry = made(rocksalt())
    del entry.parameters["potcar_spec"]
    found = adjust(entry)
    assert found.total == adjust(CASES["oxide"]).total
    assert found.warnings == ("MP2020: the POTCARs are not known and were not checked",)


# in comparisons -----------------------------------------------------------------------------------


@pytest.fixture
def store():
    with ResultStore.open() as store:
        yield store


def level(u=None):
    return LevelOfTheory(functional="PBE", spin=True, u=u or {})


def put_pair(store, structure, dft, pet, entry, u=None):
    put_reference(
        store, "static", structure, level=level(u), entry=entry.as_dict(), energy_per_atom=dft
    )
    return put_record(store, "static", structure, potential=OAM, energy_per_atom=pet)


def test_both_sides_of_a_comparison_have_the_same_corrections(store):
    put_pair(store, rocksalt(), -6.0, -6.1, CASES["oxide"])
    refused = made(rocksalt(4.7, "Fe"), run_type="GGA")
    refused.parameters["potcar_spec"] = [{"titel": TITLES["Fe"]}, {"titel": TITLES["O"]}]
    put_pair(store, rocksalt(4.3, "Fe"), -6.5, -6.6, refused, u=MATERIALS_PROJECT_U)
    build(store, ["first"])
    found = {d["formula_pretty"]: d for d in store.comparisons.find({"campaigns": "first"})}
    corrections = found["MgO"]["corrections"]
    assert corrections["scheme"] == "MP2020"
    assert corrections["pymatgen"] == version("pymatgen")
    assert (
        corrections["pet"]
        == corrections["dft"]
        == [{"name": "anion correction (oxide)", "value": pytest.approx(-0.687 / 2)}]
    )
    assert found["MgO"]["values"][0]["difference"] == pytest.approx(-0.1)
    assert found["FeO"]["corrections"] is None
    (warning,) = found["FeO"]["warnings"]
    assert warning == "MP2020: refused, U of Fe is 0 eV where the scheme has 5.3 eV"


def test_a_corrected_hull_takes_gga_and_gga_u_together_and_counts_refusals(store):
    u = {"Fe": 5.3}
    with_u = made(rocksalt(4.3, "Fe"), run_type="GGA+U", hubbards=u)
    put_pair(store, rocksalt(4.3, "Fe"), -6.5, -6.6, with_u, u=u)
    wrong = made(rocksalt(4.2, "Mg"), titles={"Mg": "PAW_PBE Mg 13Apr2007"})
    magnesia = put_pair(store, rocksalt(), -6.0, -6.1, wrong)
    for symbol, prototype, dft, pet in (
        ("Fe", "bcc", -8.3, -8.4), ("O", "sc", -4.9, -4.9), ("Mg", "hcp", -1.5, -1.6)
    ):  # fmt: skip
        put_reference(
            store, "static", element(symbol, prototype), level=level(), energy_per_atom=dft
        )
        put_record(store, "static", element(symbol, prototype), potential=OAM, energy_per_atom=pet)
    build(store, ["first"])
    (plain,) = above_hull(store, "first", "dft")
    assert plain.references.refused == {"of another method": 1}
    (found,) = above_hull(store, "first", "dft", corrected=True)
    (reason,) = found.references.refused
    assert reason.startswith("POTCARs are {")
    assert dict(found.refused) == {reason: 1}
    # an energy that is not corrected has no place on a corrected hull
    assert found.missing == {magnesia: f"not corrected: {reason}"}
    correction = adjust(with_u).total
    ours, theirs = -6.6 - (-8.4 - 4.9) / 2 + correction, -6.5 - (-8.3 - 4.9) / 2 + correction
    iron = next(key for key, value in found.above.items() if abs(value) > 1e-9)
    assert found.above[iron] == pytest.approx(ours - theirs)
