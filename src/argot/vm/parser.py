"""Reads the printed form of a program: `parse(str(program)) == program`."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, NoReturn

import numpy as np

from ..errors import ProgramError
from .ir import NUMPY, PUBLIC, SECRET, WIRE, Block, Equation, Program, TensorType, Var, Visibility, private

_TOKEN = re.compile(
    r"""\s+|/\*.*?\*/|(?P<token>"(?:[^"\\]|\\.)*"|%\d+|-?\d[\w.+-]*|-?Infinity|NaN|\w+|[^\s\w])""", re.DOTALL
)


def parse(text: str) -> Program:
    """The program that `text` shows. Raises ProgramError with the line that cannot be read.

    The result is not checked (`check.check`): the parser accepts any well-formed text.
    """
    return _Parser(text).program()


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, int]] = []
        line = 1
        for match in _TOKEN.finditer(text):
            if match["token"]:
                self.tokens.append((match["token"], line))
            line += match[0].count("\n")
        self.at = 0

    def fail(self, wanted: str) -> NoReturn:
        token, line = self.tokens[self.at] if self.at < len(self.tokens) else ("the end", -1)
        raise ProgramError(f"line {line} of the program: {token!r}", wanted=wanted)

    def peek(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def expect(self, *wanted: str) -> None:
        for token in wanted:
            if self.peek() != token:
                self.fail(repr(token))
            self.at += 1

    def accept(self, token: str) -> bool:
        found = self.peek() == token
        self.at += found
        return found

    def integer(self) -> int:
        if not re.fullmatch(r"-?\d+", self.peek()):
            self.fail("an integer")
        return int(self.next())

    def string(self) -> str:
        if not self.peek().startswith('"'):
            self.fail("a string")
        return str(json.loads(self.next()))

    def program(self) -> Program:
        self.expect("program")
        name = self.string()
        self.expect("(")
        params, inputs = [], []
        while not self.accept(")"):
            params.append(self.var())
            inputs.append(self.string())
        self.expect("{")
        body = self.block(tuple(params), "}")
        if self.peek():
            self.fail("nothing after the program")
        return Program(name, tuple(inputs), body)

    def block(self, params: tuple[Var, ...], end: str) -> Block:
        equations = []
        while not self.accept("return"):
            equations.append(self.equation())
        results = self.names() if self.peek().startswith("%") else ()
        self.expect(end)
        return Block(params, tuple(equations), results)

    def equation(self) -> Equation:
        outputs = [self.var()]
        while self.accept(","):
            outputs.append(self.var())
        self.expect("=")
        op = self.next()
        inputs: tuple[int, ...] = ()
        if self.accept("("):
            inputs = self.names()
            self.expect(")")
        attrs: dict[str, Any] = {}
        if self.accept("{"):
            while not self.accept("}"):
                attr = self.next()
                self.expect("=")
                attrs[attr] = self.attr()
                self.accept(",")
        blocks = []
        while self.accept("["):
            self.expect("(")
            params = []
            while not self.accept(")"):
                params.append(self.var())
                self.accept(",")
            blocks.append(self.block(tuple(params), "]"))
        where = self.string() if self.accept("at") else ""
        return Equation(op, inputs, tuple(outputs), attrs, tuple(blocks), where)

    def names(self) -> tuple[int, ...]:
        found = [self.name()]
        while self.accept(","):
            found.append(self.name())
        return tuple(found)

    def name(self) -> int:
        if not self.peek().startswith("%"):
            self.fail("a value such as %3")
        return int(self.next()[1:])

    def var(self) -> Var:
        number = self.name()
        self.expect(":")
        dtype = self.next()
        if dtype not in NUMPY:
            self.fail(f"one of the dtypes {', '.join(NUMPY)}")
        self.expect("[")
        shape = []
        while not self.accept("]"):
            shape.append(self.integer())
            self.accept(",")
        return Var(number, TensorType(dtype, tuple(shape)), self.visibility())

    def visibility(self) -> Visibility:
        word = self.next()
        if word == "private":
            self.expect("(")
            rank = self.integer()
            self.expect(")")
            return private(rank)
        if word not in ("public", "secret"):
            self.fail("public, secret or private(rank)")
        return PUBLIC if word == "public" else SECRET

    def attr(self) -> Any:
        if self.accept("array"):
            return self.array()
        if self.accept("["):
            items = []
            while not self.accept("]"):
                items.append(self.attr())
                self.accept(",")
            return tuple(items)
        try:
            return json.loads(self.next())
        except ValueError:
            self.at -= 1
            self.fail("an attribute")

    def array(self) -> np.ndarray[Any, Any]:
        self.expect("(")
        dtype = self.string()
        self.expect(",")
        shape = self.attr()
        self.expect(",")
        data = self.string()
        self.expect(")")
        try:
            array = np.frombuffer(base64.b64decode(data), WIRE[dtype]).reshape(shape).copy()
        except (ValueError, TypeError, KeyError):
            self.fail("a constant array")
        array.setflags(write=False)
        return array
