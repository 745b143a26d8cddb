"""Levels of theory: one spelling, what counts as a difference, and what is then compared."""

from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError
from pymatgen.core import Lattice, Structure
from rich.console import Console

from pet_flows.compare.campaign import compare_campaign
from pet_flows.compare.matching.unmatched import unmatched
from pet_flows.compare.metrics import measure
from pet_flows.compare.potential import level_of
from pet_flows.compare.tables.data import as_dict
from pet_flows.compare.tables.table import comparison_table
from pet_flows.dft import acwf
from pet_flows.dft.differences import differences
from pet_flows.dft.functionals import functional_name
from pet_flows.dft.level import LevelOfTheory
from pet_flows.errors import PetFlowsError
from pet_flows.models.catalogue import find
from pet_flows.store.results import ResultStore
from tests.compare.stored import OAM, element, potential, put_record, put_reference

PBE = LevelOfTheory(functional="PBE", spin=False)
PBE_SPIN = LevelOfTheory(functional="PBE", spin=True)
MIXTURE = LevelOfTheory.from_run_type("GGA_GGA+U", incar={"ISPIN": 2})

# one spelling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["PBE", "pbe", "GGA", "PE", " gga ", "GGA-PBE"])
def test_every_spelling_of_pbe_is_one_level(written):
    assert LevelOfTheory(functional=written).digest == LevelOfTheory(functional="PBE").digest


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("r2SCAN", ("r2SCAN", None)),
        ("R2SCAN", ("r2SCAN", None)),
        ("r²SCAN", ("r2SCAN", None)),
        ("SCAN", ("SCAN", None)),
        ("rSCAN", ("rSCAN", None)),
        ("PS", ("PBEsol", None)),
        ("RE", ("revPBE", None)),
        ("HSE-06", ("HSE06", None)),
        ("PBE0+MBD", ("PBE0", "MBD")),
        ("pbe-d3(bj)", ("PBE", "D3(BJ)")),
        ("wB97M-D3", ("wB97M-D3", None)),  # fitted with it
        ("r2SCAN-rVV10", ("r2SCAN-rVV10", None)),
    ],
)
def test_functionals_that_differ_stay_apart(written, name):
    assert functional_name(written) == name


def test_a_level_is_frozen_and_its_digest_is_of_what_it_says():
    level = LevelOfTheory(functional="PBE", u={"Ni": 6.2, "Fe": 5.3, "O": 0.0}, spin="collinear")
    assert level == LevelOfTheory(functional="GGA", u={"Fe": 5.3, "Ni": 6.2}, spin=True)
    assert len({level, PBE, PBE_SPIN, PBE.model_copy()}) == 3
    assert LevelOfTheory(**level.model_dump(mode="json")).digest == level.digest
    with pytest.raises(ValidationError):
        level.spin = False
    with pytest.raises(ValidationError, match="spin must be true, false or null"):
        LevelOfTheory(functional="PBE", spin="perhaps")
    with pytest.raises(ValidationError, match="functional must be a name"):
        LevelOfTheory(functional=" ")


def test_levels_need_no_torch():
    code = "import sys, pet_flows.dft.differences; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# VASP, emmet and the Materials Project ------------------------------------------------------------


def test_without_a_gga_tag_vasp_runs_pbe_on_pbe_potentials():
    titles = ["PAW_PBE Fe_pv 02Aug2007", "PAW_PBE O 08Apr2002"]
    tagged = LevelOfTheory.from_run_type("PBE", incar={"GGA": "PE", "ENCUT": 520}, titles=titles)
    for run_type in ("GGA", "--", ""):
        assert LevelOfTheory.from_run_type(run_type, incar={"ENCUT": 520}, titles=titles) == tagged
    assert tagged.spin is False  # ISPIN is 1 where it is not said
    assert tagged.cutoff == 520
    assert tagged.pseudopotentials == {
        "Fe": "PAW_PBE Fe_pv 02Aug2007",
        "O": "PAW_PBE O 08Apr2002",
    }
    with pytest.raises(PetFlowsError, match=r"leaves the functional to the POTCARs.*LDA's"):
        LevelOfTheory.from_run_type("GGA", titles=["PAW Si 02Apr1999"])
    with pytest.raises(PetFlowsError, match="not the title of a POTCAR"):
        LevelOfTheory.from_run_type("PBE", titles=["silicon"])


