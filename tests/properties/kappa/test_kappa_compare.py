from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from pymatgen.io.ase import AseAtomsAdaptor

from pet_flows.dft.documents import reference_of
from pet_flows.dft.importers.importing import import_references
from pet_flows.dft.importers.options import Options
from pet_flows.properties.comparison import NotComparable, Side, Value
from pet_flows.properties.kappa.compare import mode_conductivities
from pet_flows.properties.kappa.declaration import ConductivitySettings
from pet_flows.properties.kappa.kappa import conductivity
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from pet_flows.store.results import ResultStore
from tests.properties.stub import AsePotential

phono3py = pytest.importorskip("phono3py")
write_fc2_to_hdf5 = pytest.importorskip("phono3py.file_IO").write_fc2_to_hdf5
SMALL = ConductivitySettings(
    min_length=7.0, third_min_length=7.0, pair_cutoff=3.0, mesh=(4, 4, 4),
    temperatures=(300.0, 600.0),
)  # fmt: skip


@pytest.fixture(scope="module")
def copper() -> Outcome:
    return next(conductivity([bulk("Cu")], AsePotential(), SMALL))


def side(outcome: Outcome, factor: float = 1.0, **result: Any) -> Side:
    """With all modes conducting by a factor more."""
    arrays = dict(outcome.blobs["kappa"])
    arrays["gamma"] = arrays["gamma"] / factor
    points = [{**p, "mean": factor * p["mean"]} for p in outcome.result["kappa"]]
    structure = AseAtomsAdaptor.get_structure(outcome.atoms)
    return Side(
        {**outcome.result, "kappa": points, **result}, structure, {}, {"kappa": arrays}.__getitem__
    )


def values(ours: Side, theirs: Side) -> dict[str, Value]:
    return {value.name: value for value in get_property("kappa").compare(ours, theirs)}


def by_phono3py(blob: dict[str, np.ndarray]) -> Any:
    """Of the force constants of a record, ready for a conductivity."""
    from phonopy.structure.atoms import PhonopyAtoms

    hand = phono3py.Phono3py(
        PhonopyAtoms(
            numbers=blob["primitive_numbers"],
            cell=blob["primitive_cell"],
            positions=blob["primitive_positions"],
        ),
        supercell_matrix=blob["third_supercell_matrix"],
        phonon_supercell_matrix=blob["supercell_matrix"],
        primitive_matrix="P",
    )
    hand.fc2, hand.fc3 = blob["second_order"], blob["third_order"]
    hand.mesh_numbers = SMALL.mesh
    hand.init_phph_interaction(
        symmetrize_tetrahedra=True, exclude_gamma_acoustic=True, average_degenerate_weights=True
    )
    return hand


def test_modes_conduct_what_phono3py_says(copper: Outcome) -> None:
    blob = copper.blobs["kappa"]
    hand = by_phono3py(blob)
    hand.run_thermal_conductivity(temperatures=[300.0])
    theirs = hand.thermal_conductivity.mode_kappa[0, 0, :, :, :3].mean(-1)
    ours = mode_conductivities(blob, 300.0)
    assert ours == pytest.approx(theirs / blob["weights"].sum(), rel=1e-4, abs=1e-9)
    for point in copper.result["kappa"]:
        found = mode_conductivities(blob, point["T"])
        assert found.sum() == pytest.approx(point["mean"], rel=1e-4)
    assert mode_conductivities(blob, 450.0) is None


def test_sre_and_srme_of_all_modes_off_by_one_factor(copper: Outcome) -> None:
    """Both are 2 |1 − f| / (1 + f): there is nothing to cancel."""
    found = values(side(copper), side(copper, 1.5))
    assert found["kappa_300K"].relative == pytest.approx(1 / 1.5 - 1)
    assert found["kappa_300K"].unit == "W/m/K"
    assert found["sre"].difference == pytest.approx(2 * 0.5 / 2.5)
    assert found["srme"].difference == pytest.approx(2 * 0.5 / 2.5, rel=1e-3)


