"""Functions that call others, and memory: what is selected here has the bits of what LLVM selects."""

from __future__ import annotations

import ctypes
import re

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from symgraph.codegen.x86 import assembled
from symgraph.runtime.cpu import host
from tests.codegen.test_x86 import module
from tests.codegen.x86_text import Text, drawn, floats

pytestmark = pytest.mark.skipif(not host().is_assembled, reason="of x86 with AVX-512 on Linux")


def test_a_table():
    text = Text()
    text.body.declared.add("@some.numbers = private constant [3 x i32] [i32 7, i32 -9, i32 2147483647]")
    text.body.declared.add("@nothing = private constant [9 x double] zeroinitializer")
    for n in (0, 2, "%count"):
        place = text.named(f"getelementptr i32, ptr @some.numbers, i64 {n}")
        text.store(text.named(f"load i32, ptr {place}, align 4"), "i32", 0)
    is_some = text.named("icmp sgt i64 %count, 1")
    where = text.named(f"select i1 {is_some}, ptr @nothing, ptr %in")
    for n in (0, 8):
        place = text.named(f"getelementptr double, ptr {where}, i64 {n}")
        text.store(text.named(f"load double, ptr {place}, align 8"), "double", 0)

    text.check(drawn(0, 72), counts=range(3))


def test_words_that_threads_share():
    text = Text()
    text.lines("""
        store i64 5, ptr %out, align 8
        %before = atomicrmw add ptr %out, i64 %count acq_rel
        %between = atomicrmw xchg ptr %out, i64 100 seq_cst
        %after = load atomic i64, ptr %out acquire, align 8
        %second = getelementptr i64, ptr %out, i64 1
        store atomic i64 %after, ptr %second release, align 8
        %third = getelementptr i64, ptr %out, i64 2
        store atomic i64 -7, ptr %third seq_cst, align 8 ; what is said of a line
        %tried = cmpxchg ptr %third, i64 %count, i64 11 seq_cst seq_cst
        %there = extractvalue { i64, i1 } %tried, 0
        %is.other = extractvalue { i64, i1 } %tried, 1
        %again = cmpxchg ptr %third, i64 %there, i64 %count acq_rel acquire
        %is.same = extractvalue { i64, i1 } %again, 1
        %last = load atomic i64, ptr %third seq_cst, align 8
        fence seq_cst
        call void @llvm.x86.sse2.pause()""")
    text.body.declared.add("declare void @llvm.x86.sse2.pause()")
    text.written = 24
    for name in ("%before", "%between", "%after", "%there", "%last"):
        text.store(name, "i64", 0)
    for name in ("%is.other", "%is.same"):
        text.show(name, 0)

    text.check(drawn(0, 8), counts=[37, -7])


def test_a_bit_that_is_asked_for_and_carried():
    """By a jump at once, by the next block, and by what is chosen there."""
    text = Text()
    text.lines("""
        %is.more = icmp sgt i64 %count, 3
        br i1 %is.more, label %then, label %past
        then:
        %is.odd = icmp slt i64 %count, 7
        br i1 %is.odd, label %past, label %last
        last:
        %chosen = select i1 %is.odd, i64 11, i64 12
        %both = xor i1 %is.odd, %is.more
        br label %past
        past:
        %bit = phi i1 [ %is.more, %entry ], [ %is.odd, %then ], [ %both, %last ]
        %number = phi i64 [ 3, %entry ], [ 4, %then ], [ %chosen, %last ]""")
    text.show("%bit", 0)
    text.show(text.named("xor i1 %bit, %is.more"), 0)
    text.store("%number", "i64", 0)

    text.check(drawn(0, 8), counts=range(2, 9))


def test_numbers_of_128_bits_have_addresses():
    text = Text()
    for n in (0, 3, "%count"):
        place = text.named(f"getelementptr i128, ptr %in, i64 {n}")
        text.store(text.named(f"load <2 x double>, ptr {place}, align 1"), "double", 2)

    text.check(floats(0, "f8", 10).view(np.uint8), counts=[2])


