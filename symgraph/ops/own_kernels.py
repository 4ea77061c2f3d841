"""The user's own kernels in CUDA C, as ops; `symgraph.runtime.cuda_own` launches them."""

from __future__ import annotations

import ast
import inspect
import keyword
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgraph.errors import DeviceError, GraphError, ShapeError, SymgraphError
from symgraph.graph.dims import parse_dim
from symgraph.graph.node import located
from symgraph.graph.op import Op
from symgraph.graph.origin import user_frame
from symgraph.graph.types import DType, TensorType, dtype
from symgraph.ops.own import checked, typed
from symgraph.ops.own_op import OwnOp, enter, name_of
from symgraph.ops.type_rules import Pattern, TypeRule

_C_TYPES: Mapping[str, str] = {
    "bool": "bool", "int8": "signed char", "uint8": "unsigned char", "int16": "short", "uint16": "unsigned short",
    "int32": "int", "uint32": "unsigned int", "int64": "long long", "uint64": "unsigned long long",
    "float16": "unsigned short", "bfloat16": "unsigned short", "float32": "float", "float64": "double",
}  # fmt: skip
"""What an element is in C; of a 16-bit float its bits."""
_WORDS = {
    "unsigned": "unsigned int",
    "long long int": "long long",
    "unsigned long long int": "unsigned long long",
}

Extent = int | str
Grid = Extent | tuple[Extent, ...] | Callable[..., int | tuple[int, ...]]
"""How many blocks there are: ints, and expressions of sizes as text, along one or two axes; or a function of sizes."""


@dataclass(frozen=True, slots=True)
class KernelParameter:
    """What a kernel is given: an array by its place among inputs and result, or a size by its name."""

    name: str
    array: int | None


@dataclass(slots=True, eq=False, repr=False)
class KernelOp(Op):
    """An op that a kernel in CUDA C computes."""

    place: str = ""
    source: str = ""
    function: str = ""
    parameters: tuple[KernelParameter, ...] = ()
    wide: bool = False
    """Whether sizes have 64 bits."""
    block: int = 1
    grid: Callable[[Mapping[str, int]], tuple[int, int]] | None = None
    rule: TypeRule | None = None

    def sizes(self, shapes: Sequence[tuple[int, ...]]) -> Mapping[str, int]:
        """The sizes of the rule by their names, given the shapes of the inputs."""
        assert self.rule is not None
        rows = [each.dtype for each in self.rule.takes]
        types = [
            TensorType(row, shape) for row, shape in zip(rows, shapes, strict=True) if isinstance(row, DType)
        ]
        return {name: int(size) for name, size in self.rule.bind(types, {}).sizes.items()}


