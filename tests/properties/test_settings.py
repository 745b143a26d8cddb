from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from pet_flows.properties.elastic.declaration import ElasticSettings
from pet_flows.properties.eos.declaration import EOSSettings
from pet_flows.properties.kappa.declaration import ConductivitySettings
from pet_flows.properties.md.declaration import MDSettings
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.static.declaration import StaticSettings
from pet_flows.records.keys import settings_digest

ALL = [
    RelaxSettings,
    StaticSettings,
    EOSSettings,
    ElasticSettings,
    PhononSettings,
    QHASettings,
    ConductivitySettings,
    MDSettings,
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


#: of the default settings; another one computes anew what databases already hold
DIGESTS = {
    RelaxSettings: "bdb66341f3164347",
    StaticSettings: "44136fa355b3678a",
    EOSSettings: "f39b7ef8bfdadec4",
    ElasticSettings: "98383a1d596f80d2",
    PhononSettings: "56220f139cdde783",
    QHASettings: "d3d46fa79b5fca2c",
    ConductivitySettings: "da038f4e5f9089f7",
    MDSettings: "66dd2e0972e3d229",
}


@pytest.mark.parametrize("kind", ALL)
def test_stored_records_are_found_again(kind: type) -> None:
    assert settings_digest(kind()) == DIGESTS[kind]


@pytest.mark.parametrize(
    ("kind", "digest"),
    [
        (PhononSettings, "a8b002bca97eb384"),
        (QHASettings, "43a624e998999d2a"),
        (ConductivitySettings, "c5e084ec275ec347"),
    ],
)
def test_records_of_shorter_supercells_are_found_by_their_length(kind: type, digest: str) -> None:
    """16 Å and 400 atoms were the defaults."""
    assert settings_digest(kind(min_length=16.0, max_atoms=400)) == digest


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (RelaxSettings, {"fmax": 0.0}),
        (RelaxSettings, {"fmax": float("nan")}),
        (RelaxSettings, {"optimizer": "newton"}),
        (RelaxSettings, {"relax_cell": False, "cell_constraint": "volume"}),
        (RelaxSettings, {"cell_constraint": "volume", "pressure": 1.0}),
        (RelaxSettings, {"relax_cell": False, "pressure": 1.0}),
        (EOSSettings, {"n_volumes": 4}),
        (PhononSettings, {"temperatures": (-1.0,)}),
        (MDSettings, {"equilibration": 100, "steps": 100}),
    ],
)
def test_nonsense_is_refused(kind: type, wrong: dict) -> None:
    with pytest.raises(ValidationError):
        kind(**wrong)


def test_declarations_need_neither_torch_nor_ase() -> None:
    code = (
        "import sys\n"
        "from pet_flows.properties.registry import properties\n"
        "properties()\n"
        "print([m for m in ('torch', 'ase', 'torch_sim') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
