"""What tracing makes of functions: constants, delayed factors, hoisting, and its errors."""

from __future__ import annotations

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback

from argot.errors import InputError, ProgramError, TraceError, UnsupportedError
from argot.vm.conformance import on_plain
from argot.vm.ir import PUBLIC, SECRET, private
from argot.vm.lower import PublicConstant, Spec, trace, within


def ops_of(fn, *specs):
    """The operations of a program, those of constants left out."""
    program = trace(fn, [Spec(s) if isinstance(s, tuple) else s for s in specs]).program
    return [e.op for e in program.body.walk() if e.op != "const"]


# ---- forms ----------------------------------------------------------------------------------------------------------


def test_questions_for_nan_are_constants():
    assert ops_of(lambda x: jnp.where(jnp.isnan(x), 0.0, x) + jnp.isfinite(x) + (x < jnp.inf), (3,)) == ["add"] * 2
    assert ops_of(lambda x: jnp.where(x != x, 1.0, x), (3,)) == []


def test_softmax_has_no_guards():
    assert ops_of(jax.nn.softmax, (3,)).count("lt") == 0


def test_public_factors_are_applied_once_and_late():
    """0.1 * (2 / n) * ... of a gradient: one product, of the weights' size."""

    def step(w, x, y):
        return w - 0.1 * jax.grad(lambda v: jnp.mean((x @ v - y) ** 2))(w)

    program = trace(step, [Spec((3,)), Spec((50, 3)), Spec((50,))]).program
    products = [e for e in program.body.walk() if e.op in ("mul", "div")]
    assert [e.outputs[0].type.shape for e in products] == [(3,)]


def test_a_tiny_factor_keeps_its_precision():
    program = trace(lambda x: 1e5 * jnp.sum(1e-7 * x), [Spec((4,))]).program
    (found,) = on_plain(program, [np.array([100.0, 200.0, 300.0, 400.0])])
    assert abs(found - 10.0) < 1e-2


def test_large_factors_are_not_delayed():
    """1000 x y: a product of 1000 x, so that the truncation is not multiplied by 1000."""
    program = trace(lambda x, y: (1000.0 * x) * y, [Spec((2,)), Spec((2,))]).program
    (found,) = on_plain(program, [np.array([0.0123, 1.0]), np.array([0.0321, 2.0])])
    np.testing.assert_allclose(found, [1000 * 0.0123 * 0.0321, 2000], atol=1e-3)


def test_a_sum_of_products_is_one_product_of_matrices():
    assert "matmul" in ops_of(lambda x: jnp.sum(x * x), (7,))
    assert ops_of(lambda x, y: jnp.mean((x - y) ** 2), (4, 7), (4, 7)).count("square") == 0