def cuda_kernel(
    source: str,
    function: str,
    *,
    result: str,
    grid: Grid,
    block: int = 256,
    numpy: Callable[..., Any] | None = None,
    name: str | None = None,
    vjp: Callable[..., Any] | None = None,
) -> OwnOp:
    """Make an op of a kernel in CUDA C, which a GPU runs, and with ``device="cuda-sim"`` the emulator.

    ``source`` has ``extern "C" __global__ void function(…)``, whose parameters are pointers to the inputs, then one to
    the result, then the sizes that it asks for, by the names that ``result`` has for them: all ``int``, or all
    ``long long``. ``result`` is the type rule, as of `python_op`, with dtypes by name, one result and no size that the
    data decide. ``grid`` says how many blocks of ``block`` threads there are: ``"(n + 255) // 256"``, a pair of these,
    or a function that is given the sizes by name. Arrays lie in order and begin at a multiple of 16 bytes; the kernel
    writes every element of its result. It includes no headers, and has shared memory of a size that the text says.

    ``numpy`` is what the op means on other devices, where without it a call is an error.

    >>> scale = cuda_kernel(
    ...     '''
    ...     extern "C" __global__ void twice(const float* x, float* y, int n) {
    ...         int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...         if (i < n) y[i] = 2 * x[i];
    ...     }
    ...     ''',
    ...     "twice",
    ...     result="f32[n] -> f32[n]",
    ...     grid="(n + 255) // 256",
    ...     numpy=lambda x: 2 * x,
    ... )
    >>> evaluate(scale(np.float32([1, 2])))
    array([2., 4.], dtype=float32)

    Raises GraphError for a source that has no such kernel or whose parameters do not fit the rule, and for a name that
    is taken by another op; DeviceError with the user's line where a compiler refuses the source, and where there is no
    ``numpy`` and no device that runs it.
    """
    frame = user_frame()
    own, place = name_of(cuda_kernel, name if name is not None else function), _line_of(frame)
    try:
        rule = _plain_rule(result)
        parameters, wide = _kernel_parameters(source, function, rule)
        if not isinstance(block, int) or not 1 <= block <= 1024:
            raise GraphError(f"a block has 1 to 1024 threads, not {block!r}")
        grid_of = _grid(grid, sorted(rule.names))
    except SymgraphError as error:
        raise located(type(error)(f"{own} ({place}): {error}"), []) from None
    meaning = numpy if numpy is not None else _missing(own, place, rule)
    shown = _shown(parameters[: len(rule.takes)], meaning, own, frame)
    op = KernelOp(
        own,
        infer=lambda *types: rule.types(types, {}),
        numpy=checked(meaning, rule, own, place) if numpy is not None else meaning,
        place=place,
        source=textwrap.dedent(source.strip("\n")),
        function=function,
        parameters=parameters,
        wide=wide,
        block=block,
        grid=grid_of,
        rule=rule,
    )
    made = enter(OwnOp(op, shown, place, typed(rule)))
    return made.vjp(vjp) if vjp is not None else made


def _line_of(frame: Any) -> str:
    from_file = frame.f_code.co_filename.rpartition("/")[2] if frame is not None else "an unknown file"
    return f"{from_file}:{frame.f_lineno}" if frame is not None else from_file


def _plain_rule(text: str) -> TypeRule:
    rule = TypeRule(text)
    if not rule.is_single or rule.new:
        raise GraphError(f"a kernel has one result, of sizes that its inputs have: {text!r}")
    for each in (*rule.takes, *rule.gives):
        if not isinstance(each.dtype, DType) or None in each.sizes or each.dtype.is_complex:
            raise GraphError(f"a kernel has real dtypes and ranks that are known: {each.text}")
    return rule


def _kernel_parameters(
    source: str, function: str, rule: TypeRule
) -> tuple[tuple[KernelParameter, ...], bool]:
    """The parameters, and whether sizes among them have 64 bits."""
    plain = re.sub(r"//[^\n]*|/\*.*?\*/", " ", source, flags=re.DOTALL)
    if not re.fullmatch(r"[A-Za-z_]\w*", function, re.ASCII):
        raise GraphError(f"{function!r} is no name of a function in C")
    head = rf'extern\s*"C"[^;{{}}]*?__global__[^;{{}}]*?\bvoid\b[^;{{}}]*?\b{function}\s*\(([^()]*)\)\s*\{{'
    found = re.search(head, plain)
    if found is None:
        raise GraphError(f'its source has no extern "C" __global__ void {function}(…) {{ … }}')
    given = [each.strip() for each in found[1].split(",") if each.strip()]
    arrays: list[tuple[Pattern, bool]] = [*((each, False) for each in rule.takes), (rule.gives[0], True)]
    names = rule.names
    if len(given) < len(arrays):
        raise GraphError(f"{function} has {len(given)} parameters, and its rule {len(arrays)} arrays")
    made, kinds = [], set()
    for place, text in enumerate(given):
        kind, name = _declared_as(text)
        if place < len(arrays):
            pattern, is_written = arrays[place]
            assert isinstance(pattern.dtype, DType)
            wanted = f"{'' if is_written else 'const '}{_C_TYPES[pattern.dtype.name]}*"
            if kind != wanted:
                raise GraphError(f"the parameter {text!r} of {function} is {wanted} for {pattern.text}")
            made.append(KernelParameter(name, place))
        else:
            if kind not in ("int", "long long") or name not in names:
                sizes = ", ".join(sorted(names)) or "none"
                raise GraphError(
                    f"the parameter {text!r} of {function} is no int or long long; the sizes are {sizes}"
                )
            kinds.add(kind)
            made.append(KernelParameter(name, None))
    if len(kinds) > 1:
        raise GraphError(f"the sizes of {function} are all int, or all long long")
    return tuple(made), "long long" in kinds


