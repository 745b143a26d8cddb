"""What repeats: primitive cells, sites, operations, space groups, lattices.

One convention holds here and for whoever asks: everything is in rows. A cell ``h (3, 3)`` has its
vectors in rows, fractional positions f make ``x = f h``, and an operation is ``f' = f W + t`` with
an integer matrix W in the basis of the cell it is said of, or ``x' = x Q + …`` with the orthogonal
``Q = h⁻¹ W h``. spglib, moyopy, phonopy and symfc write columns, ``f' = R f + t`` with ``R = Wᵀ``.
spglib and moyopy are called nowhere else than in this package, which knows what ends their process;
`SpaceGroup.columns` is for the others.
"""
