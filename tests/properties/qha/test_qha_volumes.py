"""Holes among the volumes: what is unstable parts them, what merely failed is interpolated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from pet_flows.engines.evaluation import System
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.qha.qha import qha
from pet_flows.records.results import check_result
from tests.properties.stub import AsePotential

SETTINGS = QHASettings(min_length=5.0, mesh=(5, 5, 5), temperatures=(0.0, 300.0, 600.0))
COPPER = bulk("Cu", a=3.59)


def step(volume: float) -> int:
    """Place on the grid of a volume per atom (Å³)."""
    return round((volume / COPPER.get_volume() - 1) / SETTINGS.volume_step)


class Unstable(EMT):
    """Copper that is at a maximum instead of a minimum at some volumes."""

    at: tuple[int, ...] = ()

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        if step(self.atoms.get_volume() / len(self.atoms)) in self.at:
            self.results["forces"] = -self.results["forces"]


def run(settings: QHASettings = SETTINGS, *, unstable: tuple[int, ...] = ()) -> Outcome:
    kind = type("Unstable", (Unstable,), {"at": unstable})
    return next(qha([COPPER], AsePotential(kind), settings))


def failing(*steps: int) -> Outcome:
    potential = AsePotential()

    def refuse(system: System) -> bool:
        return step(abs(np.linalg.det(system.cell)) / len(system.numbers)) in steps

    potential.evaluator.refuse = refuse
    return next(qha([COPPER], potential, SETTINGS))


@pytest.fixture(scope="module")
def whole() -> Outcome:
    outcome = run()
    assert outcome.state == "ok"
    assert outcome.result["n_volumes"] == 9
    assert not any("interpolated" in w for w in outcome.warnings)
    return outcome


def test_no_fit_bridges_an_instability() -> None:
    outcome = run(unstable=(3,))
    shorter = run(SETTINGS.model_copy(update={"n_expanded": 2}))
    assert shorter.state == "ok"
    assert outcome.result == shorter.result
    said = [w for w in outcome.warnings if w.startswith("A volume was left out")]
    assert [("imaginary_modes" in w, "other_branch" in w) for w in said] == [
        (True, False), (False, True), (False, True),
    ]  # fmt: skip


def test_an_instability_in_the_middle_leaves_too_little() -> None:
    outcome = run(unstable=(1,))
    assert (outcome.state, outcome.reason) == ("failed", "imaginary_modes")
    volume = COPPER.get_volume() * (1 + SETTINGS.volume_step)
    assert outcome.message.startswith(f"At 1 of 9 volumes ({volume:.2f} Å³/atom)")
    assert "none unstable between them" in outcome.message


def test_an_instability_at_the_end_parts_nothing() -> None:
    outcome = run(unstable=(4, 5))
    assert outcome.state == "ok"
    assert outcome.result["n_volumes"] == 7
    assert not any("other_branch" in w for w in outcome.warnings)


def test_a_failure_in_the_middle_is_interpolated_and_said(whole: Outcome) -> None:
    # at 300 K copper is between the volumes of steps 0 and 2
    assert 0 < step(whole.result["volume_per_atom"][1]) < 2
    outcome = failing(1)
    assert outcome.state == "ok"
    assert outcome.result["n_volumes"] == 8
    for name in ("volume_per_atom", "bulk_modulus"):
        np.testing.assert_allclose(outcome.result[name], whole.result[name], rtol=1e-3)
    (said,) = [w for w in outcome.warnings if "interpolated" in w]
    low, high = (COPPER.get_volume() * (1 + n * SETTINGS.volume_step) for n in (0, 2))
    assert said.startswith(f"Between {low:.2f} and {high:.2f} Å³/atom")
    inside = [
        kelvin
        for kelvin, volume in zip(
            outcome.result["temperatures"], outcome.result["volume_per_atom"], strict=True
        )
        if low < volume < high
    ]
    assert 300.0 in inside
    assert said.endswith(f"where the equilibrium is at {inside[0]:g} to {inside[-1]:g} K.")


def test_a_failure_at_the_end_is_no_hole() -> None:
    outcome = failing(5)
    assert outcome.result["n_volumes"] == 8
    assert not any("interpolated" in w for w in outcome.warnings)


@pytest.mark.parametrize("unstable", [(), (0, 1)])
def test_a_volume_that_memory_could_not_hold_is_computed_again(unstable: tuple[int, ...]) -> None:
    class Full(Unstable):
        at = unstable

        def calculate(self, atoms: Any = None, *args: Any, **kwargs: Any) -> None:
            if len(atoms) > 1 and step(atoms.get_volume() / len(atoms)) == 4:
                raise MemoryError
            super().calculate(atoms, *args, **kwargs)

    outcome = next(qha([COPPER], AsePotential(Full), SETTINGS))
    assert (outcome.state, outcome.reason) == ("failed", "out_of_memory")
    assert outcome.retryable
    assert outcome.message.startswith("1 of 9 volumes are missing: ")
    check_result("qha", outcome.result, complete=False)
