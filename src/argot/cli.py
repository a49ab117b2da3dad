"""The command line: `argot --help`. What a command needs is imported when it is called."""

from __future__ import annotations

import json
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from .errors import ArgotError, MissingExtra

app = typer.Typer(
    name="argot",
    help="Privacy computing: several institutions, one computation, nobody's data leaves.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
agent = typer.Typer(help="One party's agent: make it, show its fingerprint, start it.", no_args_is_help=True)
user = typer.Typer(help="Users, who drive jobs from their own machines.", no_args_is_help=True)
bench = typer.Typer(help="Measure one operation; prints one JSON object with --json.", no_args_is_help=True)
app.add_typer(agent, name="agent")
app.add_typer(user, name="user")
app.add_typer(bench, name="bench")

Directory = Annotated[Path, typer.Option("--dir", help="Where its key, configuration, journal and logs are.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Name = Annotated[str, typer.Option(help="Letters, digits, '-' and '_'.")]
Reps = Annotated[int, typer.Option(min=1, help="The median of so many runs, after one that does not count.")]
Protocol = Annotated[str, typer.Option(help="The protocol of the device; a wrong name lists all.")]


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(metadata.version("argot"))
        raise typer.Exit


@app.command()
def version() -> None:
    """Print the version."""
    print(metadata.version("argot"))


@agent.command("init")
def agent_init(
    name: Name,
    directory: Directory,
    listen: Annotated[str, typer.Option(help="host:port; port 0 takes a free one.")] = "127.0.0.1:9000",
) -> None:
    """Make a key and a configuration that refuses everything until you fill it in; print the fingerprint."""
    from .agent.setup import init_agent

    identity, path = init_agent(name, directory, listen)
    print(f"{name}: {identity.fingerprint}\nwritten: {path}")


@agent.command("show")
def agent_show(directory: Directory) -> None:
    """Print the fingerprint that others pin."""
    from .keys import Identity

    print(Identity.load(directory).fingerprint)


@agent.command("start")
def agent_start(config: Annotated[Path, typer.Option(help="What `argot agent init` wrote, filled in.")]) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    from .agent.deployed import start

    start(config)


@agent.command("check-journal")
def agent_check_journal(directory: Directory) -> None:
    """Check that no line of the journal of opened values was changed or removed."""
    from .agent.journal import verify

    print(f"{verify(directory / 'journal.jsonl')} entries, chain intact")


@user.command("init")
def user_init(
    name: Name, party: Annotated[str, typer.Option(help="For which the user acts.")], directory: Directory
) -> None:
    """Make a key and a federation.toml to fill in; print the fingerprint for the agents' configurations."""
    from .agent.setup import init_user

    identity, path = init_user(name, party, directory)
    print(f"{name}: {identity.fingerprint}\nwritten: {path}")


@app.command()
def demo(
    rows: Annotated[int | None, typer.Option(help="A synthetic credit case of this size.", min=50)] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training rows.")] = 20,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows of one step of the training.")] = 64,
    protocol: Protocol = "aby3",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures here.")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", help="Write the page here; argot-demo.html.")] = None,
    quiet: Annotated[bool, typer.Option(help="Print nothing; the files are written all the same.")] = False,
) -> None:
    """Two institutions train one model on their joined tables, on this machine: three agents, TLS, real protocols."""
    from .demo.command import demo as run

    run(rows, epochs, batch_size, protocol, json_file, html_file, quiet)