def _declared_as(text: str) -> tuple[str, str]:
    """The type of a parameter without its qualifiers but const in front, and its name."""
    found = re.fullmatch(r"(.*?)(\w+)", text.strip(), re.DOTALL)
    if found is None:
        raise GraphError(f"the parameter {text!r} has no name")
    words = re.sub(r"\b__restrict__\b|\brestrict\b", " ", found[1])
    is_pointer, is_const = "*" in words, re.search(r"\bconst\b", words.partition("*")[0]) is not None
    base = " ".join(re.sub(r"\bconst\b|\*", " ", words).split())
    base = _WORDS.get(base, base)
    return (f"{'const ' * is_const}{base}*" if is_pointer else base), found[2]


def _grid(grid: Grid, names: Sequence[str]) -> Callable[[Mapping[str, int]], tuple[int, int]]:
    """The blocks along two axes, from sizes by name."""
    if callable(grid):
        chosen = grid
        return lambda sizes: _pair(chosen(**{name: sizes[name] for name in names}))
    parts = grid if isinstance(grid, tuple) else (grid,)
    if not 1 <= len(parts) <= 2:
        raise GraphError("a grid has one or two axes")
    trees = [_extent(part, names) for part in parts]
    return lambda sizes: _pair(tuple(parse_dim(tree, sizes) for tree in trees))  # type: ignore[arg-type]


def _extent(part: Extent, names: Sequence[str]) -> ast.expr:
    try:
        tree = ast.parse(str(part), mode="eval").body
        parse_dim(tree, dict.fromkeys(names, 1))  # type: ignore[arg-type]
    except (SyntaxError, ShapeError) as error:
        raise GraphError(f"{part!r} is no number of blocks: {error}") from None
    except ZeroDivisionError:
        pass  # which other sizes need not do
    unknown = {each.id for each in ast.walk(tree) if isinstance(each, ast.Name)} - {*names, "min", "max"}
    if unknown:
        raise GraphError(f"{part!r} is no number of blocks: there is no size {min(unknown)}")
    return tree


def _pair(found: Any) -> tuple[int, int]:
    across, *down = found if isinstance(found, tuple) else (found,)
    return int(across), int(down[0]) if down else 1


def _missing(name: str, place: str, rule: TypeRule) -> Callable[..., Any]:
    """The meaning of a kernel that has none in NumPy."""

    def meaning(*arrays: Any) -> Any:
        rule.bind([TensorType(dtype(x.dtype), x.shape) for x in arrays], {})
        failed = sys.exc_info()[1]
        if isinstance(failed, SymgraphError) and getattr(failed, "kernel", None) == name:
            raise failed  # of a device, whose step is looked at again
        raise DeviceError(
            f'{name} ({place}) is a CUDA kernel and has no NumPy meaning: run it with Options(device="cuda") or '
            '"cuda-sim", or give it numpy='
        )

    return meaning


def _shown(parameters: Sequence[KernelParameter], meaning: Callable[..., Any], name: str, frame: Any) -> Any:
    """What stands for the function of the op: its parameters are the inputs of the kernel."""

    def shown(*arrays: Any) -> Any:
        return meaning(*arrays)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = [f"{each.name}_" if keyword.iskeyword(each.name) else each.name for each in parameters]
    rows = [inspect.Parameter(each, kind) for each in names]
    shown.__signature__ = inspect.Signature(rows)  # type: ignore[attr-defined]
    shown.__name__, shown.__doc__ = name, meaning.__doc__
    shown.__module__ = frame.f_globals.get("__name__", "") if frame is not None else ""
    return shown
