"""Numbers computed by hand, and the table and picture that show them."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from pet_flows.compare.campaign import compare_campaign
from pet_flows.compare.matching.identify import Crystal
from pet_flows.compare.metrics import measure, worst
from pet_flows.compare.tables.data import as_dict
from pet_flows.compare.tables.parity import draw_parity
from pet_flows.compare.tables.row import Pair, Published, Row
from pet_flows.compare.tables.table import comparison_table
from pet_flows.dft.level import LevelOfTheory
from pet_flows.dft.reference import Origin
from pet_flows.errors import PetFlowsError
from pet_flows.store.results import ResultStore
from tests.compare.stored import element, put_record, put_reference

LEVEL = LevelOfTheory(functional="PBE", settings="all-electron", spin="non-magnetic")
SOMEBODY = Published(LEVEL, citation="Somebody, 2024", doi="10.1/2")


def make_row(element, prototype, pairs, **changes):
    """A row from {property: (value or None, reference)}."""
    crystal = Crystal(element=element, prototype=prototype)
    references = {name: r for name, (_, r) in pairs.items()}
    values = {name: v for name, (v, _) in pairs.items() if v is not None}
    content = {
        "label": f"{element}-{prototype}",
        "potential": "m",
        "state": "ok",
        "reason": None,
        "ground_state": False,
        "in_training": False,
        **changes,
    }
    return Row(
        crystal=crystal,
        values=values,
        references=references,
        comparisons={n: Pair(v, references[n]) for n, v in values.items()},
        published=(SOMEBODY,),
        **content,
    )


@pytest.fixture
def rows():
    best = {"ground_state": True, "in_training": True}
    return [
        make_row("Si", "diamond", {"v0_per_atom": (20.4, 20.0), "b0": (90.0, 100.0)}, **best),
        make_row("Cu", "fcc", {"v0_per_atom": (11.88, 12.0), "b0": (147.0, 140.0)}, **best),
        make_row("Cu", "bcc", {"v0_per_atom": (12.6, 12.0), "b0": (70.0, 140.0)}),
        make_row(
            "Si",
            "fcc",
            {"v0_per_atom": (None, 14.0), "b0": (None, 80.0)},
            state="failed",
            reason="no_minimum",
        ),
    ]


def test_metrics_by_hand(rows):
    found = {(m.property, m.group): m for m in measure(rows)}
    assert len(found) == 8
    ground = found["v0_per_atom", "ground states"]
    assert (ground.n, ground.missing, ground.unit) == (2, 0, "Å³/atom")
    assert ground.mae == pytest.approx((0.4 + 0.12) / 2)
    assert ground.mape == pytest.approx((2.0 + 1.0) / 2)
    assert ground.bias == pytest.approx((2.0 - 1.0) / 2)
    assert ground.largest == pytest.approx(2.0)
    everything = found["v0_per_atom", "all"]
    assert (everything.n, everything.missing) == (3, 1)
    assert everything.mae == pytest.approx((0.4 + 0.12 + 0.6) / 3)
    assert everything.mape == pytest.approx((2.0 + 1.0 + 5.0) / 3)
    assert everything.bias == pytest.approx((2.0 - 1.0 + 5.0) / 3)
    stiffness = found["b0", "all"]
    assert stiffness.mae == pytest.approx((10 + 7 + 70) / 3)
    assert stiffness.mape == pytest.approx((10 + 5 + 50) / 3)
    assert stiffness.largest == pytest.approx(50.0)
    assert stiffness.bias == pytest.approx((-10 + 5 - 50) / 3)
    outside = found["b0", "outside of them"]
    assert (outside.n, outside.missing, outside.mae) == (1, 1, 70.0)


def test_the_worst_come_first(rows):
    assert [str(row.crystal) for row, _ in worst(rows, "b0")] == ["Cu bcc", "Si diamond", "Cu fcc"]
    assert [str(row.crystal) for row, _ in worst(rows, "v0_per_atom", 2)] == [
        "Cu bcc",
        "Si diamond",
    ]


def test_nothing_to_measure():
    assert measure([]) == []
    row = make_row("Si", "fcc", {"v0_per_atom": (None, 14.0)}, state="failed")
    assert measure([row]) == []


@pytest.fixture
def compared():
    """The same crystals, with their references, in a store."""
    cells = {
        ("Si", "diamond"): (20.4, 20.0, 90.0, 100.0),
        ("Cu", "fcc"): (11.88, 12.0, 147.0, 140.0),
        ("Cu", "bcc"): (12.6, 12.0, 70.0, 140.0),
        ("Si", "fcc"): (None, 14.0, None, 80.0),
    }
    with ResultStore.open() as store:
        for (symbol, prototype), (v0, v0_dft, b0, b0_dft) in cells.items():
            structure = element(symbol, prototype)
            source = Origin(name=f"{symbol}-{prototype}", citation="Somebody, 2024", doi="10.1/2")
            put_reference(
                store, "eos", structure, f"{symbol}-{prototype}", level=LEVEL, source=source,
                v0_per_atom=v0_dft, b0=b0_dft,
            )  # fmt: skip
            known = {"state": "failed"} if v0 is None else {"v0_per_atom": v0, "b0": b0}
            put_record(store, "eos", structure, f"{symbol}-{prototype}", **known)
        put_record(store, "eos", element("Si", "hcp"), "Si-hcp", b0=70.0)
        yield compare_campaign(store, "first")


def test_the_demo_by_hand(compared):
    """Five systems, their errors as anybody can compute them."""
    data = json.loads(json.dumps(as_dict(compared)))
    rows = {f"{row['element']} {row['prototype']}": row for row in data["rows"]}
    errors = {name: (row["v0_per_atom_error"], row["b0_error"]) for name, row in rows.items()}
    assert errors == {
        "Si diamond": (pytest.approx(100 * 0.4 / 20), pytest.approx(-10.0)),
        "Cu fcc": (pytest.approx(-100 * 0.12 / 12), pytest.approx(5.0)),
        "Cu bcc": (pytest.approx(100 * 0.6 / 12), pytest.approx(-50.0)),
        "Si fcc": (None, None),
        "Si hcp": (None, None),
    }
    assert rows["Si fcc"]["v0_per_atom"] is None
    assert rows["Si fcc"]["v0_per_atom_dft"] == 14.0
    assert data["worst"]["b0"][0] == {
        "crystal": "Cu bcc", "label": "Cu-bcc", "error": pytest.approx(-50.0),
    }  # fmt: skip
    assert data["unmatched"]["records"] == {"no reference with this structure": {"eos": ["Si-hcp"]}}
    assert data["unmatched"]["pairs"] == {"failed: max_steps": {"eos": ["Si-fcc"]}}
    # ours come first; of the built-in references is only what ours do not have
    assert {(r["level"], r["doi"]) for r in data["references"]} == {
        ("PBE, all-electron, non-magnetic", "10.1/2"),
        ("PBE, all-electron, scalar relativistic, non-magnetic", "10.1038/s42254-023-00655-3"),
    }
    built_in = [d for d in compared.documents() if d["matched_by"] == "structure"]
    assert {v["name"] for d in built_in for v in d["values"]} == {
        "b0_prime", "nu", "epsilon",
    }  # fmt: skip
    # the same numbers as the means of every quantity
    means = {s["name"]: s for s in data["properties"]}
    volume = means["v0_per_atom"]
    assert (volume["n"], volume["missing"]) == (3, 1)
    assert volume["mae"] == pytest.approx((0.4 + 0.12 + 0.6) / 3)
    assert volume["bias"] == pytest.approx((0.4 - 0.12 + 0.6) / 3)
    assert volume["worst"][0]["formula"] == "Cu"


def test_table_fits_a_terminal_and_says_everything(compared):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(comparison_table(compared))
    lines = console.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 100
    text = "\n".join(lines)
    assert "Si diamond* 20.40 20.00 +2.0" in " ".join(text.split())
    assert "failed: max_steps" in text
    assert "n = 3, 1 missing" in text
    assert "V0 MAE 0.26 Å³/atom (1.5 %), B0 MAE 8.5 GPa (7.5 %); n = 2" in text
    assert "Cu bcc -50.0 %" in text
    assert "1 eos: no reference with this structure" in text
    assert "PBE, all-electron, non-magnetic, doi:10.1/2" in text


def test_other_properties_are_listed_by_quantity(compared):
    store = compared.shelf.store
    for n, (metal, prototype) in enumerate([("Al", "fcc"), ("Ag", "fcc"), ("W", "bcc")]):
        structure = element(metal, prototype)
        put_reference(
            store, "static", structure, metal, level=LEVEL, pressure=0.0, energy_per_atom=-3.0
        )
        put_record(store, "static", structure, metal, pressure=0.1 * n, energy_per_atom=-9.0)
    compared = compare_campaign(store, "first")
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(comparison_table(compared))
    text = " ".join(console.export_text().split())
    assert "Si diamond* 20.40" in text
    assert "static pressure GPa 3 0 0.1 – +0.1 +0.2 W W" in text
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(comparison_table(compared, ["static"]))
    text = console.export_text()
    assert "diamond" not in text
    assert "volume_per_atom" in text
    assert "energy_per_atom" not in text  # of two zeros


@pytest.mark.parametrize("width", [80, 110])
def test_names_are_cut_before_numbers_are(width):
    """Long identifiers, and a curve that ran away."""
    with ResultStore.open() as store:
        names = [f"prototypes/{metal}-fcc-from-a-long-path-0000" for metal in ("Al", "Ag")]
        for name, metal, b0 in zip(names, ("Al", "Ag"), (80.0, 4e11), strict=True):
            for prototype in ("fcc", "bcc"):
                structure = element(metal, prototype)
                ids = (name + prototype,)
                put_reference(
                    store, "eos", structure, *ids, level=LEVEL, v0_per_atom=16.48, b0=77.0
                )
                put_record(store, "eos", structure, *ids, v0_per_atom=16.51, b0=b0)
            put_reference(store, "static", structure, *ids, level=LEVEL, pressure=-12.34)
            put_record(store, "static", structure.copy().scale_lattice(99.0), *ids, pressure=-12.5)
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(comparison_table(compare_campaign(store, "first")))
    lines = console.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= width
    row = next(line for line in lines if line.startswith("Ag"))
    for number in ("16.51", "16.48", "+0.2", "4e+11", "77.0", "+5.19e+11"):
        assert number in row.split(), row
    assert any("B0 MAE 2e+11 GPa" in line for line in lines)
    static = next(line for line in lines if line.startswith("static"))
    assert {"GPa", "2", "0", "0.16", "-0.16"} <= set(static.split())
    assert any("volumes differ" in line and "in 2 pairs" in line for line in lines)


def test_picture(rows, tmp_path):
    path = draw_parity(rows, tmp_path / "parity.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(PetFlowsError, match="cannot be written"):
        draw_parity(rows, tmp_path / "nowhere" / "parity.png")
    with pytest.raises(PetFlowsError, match="nothing to draw, because no crystal"):
        draw_parity([], tmp_path / "parity.png")
