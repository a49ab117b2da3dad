from __future__ import annotations


def lower(frozen, title, refs, spec, schema):
    raise NotImplementedError