@bench.command("mpc")
def bench_mpc(
    op: Annotated[str, typer.Option(help="Such as mul, less, sigmoid, matmul; a wrong name lists all.")],
    n: Annotated[str, typer.Option(help="Elements; M,K,N for matmul.")],
    protocol: Protocol = "aby3",
    ring: Annotated[int, typer.Option(help="32, 64 or 128 bits.")] = 64,
    reps: Reps = 5,
    bounds: Annotated[str | None, typer.Option(help="A promise: LIMIT for |x| < LIMIT, or LOW,HIGH.")] = None,
    rest: Annotated[
        float, typer.Option(min=0, help="Seconds before each run in which parties may make correlations ahead.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """An operation on secrets. Relative errors are those of values above 1e-3 in magnitude, and of 1e-3 below."""
    from .bench.mpc import bench as run

    _print(run(protocol, op, n, reps, bounds, ring, rest), as_json)


@bench.command("psi")
def bench_psi(
    n: Annotated[int, typer.Option(min=2, help="Rows of each file; half of them are in both.")],
    reps: Reps = 5,
    as_json: AsJson = False,
) -> None:
    """A private set intersection of two files of n ids."""
    from .bench.psi import bench as run

    _print(run(n, reps), as_json)


@bench.command("lr")
def bench_lr(
    rows: Annotated[int, typer.Option(min=2, help="Rows of the synthetic table.")],
    cols: Annotated[int, typer.Option(min=2, help="Its columns, half of them of each owner.")],
    batch: Annotated[int, typer.Option(min=1, help="Rows of one step.")] = 1024,
    reps: Reps = 5,
    protocol: Protocol = "aby3",
    as_json: AsJson = False,
) -> None:
    """One epoch of logistic regression."""
    from .bench.lr import bench as run

    _print(run(rows, cols, batch, reps, protocol), as_json)


@bench.command("mlp")
def bench_mlp(
    rows: Annotated[int, typer.Option(min=1, help="Synthetic images.")],
    batch: Annotated[int, typer.Option(min=1, help="Rows of one step.")] = 128,
    reps: Reps = 5,
    protocol: Protocol = "aby3",
    as_json: AsJson = False,
) -> None:
    """One epoch of a network of 784 - 128 - 128 - 10 on one party's images and another's labels."""
    from .bench.mlp import bench as run

    _print(run(rows, batch, reps, protocol), as_json)


@bench.command("infer")
def bench_infer(
    rows: Annotated[int, typer.Option(min=1, help="Synthetic images.")] = 128,
    reps: Reps = 5,
    protocol: Protocol = "aby3",
    as_json: AsJson = False,
) -> None:
    """Scores of one party's images by another's network of 784 - 128 - 128 - 10."""
    from .bench.mlp import infer as run

    _print(run(rows, reps, protocol), as_json)


@bench.command("cancer")
def bench_cancer(
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the rows.")] = 10,
    batch: Annotated[int, typer.Option(min=1, help="Rows of one step.")] = 64,
    reps: Reps = 5,
    protocol: Protocol = "aby3",
    as_json: AsJson = False,
) -> None:
    """Logistic regression on the breast cancer data of scikit-learn: 569 rows, 30 columns of two owners."""
    from .bench.cancer import bench as run

    _print(run(epochs, batch, reps, protocol), as_json)


@bench.command("setup")
def bench_setup(reps: Reps = 5, protocol: Protocol = "cheetah", as_json: AsJson = False) -> None:
    """What the first small comparisons of a new device take more than later ones: keys, and correlations in bulk."""
    from .bench.setup import bench as run

    _print(run(reps, protocol), as_json)


@bench.command("share")
def bench_share(
    n: Annotated[int, typer.Option(min=1, help="Reals of one party.")],
    reps: Reps = 5,
    protocol: Protocol = "aby3",
    as_json: AsJson = False,
) -> None:
    """A party's array becomes shares at all parties."""
    from .bench.share import bench as run

    _print(run(n, reps, protocol), as_json)


@bench.command("overhead")
def bench_overhead(as_json: AsJson = False) -> None:
    """The engine without arithmetic: microseconds per message, equation and round."""
    from .bench.overhead import bench as run

    _print(run(), as_json)


def _print(found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found))
        return
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {value}")


def main() -> None:
    """The entry point: errors of this project are printed, not traced."""
    try:
        app()
    except ArgotError as error:
        _give_up(error)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "argot":
            raise
        _give_up(MissingExtra(f"this needs {error.name}", todo="pip install 'argot[lab]'"))


def _give_up(error: ArgotError) -> NoReturn:
    print(f"argot: {error}", file=sys.stderr)
    raise SystemExit(1) from None