def test_lda_for_want_of_parameters_is_refused():
    with pytest.raises(PetFlowsError, match="also does where the functional was not read"):
        LevelOfTheory.from_run_type("LDA", incar={"ENCUT": 520})
    with pytest.raises(PetFlowsError, match="neither its tag GGA nor its POTCARs"):
        LevelOfTheory.from_run_type("LDA", titles=["PAW_PBE Si 05Jan2001"])
    assert LevelOfTheory.from_run_type("LDA", incar={"GGA": "CA"}).functional == "LDA"
    assert LevelOfTheory.from_run_type("LDA", titles=["PAW Si 02Apr1999"]).functional == "LDA"


def test_u_is_read_from_the_hubbards():
    u = LevelOfTheory.from_run_type("GGA+U", hubbards={"Fe": 5.3, "O": 0.0})
    assert (u.functional, u.u) == ("PBE", {"Fe": 5.3})
    assert LevelOfTheory.from_run_type("PBE+U").u is None
    assert LevelOfTheory.from_run_type("PBE").u == {}
    with pytest.raises(PetFlowsError, match=r"without U, but hubbards say Fe 5\.3 eV"):
        LevelOfTheory.from_run_type("PBE", hubbards={"Fe": 5.3})
    with pytest.raises(PetFlowsError, match="mixes calculations of several functionals"):
        LevelOfTheory.from_run_type("GGA_GGA+U_R2SCAN")


def test_spin_and_dispersion_are_read_from_the_tags():
    level = LevelOfTheory.from_run_type("PBEsol", incar={"ISPIN": 2, "IVDW": 12})
    assert (level.functional, level.spin, level.dispersion) == ("PBEsol", True, "D3(BJ)")
    assert LevelOfTheory.from_run_type("PBE", incar={"LSORBIT": True}).spin is True
    assert LevelOfTheory.from_run_type("PBE").spin is None


# what counts --------------------------------------------------------------------------------------


def test_u_counts_only_on_elements_that_are_there_beside_its_anions():
    assert differences(MIXTURE, PBE_SPIN, ["Ni", "Al"]) == []
    assert differences(MIXTURE, PBE_SPIN, ["Mg", "O"]) == []
    assert differences(MIXTURE, PBE_SPIN, ["Fe", "O"]) == ["U of Fe 5.3 eV against none"]
    assert differences(PBE_SPIN, MIXTURE, ["Fe", "F"]) == ["U of none against Fe 5.3 eV"]
    other = LevelOfTheory(functional="PBE", spin=True, u={"Fe": 4.0})
    assert differences(MIXTURE, other, ["Fe", "O"]) == ["U of Fe 5.3 eV against Fe 4 eV"]
    assert differences(MIXTURE, other, ["Fe"]) == ["U of none against Fe 4 eV"]


def test_u_that_is_not_known_counts_where_it_is_usual():
    unknown = LevelOfTheory(functional="PBE", spin=True, u=None)
    assert differences(unknown, PBE_SPIN, ["Fe", "O"]) == ["U of unknown values against none"]
    assert differences(unknown, unknown, ["Fe", "O"]) != []
    assert differences(unknown, PBE_SPIN, ["Fe", "Al"]) == []
    assert differences(unknown, PBE_SPIN, ["Si", "O"]) == []


@pytest.mark.parametrize("element", ["Fe", "Co", "Ni", "Mn", "Cr", "O", "Gd"])
def test_spin_counts_for_magnetic_elements(element):
    assert differences(PBE_SPIN, PBE, [element]) == ["spin-polarized against non-magnetic"]
    assert differences(PBE_SPIN, PBE_SPIN, [element]) == []
    unknown = LevelOfTheory(functional="PBE")
    assert differences(unknown, PBE, [element]) == ["unknown spin against non-magnetic"]


def test_spin_counts_for_no_other_elements_but_for_ions():
    for elements in (["Si"], ["W"], ["Cu"], ["Mo", "Nb"], ["Mg", "O"], ["Cu", "Zn"]):
        assert differences(PBE_SPIN, PBE, elements) == []
    for elements in (["Cu", "O"], ["Fe", "Al"], ["V", "O"]):
        assert differences(PBE_SPIN, PBE, elements) == ["spin-polarized against non-magnetic"]


