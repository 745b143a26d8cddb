"""Slabs and molecules have no property per volume: they are refused, and harm no crystal."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from pet_flows.properties.elastic.declaration import ElasticSettings
from pet_flows.properties.elastic.elastic import elastic
from pet_flows.properties.eos.declaration import EOSSettings
from pet_flows.properties.eos.eos import eos
from pet_flows.properties.kappa.declaration import ConductivitySettings
from pet_flows.properties.kappa.kappa import conductivity
from pet_flows.properties.qha.declaration import QHASettings
from pet_flows.properties.qha.qha import qha
from tests.properties.stub import AsePotential

PROPERTIES = {
    "eos": (eos, EOSSettings()),
    "eos at fixed shape": (eos, EOSSettings(relax="none")),
    "elastic": (elastic, ElasticSettings(max_stress=100.0)),
    "qha": (qha, QHASettings(min_length=5.0, mesh=(4, 4, 4), temperatures=(300.0,))),
    "kappa": (
        conductivity,
        ConductivitySettings(min_length=7.0, third_min_length=7.0, mesh=(4, 4, 4)),
    ),
}


@pytest.mark.parametrize("name", PROPERTIES)
def test_what_does_not_fill_its_cell_is_refused(name: str, emt: AsePotential) -> None:
    if name == "kappa":
        pytest.importorskip("phono3py")
    compute: Callable[..., object]
    compute, settings = PROPERTIES[name]
    slab = fcc111("Cu", (1, 1, 3), vacuum=8.0, periodic=True)
    molecule = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.2]], cell=[14, 14, 14], pbc=True)
    chain = Atoms("Cu", cell=[2.5, 14, 14], pbc=True)
    found = list(compute([slab, molecule, bulk("Cu", a=3.59), chain], emt, settings))
    states = {o.index: (o.state, o.reason) for o in found}
    refused = ("failed", "no_volume")
    assert states == {0: refused, 1: refused, 2: ("ok", None), 3: refused}


def test_a_cell_that_is_open_is_refused(emt: AsePotential) -> None:
    slab = fcc111("Cu", (1, 1, 3), vacuum=8.0)
    (outcome,) = eos([slab], emt)
    assert (outcome.state, outcome.reason) == ("failed", "not_periodic")
    assert outcome.message.startswith("An equation of state needs a cell that is periodic")
