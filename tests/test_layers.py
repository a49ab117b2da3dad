"""The one rule of direction: a module imports only from lower layers, and only at the top of its file."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "argot"

LAYER = {
    "errors": 0,
    "_core": 0,
    "config": 1,
    "keys": 1,
    "runtime": 1,
    "mpc": 2,
    "he": 2,
    "tee": 2,
    "psi": 2,
    "dp": 2,
    "vm": 3,
    "devices": 4,
    "graph": 5,
    "agent": 6,
    "api": 7,
    "random": 8.0,
    "nn": 8.0,
    "order": 8.0,
    "frame": 8.0,
    "preprocessing": 8.1,
    "groups": 8.1,
    "stats": 8.15,  # checks labels as preprocessing does
    "linear": 8.2,  # algorithms stand on frames, preprocessing and metrics
    "service": 9,
    "demo": 9,
    "bench": 9,
    "cli": 10,
    "__main__": 11,
}

# Third parties that are heavy and optional: the only imports allowed inside functions.
HEAVY = {"jax", "pandas", "sklearn", "matplotlib", "narwhals", "pyarrow", "polars", "IPython", "cloudpickle"}

MODULES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


def package_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(node: ast.stmt, path: Path) -> list[str]:
    """The full names of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    if not node.level:
        base = node.module or ""
    else:
        here = ["argot", *path.relative_to(SOURCE).parent.parts]
        parent = here[: len(here) - node.level + 1]
        base = ".".join([*parent, *(node.module.split(".") if node.module else [])])
    return [f"{base}.{alias.name}" for alias in node.names] if base == "argot" else [base]


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_downwards(path):
    own = LAYER[package_of(path)]
    for node in ast.walk(ast.parse(path.read_text())):
        for name in imported(node, path):
            parts = name.split(".")
            if parts[0] != "argot":
                continue
            assert len(parts) > 1, f"{path}:{node.lineno} imports argot itself"
            other = parts[1]
            assert other in LAYER, f"{path}:{node.lineno} imports argot.{other}, which has no layer"
            same = other == package_of(path)
            assert same or LAYER[other] < own, f"{path}:{node.lineno} layer {own} imports argot.{other}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_stand_at_the_top(path):
    """Apart from heavy optional third parties, and the command line, which loads a command when it is called."""
    if package_of(path) == "cli":
        return
    tree = ast.parse(path.read_text())
    top = {id(n) for n in tree.body}
    for node in tree.body:
        if is_type_checking(node):
            top |= {id(n) for n in node.body}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in top:
            for name in imported(node, path):
                assert name.split(".")[0] in HEAVY, f"{path}:{node.lineno} imports {name} inside a block"
