"""Text back into loops: what a `LoopKernel` prints, read through `ast` and never executed."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NoReturn

from symgraph.codegen.loops import (
    Carry,
    Compute,
    Load,
    Loop,
    LoopKernel,
    Number,
    Operand,
    Param,
    Reduce,
    Statement,
    Store,
    Sweep,
    Value,
)
from symgraph.errors import ParseError, SymgraphError
from symgraph.graph.attributes import Reader, size_names
from symgraph.graph.dims import Dim, Size, parse_dim, symbol
from symgraph.graph.literals import is_constant, read_constant
from symgraph.graph.op import OPS, ConstantAttrs, Op
from symgraph.graph.quoting import LONGEST_QUOTE, TextReader, brief, first_line
from symgraph.graph.types import DType, TensorType, parse_type

FORM = (
    "a statement is v: type = array[…], v: type = op(…), v: type = reduce(op, …), v: type = carry(v, v) "
    "or array[…] = v"
)


def parse_loops(text: str) -> LoopKernel:
    """The kernel that the text says; ``parse_loops(str(kernel)) == kernel``, but for the user's lines.

    >>> kernel = parse_loops('''
    ... def double(x: f32[n], *, out: f32[n]):
    ...     for i in rows(n):
    ...         v0: f32 = x[i]
    ...         v1: f32 = multiply(v0, f32(2.0))
    ...         out[i] = v1
    ... ''')
    >>> kernel.rows, parse_loops(str(kernel)) == kernel
    ((Loop(variable=i, size=n),), True)

    Raises ParseError, with line and column, for any text that says no kernel; `verify_loops` tells whether what the
    kernel does makes sense.
    """
    try:
        return _Reader(text).kernel()
    except (RecursionError, MemoryError):
        raise ParseError("the text is too deeply nested") from None


class _Reader(TextReader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.sizes: dict[str, Size] = {}
        self.arrays: dict[str, Param] = {}
        self.values: dict[str, Value] = {}
        self.turning: dict[str, Size] = {}
        """The loop variables of the block that is read."""
        self.awaited: dict[str, tuple[Value, ast.expr]] = {}
        """What is carried on, by names that stand further below in the sweep."""

    def kernel(self) -> LoopKernel:
        match self.tree().body:
            case [ast.FunctionDef() as function]:
                return self.function(function)
        raise self.error("a kernel is one function, def kernel_0(…):", 1, None)

    def function(self, node: ast.FunctionDef) -> LoopKernel:
        args = node.args
        if node.returns is not None or node.decorator_list or getattr(node, "type_params", None):
            self.fail("a kernel is def name(parameters): without more", node)
        if args.posonlyargs or args.vararg or args.kwarg or args.defaults or any(args.kw_defaults):
            self.fail("parameters are name: type, and what is written after a star", node)
        reads = tuple(map(self.param, args.args))
        writes = tuple(map(self.param, args.kwonlyargs))
        *before, last = node.body
        once = tuple(self.statements(before))
        if not isinstance(last, ast.For):
            self.fail("the last part of a kernel is for i in rows(…):", last)
        rows = self.loops(last, "rows")
        body: list[Statement | Sweep] = []
        for part in last.body:
            if isinstance(part, ast.For):
                body.append(self.sweep(part))
            else:
                body += self.statements([part])
        return LoopKernel(node.name, reads, writes, once, rows, tuple(body))

    def param(self, arg: ast.arg) -> Param:
        name = arg.arg
        if name in self.arrays:
            self.fail(f"{brief(name)} is defined already", arg)
        if arg.annotation is None:
            self.fail(f"{brief(name)} needs its type: {name[:40]}: f32[n]", arg)
        self.learn(arg.annotation)
        self.arrays[name] = Param(name, self.type(arg.annotation))
        return self.arrays[name]

    def sweep(self, node: ast.For) -> Sweep:
        around = dict(self.turning)
        loops = self.loops(node, "sweep")
        made = Sweep(loops, tuple(self.statements(node.body)))
        for name, (_, place) in self.awaited.items():
            self.unknown("value", name, self.values, place)
        self.turning = around
        return made

    def loops(self, node: ast.For, kind: str) -> tuple[Loop, ...]:
        """What ``for i, j in rows(n, 3):`` says; the variables turn from here on."""
        match node:
            case ast.For(target, ast.Call(ast.Name(called), args, []), orelse=[]) if called == kind:
                pass
            case _:
                self.fail(f"a loop is for i, j in {kind}(n, m):", node)
        names = target.elts if isinstance(target, ast.Tuple) else [target]
        if not args and [name for name in names if isinstance(name, ast.Name) and name.id == "_"]:
            names = []
        if len(names) != len(args):
            self.fail(f"{len(names)} variables turn, and {len(args)} sizes are given", node)
        for arg in args:
            self.learn(arg)
        sizes = [self.dim(arg) for arg in args]
        return tuple(Loop(self.variable(name), size) for name, size in zip(names, sizes, strict=True))

    def variable(self, node: ast.expr) -> Size:
        if not isinstance(node, ast.Name):
            self.fail("a loop variable is a name", node)
        name = node.id
        if name in self.sizes or name in self.turning:
            self.fail(f"{brief(name)} is {'a size' if name in self.sizes else 'turning'} already", node)
        self.turning[name] = self.symbol(name, node)
        return self.turning[name]

    # Statements

    def statements(self, nodes: Iterable[ast.stmt]) -> Iterator[Statement]:
        for node in nodes:
            match node:
                case ast.AnnAssign(ast.Name(name), annotation, ast.expr() as value, simple=1):
                    yield self.assigned(name, annotation, value, node)
                case ast.Assign([ast.Subscript(ast.Name(name), index)], value):
                    param = self.array(name, node)
                    yield Store(param, self.index(index), self.operand(value))
                case ast.Assign([ast.Name(name)]):
                    self.fail(f"{brief(name)} needs its type: {name[:40]}: f32 = …", node)
                case ast.Pass():
                    pass
                case _:
                    self.fail(FORM, node)

    def assigned(self, name: str, annotation: ast.expr, value: ast.expr, node: ast.AST) -> Statement:
        if name in self.values:
            self.fail(f"{brief(name)} is defined already", node)
        type = self.type(annotation)
        if type.shape:
            self.fail(f"{brief(name)} is one element: its type is {type.dtype.short}, not {type}", annotation)
        target = Value(name, type.dtype)
        made: Statement
        match value:
            case ast.Subscript(ast.Name(array), index):
                made = Load(target, self.array(array, value), self.index(index))
            case ast.Call(ast.Name("reduce"), [ast.Name(reducing), arg], []):
                made = Reduce(target, self.op(reducing, value), self.operand(arg))
            case ast.Call(ast.Name("carry"), [first, after], []):
                made = Carry(target, self.operand(first), self.carried_on(after, type.dtype))
            case ast.Call(ast.Name(called), args, keywords) if not is_constant(value):
                op = self.op(called, value)
                if not op.elementwise:
                    self.fail(f"{called} computes more than an element of elements", value)
                operands = tuple(map(self.operand, args))
                found = self.attributes(op, keywords, value, Reader(self.sizes, {}))
                attrs = op.attrs(**found) if op.attrs is not None else None
                made = Compute(target, op, operands, attrs)
            case _:
                self.fail(FORM, node)
        self.values[name] = target
        if name in self.awaited:
            awaited, place = self.awaited.pop(name)
            if awaited != target:
                self.fail(f"{brief(name)} is {target.row.short}, and carried as {awaited.row.short}", place)
        return made

    def carried_on(self, node: ast.expr, row: DType) -> Operand:
        """What a turn gives to the next, which is of this dtype where the turn has not come to it yet."""
        match node:
            case ast.Name(name) if name not in self.values:
                return self.awaited.setdefault(name, (Value(name, row), node))[0]
        return self.operand(node)

    def op(self, name: str, node: ast.AST) -> Op:
        if name not in OPS:
            self.unknown("op", name, OPS, node)
        return OPS[name]

    def operand(self, node: ast.expr) -> Operand:
        match node:
            case ast.Name(name):
                if name not in self.values:
                    self.unknown("value", name, self.values, node)
                return self.values[name]
            case ast.Call() if is_constant(node):
                try:
                    number = read_constant(node, lambda digest: None)
                except SymgraphError as error:
                    self.fail(first_line(error), node)
                assert isinstance(number.attrs, ConstantAttrs)
                if number.attrs.value.ndim:
                    self.fail(f"a number has no axes, and this is {number.type}", node)
                return Number(number.row, number.attrs.value[()])
        self.fail("an input is a name or a number; every op and every load has a statement of its own", node)

    def array(self, name: str, node: ast.AST) -> Param:
        if name not in self.arrays:
            self.unknown("array", name, self.arrays, node)
        return self.arrays[name]

    def index(self, node: ast.expr) -> tuple[Dim, ...]:
        parts = node.elts if isinstance(node, ast.Tuple) else [node]
        for part in parts:
            for name in size_names(part):
                if name not in self.sizes and name not in self.turning:
                    self.unknown("size or loop variable", name, [*self.sizes, *self.turning], part)
        return tuple(map(self.dim, parts))

    # Types and sizes

    def type(self, node: ast.expr) -> TensorType:
        try:
            type = parse_type(node)
        except SymgraphError as error:
            self.fail(first_line(error), node)
        if not isinstance(type, TensorType):
            self.fail("a type of one array is expected", node)
        return type

    def dim(self, node: ast.expr) -> Dim:
        try:
            return parse_dim(node)
        except SymgraphError as error:
            self.fail(first_line(error), node)

    def learn(self, node: ast.expr) -> None:
        """The names in a type, or in the size of a loop, are sizes."""
        for name in size_names(node):
            self.sizes[name] = self.symbol(name, node)

    def symbol(self, name: str, node: ast.AST) -> Size:
        try:
            return symbol(name)
        except SymgraphError as error:
            self.fail(error, node)

    # Errors

    def unknown(self, what: str, name: str, known: Iterable[str], node: ast.AST) -> NoReturn:
        names = ", ".join(known)
        hint = f"; there are {names}" if 0 < len(names) <= LONGEST_QUOTE else ""
        self.fail(f"there is no {what} called {brief(name)}{hint}", node)
