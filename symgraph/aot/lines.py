"""The lines of one function of LLVM IR: what follows from its sizes alone, then its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce

from symgraph.graph.dims import (
    Call,
    Dim,
    Polynomial,
    Size,
    Symbol,
    broadcast,
    dim_floordiv,
    dim_isqrt,
    dim_max,
    dim_min,
    dim_mod,
    same,
)

REFUSED, OUTSIDE = "refused", "outside"
"""The labels of a function for sizes that do not fit, and for trouble that a step met."""


class Lines:
    """Steps as they are added, and words: registers of 64 bits whose values follow from the sizes that are given.

    Words stand before the steps. What they are is found at the end, when the places in memory are known too, that
    `symgraph.aot.rooms` has names for. Whether sizes fit is asked before all steps; what is asked `inside` a loop or a
    branch, where that is reached.
    """

    def __init__(self) -> None:
        self._steps: list[str] = []
        self._asked: dict[Dim, str] = {}
        self._equal: list[tuple[Dim, Dim]] = []
        self._least: list[tuple[Dim, int]] = []
        self._first: dict[Dim, None] = {}
        """What is asked for outside of loops and branches."""
        self._wrong: dict[Dim, str] = {}
        """What is asked for inside of some, and the bit that says whether it has no value."""
        self._depth = 0
        self._count = 0

    def emit(self, line: str) -> None:
        self._steps.append(f"  {line}")

    def named(self, instruction: str) -> str:
        """The register of what an instruction gives."""
        self._count += 1
        self.emit(f"%v{self._count} = {instruction}")
        return f"%v{self._count}"

    def label(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}"

    def begin(self, label: str) -> None:
        self._steps.append(f"{label}:")

    def word(self, dim: Dim) -> str:
        """The register, or the number, of what follows from sizes."""
        if isinstance(dim, int):
            return str(dim)
        if not self._depth:
            self._first[dim] = None
        elif may_fail(dim):
            self._refuse(self._wrong.setdefault(dim, f"%wrong{len(self._wrong)}"))
        return self._asked.setdefault(dim, f"%w{len(self._asked)}")

    def require_equal(self, a: Dim, b: Dim) -> None:
        """The function refuses sizes that make these two differ."""
        if same(a, b) is True:
            return
        if self._depth:
            self._refuse(self.named(f"icmp ne i64 {self.word(a)}, {self.word(b)}"))
        else:
            self._equal.append((a, b))

    def require_least(self, dim: Dim, least: int) -> None:
        """The function refuses sizes that make it smaller."""
        if isinstance(dim, int) and dim >= least:
            return
        if self._depth:
            self._refuse(self.named(f"icmp slt i64 {self.word(dim)}, {least}"))
        else:
            self._least.append((dim, least))

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What is added meanwhile may never run."""
        self._depth += 1
        yield
        self._depth -= 1

    def _refuse(self, bit: str) -> None:
        """Leave here where a bit is set."""
        well = self.label("fits")
        self.emit(f"br i1 {bit}, label %{REFUSED}, label %{well}")
        self.begin(well)

    def loop(self, turns: str, inside: Callable[[str, str], None]) -> str:
        """Steps that run for 0, 1, … below a word. They are told the number of the turn, and the label that they may
        leave for; after it the register of the number, which is given back, says how many turns there were."""
        before, head, turn, end, after = map(self.label, ("before", "head", "turn", "end", "after"))
        number, following = f"%{self.label('n')}", f"%{self.label('n')}"
        self.emit(f"br label %{before}")
        self.begin(before)
        self.emit(f"br label %{head}")
        self.begin(head)
        self.emit(f"{number} = phi i64 [ 0, %{before} ], [ {following}, %{end} ]")
        more = self.named(f"icmp slt i64 {number}, {turns}")
        self.emit(f"br i1 {more}, label %{turn}, label %{after}")
        self.begin(turn)
        inside(number, after)
        self.emit(f"br label %{end}")
        self.begin(end)
        self.emit(f"{following} = add i64 {number}, 1")
        self.emit(f"br label %{head}")
        self.begin(after)
        return number

    def text(self, given: Mapping[Size, str], places: Mapping[Size, Dim]) -> list[str]:
        """All lines: the words, a branch to `REFUSED` where sizes do not fit, and the steps. ``given`` are the
        registers of sizes, ``places`` what the names of places in memory became."""
        words = SizeWords(given, places)
        refusals = [words.differ(a, b) for a, b in self._equal]
        refusals += [words.below(dim, least) for dim, least in self._least]
        for dim, name in self._asked.items():
            words.lines.append(f"  {name} = add i64 {words.of(dim)}, 0")
        for dim, name in self._wrong.items():
            words.lines.append(f"  {name} = or i1 {words.any(words.wrong(dim))}, false")
        asked = [*self._first, *(x for pair in self._equal for x in pair), *(dim for dim, _ in self._least)]
        refusals += dict.fromkeys(bit for dim in asked for bit in words.wrong(dim))
        end = f"  br i1 {words.any(refusals)}, label %{REFUSED}, label %run"
        return [*words.lines, end, "run:", *self._steps]


def may_fail(dim: Dim) -> bool:
    """Whether a size may have no value, as a quotient by 0 and what broadcasts together."""
    if isinstance(dim, int):
        return False
    match dim.form:
        case Call(function=function, args=args):
            fails = function in (broadcast, dim_isqrt)
            fails = fails or (function in (dim_floordiv, dim_mod) and not isinstance(args[1], int))
            return fails or any(map(may_fail, args))
        case Polynomial(terms=terms):
            return any(may_fail(atom) for atoms, _ in terms for atom in atoms)
    return False


