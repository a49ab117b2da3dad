"""SecretFlow SPU on one operation, one operating-system process a party over loopback TCP, or in memory.

Run by `benchmarks/run.py` inside the peer's own virtual environment; prints one JSON object:

    python spu_run.py --op mul --n 1000000 --link tcp --reps 5

Wall time runs from a link barrier to the slowest party's finish; compiling, sharing of inputs and revealing are
outside the clock, and so is one first run. `--first small` has a small program eight times instead, as set-up: a
comparison, a product and a choice. (Cheetah makes keys in its first comparison, its first correlations in the second
and the sixth.) Bytes are the link's own counters, summed over the parties, of the mean run. Over
TCP `peak_bytes` is the largest resident set that a party's process has had.

`--op share` times the sharing itself, which the peer does in one process and sends to nobody; it has no bytes.
`--op setup` times what the first eight comparisons of so many numbers take longer than the next eight, in parties of
their own for each run. `--op cancer` reads columns and labels, already scaled, from the file of `--data`.
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


def program(op, n, data=None):
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
        return logistic_regression(*synthetic(rows, columns), batch)
    if op == "cancer":
        epochs, batch = n
        with np.load(data) as file:
            return logistic_regression(file["x"], file["y"], batch, epochs)
    if op == "mlp":
        rows, batch = n
        return network(rows, batch)
    if op == "infer":
        (rows,) = n
        return inference(rows)
    (size,) = n
    return {
        "mul": (lambda x, y: x * y, (uniform(size), uniform(size))),
        "imul": (lambda x, y: x * y, (whole(1000, size), whole(1000, size))),
        "less": (lambda x, y: x < y, (uniform(size), uniform(size))),
        "setup": (lambda x, y: x < y, (uniform(size), uniform(size))),
        "small": (lambda x, y: jnp.where(x < y, x * y, x), (uniform(size), uniform(size))),
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


def synthetic(rows, columns):
    """Rows and their labels."""
    import numpy as np

    rng = np.random.default_rng(3)
    x = rng.normal(size=(rows, columns)).astype(np.float32)
    w = rng.normal(size=columns) / np.sqrt(columns) * 3
    return x, (rng.random(rows) < 1 / (1 + np.exp(-x @ w))).astype(np.float32)


def logistic_regression(x, y, batch, epochs=1):
    """Mini-batch gradient descent over whole batches, the gradient written out."""
    import jax
    import jax.numpy as jnp

    rows, columns = x.shape
    batches = rows // batch

    def fit(x, y):
        def step(carry, one):
            w, c = carry
            xs, ys = one
            e = jax.nn.sigmoid(xs @ w + c) - ys
            return (w - 0.1 * (xs.T @ e) / batch, c - 0.1 * jnp.mean(e)), None

        xb = x[: batches * batch].reshape(batches, batch, columns)
        yb = y[: batches * batch].reshape(batches, batch)
        start = jnp.zeros(columns), jnp.zeros(())
        if epochs == 1:
            return jax.lax.scan(step, start, (xb, yb))[0]
        return jax.lax.fori_loop(0, epochs, lambda _, carry: jax.lax.scan(step, carry, (xb, yb))[0], start)

    return fit, (x, y)


def weights():
    """Where the network 784 - 128 - 128 - 10 of `argot bench mlp` starts."""
    import numpy as np

    rng, widths = np.random.default_rng(13), (784, 128, 128, 10)
    return [
        ((rng.normal(size=(a, b)) * np.sqrt(2 / a)).astype(np.float32), np.zeros(b, np.float32))
        for a, b in itertools.pairwise(widths)
    ]


def images(rows, part):
    """Images and labels of the same."""
    import numpy as np

    pictures = np.random.default_rng(17).random((10, 784)) ** 3
    digits = np.random.default_rng([23, part]).integers(0, 10, rows)
    rng = np.random.default_rng([19, part])
    own, other = rng.uniform(0.4, 1, (rows, 1)), rng.integers(0, 10, rows)
    blend = own * pictures[digits] + (1 - own) * pictures[other]
    x = np.clip(blend + rng.normal(0, 0.25, blend.shape), 0, 1).astype(np.float32)
    return x, np.eye(10, dtype=np.float32)[digits]


def scores(params, x):
    """(rows, 10), before the softmax."""
    import jax

    *hidden, (w, b) = params
    for wide, bias in hidden:
        x = jax.nn.relu(x @ wide + bias)
    return x @ w + b


def inference(rows):
    """Scores of the held-out images of `argot bench infer`."""
    return scores, (weights(), images(rows, 1)[0])


def network(rows, batch):
    """One epoch of the network: the schedule and the data of `argot bench mlp`."""
    import jax
    import jax.numpy as jnp

    start, (x, y) = weights(), images(rows, 0)
    batches = rows // batch

    def loss(params, x, y):
        return -jnp.mean(jnp.sum(jax.nn.log_softmax(scores(params, x)) * y, axis=1))

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


def resident():
    """The largest resident set that this process has had, in bytes."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def party(rank, protocol, ports, works, pipe, log):
    """One party in its own process; `works` are (code, names, shares, runs), done one after the other."""
    import spu
    from spu import libspu

    quiet(log)
    desc = libspu.link.Desc()
    desc.recv_timeout_ms = desc.http_timeout_ms = 600_000
    for r, port in enumerate(ports):
        desc.add_party(f"p{r}", f"127.0.0.1:{port}")
    link = libspu.link.create_brpc(desc, rank)
    runtime = spu.Runtime(link, config(protocol))
    runs = []
    for code, names, shares, reps in works:
        for name, (meta, chunks) in zip(names[0], shares, strict=True):
            share = libspu.Share()
            share.meta, share.share_chunks = meta, chunks
            runtime.set_var(name, share)
        executable = libspu.Executable(name="op", input_names=names[0], output_names=names[1], code=code)
        for _ in range(reps):
            position = os.path.getsize(log)
            link.barrier()
            start = time.time()
            runtime.run(executable)
            runs.append((start, time.time(), [int(v) for v in counters(log, position)[-1]]))
    pipe.send((runs, resident()))
    link.barrier()
    link.stop_link()


