"""Irreps of modes, against what group theory says by hand."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from scipy.spatial.transform import Rotation

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.irreps import label
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
from pet_flows.properties.registry import get_property
from tests.properties.stub import AsePotential

SMALL = PhononSettings(min_length=6.0, mesh=(4, 4, 4), band_structure=False, dos=False)


def names(emt: AsePotential, atoms: Atoms, q: tuple[float, ...]) -> list[str | None]:
    """Irrep of every mode at q, soft ones first."""
    outcome = next(phonon([atoms], emt, SMALL))
    crystal = to_phonopy(outcome.blobs["phonon"])
    frequencies = crystal.run_qpoints([q]).frequencies[0]
    modes = [{"q": list(q), "frequency": float(f), "irrep": "?"} for f in frequencies]
    assert crystal.dynamical_matrix is not None
    label(crystal.dynamical_matrix, SpaceGroup.find(outcome.atoms), modes)
    return [mode["irrep"] for mode in modes]


# an atom on the origin moves as a vector does in the little co-group of q
VECTORS = [
    ("sc", (0.5, 0.5, 0.5), ["T1u"] * 3),
    ("sc", (0.5, 0.0, 0.0), ["A2u", "Eu", "Eu"]),
    ("sc", (0.5, 0.5, 0.0), ["A2u", "Eu", "Eu"]),
    ("sc", (0.0, 0.0, 0.2), ["A1", "E", "E"]),
    ("fcc", (0.5, 0.0, 0.5), ["A2u", "Eu", "Eu"]),
    ("fcc", (0.5, 0.5, 0.5), ["A2u", "Eu", "Eu"]),
    ("bcc", (0.5, -0.5, 0.5), ["T1u"] * 3),
    ("bcc", (0.25, 0.25, 0.25), ["T2"] * 3),
    ("bcc", (0.0, 0.5, 0.0), ["B1u", "B2u", "B3u"]),
]


@pytest.mark.parametrize(("lattice", "q", "expected"), VECTORS)
def test_one_atom_moves_as_a_vector(
    emt: AsePotential, lattice: str, q: tuple[float, ...], expected: list[str]
) -> None:
    found = names(emt, bulk("Cu", lattice, a={"sc": 2.4, "fcc": 3.6, "bcc": 2.85}[lattice]), q)
    assert sorted(map(str, found)) == expected


def test_two_atoms_at_gamma(emt: AsePotential) -> None:
    """Diamond: T1u + T2g; caesium chloride: 2 T1u; hcp: A2u + E1u (translations) + E2g + B1g."""
    gamma = (0.0, 0.0, 0.0)
    assert sorted(map(str, names(emt, bulk("Cu", "diamond", a=5.2), gamma))) == (
        ["T1u"] * 3 + ["T2g"] * 3
    )
    ordered = bulk("CuAu", "cesiumchloride", a=3.0)
    assert names(emt, ordered, gamma) == ["T1u"] * 6
    close = names(emt, bulk("Cu", "hcp", a=2.56, c=4.15), gamma)
    assert close == ["A2u+E1u"] * 3 + ["E2g"] * 2 + ["B1g"]


def test_where_glides_interfere_there_is_no_name(emt: AsePotential) -> None:
    assert names(emt, bulk("Cu", "diamond", a=5.2), (0.5, 0.0, 0.5)) == [None] * 6
    assert None not in names(emt, bulk("Cu", "diamond", a=5.2), (0.2, 0.0, 0.2))


def test_imaginary_modes_are_grouped_and_named_in_any_orientation(emt: AsePotential) -> None:
    atoms = bulk("Cu", "diamond", a=5.2)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ Rotation.random(rng=3).as_matrix(), scale_atoms=True)
    one, other = (o.result for o in phonon([atoms, turned], emt, SMALL))
    get_property("phonon").result.model_validate(one)
    assert one["imaginary"]
    for first, second in zip(one["imaginary"], other["imaginary"], strict=True):
        assert first["frequency"] == pytest.approx(second["frequency"], abs=1e-6)
        assert (first["irrep"], first["degeneracy"]) == (second["irrep"], second["degeneracy"])
    known = [m for m in one["imaginary"] if m["irrep"] is not None]
    assert known
    degenerate = {"A": 1, "B": 1, "E": 2, "T": 3}
    for mode in known:
        assert mode["degeneracy"] == sum(degenerate[n[0]] for n in mode["irrep"].split("+"))
    qs = [tuple(np.round(m["q"], 6)) for m in one["imaginary"]]
    frequencies = [m["frequency"] for m in one["imaginary"]]
    assert len(set(zip(qs, np.round(frequencies, 5), strict=True))) == len(qs)