class SizeWords:
    """Instructions that compute sizes."""

    def __init__(self, given: Mapping[Size, str], places: Mapping[Size, Dim] | None = None) -> None:
        self.lines: list[str] = []
        self._wrong: dict[Dim, dict[str, None]] = {}
        self._bits: dict[str, None] = {}
        """Those of what is being computed."""
        self._known: dict[Size, str] = dict(given)
        self._places = places or {}
        self._count = 0

    def of(self, dim: Dim) -> str:
        """The register, or the number, of a size."""
        if isinstance(dim, int):
            return str(dim)
        if dim not in self._known:
            around, self._bits = self._bits, {}
            self._known[dim] = self._made(dim)
            self._wrong[dim], self._bits = self._bits, around
        self._bits |= self._wrong.get(dim, {})
        return self._known[dim]

    def wrong(self, dim: Dim) -> Iterable[str]:
        """Bits that are set where a size is computed of others that do not fit together."""
        self.of(dim)
        return self._wrong.get(dim, {})

    def differ(self, a: Dim, b: Dim) -> str:
        return self._named(f"icmp ne i64 {self.of(a)}, {self.of(b)}")

    def below(self, dim: Dim, least: int) -> str:
        return self._named(f"icmp slt i64 {self.of(dim)}, {least}")

    def any(self, bits: Iterable[str]) -> str:
        """Whether one of some bits is set."""
        found = "false"
        for bit in bits:
            found = self._named(f"or i1 {found}, {bit}")
        return found

    def _made(self, dim: Size) -> str:
        if dim in self._places:
            return self.of(self._places[dim])
        match dim.form:
            case Symbol(name=name):
                raise KeyError(name)
            case Polynomial(terms=terms):
                total = "0"
                for atoms, factor in terms:
                    product = str(factor)
                    for atom in atoms:
                        product = self._named(f"mul i64 {product}, {self.of(atom)}")
                    total = self._named(f"add i64 {total}, {product}")
                return total
            case Call(function=function, args=args):
                return _CALLS[function](self, [self.of(each) for each in args])
        raise AssertionError(dim)

    def _named(self, instruction: str) -> str:
        self._count += 1
        self.lines.append(f"  %s{self._count} = {instruction}")
        return f"%s{self._count}"

    def select(self, comparison: str, a: str, b: str, then: str, otherwise: str) -> str:
        bit = self._named(f"icmp {comparison} i64 {a}, {b}")
        return self._named(f"select i1 {bit}, i64 {then}, i64 {otherwise}")

    def larger(self, args: Sequence[str]) -> str:
        return reduce(lambda a, b: self.select("sgt", a, b, a, b), args)

    def smaller(self, args: Sequence[str]) -> str:
        return reduce(lambda a, b: self.select("slt", a, b, a, b), args)

    def quotient(self, args: Sequence[str]) -> str:
        """Rounded down, where processors round towards 0."""
        top, bottom = self._divisor(args)
        whole, rest = self._named(f"sdiv i64 {top}, {bottom}"), self._named(f"srem i64 {top}, {bottom}")
        signs = self._named(f"xor i64 {rest}, {bottom}")
        lower = self.select("slt", signs, "0", "-1", "0")
        return self._named(f"add i64 {whole}, {self.select('eq', rest, '0', '0', lower)}")

    def rest(self, args: Sequence[str]) -> str:
        """With the sign of what is divided by, as Python has it."""
        top, bottom = self._divisor(args)
        rest = self._named(f"srem i64 {top}, {bottom}")
        signs = self._named(f"xor i64 {rest}, {bottom}")
        more = self.select("slt", signs, "0", bottom, "0")
        return self._named(f"add i64 {rest}, {self.select('eq', rest, '0', '0', more)}")

    def _divisor(self, args: Sequence[str]) -> tuple[str, str]:
        top, bottom = args
        self._bits[self._named(f"icmp eq i64 {bottom}, 0")] = None
        return top, self.select("eq", bottom, "0", "1", bottom)

    def root(self, args: Sequence[str]) -> str:
        """Rounded down: Newton's method from above, some turns more than numbers of 62 bits need.

        The first is at least the root, and from there on every turn comes closer or stays.
        """
        (of,) = args
        self._bits[self._named(f"icmp slt i64 {of}, 0")] = None
        zeros = self._named(f"call i64 @llvm.ctlz.i64(i64 {of}, i1 false)")
        bits = self._named(f"sub i64 65, {zeros}")
        half = self._named(f"lshr i64 {bits}, 1")
        guess = self._named(f"shl i64 1, {half}")
        for _ in range(7):
            there = self._named(f"udiv i64 {of}, {guess}")
            mean = self._named(f"add i64 {guess}, {there}")
            guess = self.smaller([guess, self._named(f"lshr i64 {mean}, 1")])
        return guess

    def common(self, args: Sequence[str]) -> str:
        """The size that all are but those that are 1."""
        found = args[0]
        for each in args[1:]:
            found = self.select("eq", found, "1", each, found)
        for each in args:
            one, other = self._named(f"icmp ne i64 {each}, 1"), self._named(f"icmp ne i64 {each}, {found}")
            self._bits[self._named(f"and i1 {one}, {other}")] = None
        return found


_CALLS: dict[Callable[..., Dim], Callable[[SizeWords, Sequence[str]], str]] = {
    dim_floordiv: SizeWords.quotient,
    dim_mod: SizeWords.rest,
    dim_max: SizeWords.larger,
    dim_min: SizeWords.smaller,
    dim_isqrt: SizeWords.root,
    broadcast: SizeWords.common,
}
