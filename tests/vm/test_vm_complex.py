"""Complex numbers inside of functions: programs made of several primitives against NumPy, and what is refused."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from argot.errors import ProgramError, UnsupportedError
from argot.mpc.aby3 import Aby3
from argot.vm.conformance import on_world
from argot.vm.ir import private
from argot.vm.lower import PublicConstant, Spec, trace

RNG = np.random.default_rng(0)


def on_shares(fn, *arrays):
    specs = [Spec(a.shape, a.dtype.name, private(i % 2)) for i, a in enumerate(arrays)]
    found, _ = on_world(Aby3, trace(fn, specs).program, list(arrays))
    return found[0] if len(found) == 1 else found


def ops_of(fn, *shapes):
    return [e.op for e in trace(fn, [Spec(s) for s in shapes]).program.body.walk() if e.op != "const"]


def grid(*shape, low=-4.0, high=4.0):
    return np.round(RNG.uniform(low, high, shape) * 2**18) / 2**18


def test_a_power_spectrum_with_a_window():
    x, window = grid(3, 48), np.hanning(48)
    found = on_shares(lambda x: jnp.abs(jnp.fft.rfft(x * window)) ** 2 / 48, x)
    np.testing.assert_allclose(found, abs(np.fft.rfft(x * window)) ** 2 / 48, atol=1e-3)


def test_a_power_spectrum_takes_no_root():
    assert "sqrt" not in ops_of(lambda x: jnp.abs(jnp.fft.rfft(x)) ** 2, (8,))


def test_a_convolution_of_two_parties_signals_by_the_spectrum():
    x, y = grid(100), grid(29)
    found = on_shares(lambda x, y: jnp.fft.irfft(jnp.fft.rfft(x, 128) * jnp.fft.rfft(y, 128), 128), x, y)
    np.testing.assert_allclose(found, np.convolve(x, y), atol=5e-3)


def test_a_filter_that_keeps_some_frequencies():
    x = np.sin(np.arange(60) * 2 * np.pi / 20) + 0.5 * np.sin(np.arange(60) * 2 * np.pi / 4)

    def low_pass(x):
        z = jnp.fft.rfft(x)
        return jnp.fft.irfft(jnp.where(jnp.arange(z.size) < 6, z, 0), n=60)

    np.testing.assert_allclose(on_shares(low_pass, x), np.sin(np.arange(60) * 2 * np.pi / 20), atol=1e-3)


def test_the_phase_of_a_delayed_signal():
    x = np.cos(np.arange(16) * 2 * np.pi / 16 - 0.7)
    found = on_shares(lambda x: jnp.angle(jnp.fft.fft(x)[1]), x)
    assert abs(found + 0.7) < 1e-3


@pytest.mark.parametrize("n", [1, 2, 67, 81, 512, 600])
def test_transforms_of_every_kind_of_size(n):
    """Dense, prime, odd and even factors, two stages and three."""
    x, y = grid(n), grid(n)
    re, im, back, again = on_shares(
        lambda x, y: (
            jnp.fft.rfft(x).real,
            jnp.fft.fft(jax.lax.complex(x, y)).imag,
            jnp.fft.irfft(jnp.fft.rfft(x), n=n),
            jnp.fft.ifft(jnp.fft.fft(jax.lax.complex(x, y))).imag,
        ),
        x,
        y,
    )
    bound = 2**-17 * np.linalg.norm([x, y]) + 2**-16
    np.testing.assert_allclose(re, np.fft.rfft(x).real, atol=bound)
    np.testing.assert_allclose(im, np.fft.fft(x + 1j * y).imag, atol=bound)
    np.testing.assert_allclose(back, x, atol=1e-4)
    np.testing.assert_allclose(again, y, atol=1e-4)


@pytest.mark.parametrize("norm", ["backward", "ortho", "forward"])
def test_transforms_over_several_axes(norm):
    x = grid(2, 3, 4, 5)
    found = on_shares(lambda x: jnp.fft.fftn(x, axes=(1, 2, 3), norm=norm).imag, x)
    np.testing.assert_allclose(found, np.fft.fftn(x, axes=(1, 2, 3), norm=norm).imag, atol=1e-3)
    found = on_shares(lambda x: jnp.fft.irfftn(jnp.fft.rfftn(x, norm=norm) * 2, s=x.shape, norm=norm), x)
    np.testing.assert_allclose(found, 2 * x, atol=1e-3)


def test_a_derivative_through_a_spectrum():
    x, y = grid(7), grid(4, low=0.5)

    def loss(x, y):
        return jnp.sum((jnp.abs(jnp.fft.rfft(x)) - y) ** 2)

    with jax.enable_x64(True):
        wanted = jax.grad(loss)(jnp.asarray(x), jnp.asarray(y))
    np.testing.assert_allclose(on_shares(jax.grad(loss), x, y), wanted, atol=2e-2)


def test_complex_constants_and_those_that_jax_computes():
    x, turn = grid(3, 4), np.exp(0.3j * np.arange(4))

    def fn(x):
        z = x * turn + jnp.sqrt(jnp.asarray(-4.0 + 0j))
        return jax.jit(lambda v: v @ jnp.ones((4, 2)) * 1j)(z).imag

    np.testing.assert_allclose(on_shares(fn, x), ((x * turn + 2j) @ np.ones((4, 2)) * 1j).imag, atol=1e-3)


def test_a_large_complex_constant_is_public_by_its_parts():
    turn = np.exp(0.3j * np.arange(100))
    with pytest.raises(ProgramError, match=r"complex128\[100\]") as caught:
        trace(lambda x: (x * turn).imag, [Spec((100,))])
    assert "jax.lax.complex" in caught.value.todo
    parts = PublicConstant(turn.real.copy()), PublicConstant(turn.imag.copy())
    x = grid(100)
    np.testing.assert_allclose(on_shares(lambda x: (x * jax.lax.complex(*parts)).imag, x), x * turn.imag, atol=1e-4)


def test_a_loop_may_use_complex_numbers_that_it_does_not_carry():
    x = grid(5, 8)
    found = on_shares(lambda x: jax.lax.map(lambda row: jnp.abs(jnp.fft.rfft(row) * jnp.fft.rfft(x[0])), x), x)
    np.testing.assert_allclose(found, abs(np.fft.rfft(x) * np.fft.rfft(x[0])), atol=5e-3)


def returns(x):
    return (
        x.sum(),
        jnp.fft.rfft(x),
    )


def carries(x):
    return jax.lax.fori_loop(
        0,
        3,
        lambda i, z: z * 1j,
        jnp.fft.rfft(x),
    ).real


def chooses(x):
    return jax.lax.cond(
        x[0] > 0,
        lambda: jnp.fft.rfft(x),
        lambda: jnp.zeros(3, complex),
    ).real


@pytest.mark.parametrize(
    ("fn", "what", "line"),
    [
        (returns, "a complex number as a result", 3),
        (carries, "a complex number as what a loop carries", 5),
        (chooses, "a complex number as .* of a branch", 4),
    ],
)
def test_complex_numbers_as_results_and_in_loops_are_refused_by_the_line_that_made_them(fn, what, line):
    with pytest.raises(UnsupportedError, match=what) as caught:
        trace(fn, [Spec((4,))])
    assert "z.real" in caught.value.todo
    assert caught.value.where == f"test_vm_complex.py:{fn.__code__.co_firstlineno + line}"


def test_a_complex_constant_as_a_result_is_refused():
    with pytest.raises(UnsupportedError, match="a complex number as a result"):
        trace(lambda x: (x, np.array([1j])), [Spec((3,))])


def test_a_function_of_complex_numbers_that_is_not_known_is_refused_by_line():
    with pytest.raises(UnsupportedError, match="`tan` on complex128") as caught:
        trace(lambda x: jnp.tan(jnp.fft.rfft(x)).real, [Spec((4,))])
    assert "fft" in caught.value.wanted and "z.real" in caught.value.todo
    assert caught.value.where.startswith("test_vm_complex.py:")


def test_a_complex_input_is_refused_with_what_to_do():
    with pytest.raises(ProgramError, match="complex128") as caught:
        trace(lambda z: z.real, [Spec((3,), "complex128")])
    assert "jax.lax.complex" in caught.value.todo


def test_a_large_prime_number_of_points_is_refused():
    with pytest.raises(UnsupportedError, match="1031 points"):
        trace(lambda x: jnp.fft.rfft(x).real, [Spec((1031,))])
