from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap, spearmanr

from pet_flows.compare.calibration import calibrate, calibration, spreads, uncertainties
from pet_flows.compare.classification import Classification, symmetry_kept, verdicts
from pet_flows.compare.statistics import interval, summarize
from pet_flows.compare.tables.lines import agreement_lines
from tests.compare.comparisons import comparison, value

PET, DFT = [-1.0, -2.1, -3.3, -3.9], [-1.1, -2.0, -3.0, -4.0]


def four(**changes):
    return [comparison(n, value(PET[n], DFT[n], "pressure", "GPa"), **changes) for n in range(4)]


def test_means_are_those_of_numpy_and_r2_is_that_of_its_definition() -> None:
    (found,) = summarize(four())
    pet, dft = np.array(PET), np.array(DFT)
    wrong = pet - dft
    assert (found.property, found.name, found.unit) == ("static", "pressure", "GPa")
    assert (found.n, found.materials, found.missing, found.across) == (4, 4, 0, 0)
    assert found.mae == pytest.approx(np.abs(wrong).mean())
    assert found.rmse == pytest.approx(np.sqrt((wrong**2).mean()))
    assert found.bias == pytest.approx(wrong.mean())
    assert found.median == pytest.approx(np.median(np.abs(wrong)))
    assert found.mape is None  # a pressure has no scale
    volumes = [comparison(n, value(PET[n], DFT[n], "volume_per_atom", "Å³")) for n in range(4)]
    assert summarize(volumes)[0].mape == pytest.approx(np.mean(np.abs(wrong / dft)))
    assert found.r2 == pytest.approx(1 - (wrong**2).sum() / (4 * dft.var()))
    assert found.worst[0].record == "record-2"
    assert found.largest == pytest.approx(0.3)


def test_total_energies_are_in_no_mean() -> None:
    """Potential and DFT have different zeros: their difference says nothing of either."""
    energies = [comparison(n, value(PET[n], DFT[n] - 30.0)) for n in range(4)]
    assert summarize(energies) == []
    runs = [comparison(0, value(-1.0, -9.0, "potential_energy_per_atom"), property="md")]
    assert summarize([*energies, *runs, *four()])[0].name == "pressure"


def test_potentials_are_never_averaged_together() -> None:
    other = {"digest": "c" * 16, "name": "other"}
    found = summarize([*four(), *four(potential=other)])
    assert [(s.potential, s.n) for s in found] == [("test", 4), ("other", 4)]


def test_what_has_no_values_is_counted_and_in_no_mean() -> None:
    documents = [
        *four(),
        comparison(7, value(5.0, -1.0, "pressure", "GPa"), record_state="unconverged"),
        comparison(8, record_state="failed"),
        comparison(9, warnings=["clamped"]),
        comparison(10, record=None, reason="no such record"),
        comparison(11, reference=None, reason="no reference"),
    ]
    (found,) = summarize(documents)
    assert (found.n, found.missing) == (4, 3)
    assert found.largest == pytest.approx(0.3)


def test_other_levels_are_counted_and_distances_have_no_r2() -> None:
    distance = {**value(0.2, 0.0, "rmsd", ""), "pet": None, "dft": None, "relative": None}
    documents = [comparison(n, distance, level_differs=["U of Fe"] * (n == 1)) for n in range(3)]
    (found,) = summarize(documents)
    assert (found.across, found.mae, found.r2, found.mape) == (1, pytest.approx(0.2), None, None)


def test_labels_are_no_errors() -> None:
    assert summarize([comparison(0, value(True, False, "stable", ""))]) == []


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    errors = np.random.default_rng(3).exponential(size=60)
    low, high = interval(errors, [str(n) for n in range(60)], resamples=4000)
    theirs = bootstrap((errors,), np.mean, method="percentile", n_resamples=4000, rng=1)
    # the ends of 4000 resamples scatter by about 2 % of the interval's width
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert low == pytest.approx(theirs.confidence_interval.low, abs=0.06 * width)
    assert high == pytest.approx(theirs.confidence_interval.high, abs=0.06 * width)
    assert interval(errors, [str(n) for n in range(60)], resamples=4000) == (low, high)


def test_ten_values_of_one_material_make_nothing_surer() -> None:
    errors = np.random.default_rng(3).exponential(size=30)
    names = [str(n) for n in range(30)]
    assert interval(np.repeat(errors, 10), np.repeat(names, 10)) == pytest.approx(
        interval(errors, names), rel=1e-12
    )
    assert interval(errors, ["one"] * 30) is None


def test_f1_and_the_others_are_their_definitions() -> None:
    said = [True] * 6 + [False] * 4
    true = [True, True, True, False, False, True, True, False, False, False]
    found = Classification.of(zip(said, true, strict=True))
    assert (found.true_positive, found.false_positive) == (4, 2)
    assert (found.true_negative, found.false_negative) == (3, 1)
    assert found.precision == pytest.approx(4 / 6)
    assert found.recall == pytest.approx(4 / 5)
    assert found.f1 == pytest.approx(2 * (4 / 6) * (4 / 5) / (4 / 6 + 4 / 5))
    assert found.accuracy == pytest.approx(0.7)
    assert found.daf == pytest.approx((4 / 6) / (5 / 10))
    assert Classification.of([]).f1 is None