FIRST = 8
"""Small runs after which parties have set up everything."""

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


def shared(protocol, op, n, reps, data=None):
    """A program, the shares of its inputs (of each input, of each party), and how often it runs."""
    import spu
    from spu import libspu

    executable, flat = compiled(*program(op, n, data))
    io = spu.Io(PARTIES[protocol], config(protocol))
    return executable, [io.make_shares(x, libspu.Visibility.VIS_SECRET) for x in flat], reps


def over_tcp(protocol, works):
    """Runs of each party, of all works one after the other; and the largest resident set of a party."""
    ports, parties = [], PARTIES[protocol]
    sockets = [socket.socket() for _ in range(parties)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
        ports.append(s.getsockname()[1])
    for s in sockets:
        s.close()
    context, folder = mp.get_context("spawn"), tempfile.mkdtemp(prefix="spu_")
    pipes, processes = [], []
    for r in range(parties):
        mine, theirs = context.Pipe(False)
        own = [
            (
                executable.code,
                (list(executable.input_names), list(executable.output_names)),
                [(s[r].meta, list(s[r].share_chunks)) for s in shares],
                reps,
            )
            for executable, shares, reps in works
        ]
        log = os.path.join(folder, f"{r}.log")
        processes.append(context.Process(target=party, args=(r, protocol, ports, own, theirs, log)))
        processes[-1].start()
        pipes.append(mine)
    got = [p.recv() for p in pipes]
    for p in processes:
        p.join()
    return [runs for runs, _ in got], max(peak for _, peak in got)


def in_memory(protocol, works):
    """Runs of each party, of all works one after the other."""
    parties = PARTIES[protocol]
    import spu
    from spu import libspu

    log = os.path.join(tempfile.mkdtemp(prefix="spu_"), "spu.log")
    quiet(log)
    desc = libspu.link.Desc()
    desc.recv_timeout_ms = 600_000
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
    runs = [[] for _ in range(parties)]
    for executable, shares, reps in works:
        for name, share in zip(executable.input_names, shares, strict=True):
            for r in range(parties):
                runtimes[r].set_var(name, share[r])
        for _ in range(reps):
            position, gate = os.path.getsize(log), threading.Barrier(parties)

            def once(r, gate=gate, executable=executable):
                gate.wait()
                start = time.time()
                runtimes[r].run(executable)
                return start, time.time()

            times = everywhere(once)
            sent = counters(log, position)
            for r in range(parties):
                runs[r].append((*times[r], [int(v) for v in sent[r]]))
    return runs


def figures(runs):
    """Seconds of each run, from the first party's start to the last one's end, and the bytes that all sent in it."""
    each = list(zip(*runs, strict=True))
    walls = [max(end for _, end, _ in run) - min(start for start, _, _ in run) for run in each]
    return walls, [sum(sent[0] for _, _, sent in run) for run in each]


def set_up(protocol, n, reps):
    """Seconds and bytes of what parties without a past do first: the first comparisons less later ones."""
    walls, sent, work = [], [], shared(protocol, "setup", n, 2 * FIRST)
    for _ in range(reps):
        runs, _ = over_tcp(protocol, [work])
        for values, found in zip(figures(runs), (walls, sent), strict=True):
            found.append(sum(values[:FIRST]) - sum(values[FIRST:]))
    return walls, sent


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--op", required=True)
    parser.add_argument(
        "--n",
        required=True,
        help="size; M,K,N of matmul; rows,columns,batch of lr; rows,batch of mlp; epochs,batch of cancer",
    )
    parser.add_argument("--protocol", choices=list(PARTIES), default="aby3")
    parser.add_argument("--link", choices=["tcp", "memory"], default="tcp")
    parser.add_argument("--first", choices=["same", "small"], default="same", help="what runs before the clock")
    parser.add_argument("--data", help="a file of numpy, with x and y, for cancer")
    parser.add_argument("--reps", type=int, default=5)
    a = parser.parse_args()
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

    import spu

    sizes = [int(v) for v in a.n.split(",")]
    found = {"peer": f"spu {spu.__version__} {a.protocol} fm64", "op": a.op, "n": a.n, "link": a.link}
    if a.op == "share":
        walls = sharing(*sizes, a.reps)
        print(json.dumps(found | {"seconds": statistics.median(walls), "runs": walls}))
        return
    if a.op == "setup":
        walls, sent = set_up(a.protocol, sizes, a.reps)
    else:
        works = [shared(a.protocol, a.op, sizes, a.reps + (a.first == "same"), a.data)]
        if a.first == "small":
            works.insert(0, shared(a.protocol, "small", [16], FIRST))
        if a.link == "tcp":
            runs, found["peak_bytes"] = over_tcp(a.protocol, works)
        else:
            runs = in_memory(a.protocol, works)
        walls, sent = (values[-a.reps :] for values in figures(runs))
    total = round(statistics.mean(sent))
    print(json.dumps(found | {"seconds": statistics.median(walls), "runs": walls, "bytes_total": total}))


if __name__ == "__main__":
    main()
