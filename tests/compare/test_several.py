"""Several campaigns, and documents of other potentials, beside the same references."""

from __future__ import annotations

import io
import json

import pytest
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor
from rich.console import Console

from pet_flows.cli import main
from pet_flows.compare.campaign import compare_campaign
from pet_flows.compare.tables.data import as_dict
from pet_flows.compare.tables.table import comparison_table
from pet_flows.dft.level import FORCE_FIELD, LevelOfTheory
from pet_flows.dft.reference import Origin
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore
from tests.cli.stored import made
from tests.compare.stored import element, potential, put_record, put_reference
from tests.plots.examples import EXAMPLES

EMT = LevelOfTheory(functional="EMT", code=FORCE_FIELD)
DFT = {"Cu": -3.7, "Ag": -2.7, "Al": -3.6}


@pytest.fixture
def store():
    """Three metals with two potentials of ours, DFT, and documents of EMT for two of them."""
    with ResultStore.open() as store:
        for n, (metal, energy) in enumerate(DFT.items()):
            structure = element(metal, "fcc")
            put_reference(store, "static", structure, metal, energy_per_atom=energy, pressure=1.0)
            for campaign, error in (("first", 0.1), ("second", -0.2)):
                put_record(
                    store, "static", structure, metal, campaign=campaign,
                    potential=potential(campaign), energy_per_atom=energy + error * n,
                    pressure=1.0 + error * n,
                )  # fmt: skip
        for metal in ("Cu", "Ag"):
            put_reference(
                store, "static", element(metal, "fcc"), level=EMT,
                source=Origin(name=f"EMT {metal}"), energy_per_atom=DFT[metal] + 0.5,
                pressure=1.5,
            )  # fmt: skip
        yield store


def energies(compared):
    rows = as_dict(compared)["side_by_side"]
    return {row["material"]: row for row in rows if row["name"] == "energy_per_atom"}


def test_a_column_for_each_campaign_beside_the_same_reference(store):
    compared = compare_campaign(store, "first", "second", "first")
    assert compared.campaigns == ("first", "second")
    rows = energies(compared)
    assert set(rows) == {"Cu", "Ag", "Al"}
    assert rows["Al"]["dft"] == -3.6
    assert rows["Al"]["pet"] == {
        "first": pytest.approx(-3.6 + 0.2), "second": pytest.approx(-3.6 - 0.4),
    }  # fmt: skip
    assert rows["Al"]["error"]["first"] == pytest.approx(0.2)
    assert rows["Al"]["relative"]["first"] is None  # its zero is a convention


def test_documents_of_another_potential_are_a_further_column(store):
    compared = compare_campaign(store, "first", "EMT")
    assert (compared.campaigns, compared.force_fields) == (("first",), ("EMT",))
    rows = energies(compared)
    assert rows["Cu"]["pet"] == {"first": -3.7, "EMT": pytest.approx(-3.2)}
    assert set(rows["Al"]["pet"]) == {"first"}
    # it is no DFT: never in the place of a reference, not across levels either
    for across in (False, True):
        found = compare_campaign(store, "first", across_levels=across).documents()
        assert {d["level"]["functional"] for d in found} == {"PBE"}


def test_documents_of_another_potential_are_shown_where_dft_has_nothing(store):
    lead = element("Pb", "fcc")
    put_record(store, "static", lead, "Pb", potential=potential("first"), pressure=3.0)
    put_reference(store, "static", lead, level=EMT, source=Origin(name="EMT Pb"), pressure=4.0)
    copper = element("Cu", "fcc")
    for name, b0 in (("first", 140.0), ("second", 150.0)):
        put_record(store, "eos", copper, "Cu", campaign=name, potential=potential(name), b0=b0)
    put_reference(store, "eos", copper, level=EMT, source=Origin(name="EMT eos"), b0=130.0)
    compared = compare_campaign(store, "first", "second", "EMT")
    rows = {(r["material"], r["name"]): r for r in as_dict(compared)["side_by_side"]}
    assert (rows["Pb", "pressure"]["dft"], rows["Pb", "pressure"]["error"]) == (None, {})
    assert rows["Pb", "pressure"]["pet"] == {"first": 3.0, "EMT": 4.0}
    # ACWF has Cu's bulk modulus: the potential is a further column of its row
    assert rows["Cu", "b0"]["pet"] == {"first": 140.0, "second": 150.0, "EMT": 130.0}
    alone = {d["record"]: d["reason"] for d in compared.documents() if d["reference"] is None}
    assert list(alone.values()) == [
        "no reference of DFT, but of EMT: pet-flows compare CAMPAIGN EMT shows it"
    ]
    assert compare_campaign(store, "first", "EMT").built.looked_at == 0