def test_stability_is_counted_by_potential_and_property() -> None:
    other = {"digest": "c" * 16, "name": "test"}  # the same model, symmetrized otherwise
    documents = [
        comparison(0, value(True, True, "stable", ""), property="phonon"),
        comparison(1, value(False, True, "stable", ""), property="phonon"),
        comparison(2, value(True, False, "stable", ""), property="elastic"),
        comparison(3, value(True, True, "stable", ""), property="phonon", record_state="failed"),
        comparison(4, value(True, True, "stable", ""), property="phonon", potential=other),
    ]
    phonon, elastic, another = verdicts(documents)
    assert (phonon.property, phonon.counts) == ("phonon", Classification(1, 0, 0, 1))
    assert (elastic.property, elastic.counts) == ("elastic", Classification(0, 1, 0, 0))
    assert (another.digest, another.counts) == ("c" * 16, Classification(1, 0, 0, 0))


def test_symmetry_is_counted_as_matbench_discovery_counts_it() -> None:
    kinds = [(225, 225, 0), (166, 225, -36), (227, 225, 0), (229, 166, 36), (166, 225, -36)]
    documents = [
        comparison(
            n,
            {**value(pet, dft, "spacegroup_1e-2", ""), "difference": None},
            value(48 + more, 48, "operations_1e-2", ""),
            property="relax",
        )
        for n, (pet, dft, more) in enumerate(kinds)
    ]
    (found,) = symmetry_kept(documents)
    assert (found.tolerance, found.n) == ("1e-2", 5)
    assert (found.match, found.decrease, found.increase) == (0.2, 0.4, 0.2)
    assert symmetry_kept(four()) == []


def test_a_calibrated_uncertainty_is_found_to_be_one() -> None:
    generator = np.random.default_rng(0)
    sigma = generator.uniform(0.01, 0.2, 4000)
    wrong = generator.normal(scale=sigma)
    found = calibration(sigma, wrong)
    assert found.rank_correlation == pytest.approx(spearmanr(sigma, np.abs(wrong))[0])
    assert found.rank_correlation > 0.4
    # 4000 draws: 1.1 % for a standard deviation, 0.7 % for a part
    assert found.scale == pytest.approx(1.0, abs=0.05)
    assert found.within == pytest.approx((0.683, 0.954), abs=0.03)
    assert [part.n for part in found.bins] == [400] * 10
    assert all(part.error == pytest.approx(part.uncertainty, rel=0.15) for part in found.bins)


def test_an_uncertainty_that_knows_nothing_is_found_out() -> None:
    generator = np.random.default_rng(1)
    found = calibration(generator.uniform(0.1, 1, 2000), generator.normal(scale=3.0, size=2000))
    assert abs(found.rank_correlation) < 0.07  # three times 1/√2000
    assert found.scale > 4
    alike = calibration([0.1, 0.1], [0.2, 0.3])
    assert (alike.rank_correlation, alike.n, len(alike.bins)) == (None, 2, 1)


def test_spreads_of_records_stand_beside_their_errors() -> None:
    records = [
        {"_id": f"record-{n}", "spread": {"energy_per_atom": s, "forces": None}}
        for n, s in enumerate([0.05, 0.06, None, 0.04])
    ]
    assert spreads(records) == {"record-0": 0.05, "record-1": 0.06, "record-3": 0.04}
    assert spreads(records, "forces") == {}
    found = calibrate(four(), spreads(records), "static", "pressure")["a" * 16]
    assert found.n == 3
    assert calibrate(four(), {}, "static", "pressure") == {}
    # what a model says of its own error; records of before have no such field
    said = {"energy_per_atom": 0.02, "forces": 0.1, "stress": None}
    known = [{"_id": "record-0", "uncertainty": said}, {"_id": "record-1", "uncertainty": None}]
    known.append({"_id": "record-2"})
    assert uncertainties(known) == {"record-0": 0.02}
    assert uncertainties(known, "forces") == {"record-0": 0.1}
    assert uncertainties(known, "stress") == {}


def test_lines_below_a_table_say_what_is_no_number() -> None:
    documents = [
        comparison(0, value(True, True, "stable", ""), property="phonon"),
        comparison(1, value(True, False, "stable", ""), property="phonon"),
        comparison(
            2,
            {**value(166, 225, "spacegroup_1e-5", ""), "difference": None},
            value(12, 48, "operations_1e-5", ""),
            property="relax",
        ),
    ]
    stable, symmetry = agreement_lines(documents)
    assert stable.endswith("F1 0.67, as in DFT 1 of 2; wrongly stable 1, wrongly unstable 0")
    assert symmetry.endswith("as in DFT 0.0 %, lower 100.0 %, higher 0.0 %; n = 1")
    assert agreement_lines(four()) == []
