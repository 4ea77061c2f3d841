; A call from Python of a function whose steps are machine code, without any Python in it but for steps that are Python's.
;
; What it needs to know stands in a state, an array of 8-byte words that symgraph/runtime/entry.py makes for one way in
; which arguments may lie. `self` is a capsule of two words: the address of the first state, or 0, and a Python callable
; that does what no state fits.
;
;    0  next        the address of the state to try where this one does not fit, or 0
;    1  busy        1 while a call runs in this state's arena
;    2  arguments   how many
;    3  expected    the address of 3 words for each argument: its dtype object, its rank, the address of its sizes
;    4  results     how many; those that variables become come last
;    5  made        the address of 5 words for each result: three as above; how many pages there are for it, and the address
;                   of 2 words for each of them: the object, and where in it the numbers begin
;    6  slots       the address of a word for each argument, each variable that is read and each result: where its numbers
;                   begin
;    7  objects     the address of a word for each of them: the array
;    8  patches     how many
;    9  patched     the address of 3 words for each patch: of the word to write, of the slot that it gets, and the bytes that
;                   are added
;   10  steps       how many
;   11  run         the address of 6 words for each step: its function, its tables, the turns of its first loop, the turns
;                   that a thread does at a time, the bytes of a table, how many there are, one for each thread that
;                   shares the loop; or 0 and a Python callable that takes all objects
;   12  is heavy    1 where the calls are long enough to let other threads of Python run meanwhile
;   13  array type  the address of numpy.ndarray
;   14  make        NumPy's PyArray_Empty
;   15  variables   how many are read
;   16  kept        the address of a word for each: of the place that has its array
;   17  guard       a callable that gives False where nobody reads or writes variables, or 0
;   18  updates     how many results become variables' arrays
;   19  written     the address of a word for each: of the place that has its array
;   20  locks       how many words have to be 0: where nobody else is about to change what is updated
;   21  free        the address of their addresses
;   22  enter       where a call is heavy and updates: a callable that takes the locks, or gives False; otherwise 0
;   23  leave       a callable that is given the updates' arrays, or None where there are none now, and gives the locks back
;   24  is single   1 where the one result is given as it is and not in a tuple
;   25  wrap        a callable that makes of the tuple of results what a call gives, or 0
;   26  share       the function of `pool.ll` that lets threads share a loop, or one do it in parts
;   27  pool        what it needs
;   28  form        NumPy's PyArray_NewFromDescr
;   29  base        NumPy's PyArray_SetBaseObject
;   30  trouble     the address of a word that a step sets where an index is out of bounds
;   31  watched     how many objects have to be those that steps have a copy of
;   32  seen        the address of 2 words for each: of the place where it stands, and the object
;   33  calls       how many there were
;
; Pages are memory that a result lies in, and after it another: where nobody else refers to their object, no result does.
;
; The references to an object are counted in its first 32 bits, for as long as they are few. The fields of an array, as
; NumPy 2 keeps them since 1.7: type at byte 8 of the object, data at 16, rank (32 bits) at 24, sizes at
; 32, dtype at 56, flags (32 bits) at 64.

@_Py_FalseStruct = external global i8
@_Py_TrueStruct = external global i8
@_Py_NoneStruct = external global i8
@PyExc_Exception = external global ptr

