; A call from Python of a function whose steps are all machine code, without any Python in it.
;
; What it needs to know stands in a state, an array of 8-byte words that symgraph/runtime/entry.py makes for one way in
; which arguments may lie. `self` is a capsule of two words: the address of the first state, or 0, and a Python callable
; that does what no state fits.
;
;    0  next        the address of the state to try where this one does not fit, or 0
;    1  busy        1 while a call runs in this state's arena
;    2  arguments   how many
;    3  expected    the address of 3 words for each argument: its dtype object, its rank, the address of its sizes
;    4  results     how many
;    5  made        the address of 3 words for each result, as above
;    6  slots       the address of a word for each argument and each result: where its numbers begin
;    7  patches     how many
;    8  patched     the address of 3 words for each patch: of the word to write, of the slot that it gets, and the bytes that
;                   are added
;    9  steps       how many
;   10  run         the address of 3 words for each step: its function, its table, the turns of its first loop
;   11  is heavy    1 where the calls are long enough to let other threads of Python run meanwhile
;   12  is single   1 where the one result is given as it is and not in a tuple
;   13  array type  the address of numpy.ndarray
;   14  make        NumPy's PyArray_Empty
;   15  variables   how many; they follow the arguments in the slots, and before the results
;   16  kept        the address of a word for each variable: of the place that has its array
;   17  guard       a callable that gives False where nobody is writing variables, or 0
;
; The fields of an array, as NumPy 2 keeps them since 1.7: type at byte 8 of the object, data at 16, rank (32 bits) at 24,
; sizes at 32, dtype at 56, flags (32 bits) at 64.

@_Py_FalseStruct = external global i8

declare ptr @PyCapsule_GetPointer(ptr, ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyObject_CallNoArgs(ptr)
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)

define internal void @let_go(ptr %objects, i64 %count) {
start:
  br label %more

more:
  %n = phi i64 [ 0, %start ], [ %n.next, %one ]
  %done = icmp eq i64 %n, %count
  br i1 %done, label %end, label %one

one:
  %at = getelementptr ptr, ptr %objects, i64 %n
  %object = load ptr, ptr %at
  call void @Py_DecRef(ptr %object)
  %n.next = add i64 %n, 1
  br label %more

end:
  ret void
}