def test_memory_of_its_own():
    """Of two pieces, aligned, beside values for which there are no registers."""
    text = Text()
    many = [text.load("double", 8) for _ in range(40)]
    text.lines("""
        %a = alloca [300 x i8], align 64
        %b = alloca [12 x i64]
        %a.number = ptrtoint ptr %a to i64
        %a.low = and i64 %a.number, 63
        %one = insertelement <16 x i64> poison, i64 %a.low, i64 0
        %all = shufflevector <16 x i64> %one, <16 x i64> poison, <16 x i32> zeroinitializer
        store <16 x i64> %all, ptr %a, align 1
        %b.last = getelementptr i64, ptr %b, i64 11
        store i64 %count, ptr %b.last, align 8
        store i64 -1, ptr %b, align 8
        %back = load <16 x i64>, ptr %a, align 1
        %n = load i64, ptr %b.last, align 8""")
    for x in many[::-1]:
        text.store(x, "double", 8)
    text.store("%back", "i64", 16)
    text.store("%n", "i64", 0)

    text.check(floats(0, "f8", 320).view(np.uint8), counts=[77])


def test_denormal_numbers_are_0_where_the_thread_says_so():
    functions = """
define internal void @halves(ptr %from, ptr %to) noinline #0 {
entry:
  %v1 = load <8 x double>, ptr %from, align 1
  %v2 = fmul <8 x double> %v1, splat (double 0x3FE0000000000000)
  store <8 x double> %v2, ptr %to, align 1
  ret void
}
"""
    text = Text()
    for name in ("stmxcsr", "ldmxcsr"):
        text.body.declared.add(f"declare void @llvm.x86.sse.{name}(ptr)")
    text.lines("""
        %mode = alloca i32
        call void @llvm.x86.sse.stmxcsr(ptr %mode)
        %before = load i32, ptr %mode
        %now = or i32 %before, 32832
        store i32 %now, ptr %mode
        call void @llvm.x86.sse.ldmxcsr(ptr %mode)
        call void @halves(ptr %in, ptr %out)
        store i32 %before, ptr %mode
        call void @llvm.x86.sse.ldmxcsr(ptr %mode)
        %second = getelementptr i8, ptr %out, i64 64
        call void @halves(ptr %in, ptr %second)""")

    text.check(np.linspace(0, 5e-308, 8).view(np.uint8), size=128, functions=functions)


INNER = """
define internal <16 x float> @bent(<16 x float> %x) #0 {
entry:
  %v1 = fmul <16 x float> %x, %x
  %v2 = fadd <16 x float> %v1, splat (float 0x3FF0000000000000)
  ret <16 x float> %v2
}
define internal { double, double } @both(double %x, double %y) noinline #0 {
entry:
  %v1 = fadd double %x, %y
  %v2 = fmul double %x, %y
  %v3 = insertvalue { double, double } poison, double %v1, 0
  %v4 = insertvalue { double, double } %v3, double %v2, 1
  ret { double, double } %v4
}
define internal { <16 x double>, <16 x double> } @wide(<16 x double> %x, <16 x double> %y) #0 {
entry:
  %v1 = fsub <16 x double> %x, %y
  %v3 = insertvalue { <16 x double>, <16 x double> } poison, <16 x double> %v1, 0
  %v4 = insertvalue { <16 x double>, <16 x double> } %v3, <16 x double> %x, 1
  ret { <16 x double>, <16 x double> } %v4
}
define internal i64 @mixed(i64 %a, double %x, i64 %b, i32 %c, ptr %d, i64 %e, i64 %f, i64 %g, i64 %h, i64 %i) #0 {
entry:
  %v1 = mul i64 %a, 3
  %v2 = sub i64 %v1, %b
  %v3 = sext i32 %c to i64
  %v4 = xor i64 %v2, %v3
  %v5 = load i64, ptr %d, align 1
  %v6 = add i64 %v4, %v5
  %v7 = shl i64 %e, 1
  %v8 = sub i64 %v6, %v7
  %v9 = mul i64 %v8, %f
  %v10 = sub i64 %v9, %g
  %v11 = mul i64 %v10, %h
  %v12 = sub i64 %v11, %i
  %v13 = fptosi double %x to i64
  %v14 = add i64 %v12, %v13
  ret i64 %v14
}
define internal i64 @again(i64 %n, i64 %x, ptr %d) #0 {
entry:
  %v1 = call i64 @mixed(i64 %x, double 0x4008000000000000, i64 %n, i32 -7, ptr %d, i64 5, i64 %n, i64 9, i64 %x, i64 %n)
  %v2 = icmp sgt i64 %n, 0
  br i1 %v2, label %more, label %end
more:
  %v3 = sub i64 %n, 1
  %v4 = call i64 @again(i64 %v3, i64 %v1, ptr %d)
  %v5 = add i64 %v4, %v1
  br label %end
end:
  %v6 = phi i64 [ %v1, %entry ], [ %v5, %more ]
  ret i64 %v6
}
define internal void @writes(ptr %to, i64 %n) #0 {
entry:
  store i64 %n, ptr %to, align 1
  ret void
}
"""


