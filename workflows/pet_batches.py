"""Batches of labelled structures in the layout of PET's backend.

Neighbours are searched for once; a batch is put together by indexing alone.
"""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from scipy.spatial.transform import Rotation

from pet_flows.engines.pet import PETRaw
from pet_flows.engines.surroundings import graph_of
from pet_flows.geometry.ragged import rows_of, starts_of


class Batches:
    """Structures with their neighbours, of which any can be put together to a batch.

    Parameters
    ----------
    structures
        With ``ref_energy``, ``ref_forces`` and ``ref_stress``.
    raw
        The model that is trained; gives cutoffs, and the terms that are not trained (atomic
        energies, ZBL), which are taken off the targets.
    """

    def __init__(self, structures: list[Atoms], raw: PETRaw):
        places, neighbours, reverses, vectors, degrees = [], [], [], [], []
        energies, forces, virials, kinds = [], [], [], []
        index = {z: k for k, z in enumerate(sorted(raw.atomic_types))}
        for atoms in structures:
            graph = graph_of(raw.lists, atoms.numbers, atoms.positions, atoms.cell.array, atoms.pbc)
            pairs, edges = graph.pairs[0], graph.vectors().numpy()
            i, j, shift = pairs.first.numpy(), pairs.second.numpy(), pairs.shift.numpy()
            forward = np.lexsort((*shift.T[::-1], j, i))
            i, j, shift, edges = i[forward], j[forward], shift[forward], edges[forward]
            back = np.empty(len(i), dtype=int)
            back[np.lexsort((*-shift.T[::-1], i, j))] = np.arange(len(i))
            degree = np.bincount(i, minlength=len(atoms))
            place = np.arange(len(i)) - starts_of(degree)[i]
            places.append(place)
            neighbours.append(j)
            reverses.append(place[back])
            vectors.append(edges)
            degrees.append(degree)
            fixed = raw.invariant(graph)
            assert fixed is not None
            assert fixed.gradients is not None
            assert fixed.virials is not None
            energies.append(atoms.info["ref_energy"] - float(fixed.energies.sum()))
            forces.append(atoms.arrays["ref_forces"] + fixed.gradients.numpy())
            stress = np.reshape(atoms.info["ref_stress"], (3, 3))
            virials.append(atoms.get_volume() * stress - fixed.virials[0].numpy())
            kinds.append([index[z] for z in atoms.numbers])
        self.sizes = np.array([len(atoms) for atoms in structures])
        self.widths = np.array([d.max(initial=1) for d in degrees])
        self.energies, self.virials = np.array(energies), np.array(virials)
        self.forces, self._kinds = np.concatenate(forces), np.concatenate(kinds)
        self._places, self._degrees = np.concatenate(places), np.concatenate(degrees)
        self._neighbours, self._reverses = np.concatenate(neighbours), np.concatenate(reverses)
        self._vectors = np.concatenate(vectors)
        self._edges = np.array([len(v) for v in vectors])

    def take(
        self, which: np.ndarray, rows: int, width: int, slots: int, turns: np.ndarray
    ) -> dict[str, torch.Tensor]:
        """Some of the structures, padded to a shape.

        Parameters
        ----------
        which, turns
            ``(S,)`` int; ``(S, 3, 3)``, orthogonal, by which each is rotated, its labels too.
        rows, width, slots
            Atoms, neighbours of each and structures, at least as many as there are.

        Returns
        -------
        dict
            ``edges (rows, width, 3)`` Å, ``mask``, ``reverse (rows·width,)``, ``kinds``,
            ``neighbours``, ``owners (rows,)`` and the targets ``energy``, ``forces``,
            ``virial`` (eV, eV/Å); ``atoms (slots,)`` is 0 for the padding, and ``stressed``
            says where there is a virial.
        """
        sizes, counts = self.sizes[which], self._edges[which]
        at = rows_of(starts_of(self.sizes)[which], sizes)
        edge = rows_of(starts_of(self._edges)[which], counts)
        owner, n = np.repeat(np.arange(len(which)), sizes), len(at)
        of = np.repeat(np.arange(len(which)), counts)
        place = np.repeat(np.arange(n), self._degrees[at]) * width + self._places[edge]
        neighbour = self._neighbours[edge] + starts_of(sizes)[of]
        vectors = np.zeros((rows * width, 3))
        vectors[place] = (self._vectors[edge][:, None] @ turns[of])[:, 0]
        mask = np.zeros(rows * width, dtype=bool)
        mask[place] = True
        reverse = np.arange(rows * width)
        reverse[place] = neighbour * width + self._reverses[edge]
        kinds, owners = np.zeros(rows, dtype=int), np.full(rows, slots - 1)
        kinds[:n], owners[:n] = self._kinds[at], owner
        kinds_near = np.zeros(rows * width, dtype=int)
        kinds_near[place] = kinds[neighbour]
        forces = np.zeros((rows, 3))
        forces[:n] = (self.forces[at][:, None] @ turns[owner])[:, 0]
        atoms, energy, virial = np.zeros(slots), np.zeros(slots), np.zeros((slots, 3, 3))
        atoms[: len(which)], energy[: len(which)] = sizes, self.energies[which]
        virial[: len(which)] = turns.transpose(0, 2, 1) @ self.virials[which] @ turns
        stressed = np.isfinite(virial).all((1, 2)) & (atoms > 0)
        arrays = {
            "edges": vectors.reshape(rows, width, 3), "mask": mask.reshape(rows, width),
            "reverse": reverse, "kinds": kinds, "neighbours": kinds_near.reshape(rows, width),
            "owners": owners, "real": (np.arange(rows) < n), "energy": energy, "forces": forces,
            "virial": np.nan_to_num(virial), "atoms": atoms, "stressed": stressed,
        }  # fmt: skip
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        return {k: t.float() if t.is_floating_point() else t for k, t in tensors.items()}


def random_orientations(n: int, rng: np.random.Generator) -> np.ndarray:
    """Orthogonal matrices ``(n, 3, 3)``, evenly distributed, every second one improper."""
    rotations = Rotation.random(n, rng=rng).as_matrix()
    return np.asarray(rotations * rng.choice([-1.0, 1.0], size=(n, 1, 1)))