; PyObject *entry(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
define ptr @entry(ptr %self, ptr %args, i64 %nargs, ptr %names) {
start:
  %cell = call ptr @PyCapsule_GetPointer(ptr %self, ptr null)
  %first = load i64, ptr %cell
  %fallback.at = getelementptr i64, ptr %cell, i64 1
  %fallback = load ptr, ptr %fallback.at
  %plain = icmp eq ptr %names, null
  br i1 %plain, label %try, label %slow

try:                                              ; one state after the other
  %word = phi i64 [ %first, %start ], [ %next, %unfit ]
  %none = icmp eq i64 %word, 0
  br i1 %none, label %slow, label %look

look:
  %state = inttoptr i64 %word to ptr
  %busy.at = getelementptr i64, ptr %state, i64 1
  %busy = load i64, ptr %busy.at
  %count.at = getelementptr i64, ptr %state, i64 2
  %count = load i64, ptr %count.at
  %expected.at = getelementptr i64, ptr %state, i64 3
  %expected = load ptr, ptr %expected.at
  %slots.at = getelementptr i64, ptr %state, i64 6
  %slots = load ptr, ptr %slots.at
  %type.at = getelementptr i64, ptr %state, i64 13
  %array.type = load i64, ptr %type.at
  %wrong = sub i64 %nargs, %count
  %unready = or i64 %wrong, %busy
  %ready = icmp eq i64 %unready, 0
  br i1 %ready, label %arguments, label %unfit

unfit:
  %next = load i64, ptr %state
  br label %try

arguments:
  %n = phi i64 [ 0, %look ], [ %n.next, %fits ]
  %all = icmp eq i64 %n, %count
  br i1 %all, label %variables, label %argument

argument:
  %x.at = getelementptr ptr, ptr %args, i64 %n
  %x = load ptr, ptr %x.at
  %x.type.at = getelementptr i8, ptr %x, i64 8
  %x.type = load i64, ptr %x.type.at
  %is.array = icmp eq i64 %x.type, %array.type
  br i1 %is.array, label %fields, label %unfit

fields:
  %row = mul i64 %n, 3
  %want = getelementptr i64, ptr %expected, i64 %row
  %want.dtype = load i64, ptr %want
  %want.rank.at = getelementptr i64, ptr %want, i64 1
  %want.rank = load i64, ptr %want.rank.at
  %want.sizes.at = getelementptr i64, ptr %want, i64 2
  %want.sizes = load ptr, ptr %want.sizes.at
  %dtype.at = getelementptr i8, ptr %x, i64 56
  %dtype = load i64, ptr %dtype.at
  %rank.at = getelementptr i8, ptr %x, i64 24
  %rank.short = load i32, ptr %rank.at
  %rank = sext i32 %rank.short to i64
  %flags.at = getelementptr i8, ptr %x, i64 64
  %flags.all = load i32, ptr %flags.at
  %flags = and i32 %flags.all, 257                ; in row-major order, and aligned
  %other.dtype = xor i64 %dtype, %want.dtype
  %other.rank = xor i64 %rank, %want.rank
  %other = or i64 %other.dtype, %other.rank
  %same = icmp eq i64 %other, 0
  %lies = icmp eq i32 %flags, 257
  %suits = and i1 %same, %lies
  br i1 %suits, label %sized, label %unfit

sized:
  %sizes.at = getelementptr i8, ptr %x, i64 32
  %sizes = load ptr, ptr %sizes.at
  br label %axes

axes:
  %axis = phi i64 [ 0, %sized ], [ %axis.next, %equal ]
  %done = icmp eq i64 %axis, %rank
  br i1 %done, label %fits, label %size

size:
  %size.at = getelementptr i64, ptr %sizes, i64 %axis
  %has = load i64, ptr %size.at
  %wanted.at = getelementptr i64, ptr %want.sizes, i64 %axis
  %wanted = load i64, ptr %wanted.at
  %agree = icmp eq i64 %has, %wanted
  br i1 %agree, label %equal, label %unfit

equal:
  %axis.next = add i64 %axis, 1
  br label %axes

fits:
  %data.at = getelementptr i8, ptr %x, i64 16
  %data = load i64, ptr %data.at
  %slot.at = getelementptr i64, ptr %slots, i64 %n
  store i64 %data, ptr %slot.at
  %n.next = add i64 %n, 1
  br label %arguments

variables:
  %kept.count.at = getelementptr i64, ptr %state, i64 15
  %kept.count = load i64, ptr %kept.count.at
  %kept.at = getelementptr i64, ptr %state, i64 16
  %kept = load ptr, ptr %kept.at
  %guard.at = getelementptr i64, ptr %state, i64 17
  %guard = load ptr, ptr %guard.at
  %before = add i64 %count, %kept.count
  %unguarded = icmp eq ptr %guard, null
  br i1 %unguarded, label %hold, label %ask

ask:
  %locked = call ptr @PyObject_CallNoArgs(ptr %guard)
  %nothing = icmp eq ptr %locked, null
  br i1 %nothing, label %fail, label %asked

asked:
  %is.free = icmp eq ptr %locked, @_Py_FalseStruct
  call void @Py_DecRef(ptr %locked)
  br i1 %is.free, label %hold, label %unfit

hold:
  %held = alloca ptr, i64 %kept.count
  br label %more.kept

more.kept:                                        ; their arrays stay while the call runs
  %v = phi i64 [ 0, %hold ], [ %v.next, %keep ]
  %kept.all = icmp eq i64 %v, %kept.count
  br i1 %kept.all, label %results, label %keep

keep:
  %v.place.at = getelementptr ptr, ptr %kept, i64 %v
  %v.place = load ptr, ptr %v.place.at
  %v.array = load ptr, ptr %v.place
  call void @Py_IncRef(ptr %v.array)
  %v.held.at = getelementptr ptr, ptr %held, i64 %v
  store ptr %v.array, ptr %v.held.at
  %v.data.at = getelementptr i8, ptr %v.array, i64 16
  %v.data = load i64, ptr %v.data.at
  %v.n = add i64 %count, %v
  %v.slot.at = getelementptr i64, ptr %slots, i64 %v.n
  store i64 %v.data, ptr %v.slot.at
  %v.next = add i64 %v, 1
  br label %more.kept

results:
  %made.count.at = getelementptr i64, ptr %state, i64 4
  %made.count = load i64, ptr %made.count.at
  %made.at = getelementptr i64, ptr %state, i64 5
  %made = load ptr, ptr %made.at
  %make.at = getelementptr i64, ptr %state, i64 14
  %make = load ptr, ptr %make.at
  %objects = alloca ptr, i64 %made.count
  br label %more.results

more.results:
  %m = phi i64 [ 0, %results ], [ %m.next, %given ]
  %enough = icmp eq i64 %m, %made.count
  br i1 %enough, label %patches, label %result

result:
  %m.row = mul i64 %m, 3
  %as = getelementptr i64, ptr %made, i64 %m.row
  %as.dtype = load ptr, ptr %as
  %as.rank.at = getelementptr i64, ptr %as, i64 1
  %as.rank = load i64, ptr %as.rank.at
  %as.rank.short = trunc i64 %as.rank to i32
  %as.sizes.at = getelementptr i64, ptr %as, i64 2
  %as.sizes = load ptr, ptr %as.sizes.at
  call void @Py_IncRef(ptr %as.dtype)             ; the array keeps it
  %new = call ptr %make(i32 %as.rank.short, ptr %as.sizes, ptr %as.dtype, i32 0)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %undo, label %given

given:
  %object.at = getelementptr ptr, ptr %objects, i64 %m
  store ptr %new, ptr %object.at
  %new.data.at = getelementptr i8, ptr %new, i64 16
  %new.data = load i64, ptr %new.data.at
  %new.n = add i64 %before, %m
  %new.slot.at = getelementptr i64, ptr %slots, i64 %new.n
  store i64 %new.data, ptr %new.slot.at
  %m.next = add i64 %m, 1
  br label %more.results

undo:
  call void @let_go(ptr %objects, i64 %m)
  call void @let_go(ptr %held, i64 %kept.count)
  br label %fail

fail:
  ret ptr null

patches:
  %patch.count.at = getelementptr i64, ptr %state, i64 7
  %patch.count = load i64, ptr %patch.count.at
  %patched.at = getelementptr i64, ptr %state, i64 8
  %patched = load ptr, ptr %patched.at
  br label %more.patches

more.patches:
  %p = phi i64 [ 0, %patches ], [ %p.next, %patch ]
  %written = icmp eq i64 %p, %patch.count
  br i1 %written, label %begin, label %patch

patch:
  %p.row = mul i64 %p, 3
  %p.at = getelementptr ptr, ptr %patched, i64 %p.row
  %p.word = load ptr, ptr %p.at
  %p.slot.at = getelementptr ptr, ptr %p.at, i64 1
  %p.slot = load ptr, ptr %p.slot.at
  %p.data = load i64, ptr %p.slot
  %p.offset.at = getelementptr i64, ptr %p.at, i64 2
  %p.offset = load i64, ptr %p.offset.at
  %p.address = add i64 %p.data, %p.offset
  store i64 %p.address, ptr %p.word
  %p.next = add i64 %p, 1
  br label %more.patches

begin:
  store i64 1, ptr %busy.at
  %heavy.at = getelementptr i64, ptr %state, i64 11
  %heavy = load i64, ptr %heavy.at
  %is.heavy = icmp ne i64 %heavy, 0
  br i1 %is.heavy, label %release, label %run

release:
  %thread = call ptr @PyEval_SaveThread()
  br label %run

run:
  %saved = phi ptr [ null, %begin ], [ %thread, %release ]
  %step.count.at = getelementptr i64, ptr %state, i64 9
  %step.count = load i64, ptr %step.count.at
  %steps.at = getelementptr i64, ptr %state, i64 10
  %steps = load ptr, ptr %steps.at
  br label %more.steps

more.steps:
  %s = phi i64 [ 0, %run ], [ %s.next, %step ]
  %ran = icmp eq i64 %s, %step.count
  br i1 %ran, label %ready.results, label %step

step:
  %s.row = mul i64 %s, 3
  %s.at = getelementptr ptr, ptr %steps, i64 %s.row
  %function = load ptr, ptr %s.at
  %table.at = getelementptr ptr, ptr %s.at, i64 1
  %table = load ptr, ptr %table.at
  %turns.at = getelementptr i64, ptr %s.at, i64 2
  %turns = load i64, ptr %turns.at
  call void %function(ptr %table, i64 0, i64 %turns)
  %s.next = add i64 %s, 1
  br label %more.steps

ready.results:
  br i1 %is.heavy, label %restore, label %end

restore:
  call void @PyEval_RestoreThread(ptr %saved)
  br label %end

end:
  store i64 0, ptr %busy.at
  call void @let_go(ptr %held, i64 %kept.count)
  %single.at = getelementptr i64, ptr %state, i64 12
  %single = load i64, ptr %single.at
  %is.single = icmp ne i64 %single, 0
  br i1 %is.single, label %one, label %several

one:
  %the.result = load ptr, ptr %objects
  ret ptr %the.result

several:
  %tuple = call ptr @PyTuple_New(i64 %made.count)
  %no.tuple = icmp eq ptr %tuple, null
  br i1 %no.tuple, label %undo.all, label %fill

undo.all:
  call void @let_go(ptr %objects, i64 %made.count)
  br label %fail

fill:
  %f = phi i64 [ 0, %several ], [ %f.next, %put ]
  %full = icmp eq i64 %f, %made.count
  br i1 %full, label %give, label %put

put:
  %f.at = getelementptr ptr, ptr %objects, i64 %f
  %f.object = load ptr, ptr %f.at
  %ignored = call i32 @PyTuple_SetItem(ptr %tuple, i64 %f, ptr %f.object)
  %f.next = add i64 %f, 1
  br label %fill

give:
  ret ptr %tuple

slow:
  %answer = call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %nargs, ptr %names)
  ret ptr %answer
}
