"""Which series come first, what is said of them, and what their levels of theory are called."""

from __future__ import annotations

import numpy as np

from pet_flows.compare.classification import symmetry_kept, verdicts
from pet_flows.report.page.levels import told_apart
from pet_flows.report.page.series import Series
from pet_flows.report.page.summary import summary
from pet_flows.store.results import ResultStore
from tests.cli.stored import CAMPAIGN
from tests.report.test_page_data import data


def test_raw_energies_come_last_and_have_neither_percent_nor_r2(written):
    series = data(written, "series")
    raw = [s for s in series if s["name"] == "energy_per_atom"]
    assert {s["property"] for s in raw} == {"relax", "static"}
    assert series[-2:] == raw
    for one in series:
        assert one["raw"] == (one in raw)
        if one["raw"] or one["name"] in ("min_frequency", "max_force"):
            assert set(one["relative"]) == {None}
            assert one["summary"]["mape"] is None
    assert {one["summary"]["r2"] for one in raw} == {None}
    assert next(s for s in series if s["name"] == "b0")["summary"]["r2"] > 0


def test_levels_of_one_functional_are_told_apart():
    said = {
        "a": "PBE, all-electron, non-magnetic", "b": "PBE, 520 eV, non-magnetic",
        "c": "PBE, non-magnetic", "d": "PBE, non-magnetic",
    }  # fmt: skip
    assert told_apart("PBE", said) == {
        "a": "PBE, all-electron", "b": "PBE, 520 eV", "c": "PBE", "d": "PBE #2"
    }  # fmt: skip


def test_the_first_page_says_how_often_both_agree(folder, written):
    """The same as the statistics of the comparisons themselves."""
    with ResultStore.open(read_only=True) as store:
        documents = list(store.comparisons.find({"campaigns": CAMPAIGN}))
    told = data(written, "campaign")["agreement"]
    kept = symmetry_kept(documents)
    assert [(one["tolerance"], one["n"], one["match"]) for one in told["symmetry"]] == [
        (one.tolerance, one.n, one.match) for one in kept
    ]
    assert {one.tolerance for one in kept} == {"1e-2", "1e-5"}
    stable = {one["of"]: (one["n"], one["f1"]) for one in told["stable"] if one["of"] != "hull"}
    assert stable == {one.property: (one.counts.n, one.counts.f1) for one in verdicts(documents)}


def test_uncertainties_of_energies_stand_beside_errors_after_the_shift():
    """Of raw energies what is left after a shift by element; of other levels nothing is known."""
    series = Series("static", "energy_per_atom", "eV", "PBE", "model")
    errors = 1e-3 * np.random.default_rng(0).normal(size=24)
    formulas = [("Cu", "Au", "CuAu")[n % 3] for n in range(24)]
    zero = {"Cu": 3.0, "Au": -2.0, "CuAu": 0.5}
    for n, (error, formula) in enumerate(zip(errors, formulas, strict=True)):
        series.row.append(n)
        series.dft.append(-4.0)
        series.pet.append(-4.0 + zero[formula] + error)
        series.difference.append(zero[formula] + error)
        series.relative.append(None)
        series.spread.append(None)
        series.uncertainty.append(2 * abs(error))
    series.differs = [5]
    series.pet[5] = 70.0  # which would spoil the shift
    told = summary(series, formulas, formulas)
    part = np.array([{"Cu": (1, 0), "Au": (0, 1), "CuAu": (0.5, 0.5)}[f] for f in formulas])
    kept = np.delete(np.arange(24), 5)
    fitted, *_ = np.linalg.lstsq(part[kept], np.array(series.difference)[kept], rcond=None)
    left = np.array(series.difference) - part @ fitted
    assert told["left"][5] is None
    np.testing.assert_allclose([told["left"][n] for n in kept], left[kept], atol=1e-12)
    assert set(told["calibration"]) == {"uncertainty"}
    said = told["calibration"]["uncertainty"]
    assert said["n"] == 23
    assert said["within"][1] >= said["within"][0] > 0.5