def test_errors_of_modes_that_cancel_are_seen_by_srme_alone(copper: Outcome) -> None:
    theirs = side(copper)
    arrays = dict(theirs.arrays("kappa"))
    each = mode_conductivities(arrays, 300.0)
    best = np.unravel_index(np.argsort(each, axis=None)[-2:], each.shape)
    gamma = arrays["gamma"].copy()
    moved = 0.3 * each[best].min()
    for (q, s), sign in zip(zip(*best, strict=True), (1, -1), strict=True):
        gamma[0, q, s] *= each[q, s] / (each[q, s] + sign * moved)
    arrays["gamma"] = gamma
    other = Side(theirs.result, theirs.structure, {}, {"kappa": arrays}.__getitem__)
    found = values(side(copper), other)
    assert found["sre"].difference == pytest.approx(0, abs=1e-12)
    total = copper.result["kappa"][0]["mean"]
    assert found["srme"].difference == pytest.approx(2 * 2 * moved / (2 * total), rel=1e-3)


def test_imaginary_modes_and_broken_symmetry_are_errors_of_two(copper: Outcome) -> None:
    for ours in (side(copper, min_frequency=-0.2), side(copper)):
        theirs = side(copper)
        if ours.result["min_frequency"] > -0.05:
            layered = AseAtomsAdaptor.get_structure(bulk("Cu", "bct", a=2.5, c=3.8))
            theirs = Side(theirs.result, layered, {}, theirs.arrays)
        found = values(ours, theirs)
        assert (found["sre"].difference, found["srme"].difference) == (2.0, 2.0)


def test_what_is_not_of_the_same_thing_is_refused(copper: Outcome) -> None:
    with pytest.raises(NotComparable, match="isotopes scatter in DFT only"):
        values(side(copper), side(copper, isotopes=True))
    with pytest.raises(NotComparable, match="correction in ours only"):
        values(side(copper, has_nac=True), side(copper))
    with pytest.raises(NotComparable, match="DFT has no conductivity at 300 K"):
        values(side(copper), side(copper, kappa=copper.result["kappa"][1:]))


def test_a_reference_without_modes_has_an_sre_alone(copper: Outcome) -> None:
    structure = side(copper).structure
    point = {"T": 300.0, "tensor": np.eye(3).tolist(), "mean": 10.0}
    assert set(values(side(copper), Side({"kappa": [point]}, structure))) == {"kappa_300K", "sre"}
    # isotopes or tunnelling: modes do not add up to what is conducted
    more = [{**p, "mean": 1.2 * p["mean"]} for p in copper.result["kappa"]]
    assert "srme" not in values(side(copper), side(copper, kappa=more))


def test_files_of_phono3py_are_compared_mode_by_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With isotopes, whose scattering adds to that of phonons."""
    settings = SMALL.model_copy(update={"isotopes": True})
    ours = next(conductivity([bulk("Cu")], AsePotential(), settings))
    monkeypatch.chdir(tmp_path)
    hand = by_phono3py(ours.blobs["kappa"])
    hand.run_thermal_conductivity(temperatures=[300.0], is_isotope=True, write_kappa=True)
    hand.save("phono3py_params.yaml")
    write_fc2_to_hdf5(hand.fc2, p2s_map=hand.phonon_primitive.p2s_map)
    with ResultStore.open() as store:
        found = import_references(
            store, str(tmp_path), options=Options(level={"functional": "EMT"})
        )
        assert not found.problems
        (document,) = store.references.find({"property": "kappa"})
        reference = reference_of(document, store.blobs.read)
    assert reference.result["isotopes"] is True
    theirs = Side(reference.result, reference.structure, {}, reference.arrays.__getitem__)
    errors = values(side(ours), theirs)
    assert errors["kappa_300K"].relative == pytest.approx(0, abs=1e-6)
    assert errors["srme"].difference == pytest.approx(0, abs=1e-6)
    assert ours.result["kappa"][0]["mean"] < 0.99 * sum(
        mode_conductivities({**ours.blobs["kappa"], "gamma_isotope": 0.0}, 300.0).ravel()
    )
