from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from pet_flows.properties import settings

ALL = [
    settings.RelaxSettings,
    settings.StaticSettings,
    settings.EOSSettings,
    settings.ElasticSettings,
    settings.PhononSettings,
    settings.MDSettings,
]


@pytest.mark.parametrize("kind", ALL)
def test_frozen_and_strict(kind: type) -> None:
    made = kind()
    with pytest.raises(ValidationError):
        kind(batch_size=3)
    for name in kind.model_fields:
        with pytest.raises(ValidationError):
            setattr(made, name, getattr(made, name))
    assert kind(**made.model_dump(mode="json")) == made


@pytest.mark.parametrize("kind", ALL)
def test_every_field_is_described(kind: type) -> None:
    assert all(field.description for field in kind.model_fields.values())


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (settings.RelaxSettings, {"fmax": 0.0}),
        (settings.RelaxSettings, {"fmax": float("nan")}),
        (settings.RelaxSettings, {"optimizer": "newton"}),
        (settings.RelaxSettings, {"relax_cell": False, "cell_constraint": "volume"}),
        (settings.RelaxSettings, {"cell_constraint": "volume", "pressure": 1.0}),
        (settings.RelaxSettings, {"relax_cell": False, "pressure": 1.0}),
        (settings.EOSSettings, {"n_volumes": 4}),
        (settings.PhononSettings, {"temperatures": (-1.0,)}),
        (settings.MDSettings, {"equilibration": 100, "steps": 100}),
    ],
)
def test_nonsense_is_refused(kind: type, wrong: dict) -> None:
    with pytest.raises(ValidationError):
        kind(**wrong)


def test_settings_need_neither_torch_nor_ase() -> None:
    code = (
        "import sys, pet_flows.properties.settings\n"
        "print([m for m in ('torch', 'ase', 'torch_sim') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