def test_records_of_a_potential_of_unknown_level_stand_beside_those_of_others(store):
    lead, copper = element("Pb", "fcc"), element("Cu", "fcc")
    for n, name in enumerate(("third", "fourth")):
        unknown = potential(name, functional=None)
        for structure, metal in ((copper, "Cu"), (lead, "Pb")):
            put_record(
                store, "static", structure, metal, campaign=name, potential=unknown,
                pressure=3.0 + n,
            )  # fmt: skip
    put_record(store, "static", lead, "Pb", potential=potential("first"), pressure=5.0)
    for names in (("first", "third", "fourth"), ("fourth", "third", "first")):
        found = as_dict(compare_campaign(store, *names))["side_by_side"]
        rows = {r["material"]: r for r in found if r["name"] == "pressure"}
        assert len(rows) == len([r for r in found if r["name"] == "pressure"]) == 4
        assert rows["Cu"]["pet"] == {"first": 1.0, "third": 3.0, "fourth": 4.0}
        assert (rows["Cu"]["dft"], rows["Cu"]["error"]) == (1.0, {"first": 0.0})
        assert rows["Pb"]["pet"] == {"first": 5.0, "third": 3.0, "fourth": 4.0}
        assert (rows["Pb"]["dft"], rows["Pb"]["error"]) == (None, {})
        assert set(rows["Al"]["pet"]) == {"first"}


@pytest.mark.parametrize("property", ["relax", "elastic"])
def test_relaxations_and_moduli_stand_beside_another_potential_without_dft(store, property):
    example = EXAMPLES[property]
    silicon = bulk("Si")
    record, blobs = made(example, "mp-149", silicon, "ok", "first")
    store.put(record, blobs)
    numbers = {
        name: value
        for name, value in record["result"].items()
        if isinstance(value, float) and name in ("k_vrh", "energy_per_atom")
    }
    put_reference(
        store, property, AseAtomsAdaptor.get_structure(silicon), "mp-149", level=EMT,
        source=Origin(name=property), **{name: 1.1 * value for name, value in numbers.items()},
    )  # fmt: skip
    rows = as_dict(compare_campaign(store, "first", "EMT"), [property])["side_by_side"]
    found = {row["name"]: (row["dft"], row["pet"]["EMT"] / row["pet"]["first"]) for row in rows}
    for name in numbers:
        assert found[name] == (None, pytest.approx(1.1))
    assert numbers


def test_what_cannot_stand_beside_another_potential_says_why(store):
    """The arrays of this record lack what is compared."""
    store.put(*made(EXAMPLES["phonon"], "mp-149", bulk("Si"), "ok", "first"))
    structure = AseAtomsAdaptor.get_structure(bulk("Si"))
    put_reference(store, "phonon", structure, "mp-149", level=EMT, max_frequency=15.0)
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(comparison_table(compare_campaign(store, "first", "EMT"), ["phonon"]))
    text = " ".join(console.export_text().split())
    assert "not compared first, EMT: 1 phonon: cannot be compared (" in text


def test_without_any_dft_two_potentials_stand_side_by_side(store, capsys):
    store.references.remove({"level.code": {"$ne": "force field"}})
    compared = compare_campaign(store, "first", "EMT")
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(comparison_table(compared))
    text = " ".join(console.export_text().split())
    assert "MAE" not in text
    assert "Cu Cu static energy_per_atom – -3.7 – -3.2 –" in text
    assert "2 static: no reference of DFT, but of EMT" in text
    assert "1 static: no reference of this property and formula" in text


def test_drawn_side_by_side(store):
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(comparison_table(compare_campaign(store, "first", "second", "EMT")))
    text = " ".join(console.export_text().split())
    assert "property quantity unit MAE first n MAE second n MAE EMT n" in text
    assert "static pressure GPa 0.1 3 0.2 3 0.5 2" in text
    assert "energy_per_atom eV" not in text  # of several zeros: in no mean
    assert "Cu Cu static energy_per_atom -3.7 -3.7 – -3.7 – -3.2 –" in text


def test_who_is_neither_a_campaign_nor_a_force_field_is_named(store):
    with pytest.raises(PetFlowsError, match="belongs to a campaign 'CHGNet'"):
        compare_campaign(store, "first", "CHGNet")
    with pytest.raises(PetFlowsError, match="No campaign is named"):
        compare_campaign(store, "EMT")


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    assert not ended.value.code, ended.value.code


def test_the_command(store, capsys):
    store.close()
    run("compare", "first", "EMT", "--format", "json")
    content = json.loads(capsys.readouterr().out)
    assert (content["campaigns"], content["force_fields"]) == (["first"], ["EMT"])
    run("compare", "first", "--energies", "--format", "json")
    (energies,) = json.loads(capsys.readouterr().out)["energies"]
    assert energies["method"] == "PBE, non-magnetic"
    assert (energies["n"], energies["shift"]) == (3, None)  # an element each: nothing is left
    assert energies["stability"]["f1"] == 1.0
    run("compare", "first", "--energies")
    printed = capsys.readouterr().out
    assert "stable on DFT's fixed hull: F1 1.000" in printed
    assert "a shift by element would leave nothing to compare" in printed
    with pytest.raises(SystemExit) as ended:
        main(["compare", "first", "--corrections"])
    assert "add --energies" in str(ended.value.code)
    with pytest.raises(SystemExit) as ended:
        main(["compare", "first", "--property", "colour"])
    assert "no property 'colour'" in str(ended.value.code)


def test_another_process_that_writes_stops_nobody_from_comparing(store, capsys):
    """As while a campaign runs: comparisons are made, and not kept."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "pet_flows.cli", "compare", "first", "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["properties"][0]["n"] == 3
    assert next(store.comparisons.find({}), None) is None