@pytest.mark.parametrize(
    ("spatial", "params", "plain"),
    [
        (2, {}, True),
        (2, {"window_strides": (2, 2), "padding": [(1, 0), (3, 2)], "lhs_dilation": (2, 3)}, True),
        (1, {"window_strides": (3,), "padding": "SAME"}, True),
        (2, {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}, True),
        (2, {"window_strides": (2, 1)}, False),
        (2, {"rhs_dilation": (1, 2)}, False),
        (2, {"feature_group_count": 2}, False),
        (2, {"batch_group_count": 2}, False),
        (3, {}, False),
    ],
)
def test_plain_convolutions_are_one_operation(spatial, params, plain):
    """Others are products of patches."""
    x, w = (4, 4, *[7] * spatial), (2, 4 // params.get("feature_group_count", 1), *[3] * spatial)
    if "dimension_numbers" in params:
        x, w = (4, 7, 7, 4), (3, 3, 4, 2)
    params = {"window_strides": (1,) * spatial, "padding": "VALID", **params}
    ops = ops_of(lambda x, w: jax.lax.conv_general_dilated(x, w, **params), x, w)
    assert ("convolve" in ops, "matmul" in ops) == (plain, not plain)
    assert not plain or set(ops) <= {"transpose", "reshape", "pad", "slice", "convolve"}


def test_convolutions_of_nothing_are_no_operation():
    for x, w in (((0, 1, 5), (1, 1, 2)), ((1, 0, 5), (1, 0, 2)), ((1, 1, 2), (1, 1, 3))):
        assert "convolve" not in ops_of(lambda x, w: jax.lax.conv(x, w, (1,), "VALID"), x, w)


def test_gradients_of_convolutions_are_convolutions():
    loss = jax.grad(lambda x, w: (jax.lax.conv(x, w, (1, 1), "SAME") ** 2).sum(), argnums=(0, 1))
    assert ops_of(loss, (2, 3, 6, 6), (4, 3, 3, 3)).count("convolve") == 3


def test_what_does_not_change_leaves_the_loop():
    program = trace(
        lambda w, x: jax.lax.fori_loop(0, 9, lambda i, v: v + jnp.exp(x).sum(0), w), [Spec((3,)), Spec((5, 3))]
    ).program
    (loop,) = (e for e in program.body.equations if e.op == "loop")
    assert {e.op for e in loop.blocks[0].walk()} == {"add", "const"}
    assert "exp" in [e.op for e in program.body.equations]


def test_equal_equations_are_made_once():
    assert ops_of(lambda x: jnp.exp(x) + jnp.exp(x) * jnp.exp(x), (3,)).count("exp") == 1
    assert (
        ops_of(lambda x: (jax.nn.relu(x), jnp.abs(x), jax.grad(lambda v: jax.nn.relu(v).sum())(x)), (3,)).count("lt")
        == 1
    )


def test_the_derivative_of_softplus_is_a_sigmoid():
    grad = jax.grad(lambda x: jnp.sum(jax.nn.softplus(x)))
    assert ops_of(grad, (4,)) == ["sigmoid"]
    assert ops_of(jax.grad(lambda x: jnp.sum(jax.nn.log_sigmoid(x))), (4,)).count("log") == 0


def test_dead_equations_are_left_out():
    assert ops_of(lambda x: (jnp.exp(x), x + 1.0)[1], (3,)) == ["add"]


def test_a_choice_between_one_and_zero_is_a_conversion():
    assert "select" not in ops_of(lambda x: (jnp.where(x > 0, 1.0, 0.0), jnp.where(x > 0, 0, 1)), (3,))


def test_a_choice_between_other_numbers_stays_one():
    assert ops_of(lambda x: jnp.where(x > 0, 2.5, -1.0), (3,))[-1] == "select"


def test_a_product_with_a_boolean_is_a_choice():
    assert "select" in ops_of(lambda x, y: (x > 0) * y, (3,), (3,))


def test_infinite_constants_are_sentinels():
    program = trace(lambda x, c: jnp.max(jnp.where(c, x, -jnp.inf)), [Spec((3,)), Spec((3,), "bool")]).program
    (found,) = on_plain(program, [np.array([1.0, 2.0, 3.0]), np.array([True, True, False])])
    assert found == 2.0
    (found,) = on_plain(program, [np.array([1.0, 2.0, 3.0]), np.zeros(3, bool)])
    assert -(2.0**26) <= found < -(2.0**25)


def test_where_keeps_nan_of_the_other_side_out():
    assert ops_of(lambda x: jnp.where(jnp.array(True), x, jnp.nan), (3,)) == []


def test_public_values_stay_public():
    program = trace(lambda n, x: x * (n * 2 + 1), [Spec((), "float64", PUBLIC), Spec((3,))]).program
    visible = [e.outputs[0].visibility for e in program.body.walk()]
    assert visible.count(SECRET) == 1


def test_trees_and_static_arguments():
    def fn(data, scale, *, how):
        assert how == "twice" and scale == 2
        return {"sum": data["a"] + scale * data["b"][0], "n": 3}

    traced = trace(
        fn, ({"a": Spec((3,), name="a"), "b": [Spec((3,), visibility=private(1), name="b")]}, 2), {"how": "twice"}
    )
    assert traced.program.inputs == ("a", "b")
    out = traced.out_tree.unflatten(on_plain(traced.program, [np.ones(3), np.ones(3)]))
    np.testing.assert_allclose(out["sum"], 3 * np.ones(3))
    assert out["n"] == 3


def test_integers_keep_their_width_and_floats_become_fixed():
    program = trace(lambda a, b: (a + 1, b + 1), [Spec((2,), "int8"), Spec((2,), "float32")]).program
    assert [v.type.dtype for v in program.results] == ["i8", "fixed"]
    found = on_plain(program, [np.array([127, 0], np.int8), np.array([0.5, 1.0], np.float32)])
    assert found[0].dtype == np.int8 and found[0].tolist() == [-128, 1]


def test_threads_trace_side_by_side():
    """The 64-bit context and the public constants met belong to the thread."""
    found = {}

    def work(n):
        big = PublicConstant(n + np.arange(100.0 + n), f"c{n}")
        for _ in range(3):
            found[n] = trace(lambda x: x @ big[: x.shape[0]], [Spec((100,))]).program.constants

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert {n: c[0][0] for n, c in found.items()} == {n: f"c{n}" for n in range(4)}


def test_a_function_of_the_user_is_its_body_whatever_its_name():
    @jax.jit
    def remainder(x, y):
        return 10.0 * x + y

    @jax.jit
    def wrapped(x, y):
        return x - y

    program = trace(lambda x, y: remainder(x, y) + wrapped(x, y), [Spec((2,)), Spec((2,))]).program
    (found,) = on_plain(program, [np.array([1.0, 2.0]), np.array([3.0, 4.0])])
    np.testing.assert_allclose(found, [11.0, 22.0])
    assert "floor" in ops_of(lambda x, y: x % y, (2,), (2,))


# ---- constants ------------------------------------------------------------------------------------------------------


def test_large_captures_must_be_declared_public():
    table = np.arange(65.0) - 7  # whose contents no other test has declared public
    with pytest.raises(ProgramError, match=r"captures an array float64\[65\]") as caught:
        trace(lambda x: x + table, [Spec((65,))])
    assert "argot.public" in str(caught.value)
    trace(lambda x: x + table[:64], [Spec((64,))])
    declared = PublicConstant(table, "table")
    for fn in (lambda x: x + declared, lambda x: jnp.add(x, declared), jax.jit(lambda x: declared + x)):
        program = trace(fn, [Spec((65,))]).program
        assert [(n, str(t)) for n, t in program.constants] == [("table", "fixed[65]")]
        np.testing.assert_allclose(on_plain(program, [np.ones(65)])[0], table + 1, atol=1e-4)
    as_argument = trace(lambda x, c: x @ c, (Spec((65,)), declared)).program
    assert [n for n, _ in as_argument.constants] == ["table"]


def test_public_constants_are_finite():
    with pytest.raises(InputError):
        PublicConstant(np.array([1.0, np.nan]))


def test_nan_constants_are_refused_where_they_are_used():
    with pytest.raises(ProgramError, match="NaN"):
        trace(lambda x: jnp.where(x > 0, x, jnp.nan), [Spec((3,))])


def test_the_users_array_stays_writable():
    table = np.arange(5.0)
    trace(lambda x: x + table, [Spec((5,))])
    table[0] = 1.0


# ---- errors ---------------------------------------------------------------------------------------------------------


def test_unsupported_primitive_names_line_and_choices():
    def fn(x):
        y = x + 1
        return jnp.nextafter(y, y)

    line = fn.__code__.co_firstlineno + 2
    with pytest.raises(UnsupportedError) as caught:
        trace(fn, [Spec((3,))])
    error = caught.value
    assert "`nextafter`" in error.what and "dot_general" in error.wanted and error.where == f"test_vm_lower.py:{line}"
    assert "fraction bits" in error.todo


@pytest.mark.parametrize(
    ("fn", "what"),
    [
        (lambda x: jax.scipy.special.gammainc(x, x), "a parameter a that is not one positive constant"),
        (lambda x: jax.scipy.special.gammaincc(jnp.arange(1.0, 4.0), x), "a parameter a"),
        (lambda x: jax.scipy.special.betainc(2.0, x, x), "a parameter b"),
        (lambda x: jax.scipy.special.gammainc(0.05, x), "a distribution function of these parameters"),
    ],
)
def test_distribution_functions_of_parameters_that_are_not_constant_or_too_small_are_refused(fn, what):
    with pytest.raises(UnsupportedError, match=what) as caught:
        trace(fn, [Spec((3,))])
    assert caught.value.where.startswith("test_vm_lower.py:")


def prints(x):
    jax.debug.print("x = {}", x)
    return x + 1


def calls(x):
    jax.debug.callback(print, x)
    return x


def reads(x):
    return jax.pure_callback(np.sin, jax.ShapeDtypeStruct((3,), np.float64), x)


def writes(x):
    io_callback(print, None, x)
    return x


@pytest.mark.parametrize(
    ("fn", "primitive", "inner"),
    [
        (prints, "debug_(print|callback)", prints),
        (calls, "debug_callback", calls),
        (reads, "pure_callback", reads),
        (writes, "io_callback", writes),
        (jax.jit(prints), "debug_(print|callback)", prints),
        (lambda x: (calls(x), x)[1], "debug_callback", calls),
        (lambda x: jax.lax.fori_loop(0, 3, lambda i, v: prints(v), x), "debug_(print|callback)", prints),
        (lambda x: jax.lax.cond(x[0] > 0, writes, lambda v: v, x), "io_callback", writes),
    ],
)
def test_what_would_call_the_driver_is_refused_even_where_nothing_uses_it(fn, primitive, inner):
    with pytest.raises(UnsupportedError, match=f"`{primitive}`") as caught:
        trace(fn, [Spec((3,))])
    error = caught.value
    assert error.where == f"test_vm_lower.py:{inner.__code__.co_firstlineno + 1}"
    assert "dot_general" in error.wanted and "argot.reveal" in error.todo


@pytest.mark.parametrize(
    ("fn", "what"),
    [
        (lambda x: x + jax.random.normal(jax.random.key(x[0].astype(int)), (3,)), "`random_seed` on a random key"),
        (lambda x: x + jax.random.normal(jax.random.PRNGKey(x[0].astype(int)), (3,)), "`random_seed` on a random key"),
        (
            lambda x: jax.lax.scan(lambda c, k: (c + jax.random.uniform(k), 0), x, jax.random.split(KEY))[0],
            "`random_bits` on a random key",
        ),
    ],
)
def test_keys_that_are_no_constants_are_refused_by_primitive_and_line(fn, what):
    with pytest.raises(UnsupportedError, match=what) as caught:
        trace(fn, [Spec((3,))])
    assert "dot_general" in caught.value.wanted and caught.value.todo
    assert caught.value.where.startswith("test_vm_lower.py:")


KEY = jax.random.key(7)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x + jax.random.normal(jax.random.key(0), (3,)),
        lambda x: x + jax.random.normal(jax.random.PRNGKey(0), (3,)),
        lambda x: x * jax.random.bernoulli(KEY, 0.5, (3,)),
        lambda x: x[jax.random.permutation(jax.random.split(KEY)[1], 3)],
        lambda x: jax.random.uniform(KEY, (3,), minval=x, maxval=x + 1),
        lambda x: jax.jit(lambda v, k: v + jax.random.randint(k, (3,), 0, 99))(x, KEY),
        lambda x: jax.lax.scan(lambda c, _: (c + jax.random.normal(KEY, (3,)), None), x, None, 2)[0],
        lambda x: x + jax.vmap(jax.random.normal)(jax.random.split(KEY, 3)),
        lambda x: x @ jax.random.normal(jax.random.key(1, impl="rbg"), (3, 2000)),
        lambda x: x + jnp.sort(jnp.array([3.0, 1.0, 2.0])),
    ],
)
def test_what_is_drawn_from_a_constant_key_is_a_constant(fn):
    x = np.array([0.5, -0.25, 1.0])
    with jax.enable_x64(True):
        expected = np.asarray(fn(jnp.asarray(x)))
    for _ in range(2):
        program = trace(fn, [Spec((3,))]).program
        np.testing.assert_allclose(on_plain(program, [x])[0], expected, atol=1e-4)