def test_functionals_and_dispersion_always_count():
    for name in ("PBEsol", "r2SCAN", "LDA"):
        assert differences(LevelOfTheory(functional=name), PBE, ["Si"]) == [f"{name} against PBE"]
    d3 = LevelOfTheory(functional="PBE", dispersion="D3-BJ")
    assert differences(d3, PBE, ["Si"]) == ["dispersion correction D3(BJ) against none"]


def test_potcars_of_omat24_and_the_materials_project_differ_where_the_element_does():
    ours, theirs = (
        LevelOfTheory.from_run_type(
            "PBE", incar={"ISPIN": 2}, titles=[tungsten, "PAW_PBE O 08Apr2002"]
        )
        for tungsten in ("PAW_PBE W_sv 04Sep2015", "PAW_PBE W_pv 06Sep2000")
    )
    assert differences(ours, theirs, ["W"]) == [
        "pseudopotential PAW_PBE W_sv 04Sep2015 against PAW_PBE W_pv 06Sep2000"
    ]
    assert differences(ours, theirs, ["O"]) == differences(ours, PBE, ["W"]) == []
    omat, oam = (
        level_of({"name": name, "sha256": "s", "functional": "PBE"})
        for name in ("pet-omat-l-v0.1.0", "pet-oam-xl-v1.0.0")
    )
    assert differences(omat, oam, ["Si"]) == [
        "pseudopotentials VASP PBE_54 of OMat24 against VASP PBE of the Materials Project"
    ]
    (all_electron,) = {r.level for r in acwf.references()}
    assert differences(omat, all_electron, ["Si"]) == []


# potentials ---------------------------------------------------------------------------------------


def test_the_level_of_a_potential_is_its_cards():
    bundled = find("pet-mvl")
    level = level_of({"sha256": bundled.sha256, "name": "renamed", "functional": "PBE"})
    assert (level.functional, level.spin, level.u) == ("PBE", True, {})
    oam = level_of({"name": "pet-oam-xl-v1.0.0", "sha256": "s", "functional": "PBE"})
    assert oam.spin is True
    assert oam.u_of({"Fe", "O"}) == {"Fe": 5.3}
    assert oam.u_of({"Fe"}) == {}
    # a file that is called like a release, and is none
    mine = level_of({"name": "pet-oam-xl-v1.0.0", "sha256": "s", "functional": None})
    assert (mine.functional, mine.spin, mine.u) == (None, None, None)


@pytest.fixture
def store():
    with ResultStore.open() as store:
        yield store


def iron_and_silicon(store, used=OAM):
    put_record(store, "eos", element("Fe", "bcc"), "iron", potential=used, v0_per_atom=11.34)
    put_record(store, "eos", element("Si", "diamond"), "silicon", potential=used, b0=89.0)


def test_iron_has_no_twin_among_non_magnetic_values(store):
    iron_and_silicon(store)
    compared = compare_campaign(store, "first")
    silicon, iron = compared.rows()
    assert iron.values["v0_per_atom"] == 11.34
    assert iron.references == iron.comparisons == {}
    assert iron.level_differs == ("spin-polarized against non-magnetic",)
    assert silicon.level_differs == ()
    assert silicon.comparisons["b0"].relative == pytest.approx(89.0 / 88.5113 - 1, abs=1e-6)
    (reason,) = unmatched(compared.documents()).records
    assert reason == "of another level of theory (spin-polarized against non-magnetic)"
    assert [m.n for m in measure([silicon, iron]) if m.group == "all"] == [1, 1]


