"""`argot.local("alice", "bob", "carol")`: one agent process a party on this machine, and a driver trusted by all."""

from __future__ import annotations

READY_SECONDS = 30.0