def test_a_loop_with_a_secret_condition_is_refused():
    with pytest.raises(UnsupportedError, match="condition is not public") as caught:
        trace(lambda i: jax.lax.while_loop(lambda v: v < i, lambda v: v + 1, 0), [Spec((), "int64")])
    assert caught.value.where and caught.value.where.startswith("test_vm_lower.py:")
    assert caught.value.todo


def test_applying_a_function_in_place_is_refused():
    with pytest.raises(UnsupportedError, match="apply"):
        trace(lambda x: x.at[1].apply(jnp.exp), [Spec((3,))])


def test_while_on_a_secret_advises_a_bound():
    with pytest.raises(UnsupportedError, match="fori_loop"):
        trace(lambda x: jax.lax.while_loop(lambda v: v.sum() < 9, lambda v: v * 2, x), [Spec((3,))])


def test_an_exception_of_the_user_is_the_cause():
    def fn(x):
        raise KeyError("age")

    with pytest.raises(TraceError, match="fn raised KeyError") as caught:
        trace(fn, [Spec((3,))])
    assert isinstance(caught.value.__cause__, KeyError)
    assert caught.value.where == f"test_vm_lower.py:{fn.__code__.co_firstlineno + 1}"


def test_python_branches_on_values_get_advice():
    with pytest.raises(TraceError, match=r"jnp\.where"):
        trace(lambda x: x if x.sum() > 0 else -x, [Spec((3,))])