declare ptr @PyCapsule_GetPointer(ptr, ptr)
declare ptr @PyObject_Vectorcall(ptr, ptr, i64, ptr)
declare ptr @PyObject_CallNoArgs(ptr)
declare ptr @PyObject_CallOneArg(ptr, ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare void @Py_IncRef(ptr)
declare void @Py_DecRef(ptr)
declare ptr @PyErr_Occurred()
declare ptr @PyTuple_New(i64)
declare i32 @PyTuple_SetItem(ptr, i64, ptr)
declare i32 @PyErr_ExceptionMatches(ptr)
declare void @PyErr_Clear()
declare void @PyErr_Fetch(ptr, ptr, ptr)
declare void @PyErr_Restore(ptr, ptr, ptr)

; PyObject *entry(PyObject *self, PyObject *const *args, Py_ssize_t nargs, PyObject *kwnames)
define ptr @entry(ptr %self, ptr %args, i64 %nargs, ptr %names) {
start:
  %cell = call ptr @PyCapsule_GetPointer(ptr %self, ptr null)
  %first = load i64, ptr %cell
  %plain = icmp eq ptr %names, null
  br i1 %plain, label %try, label %slow

try:                                              ; one state after the other
  %word = phi i64 [ %first, %start ], [ %next, %unfit ]
  %none = icmp eq i64 %word, 0
  br i1 %none, label %slow, label %look

look:
  %state = inttoptr i64 %word to ptr
  %fit = call i1 @fits(ptr %state, ptr %args, i64 %nargs)
  br i1 %fit, label %enter, label %unfit

enter:
  %entered = call i1 @begins(ptr %state)
  br i1 %entered, label %ready, label %unfit

unfit:
  %next = load i64, ptr %state
  br label %try

ready:
  %did = call i1 @runs(ptr %state)
  br i1 %did, label %done, label %broken

done:
  %answer = call ptr @answers(ptr %state)
  ret ptr %answer

broken:                                           ; the slow way fails again, and says at which line of the user's
  %error = call ptr @PyErr_Occurred()
  %unsaid = icmp eq ptr %error, null              ; an index is out of bounds
  br i1 %unsaid, label %slow, label %raised

raised:
  %kind = load ptr, ptr @PyExc_Exception
  %matches = call i32 @PyErr_ExceptionMatches(ptr %kind)
  %is.usual = icmp ne i32 %matches, 0
  br i1 %is.usual, label %again, label %fail

again:
  call void @PyErr_Clear()
  br label %slow

fail:
  ret ptr null

slow:
  %fallback.at = getelementptr i64, ptr %cell, i64 1
  %fallback = load ptr, ptr %fallback.at
  %slowly = call ptr @PyObject_Vectorcall(ptr %fallback, ptr %args, i64 %nargs, ptr %names)
  ret ptr %slowly
}

; Whether the state is free and for such arguments; then their slots are filled.
define internal i1 @fits(ptr %state, ptr %args, i64 %nargs) {
start:
  %busy.at = getelementptr i64, ptr %state, i64 1
  %busy = load i64, ptr %busy.at
  %count.at = getelementptr i64, ptr %state, i64 2
  %count = load i64, ptr %count.at
  %expected.at = getelementptr i64, ptr %state, i64 3
  %expected = load ptr, ptr %expected.at
  %slots.at = getelementptr i64, ptr %state, i64 6
  %slots = load ptr, ptr %slots.at
  %objects.at = getelementptr i64, ptr %state, i64 7
  %objects = load ptr, ptr %objects.at
  %type.at = getelementptr i64, ptr %state, i64 13
  %array.type = load i64, ptr %type.at
  %wrong = sub i64 %nargs, %count
  %unready = or i64 %wrong, %busy
  %ready = icmp eq i64 %unready, 0
  br i1 %ready, label %arguments, label %unfit

unfit:
  ret i1 false

arguments:
  %n = phi i64 [ 0, %start ], [ %n.next, %fits ]
  %all = icmp eq i64 %n, %count
  br i1 %all, label %fit, label %argument

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
  %object.at = getelementptr ptr, ptr %objects, i64 %n
  store ptr %x, ptr %object.at
  %data.at = getelementptr i8, ptr %x, i64 16
  %data = load i64, ptr %data.at
  %slot.at = getelementptr i64, ptr %slots, i64 %n
  store i64 %data, ptr %slot.at
  %n.next = add i64 %n, 1
  br label %arguments

fit:
  ret i1 true
}

; Takes the state, and the variables that it reads, if nobody is writing them and they are those that there are copies of:
; their arrays stay while the call runs.
define internal i1 @begins(ptr %state) {
start:
  %busy.at = getelementptr i64, ptr %state, i64 1
  %locks.at = getelementptr i64, ptr %state, i64 20
  %locks = load i64, ptr %locks.at
  %free.at = getelementptr i64, ptr %state, i64 21
  %free = load ptr, ptr %free.at
  %enter.at = getelementptr i64, ptr %state, i64 22
  %enter = load ptr, ptr %enter.at
  %guard.at = getelementptr i64, ptr %state, i64 17
  %guard = load ptr, ptr %guard.at
  store i64 1, ptr %busy.at
  %alone = icmp eq ptr %enter, null
  br i1 %alone, label %look, label %lock

look:
  %l = phi i64 [ 0, %start ], [ %l.next, %unlocked ]
  %looked = icmp eq i64 %l, %locks
  br i1 %looked, label %ask, label %word

word:
  %word.at = getelementptr ptr, ptr %free, i64 %l
  %word.place = load ptr, ptr %word.at
  %holders = load i64, ptr %word.place
  %is.free = icmp eq i64 %holders, 0
  br i1 %is.free, label %unlocked, label %unfit

unlocked:
  %l.next = add i64 %l, 1
  br label %look

lock:
  %locked = call i1 @says(ptr %enter, ptr @_Py_TrueStruct)
  br i1 %locked, label %ask, label %unfit

ask:
  %unguarded = icmp eq ptr %guard, null
  br i1 %unguarded, label %watch, label %guarded

guarded:
  %open = call i1 @says(ptr %guard, ptr @_Py_FalseStruct)
  br i1 %open, label %watch, label %give.up

watch:
  %watched.at = getelementptr i64, ptr %state, i64 31
  %watched = load i64, ptr %watched.at
  %seen.at = getelementptr i64, ptr %state, i64 32
  %seen = load ptr, ptr %seen.at
  br label %compare

compare:
  %w = phi i64 [ 0, %watch ], [ %w.next, %as.seen ]
  %compared = icmp eq i64 %w, %watched
  br i1 %compared, label %hold, label %other

other:
  %w.row = mul i64 %w, 2
  %seen.place.at = getelementptr ptr, ptr %seen, i64 %w.row
  %seen.place = load ptr, ptr %seen.place.at
  %there = load ptr, ptr %seen.place
  %seen.object.at = getelementptr ptr, ptr %seen.place.at, i64 1
  %seen.object = load ptr, ptr %seen.object.at
  %is.seen = icmp eq ptr %there, %seen.object
  br i1 %is.seen, label %as.seen, label %give.up

as.seen:
  %w.next = add i64 %w, 1
  br label %compare

give.up:
  br i1 %alone, label %unfit, label %unlock

unlock:
  %left = call i1 @leaves(ptr %state, ptr @_Py_NoneStruct)
  br label %unfit

unfit:
  store i64 0, ptr %busy.at
  ret i1 false

hold:
  %arguments.at = getelementptr i64, ptr %state, i64 2
  %arguments = load i64, ptr %arguments.at
  %count.at = getelementptr i64, ptr %state, i64 15
  %count = load i64, ptr %count.at
  %kept.at = getelementptr i64, ptr %state, i64 16
  %kept = load ptr, ptr %kept.at
  br label %more

more:
  %n = phi i64 [ 0, %hold ], [ %n.next, %keep ]
  %all = icmp eq i64 %n, %count
  br i1 %all, label %held, label %keep

keep:
  %place.at = getelementptr ptr, ptr %kept, i64 %n
  %place = load ptr, ptr %place.at
  %array = load ptr, ptr %place
  call void @Py_IncRef(ptr %array)
  %slot = add i64 %arguments, %n
  call void @knows(ptr %state, i64 %slot, ptr %array)
  %n.next = add i64 %n, 1
  br label %more

held:
  %calls.at = getelementptr i64, ptr %state, i64 33
  %calls = load i64, ptr %calls.at
  %calls.now = add i64 %calls, 1
  store i64 %calls.now, ptr %calls.at
  ret i1 true
}

; The results are made, and the steps run; where that fails, all is given back.
define internal i1 @runs(ptr %state) {
start:
  %arguments.at = getelementptr i64, ptr %state, i64 2
  %arguments = load i64, ptr %arguments.at
  %kept.count.at = getelementptr i64, ptr %state, i64 15
  %kept.count = load i64, ptr %kept.count.at
  %before = add i64 %arguments, %kept.count
  %made.count.at = getelementptr i64, ptr %state, i64 4
  %made.count = load i64, ptr %made.count.at
  %made.at = getelementptr i64, ptr %state, i64 5
  %made = load ptr, ptr %made.at
  %objects.at = getelementptr i64, ptr %state, i64 7
  %objects = load ptr, ptr %objects.at
  %heavy.at = getelementptr i64, ptr %state, i64 12
  %heavy = load i64, ptr %heavy.at
  %is.heavy = icmp ne i64 %heavy, 0
  br label %more.results

more.results:
  %m = phi i64 [ 0, %start ], [ %m.next, %given ]
  %enough = icmp eq i64 %m, %made.count
  br i1 %enough, label %patches, label %result

result:
  %m.row = mul i64 %m, 5
  %as = getelementptr i64, ptr %made, i64 %m.row
  %new = call ptr @make(ptr %state, ptr %as)
  %failed = icmp eq ptr %new, null
  br i1 %failed, label %undo, label %given

given:
  %new.n = add i64 %before, %m
  call void @knows(ptr %state, i64 %new.n, ptr %new)
  %m.next = add i64 %m, 1
  br label %more.results

patches:
  %patch.count.at = getelementptr i64, ptr %state, i64 8
  %patch.count = load i64, ptr %patch.count.at
  %patched.at = getelementptr i64, ptr %state, i64 9
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
  %step.count.at = getelementptr i64, ptr %state, i64 10
  %step.count = load i64, ptr %step.count.at
  %steps.at = getelementptr i64, ptr %state, i64 11
  %steps = load ptr, ptr %steps.at
  %trouble.at = getelementptr i64, ptr %state, i64 30
  %trouble = load ptr, ptr %trouble.at
  store i64 0, ptr %trouble
  br i1 %is.heavy, label %release, label %more.steps

release:
  %thread = call ptr @PyEval_SaveThread()
  br label %more.steps

more.steps:
  %s = phi i64 [ 0, %begin ], [ 0, %release ], [ %s.next, %look ], [ %s.next, %called ], [ %s.next, %release.again ]
  %saved = phi ptr [ null, %begin ], [ %thread, %release ], [ %saved, %look ], [ null, %called ], [ %again, %release.again ]
  %ran = icmp eq i64 %s, %step.count
  br i1 %ran, label %end, label %step

step:
  %s.next = add i64 %s, 1
  %s.row = mul i64 %s, 6
  %s.at = getelementptr ptr, ptr %steps, i64 %s.row
  %function = load ptr, ptr %s.at
  %table.at = getelementptr ptr, ptr %s.at, i64 1
  %table = load ptr, ptr %table.at
  %is.python = icmp eq ptr %function, null
  br i1 %is.python, label %python, label %native

native:
  %turns.at = getelementptr i64, ptr %s.at, i64 2
  %turns = load i64, ptr %turns.at
  %chunk.at = getelementptr i64, ptr %s.at, i64 3
  %chunk = load i64, ptr %chunk.at
  %is.whole = icmp sge i64 %chunk, %turns
  br i1 %is.whole, label %run.whole, label %run.parts

run.whole:
  call void %function(ptr %table, i64 0, i64 %turns)
  br label %look

look:
  %noted = load i64, ptr %trouble
  %is.well = icmp eq i64 %noted, 0
  br i1 %is.well, label %more.steps, label %troubled

troubled:
  br i1 %is.heavy, label %stop, label %undo

stop:
  call void @PyEval_RestoreThread(ptr %saved)
  br label %undo

run.parts:
  %threads.at = getelementptr i64, ptr %s.at, i64 5
  %threads = load i64, ptr %threads.at
  %pitch.at = getelementptr i64, ptr %s.at, i64 4
  %pitch = load i64, ptr %pitch.at
  %share.at = getelementptr i64, ptr %state, i64 26
  %share = load ptr, ptr %share.at
  %pool.at = getelementptr i64, ptr %state, i64 27
  %pool = load ptr, ptr %pool.at
  call void %share(ptr %pool, ptr %function, ptr %table, i64 %pitch, i64 %turns, i64 %chunk, i64 %threads)
  br label %look

python:
  br i1 %is.heavy, label %restore, label %call

restore:
  call void @PyEval_RestoreThread(ptr %saved)
  br label %call

call:
  %everything = add i64 %before, %made.count
  %got = call ptr @PyObject_Vectorcall(ptr %table, ptr %objects, i64 %everything, ptr null)
  %raised = icmp eq ptr %got, null
  br i1 %raised, label %undo, label %called.well

called.well:
  call void @Py_DecRef(ptr %got)
  br i1 %is.heavy, label %release.again, label %called

called:
  br label %more.steps

release.again:
  %again = call ptr @PyEval_SaveThread()
  br label %more.steps

end:
  br i1 %is.heavy, label %take.back, label %done

take.back:
  call void @PyEval_RestoreThread(ptr %saved)
  br label %done

done:
  ret i1 true

undo:
  %some = phi i64 [ %m, %result ], [ %made.count, %call ], [ %made.count, %troubled ], [ %made.count, %stop ]
  %made.objects = getelementptr ptr, ptr %objects, i64 %before
  call void @let.go(ptr %made.objects, i64 %some)
  %held = getelementptr ptr, ptr %objects, i64 %arguments
  call void @let.go(ptr %held, i64 %kept.count)
  %enter.at = getelementptr i64, ptr %state, i64 22
  %enter = load ptr, ptr %enter.at
  %alone = icmp eq ptr %enter, null
  br i1 %alone, label %failed.all, label %unlock

unlock:
  %left = call i1 @leaves(ptr %state, ptr @_Py_NoneStruct)
  br label %failed.all

failed.all:
  %busy.at = getelementptr i64, ptr %state, i64 1
  store i64 0, ptr %busy.at
  ret i1 false
}

; Variables get their arrays; what remains of the results is what the call gives.
define internal ptr @answers(ptr %state) {
start:
  %busy.at = getelementptr i64, ptr %state, i64 1
  %arguments.at = getelementptr i64, ptr %state, i64 2
  %arguments = load i64, ptr %arguments.at
  %kept.count.at = getelementptr i64, ptr %state, i64 15
  %kept.count = load i64, ptr %kept.count.at
  %before = add i64 %arguments, %kept.count
  %made.count.at = getelementptr i64, ptr %state, i64 4
  %made.count = load i64, ptr %made.count.at
  %updates.at = getelementptr i64, ptr %state, i64 18
  %updates = load i64, ptr %updates.at
  %count = sub i64 %made.count, %updates
  %objects.at = getelementptr i64, ptr %state, i64 7
  %objects = load ptr, ptr %objects.at
  %held = getelementptr ptr, ptr %objects, i64 %arguments
  %results = getelementptr ptr, ptr %objects, i64 %before
  %new = getelementptr ptr, ptr %results, i64 %count
  %enter.at = getelementptr i64, ptr %state, i64 22
  %enter = load ptr, ptr %enter.at
  %alone = icmp eq ptr %enter, null
  br i1 %alone, label %swap, label %hand

swap:
  %written.at = getelementptr i64, ptr %state, i64 19
  %written = load ptr, ptr %written.at
  br label %more

more:                                             ; no thread runs meanwhile
  %n = phi i64 [ 0, %swap ], [ %n.next, %update ]
  %all = icmp eq i64 %n, %updates
  br i1 %all, label %swapped, label %update

update:
  %place.at = getelementptr ptr, ptr %written, i64 %n
  %place = load ptr, ptr %place.at
  %old = load ptr, ptr %place
  %new.at = getelementptr ptr, ptr %new, i64 %n
  %array = load ptr, ptr %new.at
  store ptr %array, ptr %place
  store ptr %old, ptr %new.at
  %n.next = add i64 %n, 1
  br label %more

swapped:
  call void @let.go(ptr %new, i64 %updates)
  call void @let.go(ptr %held, i64 %kept.count)
  br label %give

hand:
  %arrays = call ptr @tuple(ptr %new, i64 %updates)
  %no.arrays = icmp eq ptr %arrays, null
  br i1 %no.arrays, label %none.to.hand, label %to.hand

none.to.hand:
  %ignored = call i1 @leaves(ptr %state, ptr @_Py_NoneStruct)
  call void @let.go(ptr %held, i64 %kept.count)
  br label %fail

to.hand:
  %wrote = call i1 @leaves(ptr %state, ptr %arrays)
  call void @Py_DecRef(ptr %arrays)
  call void @let.go(ptr %held, i64 %kept.count)
  br i1 %wrote, label %give, label %fail

fail:
  call void @let.go(ptr %results, i64 %count)
  store i64 0, ptr %busy.at
  ret ptr null

give:
  %single.at = getelementptr i64, ptr %state, i64 24
  %single = load i64, ptr %single.at
  %is.single = icmp ne i64 %single, 0
  br i1 %is.single, label %one, label %several

one:
  %the.result = load ptr, ptr %results
  store i64 0, ptr %busy.at
  ret ptr %the.result

several:
  %tuple = call ptr @tuple(ptr %results, i64 %count)
  store i64 0, ptr %busy.at
  %wrap.at = getelementptr i64, ptr %state, i64 25
  %wrap = load ptr, ptr %wrap.at
  %no.tuple = icmp eq ptr %tuple, null
  %unwrapped = icmp eq ptr %wrap, null
  %as.it.is = or i1 %no.tuple, %unwrapped
  br i1 %as.it.is, label %plain, label %wrapped

plain:
  ret ptr %tuple

wrapped:
  %whole = call ptr @PyObject_CallOneArg(ptr %wrap, ptr %tuple)
  call void @Py_DecRef(ptr %tuple)
  ret ptr %whole
}

; A new array of this form, in pages that nobody refers to if there are some.
define internal ptr @make(ptr %state, ptr %as) {
start:
  %dtype = load ptr, ptr %as
  %rank.at = getelementptr i64, ptr %as, i64 1
  %rank = load i64, ptr %rank.at
  %rank.short = trunc i64 %rank to i32
  %sizes.at = getelementptr i64, ptr %as, i64 2
  %sizes = load ptr, ptr %sizes.at
  %count.at = getelementptr i64, ptr %as, i64 3
  %count = load i64, ptr %count.at
  %pages.at = getelementptr i64, ptr %as, i64 4
  %pages = load ptr, ptr %pages.at
  call void @Py_IncRef(ptr %dtype)                ; the array keeps it
  br label %more

more:
  %n = phi i64 [ 0, %start ], [ %n.next, %taken ]
  %none = icmp eq i64 %n, %count
  br i1 %none, label %empty, label %look

look:
  %row = mul i64 %n, 2
  %page.at = getelementptr ptr, ptr %pages, i64 %row
  %page = load ptr, ptr %page.at
  %references = load i32, ptr %page
  %free = icmp eq i32 %references, 1
  br i1 %free, label %use, label %taken

taken:
  %n.next = add i64 %n, 1
  br label %more

use:
  %data.at = getelementptr ptr, ptr %page.at, i64 1
  %data = load ptr, ptr %data.at
  %type.at = getelementptr i64, ptr %state, i64 13
  %type = load ptr, ptr %type.at
  %form.at = getelementptr i64, ptr %state, i64 28
  %form = load ptr, ptr %form.at
  %seen = call ptr %form(ptr %type, ptr %dtype, i32 %rank.short, ptr %sizes, ptr null, ptr %data, i32 1281, ptr null)
  %failed = icmp eq ptr %seen, null
  br i1 %failed, label %fail, label %keep

keep:                                             ; the pages stay as long as the array
  call void @Py_IncRef(ptr %page)
  %base.at = getelementptr i64, ptr %state, i64 29
  %base = load ptr, ptr %base.at
  %ignored = call i32 %base(ptr %seen, ptr %page)
  ret ptr %seen

fail:
  ret ptr null

empty:
  %make.at = getelementptr i64, ptr %state, i64 14
  %make = load ptr, ptr %make.at
  %new = call ptr %make(i32 %rank.short, ptr %sizes, ptr %dtype, i32 0)
  ret ptr %new
}

; An array stands at one place of slots and objects.
define internal void @knows(ptr %state, i64 %n, ptr %array) {
start:
  %slots.at = getelementptr i64, ptr %state, i64 6
  %slots = load ptr, ptr %slots.at
  %objects.at = getelementptr i64, ptr %state, i64 7
  %objects = load ptr, ptr %objects.at
  %object.at = getelementptr ptr, ptr %objects, i64 %n
  store ptr %array, ptr %object.at
  %data.at = getelementptr i8, ptr %array, i64 16
  %data = load i64, ptr %data.at
  %slot.at = getelementptr i64, ptr %slots, i64 %n
  store i64 %data, ptr %slot.at
  ret void
}

; Whether a callable gives this answer; what it may raise is forgotten.
define internal i1 @says(ptr %callable, ptr %answer) {
start:
  %said = call ptr @PyObject_CallNoArgs(ptr %callable)
  %nothing = icmp eq ptr %said, null
  br i1 %nothing, label %forget, label %something

forget:
  call void @PyErr_Clear()
  ret i1 false

something:
  %agrees = icmp eq ptr %said, %answer
  call void @Py_DecRef(ptr %said)
  ret i1 %agrees
}

; Gives locks back, with new arrays of variables or None; an exception stays as it was.
define internal i1 @leaves(ptr %state, ptr %arrays) {
start:
  %kind = alloca ptr
  %value = alloca ptr
  %trace = alloca ptr
  call void @PyErr_Fetch(ptr %kind, ptr %value, ptr %trace)
  %leave.at = getelementptr i64, ptr %state, i64 23
  %leave = load ptr, ptr %leave.at
  %said = call ptr @PyObject_CallOneArg(ptr %leave, ptr %arrays)
  %failed = icmp eq ptr %said, null
  %the.kind = load ptr, ptr %kind
  %none = icmp eq ptr %the.kind, null
  br i1 %none, label %left, label %restore

restore:
  %the.value = load ptr, ptr %value
  %the.trace = load ptr, ptr %trace
  call void @PyErr_Restore(ptr %the.kind, ptr %the.value, ptr %the.trace)
  br label %left

left:
  br i1 %failed, label %bad, label %good

bad:
  ret i1 false

good:
  call void @Py_DecRef(ptr %said)
  ret i1 true
}

; A tuple of objects, which it takes over, also where it fails.
define internal ptr @tuple(ptr %objects, i64 %count) {
start:
  %tuple = call ptr @PyTuple_New(i64 %count)
  %none = icmp eq ptr %tuple, null
  br i1 %none, label %undo, label %fill

undo:
  call void @let.go(ptr %objects, i64 %count)
  ret ptr null

fill:
  %n = phi i64 [ 0, %start ], [ %n.next, %put ]
  %full = icmp eq i64 %n, %count
  br i1 %full, label %give, label %put

put:
  %at = getelementptr ptr, ptr %objects, i64 %n
  %object = load ptr, ptr %at
  %ignored = call i32 @PyTuple_SetItem(ptr %tuple, i64 %n, ptr %object)
  %n.next = add i64 %n, 1
  br label %fill

give:
  ret ptr %tuple
}

define internal void @let.go(ptr %objects, i64 %count) {
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
