"""Systems of equations on shares, with secret pivots, against NumPy."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from argot.mpc.aby3 import Aby3
from argot.vm.conformance import on_world
from argot.vm.ir import private
from argot.vm.lower import Spec, trace


def on_shares(fn, *arrays):
    """Arguments of two owners in turn."""
    specs = [Spec(a.shape, a.dtype.name, private(i % 2)) for i, a in enumerate(arrays)]
    return on_world(Aby3, trace(fn, specs).program, list(arrays))[0]


@pytest.mark.parametrize("n", [1, 2, 7])
def test_systems_of_equations(n):
    """Pivots are found in secret: the first one here is zero."""
    rng = np.random.default_rng(n)
    a, y = rng.normal(size=(n, n)) + 2 * np.eye(n)[::-1], rng.normal(size=(n, 3))
    a[0, 0] = 0 if n > 1 else a[0, 0]
    vector, matrix, inverse = on_shares(
        lambda a, y: (jnp.linalg.solve(a, y[:, 0]), jnp.linalg.solve(a, y), jnp.linalg.inv(a)), a, y
    )
    np.testing.assert_allclose(vector, np.linalg.solve(a, y[:, 0]), atol=1e-3)
    np.testing.assert_allclose(matrix, np.linalg.solve(a, y), atol=1e-3)
    np.testing.assert_allclose(inverse, np.linalg.inv(a), atol=1e-3)
