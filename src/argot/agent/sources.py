"""The driver says where a node's outputs come from; every agent checks that it follows from the node itself."""

from __future__ import annotations

import msgspec

from ..errors import PermissionRefused
from ..graph.lineage import Source, of_outputs
from ..graph.node import Node
from . import bodies
from .failures import public


def key_columns(node: Node) -> tuple[tuple[str, ...], ...]:
    """The key columns of an intersection, by owner; () for anything else."""
    return msgspec.msgpack.decode(node.body, type=bodies.Psi).keys if node.op == "psi" else ()


def check(node: Node) -> None:
    """PermissionRefused for outputs that claim another origin than their inputs bring."""
    if node.op == "load":  # the saved file says; see ops/load.py
        return
    columns = msgspec.msgpack.decode(node.body, type=bodies.Table).columns if node.op == "table" else None
    found = of_outputs(node.op, node.device, node.title, node.inputs, key_columns(node), columns or ())
    said = [Source(output.origins, output.columns_of, output.columns) for output in node.outputs]
    if found != said:
        raise public(
            PermissionRefused(
                f"{node.name} claims that its results come from {said}",
                wanted=f"{found}, from its inputs",
                node=node.name,
                where=node.where,
            )
        )
