"""What the tests of input files share."""

from __future__ import annotations

import numpy as np
from pymatgen.core import Structure

from pet_flows.inputs.sources import InputStructure, read_inputs

CIF = """data_{name}
_cell_length_a 5.64
_cell_length_b 5.64
_cell_length_c 5.64
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
{extra}
loop_
 _atom_site_label
 _atom_site_type_symbol
 _atom_site_fract_x
 _atom_site_fract_y
 _atom_site_fract_z
 _atom_site_occupancy
 Na1 Na 0 0 0 {occupancy}
 Cl1 Cl {x} {x} {x} 1
"""


def cif(name="NaCl", extra="", occupancy="1", x="0.5"):
    return CIF.format(name=name, extra=extra, occupancy=occupancy, x=x)


def write_cif(
    path,
    rows,
    *,
    cell=(8, 9, 10, 90, 90, 90),
    listed=("x,y,z",),
    said="",
    columns=("label", "type_symbol", "fract_x", "fract_y", "fract_z"),
) -> InputStructure:
    """Write a CIF of one block, row by row, and read it."""
    names = [f"_cell_length_{x}" for x in "abc"]
    names += [f"_cell_angle_{x}" for x in ("alpha", "beta", "gamma")]
    lines = ["data_x", *(f"{name} {value}" for name, value in zip(names, cell, strict=True)), said]
    if listed:
        lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{text}'" for text in listed)]
    lines += ["loop_", *(f"_atom_site_{column}" for column in columns), *rows]
    path.write_text("\n".join([*lines, ""]))
    return only(path)


def only(path) -> InputStructure:
    (found,) = read_inputs([str(path)])
    return found


def same(one: Structure, other: Structure) -> bool:
    return (
        [str(s) for s in one.species] == [str(s) for s in other.species]
        and np.allclose(one.lattice.matrix, other.lattice.matrix, atol=1e-7)
        and np.allclose(one.cart_coords, other.cart_coords, atol=1e-7)
    )


# CIF ---------------------------------------------------------------------------------------------
