"""SecretFlow SPU on one operation, one operating-system process a party over loopback TCP, or in memory.

Run by `benchmarks/run.py` inside the peer's own virtual environment; prints one JSON object:

    python spu_run.py --op mul --n 1000000 --link tcp --reps 5

Wall time runs from a link barrier to the slowest party's finish; compiling, sharing of inputs and revealing are
outside the clock, and so is one first run. Bytes are the link's own counters, summed over the parties.

`--op share` times the sharing itself, which the peer does in one process and sends to nobody; it has no bytes.
"""

import argparse
import itertools
import json
import multiprocessing as mp
import os
import re
import socket
import statistics
import tempfile
import threading
import time

COUNTERS = re.compile(r"total send bytes (\d+), recv bytes \d+, send actions (\d+)")


def program(op, n):
    """The JAX function of an operation and its arguments."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    rng = np.random.default_rng(11)

    def uniform(*shape):
        return rng.uniform(-4, 4, shape).astype(np.float32)

    def positive(*shape):
        return rng.uniform(0.1, 10, shape).astype(np.float32)

    def whole(limit, *shape):
        return rng.integers(-limit, limit + 1, shape).astype(np.int32)

    def chain(x, y):
        for _ in range(100):
            x = x * y
        return x

    if op == "matmul":
        m, k, columns = n
        return jnp.matmul, (uniform(m, k) / 8, uniform(k, columns) / 8)
    if op == "lr":
        rows, columns, batch = n
        return logistic_regression(rows, columns, batch)
    if op == "mlp":
        rows, batch = n
        return network(rows, batch)
    (size,) = n
    return {
        "mul": (lambda x, y: x * y, (uniform(size), uniform(size))),
        "imul": (lambda x, y: x * y, (whole(1000, size), whole(1000, size))),
        "less": (lambda x, y: x < y, (uniform(size), uniform(size))),
        "equal": (lambda x, y: x == y, (whole(2, size), whole(2, size))),
        "where": (jnp.where, (rng.integers(0, 2, size).astype(bool), uniform(size), uniform(size))),
        "relu": (jax.nn.relu, (uniform(size),)),
        "exp": (jnp.exp, (uniform(size),)),
        "log": (jnp.log, (positive(size),)),
        "reciprocal": (lambda x: 1.0 / x, (positive(size),)),
        "sqrt": (jnp.sqrt, (positive(size),)),
        "rsqrt": (jax.lax.rsqrt, (positive(size),)),
        "sigmoid": (jax.nn.sigmoid, (uniform(size),)),
        "tanh": (jnp.tanh, (uniform(size),)),
        "softmax": (lambda x: jax.nn.softmax(x, axis=1), (uniform(size // 10, 10),)),
        "max": (lambda x: jnp.max(x, axis=1), (uniform(size // 100, 100),)),
        "sort": (jnp.sort, (uniform(size),)),
        "chain": (chain, (np.full(size, 1.5, np.float32), np.full(size, 1.003, np.float32))),
    }[op]


def logistic_regression(rows, columns, batch):
    """One epoch of mini-batch gradient descent, the gradient written out."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    w = rng.normal(size=columns) / np.sqrt(columns) * 3
    y = (rng.random(rows) < 1 / (1 + np.exp(-x @ w))).astype(np.float32)
    batches = rows // batch

    def fit(x, y):
        def step(carry, one):
            w, c = carry
            xs, ys = one
            e = jax.nn.sigmoid(xs @ w + c) - ys
            return (w - 0.1 * (xs.T @ e) / batch, c - 0.1 * jnp.mean(e)), None

        xb = x[: batches * batch].reshape(batches, batch, columns)
        yb = y[: batches * batch].reshape(batches, batch)
        return jax.lax.scan(step, (jnp.zeros(columns), jnp.zeros(())), (xb, yb))[0]

    return fit, (x, y)


