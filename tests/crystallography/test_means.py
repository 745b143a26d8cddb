"""Means over operations are those of a loop over them."""

import numpy as np

from pet_flows.crystallography.batch import SymmetryBatch
from pet_flows.crystallography.group import SpaceGroup
from tests.symmetrization.systems import crystals


def test_means_are_those_of_a_loop_over_all_operations():
    rng = np.random.default_rng(1)
    found = [atoms for atoms, _ in crystals().values()]
    found[0] = found[0] * (2, 1, 1)
    groups = [SpaceGroup.find(atoms) for atoms in found]
    symmetry = SymmetryBatch(groups)
    means = symmetry.means(np.concatenate([g.rotations for g in groups]).astype(float))
    scalars = rng.normal(size=len(symmetry.atoms))
    vectors = rng.normal(size=(len(symmetry.atoms), 3))
    tensors = rng.normal(size=(len(groups), 3, 3))
    ours = means.scalars(scalars), means.vectors(vectors)
    end = 0
    for s, group in enumerate(groups):
        begin, end = end, end + len(group.primitive.atoms)
        one, three = np.zeros(end - begin), np.zeros((end - begin, 3))
        nine, metric = np.zeros((3, 3)), np.zeros((3, 3))
        for w, permutation in zip(group.rotations, group.permutations, strict=True):
            one[permutation] += scalars[begin:end] / len(group)
            three[permutation] += vectors[begin:end] @ w / len(group)
            nine += w.T @ tensors[s] @ w / len(group)
            metric += w @ tensors[s] @ w.T / len(group)
        np.testing.assert_allclose(ours[0][begin:end], one, rtol=0, atol=1e-14)
        np.testing.assert_allclose(ours[1][begin:end], three, rtol=0, atol=1e-13)
        np.testing.assert_allclose(means.tensors(tensors)[s], nine, rtol=0, atol=1e-13)
        np.testing.assert_allclose(means.metrics(tensors)[s], metric, rtol=0, atol=1e-13)
        assert (means.of_site[begin:end] == s).all()