def test_shapes_that_do_not_match():
    with pytest.raises(TraceError) as caught:
        trace(lambda x, y: x @ y, [Spec((3,)), Spec((4,))])
    assert caught.value.where and "test_vm_lower.py" in caught.value.where


# ---- within ---------------------------------------------------------------------------------------------------------


def bound_of(fn, op, *specs):
    program = trace(fn, list(specs)).program
    return [e.attrs["bound"] for e in program.body.walk() if e.op == op]


def test_within_bounds_comparisons_and_functions():
    x = Spec((4,))
    assert bound_of(lambda v: jnp.exp(v), "exp", x) == [None]
    assert bound_of(lambda v: jnp.exp(within(v, -8, 7)), "exp", x) == [4]
    assert bound_of(lambda v: within(v, 0, 1) < 0.5, "lt", x) == [0]
    assert bound_of(lambda v: jax.nn.sigmoid(within(v, -8000, 8000) + 1), "sigmoid", x) == [13]


def test_within_passes_through_transformations():
    x = Spec((4,))
    assert bound_of(jax.vmap(lambda v: jnp.exp(within(v, -8, 7))), "exp", x) == [4]
    grad = jax.grad(lambda v: jnp.exp(within(v, -8, 7)).sum())
    assert bound_of(grad, "exp", x) == [4]
    assert within(np.float32(2), 0, 3) == 2
    assert jax.jit(lambda v: within(v, 0, 3) + 1)(1.0) == 2
    with pytest.raises(InputError):
        within(1.0, 3, 0)