def network(rows, batch):
    """One epoch of 784 - 128 - 128 - 10: the schedule and the data of `argot bench mlp`."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    rng, widths = np.random.default_rng(13), (784, 128, 128, 10)
    start = [
        ((rng.normal(size=(a, b)) * np.sqrt(2 / a)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in itertools.pairwise(widths)
    ]
    pictures = np.random.default_rng(17).random((10, 784)) ** 3
    digits = np.random.default_rng([23, 0]).integers(0, 10, rows)
    rng = np.random.default_rng([19, 0])
    own, other = rng.uniform(0.4, 1, (rows, 1)), rng.integers(0, 10, rows)
    blend = own * pictures[digits] + (1 - own) * pictures[other]
    x = np.clip(blend + rng.normal(0, 0.25, blend.shape), 0, 1).astype(np.float32)
    y = np.eye(10, dtype=np.float32)[digits]
    batches = rows // batch

    def loss(params, x, y):
        *hidden, (w, b) = params
        for wide, bias in hidden:
            x = jax.nn.relu(x @ wide + bias)
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(x @ w + b) * y, axis=1))

    def fit(params, x, y):
        def step(params, one):
            gradients = jax.grad(loss)(params, *one)
            return jax.tree_util.tree_map(lambda p, g: p - 0.1 * g, params, gradients), None

        xb = x[: batches * batch].reshape(batches, batch, 784)
        yb = y[: batches * batch].reshape(batches, batch, 10)
        return jax.lax.scan(step, params, (xb, yb))[0]

    return fit, (start, x, y)


def sharing(n, reps):
    """Seconds of making the shares of n reals, after one run that does not count."""
    import numpy as np
    import spu
    from spu import libspu

    x = np.random.default_rng(11).uniform(-4, 4, n).astype(np.float32)
    io, walls = spu.Io(3, config()), []
    for _ in range(reps + 1):
        start = time.time()
        io.make_shares(x, libspu.Visibility.VIS_SECRET)
        walls.append(time.time() - start)
    return walls[1:]


def quiet(log):
    from spu import libspu

    options = libspu.logging.LogOptions()
    options.enable_console_logger = False
    options.system_log_path = log
    libspu.logging.setup_logging(options)


def counters(log, position):
    with open(log, "rb") as file:
        file.seek(position)
        return COUNTERS.findall(file.read().decode("utf-8", "replace"))


def party(rank, protocol, ports, code, names, shares, reps, pipe, log):
    """One party in its own process."""
    import spu
    from spu import libspu

    quiet(log)
    desc = libspu.link.Desc()
    desc.recv_timeout_ms = desc.http_timeout_ms = 600_000
    for r, port in enumerate(ports):
        desc.add_party(f"p{r}", f"127.0.0.1:{port}")
    link = libspu.link.create_brpc(desc, rank)
    runtime = spu.Runtime(link, config(protocol))
    for name, (meta, chunks) in zip(names[0], shares, strict=False):
        share = libspu.Share()
        share.meta, share.share_chunks = meta, chunks
        runtime.set_var(name, share)
    executable = libspu.Executable(name="op", input_names=names[0], output_names=names[1], code=code)
    runs = []
    for _ in range(reps + 1):
        position = os.path.getsize(log)
        link.barrier()
        start = time.time()
        runtime.run(executable)
        runs.append((start, time.time(), [int(v) for v in counters(log, position)[-1]]))
    results = []
    for name in names[1]:
        share = runtime.get_var(name)
        results.append((share.meta, list(share.share_chunks)))
    pipe.send((runs, results))
    link.barrier()
    link.stop_link()


PARTIES = {"aby3": 3, "semi2k": 2, "cheetah": 2}


def config(protocol="aby3"):
    from spu import libspu

    c = libspu.RuntimeConfig(protocol=getattr(libspu.ProtocolKind, protocol.upper()), field=libspu.FieldType.FM64)
    c.enable_pphlo_profile = True
    return c


def compiled(fn, args):
    import jax
    import spu.utils.frontend as fe
    from spu import libspu

    flat, _ = jax.tree_util.tree_flatten((args, {}))
    executable, _ = fe.compile(
        fe.Kind.JAX,
        fn,
        args,
        {},
        [f"in{i}" for i in range(len(flat))],
        [libspu.Visibility.VIS_SECRET] * len(flat),
        lambda out: [f"out{i}" for i in range(len(out))],
        copts=libspu.CompilerOptions(),
    )
    return executable, flat


def over_tcp(protocol, executable, shares, reps):
    ports, parties = [], PARTIES[protocol]
    sockets = [socket.socket() for _ in range(parties)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
        ports.append(s.getsockname()[1])
    for s in sockets:
        s.close()
    context, folder = mp.get_context("spawn"), tempfile.mkdtemp(prefix="spu_")
    names = (list(executable.input_names), list(executable.output_names))
    pipes, processes = [], []
    for r in range(parties):
        mine, theirs = context.Pipe(False)
        mine_shares = [(s[r].meta, list(s[r].share_chunks)) for s in shares]
        log = os.path.join(folder, f"{r}.log")
        processes.append(
            context.Process(
                target=party, args=(r, protocol, ports, executable.code, names, mine_shares, reps, theirs, log)
            )
        )
        processes[-1].start()
        pipes.append(mine)
    got = [p.recv() for p in pipes]
    for p in processes:
        p.join()
    return [g[0] for g in got]


def in_memory(protocol, executable, shares, reps):
    parties = PARTIES[protocol]
    import spu
    from spu import libspu

    log = os.path.join(tempfile.mkdtemp(prefix="spu_"), "spu.log")
    quiet(log)
    desc = libspu.link.Desc()
    for r in range(parties):
        desc.add_party(f"id_{r}", f"thread_{r}")

    def everywhere(f):
        out = [None] * parties

        def go(r):
            out[r] = f(r)

        threads = [threading.Thread(target=go, args=(r,)) for r in range(parties)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return out

    runtimes = everywhere(lambda r: spu.Runtime(libspu.link.create_mem(desc, r), config(protocol)))
    for name, share in zip(executable.input_names, shares, strict=False):
        for r in range(parties):
            runtimes[r].set_var(name, share[r])
    runs = [[] for _ in range(parties)]
    for _ in range(reps + 1):
        position, gate = os.path.getsize(log), threading.Barrier(parties)

        def once(r, gate=gate):
            gate.wait()
            start = time.time()
            runtimes[r].run(executable)
            return start, time.time()

        times = everywhere(once)
        sent = counters(log, position)
        for r in range(parties):
            runs[r].append((*times[r], [int(v) for v in sent[r]]))
    return runs


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--op", required=True)
    parser.add_argument("--n", required=True, help="size; M,K,N of matmul; rows,columns,batch of lr; rows,batch of mlp")
    parser.add_argument("--protocol", choices=list(PARTIES), default="aby3")
    parser.add_argument("--link", choices=["tcp", "memory"], default="tcp")
    parser.add_argument("--reps", type=int, default=5)
    a = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

    import spu
    from spu import libspu

    sizes = [int(v) for v in a.n.split(",")]
    found = {"peer": f"spu {spu.__version__} {a.protocol} fm64", "op": a.op, "n": a.n, "link": a.link}
    if a.op == "share":
        walls = sharing(*sizes, a.reps)
        print(json.dumps(found | {"seconds": statistics.median(walls), "runs": walls}))
        return
    fn, args = program(a.op, sizes)
    executable, flat = compiled(fn, args)
    io = spu.Io(PARTIES[a.protocol], config(a.protocol))
    shares = [io.make_shares(x, libspu.Visibility.VIS_SECRET) for x in flat]
    runs = (over_tcp if a.link == "tcp" else in_memory)(a.protocol, executable, shares, a.reps)
    walls = [max(r[i][1] for r in runs) - min(r[i][0] for r in runs) for i in range(1, a.reps + 1)]
    total = sum(r[-1][2][0] for r in runs)
    print(json.dumps(found | {"seconds": statistics.median(walls), "runs": walls, "bytes_total": total}))


if __name__ == "__main__":
    main()
