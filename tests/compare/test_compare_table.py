"""Numbers computed by hand, and the table and picture that show them."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from pet_flows.compare.match import Comparison, Matched, Row
from pet_flows.compare.metrics import measure, worst
from pet_flows.compare.parity import draw_parity
from pet_flows.compare.table import as_dict, comparison_table
from pet_flows.dft.quantity import Crystal, LevelOfTheory, Reference
from pet_flows.errors import PetFlowsError


def reference(element, prototype, name, value):
    return Reference(
        id=f"r/{element}-{prototype}/{name}",
        property=name,
        value=value,
        unit={"v0_per_atom": "Å³/atom", "b0": "GPa"}[name],
        crystal=Crystal(element=element, prototype=prototype),
        level=LevelOfTheory(functional="PBE", settings="all-electron", spin="non-magnetic"),
        citation="Somebody, 2024",
        doi="10.1/2",
    )


def make_row(element, prototype, pairs, **changes):
    """A row from {property: (value or None, reference)}."""
    crystal = Crystal(element=element, prototype=prototype)
    references = {name: reference(element, prototype, name, r) for name, (_, r) in pairs.items()}
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
        comparisons={n: Comparison("key", references[n], v) for n, v in values.items()},
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
    assert as_dict(Matched([row], {}))["worst"] == {"v0_per_atom": [], "b0": []}


def test_plain_data_is_json_and_complete(rows):
    data = json.loads(json.dumps(as_dict(Matched(rows, {"no DFT value for hcp": ["Si-hcp"]}))))
    assert data["rows"][0]["v0_per_atom_error"] == pytest.approx(2.0)
    assert data["rows"][3]["v0_per_atom"] is None
    assert data["rows"][3]["v0_per_atom_dft"] == 14.0
    assert data["worst"]["b0"][0] == {
        "crystal": "Cu bcc",
        "label": "Cu-bcc",
        "error": pytest.approx(-50.0),
    }
    assert data["unmatched"] == {"no DFT value for hcp": ["Si-hcp"]}
    assert len(data["references"]) == 1


def test_table_fits_a_terminal_and_says_everything(rows):
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(comparison_table(Matched(rows, {"no DFT value for hcp": ["Si-hcp"]})))
    lines = console.export_text().splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 100
    text = "\n".join(lines)
    assert "Si diamond* 20.40 20.00 +2.0" in " ".join(text.split())
    assert "failed: no_minimum" in text
    assert "n = 3, 1 missing" in text
    assert "V0 MAE 0.26 Å³/atom (1.5 %), B0 MAE 8.5 GPa (7.5 %); n = 2" in text
    assert "Cu bcc -50.0 %" in text
    assert "1 no DFT value for hcp" in text
    assert "PBE, all-electron, non-magnetic, doi:10.1/2" in text


def test_picture(rows, tmp_path):
    path = draw_parity(rows, tmp_path / "parity.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(PetFlowsError, match="cannot be written"):
        draw_parity(rows, tmp_path / "nowhere" / "parity.png")
    with pytest.raises(PetFlowsError, match="nothing to draw, because no crystal"):
        draw_parity([], tmp_path / "parity.png")