def test_iron_is_compared_when_asked_for_and_says_so(store):
    iron_and_silicon(store)
    compare_campaign(store, "first")
    before = {d["_id"]: d for d in store.comparisons.find({})}
    compared = compare_campaign(store, "first", across_levels=True)
    # only what another level kept away is looked at again
    assert compared.built.looked_at == 1
    silicon, iron = compared.rows()
    assert iron.comparisons["v0_per_atom"].relative == pytest.approx(11.34 / 10.50048 - 1)
    assert unmatched(compared.documents()).records == {}
    said = {d["material_id"]: d["level_differs"] for d in compared.documents() if d["record"]}
    assert said == {"iron": ["spin-polarized against non-magnetic"], "silicon": []}
    found = measure([silicon, iron])
    assert [(m.n, m.across) for m in found if m.group == "all"] == [(2, 1)] * 2
    assert as_dict(compared)["rows"][1]["level_differs"] == ["spin-polarized against non-magnetic"]
    # without it they are gone again
    assert compare_campaign(store, "first").built.looked_at == 1
    after = {d["_id"]: {**d, "built_at": 0} for d in store.comparisons.find({})}
    assert after == {id_: {**d, "built_at": 0} for id_, d in before.items()}


def drawn(compared):
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(comparison_table(compared))
    return " ".join(console.export_text().split())


def test_the_table_says_how_many_are_not_compared_and_why(store):
    iron_and_silicon(store)
    text = drawn(compare_campaign(store, "first"))
    assert "level differs in" not in text
    assert (
        "without DFT 1 eos: of another level of theory (spin-polarized against non-magnetic)"
        in text
    )
    assert "--across-levels compares levels of theory that differ" in text
    text = drawn(compare_campaign(store, "first", across_levels=True))
    assert "without DFT" not in text.replace("without DFT value", "")
    assert "n = 2, 1 across levels of theory" in text
    assert "+8.0" in text
    assert "against" in text
    assert "DFT PBE, all-electron, scalar relativistic, non-magnetic" in text


def test_spin_that_a_model_does_not_state_is_no_match_where_it_matters(store):
    iron_and_silicon(store, potential())
    (reason,) = unmatched(compare_campaign(store, "first").documents()).records
    assert reason == "of another level of theory (unknown spin against non-magnetic)"


IRON_OXIDE = Structure(
    Lattice.cubic(4.3).matrix @ np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]).T,
    ["Fe", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]],
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"functional": "PBEsol"}, "PBE against PBEsol"),
        ({"functional": "r2SCAN"}, "PBE against r2SCAN"),
        ({"u": {}}, "U of Fe 5.3 eV against none"),
        ({"u": {"Fe": 4.0}}, "U of Fe 5.3 eV against Fe 4 eV"),
        ({"spin": False}, "spin-polarized against non-magnetic"),
        ({"dispersion": "D3(BJ)"}, "dispersion correction none against D3(BJ)"),
    ],
)
def test_levels_that_differ_stand_apart_with_one_line_why(store, changes, said):
    known = LevelOfTheory.from_card({"functional": "PBE", "run_type": "GGA_GGA+U", "spin": True})
    level = known.model_copy(update=changes)
    put_reference(store, "static", IRON_OXIDE, "mp-1", level=level, energy_per_atom=-6.0)
    key = put_record(store, "static", IRON_OXIDE, "mp-1", potential=OAM)
    reason = f"of another level of theory ({said})"
    found = {d["record"]: d for d in compare_campaign(store, "first").documents()}
    document, other = found[key], found[None]["reference"]
    assert (document["reference"], document["values"], document["reason"]) == (None, [], reason)
    assert document["of_other_levels"] == [{"reference": other, "level_differs": [said]}]
    assert found[None]["reason"] == reason
    (document,) = compare_campaign(store, "first", across_levels=True).documents()
    assert (document["reference"], document["level_differs"]) == (other, [said])
    assert document["values"][0]["dft"] == -6.0
    # beside one of the same level the other one is listed, and compared when asked for
    same = put_reference(store, "static", IRON_OXIDE, "mp-1", level=known, energy_per_atom=-6.5)
    for _ in range(2):
        found = {d["reference"]: d for d in compare_campaign(store, "first").documents()}
        assert found.keys() == {same, other}
        assert (found[same]["record"], found[same]["level_differs"]) == (key, [])
        assert found[same]["alternatives"] == []
        assert (found[other]["record"], found[other]["reason"]) == (None, reason)
        compared = compare_campaign(store, "first", across_levels=True)
        found = {d["reference"]: d for d in compared.documents()}
        assert {r: (d["record"], d["level_differs"]) for r, d in found.items()} == {
            same: (key, []), other: (key, [said]),
        }  # fmt: skip
    assert compare_campaign(store, "first", across_levels=True).built.looked_at == 0