def test_functions_that_call_each_other():
    """What is needed after a call survives it: vectors, masks and numbers, more than there are registers."""
    text = Text()
    x, wide = [text.load("float", 16) for _ in range(5)], text.load("double", 16)
    masks = [text.named(f"fcmp ogt <16 x float> {each}, {x[0]}") for each in x[1:]]
    whole = [text.load("i64", 0) for _ in range(9)]
    bent = [text.named(f"call <16 x float> @bent(<16 x float> {each})") for each in x]
    for each in bent:
        text.store(each, "float", 16)
    constant_ = text.named("call <16 x float> @bent(<16 x float> splat (float 0x3FE0000000000000))")
    text.store(constant_, "float", 16)
    pair = text.named("call { double, double } @both(double 0x4008000000000000, double 0x3FE0000000000000)")
    for n in (1, 0):
        text.store(text.named(f"extractvalue {{ double, double }} {pair}, {n}"), "double", 0)
    two = "{ <16 x double>, <16 x double> }"
    apart = text.named(
        f"call {two} @wide(<16 x double> {wide}, <16 x double> splat (double 0x3FF0000000000000))"
    )
    for n in (0, 1):
        text.store(text.named(f"extractvalue {two} {apart}, {n}"), "double", 16)
    given = [f"i64 {whole[0]}", "double 0x4014000000000000", f"i64 {whole[1]}", "i32 12", "ptr %in"]
    given += [f"i64 {each}" for each in whole[2:6]] + ["i64 1000"]
    mixed = text.named(f"call i64 @mixed({', '.join(given)})")
    text.store(mixed, "i64", 0)
    text.store(text.named(f"call i64 @again(i64 %count, i64 {mixed}, ptr %in)"), "i64", 0)
    place = text.at("%out", text.written)
    text.body.emit(f"call void @writes(ptr {place}, i64 {whole[0]})")
    text.written += 8
    for each in whole:
        text.store(each, "i64", 0)
    for each, mask in zip(x, [*masks, masks[0]], strict=True):
        chosen = text.named(f"select <16 x i1> {mask}, <16 x float> {each}, <16 x float> {constant_}")
        text.store(chosen, "float", 16)

    given = np.concatenate(
        [floats(0, "f4", 80).view(np.uint8), floats(1, "f8", 16).view(np.uint8), drawn(0, 72)]
    )
    text.check(given, counts=(0, 1, 5), functions=INNER)


