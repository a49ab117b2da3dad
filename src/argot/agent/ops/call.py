"""A Python function of the user at one party."""

from __future__ import annotations

import time
from typing import Any

from ...devices import plain, ranges
from ...devices.schema import Schema, describe, same, walk, with_ranges
from ...errors import InputError, PermissionRefused
from ..context import Context, Results
from ..failures import UserError, public
from ..wire import Usage


def prepare(context: Context) -> Any:
    """The function and its arguments. PermissionRefused for a pickle where only installed functions run."""
    node = context.node
    form, body = node.body[:1], node.body[1:]
    if form == b"P" and context.code != "any":  # the policy has said so already; this is the lock itself
        raise public(PermissionRefused(f"{context.me} runs no code from the driver (rule code)", party=context.me))
    inputs = [
        walk(entry.value, binding.path)
        for entry, binding in zip(context.inputs, node.inputs, strict=True)
        if entry is not None
    ]
    try:
        if form == b"P":
            function, arguments = plain.thaw(body)
        else:
            function, arguments = plain.load_installed(node.title), plain.unpack_arguments(body)
        args, kwargs = plain.fill(arguments, inputs)
    except Exception as error:  # modules that are missing here, errors in their import
        raise UserError(error, node.where) from None
    return function, args, kwargs


def execute(context: Context) -> Results:
    """Call it. Whatever it raises is wrapped, so that it is never taken for an error of the platform."""
    function, args, kwargs = context.prepared
    context.prepared = None
    start = time.perf_counter()
    try:
        value = function(*args, **kwargs)
    except BaseException as error:  # SystemExit and KeyboardInterrupt of the function included
        raise UserError(error, _place(function, context)) from None
    context.usage = Usage(seconds=time.perf_counter() - start)
    (output,) = context.node.outputs
    try:
        schema = _schema(value, output.schema)
    except InputError as error:
        raise UserError(error, _place(function, context)) from None
    return {output.object: (value, schema)}


def _schema(value: Any, declared: Schema | None) -> Schema:
    """The schema of a result, with the ranges that are declared of it. InputError for data outside of them.

    Of a result that is not what was declared only the true schema is given: whoever keeps it refuses it.
    """
    found = describe(value)
    if declared is None or not same(found, declared):
        return found
    ranges.check(value, declared)
    return with_ranges(found, declared)


def _place(function: Any, context: Context) -> str:
    """Where the submitted function begins: public, as it is the driver's own text."""
    code = getattr(function, "__code__", None)
    return f"{code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}" if code else context.node.where
