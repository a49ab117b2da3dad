"""What an agent agrees to. Each agent decides for itself; everything that is not listed is refused."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import Protocol

from ..config import AgentConfig, User
from ..devices.schema import Schema, Table, Tensor, leaves
from ..errors import ArgotError, PermissionRefused
from ..graph.lineage import table_of
from ..graph.node import Node
from .failures import public
from .journal import Journal
from .sources import key_columns


class Policy(Protocol):
    """Checks before a node is agreed to, and again when its inputs exist. Raises PermissionRefused."""

    code: str

    def check(self, node: Node, user: User | None, name: str) -> None: ...

    def check_inputs(self, node: Node, schemas: list[Schema | None]) -> None: ...

    def check_saved(self, title: str, user: User | None, name: str) -> None: ...


class Open:
    """The policy of an agent that `argot.local` started: the driver acts for everybody."""

    code = "any"

    def check(self, node: Node, user: User | None, name: str) -> None:
        pass

    def check_inputs(self, node: Node, schemas: list[Schema | None]) -> None:
        pass

    def check_saved(self, title: str, user: User | None, name: str) -> None:
        pass


class Configured:
    """The policy of a deployed agent, from its configuration."""

    code = "installed"

    def __init__(self, config: AgentConfig, journal: Journal) -> None:
        self.config, self.policy, self.me, self.journal = config, config.policy, config.name, journal
        self._intersections: dict[str, int] = {}  # by table: those that the journal has, and those admitted since

    def check(self, node: Node, user: User | None, name: str) -> None:
        """Everything that can be said before the inputs exist; `name` is the user's."""
        if user is None:
            raise self._no(node, "a node from somebody who is no user of this agent", "users")
        if node.device.kind in ("mpc", "psi", "outside"):
            self._check_device(node)
        if node.op == "call":
            self._check_function(node, user, name)
        if node.op == "table" and node.title not in self.config.tables:
            raise self._no(node, f"the table {node.title!r}", "tables", sorted(self.config.tables))
        if node.op in ("save", "load", "delete"):
            self.check_saved(node.title, user, name, node)
        if node.op == "psi":
            others = [party for party in node.device.parties[:2] if party != self.me]
            if self.me in node.device.parties[:2] and not set(others) <= set(self.policy.psi_with):
                raise self._no(node, f"an intersection with {', '.join(others)}", "policy.psi_with")

    def check_saved(self, title: str, user: User | None, name: str, node: Node | None = None) -> None:
        """Whether this user may keep, load or delete what has this name."""
        patterns = () if user is None else user.saved
        if not any(fnmatchcase(title, pattern) for pattern in patterns):
            raise self._no(node, f"the saved value {title!r} to {name}", f"users.{name}.saved", patterns)

    def check_inputs(self, node: Node, schemas: list[Schema | None]) -> None:
        """What depends on the sizes of inputs. `schemas` has None for inputs that are not here."""
        if node.op == "reveal":
            self._check_reveal(node, schemas)
        if node.op == "psi" and self.me in node.device.parties[:2]:
            self._check_psi(node, schemas)

    def _check_device(self, node: Node) -> None:
        described = describe_device(node)
        if not any(fnmatchcase(described, pattern) for pattern in self.policy.devices):
            raise self._no(node, f"the device {described}", "policy.devices", self.policy.devices)
        for origin in self._used(node):
            self._check_column(node, origin, described)

    def _used(self, node: Node) -> set[str]:
        """The columns a device computes on: of an intersection only the keys."""
        if node.op == "psi":
            keys = zip(node.inputs, key_columns(node), strict=True)
            return {f"{table_of(binding)}.{name}" for binding, names in keys for name in names}
        return {origin for binding in node.inputs for origin in binding.origins}

    def _check_column(self, node: Node, origin: str, described: str) -> None:
        """An owner's table or column may be limited to some devices."""
        owner, _, rest = origin.partition(":")
        table, _, column = rest.partition(".")
        source = self.config.tables.get(table)
        if owner != self.me or source is None:
            return
        columns = source.column_devices
        limits = [
            source.devices,
            *([columns[column]] if column in columns else columns.values() if column == "*" else ()),
        ]
        for patterns in limits:
            if not any(fnmatchcase(described, pattern) for pattern in patterns):
                raise self._no(node, f"{origin} on the device {described}", f"tables.{table}.devices", patterns)

    def _check_function(self, node: Node, user: User, name: str) -> None:
        if node.body[:1] != b"I":
            raise self._no(node, "code from the driver", "code", ['"installed", functions by name'])
        for rule, patterns in (("functions", self.config.functions), (f"users.{name}.functions", user.functions)):
            if patterns is not None and not any(fnmatchcase(node.title, pattern) for pattern in patterns):
                raise self._no(node, f"the function {node.title}", rule, patterns)

    def _check_reveal(self, node: Node, schemas: list[Schema | None]) -> None:
        """By what this agent knows of the value, by what the node says where it is not here."""
        found = [
            binding.schema if schema is None else schema for binding, schema in zip(node.inputs, schemas, strict=True)
        ]
        if None in found:
            raise self._no(node, "a reveal of something of unknown size", "policy.reveal")
        elements = sum(count_elements(schema) for schema in found if schema is not None)
        recipients = {party for output in node.outputs for party in output.recipients}
        origins = sorted({origin for binding in node.inputs for origin in binding.origins})
        for recipient in sorted(recipients):
            for origin in origins:
                if not any(rule.allows(recipient, origin, elements) for rule in self.policy.reveal):
                    raise self._no(
                        node, f"a reveal of {elements} elements from {origin} to {recipient}", "policy.reveal"
                    )

    def _check_psi(self, node: Node, schemas: list[Schema | None]) -> None:
        for binding, schema in zip(node.inputs, schemas, strict=True):
            if binding.owner != self.me or schema is None:
                continue
            rows = count_rows(schema)
            if rows > self.policy.psi_max_rows:
                raise self._no(
                    node,
                    "an intersection of a table above psi_max_rows",
                    "policy.psi_max_rows",
                    [str(self.policy.psi_max_rows)],
                )
            table = table_of(binding)
            begun = self._intersections.setdefault(table, self.journal.count("psi started", table=table))
            self._intersections[table] += begun < self.policy.psi_runs_per_table  # now: others may be under way
            if begun >= self.policy.psi_runs_per_table:
                raise self._no(
                    node,
                    f"another intersection of {table}",
                    "policy.psi_runs_per_table",
                    [str(self.policy.psi_runs_per_table)],
                )

    def _no(self, node: Node | None, what: str, rule: str, allowed: list[str] | tuple[str, ...] = ()) -> ArgotError:
        return public(
            PermissionRefused(
                f"{self.me} does not allow {what} (rule {rule})",
                wanted=f"what [{rule}] of {self.me} lists" + (f": {', '.join(allowed)}" if allowed else ""),
                todo=f"ask the administrator of {self.me}",
                party=self.me,
                node=None if node is None else node.name,
                where=None if node is None else node.where,
            )
        )


def describe_device(node: Node) -> str:
    """The form that patterns in policies match: "aby3(alice, bob, carol)", "semi2k(alice, bob, dealer=carol)",
    "psi(alice, bob, carol)", "aby3(alice, bob, carol, outside=dave)"."""
    return f"{node.device.protocol or node.device.kind}({node.device.members})"


def count_rows(schema: Schema) -> int:
    if isinstance(schema, Table):
        return schema.rows
    sizes = [leaf.shape[0] for _, leaf in leaves(schema) if isinstance(leaf, Tensor) and leaf.shape]
    return max(sizes, default=0)


def count_elements(schema: Schema) -> int:
    return sum(math.prod(leaf.shape) for _, leaf in leaves(schema) if isinstance(leaf, Tensor))
