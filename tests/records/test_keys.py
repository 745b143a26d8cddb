"""The same thing has one identity, different things have different ones."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from pet_flows.errors import PetFlowsError
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.records.keys import (
    canonical_json,
    input_digest,
    record_key,
    settings_digest,
    structure_digest,
)

SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0] * 3, [0.5] * 3])


def moved(change: float, axis: int = 0) -> Structure:
    positions = np.array(SALT.frac_coords)
    positions[0, axis] += change
    return Structure(SALT.lattice, SALT.species, positions)


@pytest.mark.parametrize("change", [-0.0, 1.0, -3.0, 1e-10, -1e-10, 1 - 1e-10])
def test_lattice_translations_and_noise_do_not_count(change):
    assert structure_digest(moved(change)) == structure_digest(SALT)


@pytest.mark.parametrize("change", [1e-6, -1e-6, 0.5])
def test_a_moved_atom_counts(change):
    assert structure_digest(moved(change)) != structure_digest(SALT)


def test_oxidation_states_moments_and_names_do_not_count():
    other = SALT.copy(site_properties={"magmom": range(8)})
    other.add_oxidation_state_by_element({"Na": 1, "Cl": -1})
    other.properties["material_id"] = "mp-22862"
    assert structure_digest(other) == structure_digest(SALT)


def test_order_cell_species_and_periodicity_count():
    reordered = Structure.from_sites(SALT.sites[::-1])
    strained = SALT.copy()
    strained.apply_strain(1e-6)
    swapped = SALT.copy()
    swapped.replace_species({"Na": "Cl", "Cl": "Na"})
    two_dimensional = Lattice(SALT.lattice.matrix, pbc=(True, True, False))
    slab = Structure(two_dimensional, SALT.species, SALT.frac_coords)
    digests = {structure_digest(s) for s in (SALT, reordered, strained, swapped, slab)}
    assert len(digests) == 5


def test_partial_occupancy_has_an_identity():
    def alloy(x: float) -> Structure:
        return Structure(Lattice.cubic(3.5), [{"Fe": x, "Ni": 1 - x}], [[0, 0, 0]])

    assert structure_digest(alloy(0.5)) == structure_digest(alloy(0.5))
    assert structure_digest(alloy(0.5)) != structure_digest(alloy(0.4))


def test_nan_has_no_identity():
    broken = Structure(Lattice.cubic(3), ["Si"], [[np.nan, 0, 0]])
    with pytest.raises(PetFlowsError, match="NaN"):
        structure_digest(broken)
    with pytest.raises(PetFlowsError, match="finite"):
        canonical_json({"a": [float("inf")]})


def test_an_unreadable_input_is_told_by_where_it_was():
    problem = ("unreadable", "It is empty.")
    one = input_digest(None, {"path": "a.cif", "campaign": "x"}, problem)
    assert one == input_digest(None, {"path": "a.cif", "campaign": "y"}, problem)
    assert one != input_digest(None, {"path": "b.cif"}, problem)
    assert input_digest(SALT, {"path": "a.cif"}, None) == structure_digest(SALT)


def test_json_has_one_spelling():
    one = canonical_json({"b": -0.0, "a": (1, np.float64(2.5)), "c": np.arange(2)})
    assert one == '{"a":[1,2.5],"b":0.0,"c":[0,1]}'


def test_settings_differ_by_physics_only():
    assert settings_digest(RelaxSettings(fmax=1)) == settings_digest(RelaxSettings(fmax=1.0))
    assert settings_digest(RelaxSettings()) != settings_digest(RelaxSettings(steps=3))
    settings = RelaxSettings()
    assert settings_digest(settings) == settings_digest(settings.identity())


def test_keys_do_not_change_between_releases():
    # databases hold them: a change here makes every stored record be computed again
    assert structure_digest(SALT) == "feb310408d39b0e5ff1ac30039ebf83e"
    assert record_key("a", "relax", "b", "c") == "d055d7f46c3d68b57202829f1936a0b0"
