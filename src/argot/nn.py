"""Neural networks on an MPC device: a training loop in plain JAX for any model and any optimiser.

    @argot.device(mpc)
    def train(params, x, y):
        return argot.nn.fit(loss, optax.sgd(0.1, momentum=0.9), params, x, y, batch_size=32, epochs=5)

`loss(params, x, y)` is the mean over a batch of whatever model, of flax or written by hand; `optimizer` is one of
optax, or anything with its two functions. Called outside of a device the same loop runs in the clear, so that is what
to compare with.

**What fixed point asks for.** In a ring of 64 bits numbers have 18 bits after the point. SGD and momentum need no care.
Adam and its like keep (1 - b2) times squares of gradients and divide by their roots: with the usual b2 = 0.999 and
eps = 1e-8 nothing is left of them, and nothing is learnt. Give `b2=0.9, eps=1e-2`, or take a device with a ring of 128
bits and 40 after the point, where the usual ones work: docs/guides/networks.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .errors import InputError
from .vm import lower


class Optimizer(Protocol):
    """What `optax.GradientTransformation` is."""

    @property
    def init(self) -> Callable[[Any], Any]: ...
    @property
    def update(self) -> Callable[..., tuple[Any, Any]]: ...


def fit(
    loss: Callable[[Any, Any, Any], Any],
    optimizer: Optimizer,
    params: Any,
    x: Any,
    y: Any,
    *,
    batch_size: int = 32,
    epochs: int = 1,
) -> Any:
    """The parameters after training: mini-batches in the order of the rows, the same in each epoch.

    Args:
        loss: `loss(params, x, y)`, a real number.
        params: a tree of real arrays, public ones at the start as a rule: `jax.tree.map(argot.public, params)`.
        x, y: arrays whose first axis counts rows, in an order that means nothing (`argot.random.permutation`). The last
            rows that do not fill a batch are left out.

    Raises:
        InputError: no epoch, no row in a batch, fewer rows than a batch has, or other rows in y than in x.
    """
    if batch_size < 1 or epochs < 1:
        raise InputError(f"batch_size={batch_size}, epochs={epochs}", wanted="at least 1 of each")
    rows = x.shape[0]
    if y.shape[0] != rows:
        raise InputError(f"{rows} rows of x, {y.shape[0]} of y", wanted="as many")
    steps = rows // batch_size
    if steps == 0:
        raise InputError(f"{rows} rows in batches of {batch_size}", wanted="at least one batch", todo="a smaller batch")
    jax = lower.jax_module()
    batches = tuple(v[: steps * batch_size].reshape(steps, batch_size, *v.shape[1:]) for v in (x, y))

    def step(state: tuple[Any, Any], batch: tuple[Any, Any]) -> tuple[tuple[Any, Any], None]:
        params, memory = state
        gradients = jax.grad(loss)(params, *batch)
        updates, memory = optimizer.update(gradients, memory, params)
        return (jax.tree.map(lambda p, u: p + u, params, updates), memory), None

    def epoch(_: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        return jax.lax.scan(step, state, batches)[0]  # type: ignore[no-any-return]

    params = jax.tree.map(jax.numpy.asarray, params)
    return jax.lax.fori_loop(0, epochs, epoch, (params, optimizer.init(params)))[0]