def test_a_call_in_a_loop():
    text = Text()
    x = text.load("float", 16)
    text.lines(f"""
        br label %turn
        turn:
        %n = phi i64 [ 0, %entry ], [ %next, %turn ]
        %sum = phi <16 x float> [ {x}, %entry ], [ %more, %turn ]
        %bent = call <16 x float> @bent(<16 x float> {x})
        %more = fadd <16 x float> %bent, %sum
        %next = add i64 %n, 1
        %is.more = icmp slt i64 %next, %count
        br i1 %is.more, label %turn, label %past
        past:""")
    text.store("%more", "float", 16)
    text.store(x, "float", 16)

    text.check(floats(0, "f4", 16, below=1).view(np.uint8), counts=(1, 4), functions=INNER)


def test_a_function_that_is_chosen():
    functions = "".join(
        f"define internal i64 @{name}(i64 %x) #0 {{\nentry:\n  %v1 = {how} i64 %x, 3\n  ret i64 %v1\n}}\n"
        for name, how in (("more", "add"), ("times", "mul"))
    )
    text = Text()
    is_some = text.named("icmp sgt i64 %count, 4")
    chosen = text.named(f"select i1 {is_some}, ptr @more, ptr @times")
    text.store(text.named(f"call i64 {chosen}(i64 %count)"), "i64", 0)

    text.check(drawn(0, 8), counts=(4, 5), functions=functions)


@pytest.mark.parametrize("more", [0, 1])
def test_functions_of_the_process(more):
    """Called by their names, or by an address; they expect the stack at a multiple of 16 bytes."""
    functions = """
define internal i64 @many(i64 %a, i64 %b, i64 %c, i64 %d, i64 %e, i64 %f, i64 %g) {
start:

  ; of which the last one is in the stack
  %from = call i64 @labs(i64 %g)
  %to = add i64 %from, %a
  ret i64 %to
}
"""
    text = Text()
    text.body.declared.add("declare i64 @labs(i64)")
    x, address = text.load("i64", 0), text.load("i64", 0)
    many = [text.load("i64", 0) for _ in range(9 + more)]
    text.store(text.named(f"call i64 @labs(i64 {x})"), "i64", 0)
    pointer = text.named(f"load ptr, ptr {text.at('%in', 8)}, align 8")
    is_null = text.named(f"icmp eq ptr {pointer}, null")
    text.store(text.named(f"zext i1 {is_null} to i64"), "i64", 0)
    text.store(text.named(f"call i64 {pointer}(i64 {x})"), "i64", 0)
    text.store(text.named(f"call i64 @many({', '.join(f'i64 {each}' for each in [*many[:6], x])})"), "i64", 0)
    for each in [*many, address]:
        text.store(each, "i64", 0)
    given = np.arange(20) - 50
    given[1] = ctypes.cast(ctypes.CDLL(None).labs, ctypes.c_void_p).value

    text.check(given.view(np.uint8), functions=functions)


def test_beside_what_llvm_compiles_no_function_of_the_process_is_called():
    text = Text()
    text.body.declared.add("declare i64 @labs(i64)")
    text.body.emit("call i64 @labs(i64 %count)")
    _, first = module(text.body)
    unknown = "define void @unknown() #0 {\n  fence acquire\n  ret void\n}\n"

    assert assembled(first).is_whole
    assert assembled(first + unknown) is None


def test_who_calls_a_function_that_is_not_known_is_not_known():
    """Nor is one that such a function calls; others are."""
    head = "define internal void @{}(ptr %x, i64 %begin, i64 %end) #0 {{\nentry:\n"
    unknown = head.format("unknown") + "  call void @called(ptr %x, i64 0, i64 1)\n"
    unknown += "  %chosen = select i1 true, ptr @another, ptr %x\n  fence acquire\n  ret void\n}\n"
    called = "".join(f"{head.format(name)}  ret void\n}}\n" for name in ("called", "another"))
    text = Text()
    text.body.emit("call void @unknown(ptr %in, i64 0, i64 0)")
    name, first = module(text.body, unknown + called)
    other, second = module(Text().body)
    whole = assembled(second.replace(second[second.index("attributes") :], "") + first)

    assert re.findall(r"define .*@(\w+)\(", whole.rest) == ["unknown", "called", "another", name]
    assert [*whole.image.begins] == [other]
