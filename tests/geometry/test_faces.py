"""Volume, heights and inverse of a cell are those of NumPy's linear algebra."""

import numpy as np
import pytest

from pet_flows.geometry.faces import faces_of, lengths_of, volume_of

CELLS = {
    "cube": np.eye(3) * 4.0,
    "left-handed": np.diag([3.0, 4.0, -5.0]),
    "triclinic": np.array([[3.0, 0.2, -0.4], [0.7, 4.1, 0.3], [-1.1, 0.9, 5.2]]),
    "skewed": np.array([[3.0, 0.0, 0.0], [2.9, 0.3, 0.0], [1.0, 5.0, 7.0]]),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_between_its_faces(name):
    cell = CELLS[name]
    faces, inverse = faces_of(cell), np.linalg.inv(cell)
    assert faces.volume == pytest.approx(np.linalg.det(cell), rel=1e-13)
    assert volume_of(cell) == pytest.approx(np.linalg.det(cell), rel=1e-13)
    np.testing.assert_allclose(faces.inverse, inverse, atol=1e-13)
    np.testing.assert_allclose(faces.heights, 1 / np.linalg.norm(inverse, axis=0), rtol=1e-12)
    np.testing.assert_allclose(lengths_of(cell), np.linalg.norm(cell, axis=1), rtol=1e-14)


def test_a_flat_cell_has_no_faces():
    with pytest.raises(ZeroDivisionError):
        faces_of(np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]))
