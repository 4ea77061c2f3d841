; Loops, branches and sequences of steps that are functions of machine code: `symgraph/runtime/native_inner.py` lays out
; what they read.
;
; A function of a step takes the address of its table, and the first turn of its first loop and the one after the last. A
; row of a step has 6 words: the function, its tables, the turns of its first loop, the turns that a thread does at a
; time, the bytes of a table, how many there are, one for each thread that shares the loop.
;
; The table of a loop begins with the address of these words, and goes on with the addresses of its arrays:
;
;    0, 1   body        the address of the rows of its steps, and how many: in turns 0, 2, …
;    2, 3                                                              in turns 1, 3, …
;    4, 5   moving      the address of 2 words for each word of their tables that moves: its address, and by how many bytes
;    6, 7               after a turn of the one kind, and of the other
;    8, 9   patches     the address of 3 words for each: of the word to write, of the array's place, and the bytes added
;   10, 11  before      the address of the rows of steps that run at first, and how many
;   12, 13  after       of those that run at last, after an even number of turns
;   14, 15                                     after an odd one
;   16, 17  condition   of those that say whether there is a turn 0, 2, …
;   18, 19                                                       1, 3, …
;   20      asked       the address of the byte that they write, or 0
;   21      length      turns at most
;   22      number      the address of the word that has the number of the turn
;   23, 24              its first, and what is added to it
;   25      count       the address of a word for the number of turns there were
;   26      trouble     the address of a word that a step sets where an index is out of bounds
;   27      patience    turns until the loop looks whether it was interrupted
;   28      share       the function of `pool.ll`
;   29      pool        what that needs
;
; The table of a branch begins with the address of these, and goes on with the addresses of its arrays, the first of which
; has the number of the branch:
;
;    0      branches    how many
;    1                  the address of 4 words for each: the rows of its steps, how many; its patches, how many
;    2      trouble
;    3      share
;    4      pool
;
; The table of a sequence begins with the address of these, and goes on with the addresses of its arrays:
;
;    0, 1   steps       the address of their rows, and how many
;    2, 3   patches
;    4      trouble
;    5      share
;    6      pool

@PyExc_KeyboardInterrupt = external global ptr

declare i32 @PyGILState_Ensure()
declare void @PyGILState_Release(i32)
declare i32 @PyErr_CheckSignals()
declare void @PyErr_SetNone(ptr)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)

define void @loop(ptr %table, i64 %first, i64 %end) {
start:
  %loop = load ptr, ptr %table
  %patches.at = getelementptr i64, ptr %loop, i64 8
  call void @patch(ptr %table, ptr %patches.at)
  %trouble.at = getelementptr i64, ptr %loop, i64 26
  %trouble = load ptr, ptr %trouble.at
  %share.at = getelementptr i64, ptr %loop, i64 28
  %share = load ptr, ptr %share.at
  %pool.at = getelementptr i64, ptr %loop, i64 29
  %pool = load ptr, ptr %pool.at
  %before.at = getelementptr i64, ptr %loop, i64 10
  %failed.before = call i1 @steps(ptr %before.at, ptr %trouble, ptr %share, ptr %pool)
  br i1 %failed.before, label %done, label %set

set:
  %asked.at = getelementptr i64, ptr %loop, i64 20
  %asked = load ptr, ptr %asked.at
  %asks = icmp ne ptr %asked, null
  %length.at = getelementptr i64, ptr %loop, i64 21
  %length = load i64, ptr %length.at
  %number.at = getelementptr i64, ptr %loop, i64 22
  %number = load ptr, ptr %number.at
  %number.first.at = getelementptr i64, ptr %loop, i64 23
  %number.first = load i64, ptr %number.first.at
  %number.step.at = getelementptr i64, ptr %loop, i64 24
  %number.step = load i64, ptr %number.step.at
  %patience.at = getelementptr i64, ptr %loop, i64 27
  %patience = load i64, ptr %patience.at
  br label %turn

turn:
  %t = phi i64 [ 0, %set ], [ %t.next, %next ]
  %n = phi i64 [ %number.first, %set ], [ %n.next, %next ]
  %left = phi i64 [ %patience, %set ], [ %left.next, %next ]
  %all = icmp sge i64 %t, %length
  br i1 %all, label %end.of.turns, label %look

look:
  store i64 %n, ptr %number
  %odd = and i64 %t, 1
  %by.2 = shl i64 %odd, 1
  %patient = icmp ne i64 %left, 0
  br i1 %patient, label %ask, label %signals

signals:
  %interrupted = call i1 @looks(ptr %trouble)
  br i1 %interrupted, label %done, label %ask

ask:
  %left.now = phi i64 [ %left, %look ], [ %patience, %signals ]
  br i1 %asks, label %condition, label %body

condition:
  %condition.place = add i64 %by.2, 16
  %condition.at = getelementptr i64, ptr %loop, i64 %condition.place
  %failed.condition = call i1 @steps(ptr %condition.at, ptr %trouble, ptr %share, ptr %pool)
  br i1 %failed.condition, label %done, label %answer

answer:
  %byte = load i8, ptr %asked
  %goes.on = icmp ne i8 %byte, 0
  br i1 %goes.on, label %body, label %end.of.turns

body:
  %rows.at = getelementptr ptr, ptr %loop, i64 %by.2
  %rows = load ptr, ptr %rows.at
  %count.at = getelementptr i64, ptr %rows.at, i64 1
  %count = load i64, ptr %count.at
  br label %more

more:                                             ; as in @steps, which costs a call
  %s = phi i64 [ 0, %body ], [ %s.next, %well ]
  %ran = icmp eq i64 %s, %count
  br i1 %ran, label %move, label %step

step:
  %s.next = add i64 %s, 1
  %s.row = mul i64 %s, 6
  %s.at = getelementptr ptr, ptr %rows, i64 %s.row
  call void @step(ptr %s.at, ptr %share, ptr %pool)
  %noted = load i64, ptr %trouble
  %is.well = icmp eq i64 %noted, 0
  br i1 %is.well, label %well, label %troubled

well:
  br label %more

troubled:
  call void @raise(i64 %noted)
  br label %done

move:
  %moving.at = getelementptr i64, ptr %rows.at, i64 4
  %moving = load ptr, ptr %moving.at
  %moving.count.at = getelementptr i64, ptr %moving.at, i64 1
  %moving.count = load i64, ptr %moving.count.at
  br label %more.moving

more.moving:
  %m = phi i64 [ 0, %move ], [ %m.next, %moved ]
  %all.moved = icmp eq i64 %m, %moving.count
  br i1 %all.moved, label %next, label %moved

moved:
  %m.row = shl i64 %m, 1
  %m.at = getelementptr ptr, ptr %moving, i64 %m.row
  %word = load ptr, ptr %m.at
  %by.at = getelementptr i64, ptr %m.at, i64 1
  %by = load i64, ptr %by.at
  %was = load i64, ptr %word
  %is = add i64 %was, %by
  store i64 %is, ptr %word
  %m.next = add i64 %m, 1
  br label %more.moving

next:
  %t.next = add i64 %t, 1
  %n.next = add i64 %n, %number.step
  %left.next = sub i64 %left.now, 1
  br label %turn

end.of.turns:
  %turns.at = getelementptr i64, ptr %loop, i64 25
  %turns = load ptr, ptr %turns.at
  store i64 %t, ptr %turns
  %last.odd = and i64 %t, 1
  %last.by.2 = shl i64 %last.odd, 1
  %after.place = add i64 %last.by.2, 12
  %after.at = getelementptr i64, ptr %loop, i64 %after.place
  %failed.after = call i1 @steps(ptr %after.at, ptr %trouble, ptr %share, ptr %pool)
  br label %done

done:
  ret void
}

define void @branch(ptr %table, i64 %first, i64 %end) {
start:
  %branch = load ptr, ptr %table
  %index.at = getelementptr ptr, ptr %table, i64 1
  %index.array = load ptr, ptr %index.at
  %index = load i64, ptr %index.array
  %count = load i64, ptr %branch
  %branches.at = getelementptr ptr, ptr %branch, i64 1
  %branches = load ptr, ptr %branches.at
  %trouble.at = getelementptr ptr, ptr %branch, i64 2
  %trouble = load ptr, ptr %trouble.at
  %share.at = getelementptr ptr, ptr %branch, i64 3
  %share = load ptr, ptr %share.at
  %pool.at = getelementptr ptr, ptr %branch, i64 4
  %pool = load ptr, ptr %pool.at
  %is.there = icmp ult i64 %index, %count
  br i1 %is.there, label %run, label %none

none:
  store i64 1, ptr %trouble
  ret void

run:
  %row = shl i64 %index, 2
  %steps.at = getelementptr i64, ptr %branches, i64 %row
  %patches.at = getelementptr i64, ptr %steps.at, i64 2
  call void @patch(ptr %table, ptr %patches.at)
  %failed = call i1 @steps(ptr %steps.at, ptr %trouble, ptr %share, ptr %pool)
  ret void
}

define void @sequence(ptr %table, i64 %first, i64 %end) {
start:
  %sequence = load ptr, ptr %table
  %patches.at = getelementptr i64, ptr %sequence, i64 2
  call void @patch(ptr %table, ptr %patches.at)
  %trouble.at = getelementptr ptr, ptr %sequence, i64 4
  %trouble = load ptr, ptr %trouble.at
  %share.at = getelementptr ptr, ptr %sequence, i64 5
  %share = load ptr, ptr %share.at
  %pool.at = getelementptr ptr, ptr %sequence, i64 6
  %pool = load ptr, ptr %pool.at
  %failed = call i1 @steps(ptr %sequence, ptr %trouble, ptr %share, ptr %pool)
  ret void
}

; A function of a pair of words, a function and its table, called while other threads of Python run.
define void @released(ptr %pair, i64 %first, i64 %end) {
start:
  %function = load ptr, ptr %pair
  %table.at = getelementptr ptr, ptr %pair, i64 1
  %table = load ptr, ptr %table.at
  %thread = call ptr @PyEval_SaveThread()
  call void %function(ptr %table, i64 %first, i64 %end)
  call void @PyEval_RestoreThread(ptr %thread)
  ret void
}

; Tables get the addresses of arrays. `words` are the address of the patches, and how many there are.
define internal void @patch(ptr %table, ptr %words) {
start:
  %patches = load ptr, ptr %words
  %count.at = getelementptr i64, ptr %words, i64 1
  %count = load i64, ptr %count.at
  br label %more

more:
  %n = phi i64 [ 0, %start ], [ %n.next, %one ]
  %all = icmp eq i64 %n, %count
  br i1 %all, label %done, label %one

one:
  %row = mul i64 %n, 3
  %at = getelementptr ptr, ptr %patches, i64 %row
  %word = load ptr, ptr %at
  %place.at = getelementptr i64, ptr %at, i64 1
  %place = load i64, ptr %place.at
  %array.at = getelementptr i64, ptr %table, i64 %place
  %array = load i64, ptr %array.at
  %offset.at = getelementptr i64, ptr %at, i64 2
  %offset = load i64, ptr %offset.at
  %address = add i64 %array, %offset
  store i64 %address, ptr %word
  %n.next = add i64 %n, 1
  br label %more

done:
  ret void
}

; Whether a step of some met trouble. `words` are the address of their rows, and how many there are.
define internal i1 @steps(ptr %words, ptr %trouble, ptr %share, ptr %pool) {
start:
  %rows = load ptr, ptr %words
  %count.at = getelementptr i64, ptr %words, i64 1
  %count = load i64, ptr %count.at
  br label %more

more:
  %n = phi i64 [ 0, %start ], [ %n.next, %one ]
  %all = icmp eq i64 %n, %count
  br i1 %all, label %done, label %one

one:
  %n.next = add i64 %n, 1
  %row = mul i64 %n, 6
  %at = getelementptr ptr, ptr %rows, i64 %row
  call void @step(ptr %at, ptr %share, ptr %pool)
  %noted = load i64, ptr %trouble
  %is.well = icmp eq i64 %noted, 0
  br i1 %is.well, label %more, label %troubled

troubled:
  call void @raise(i64 %noted)
  ret i1 true

done:
  ret i1 false
}

define internal void @step(ptr %row, ptr %share, ptr %pool) alwaysinline {
start:
  %function = load ptr, ptr %row
  %table.at = getelementptr ptr, ptr %row, i64 1
  %table = load ptr, ptr %table.at
  %turns.at = getelementptr i64, ptr %row, i64 2
  %turns = load i64, ptr %turns.at
  %chunk.at = getelementptr i64, ptr %row, i64 3
  %chunk = load i64, ptr %chunk.at
  %is.whole = icmp sge i64 %chunk, %turns
  br i1 %is.whole, label %whole, label %parts

whole:
  call void %function(ptr %table, i64 0, i64 %turns)
  ret void

parts:
  %threads.at = getelementptr i64, ptr %row, i64 5
  %threads = load i64, ptr %threads.at
  %pitch.at = getelementptr i64, ptr %row, i64 4
  %pitch = load i64, ptr %pitch.at
  call void %share(ptr %pool, ptr %function, ptr %table, i64 %pitch, i64 %turns, i64 %chunk, i64 %threads)
  ret void
}

; Whether a handler of a signal raised an exception, which is left to who called.
define internal i1 @looks(ptr %trouble) {
start:
  %gil = call i32 @PyGILState_Ensure()
  %raised = call i32 @PyErr_CheckSignals()
  call void @PyGILState_Release(i32 %gil)
  %no = icmp eq i32 %raised, 0
  br i1 %no, label %none, label %some

none:
  ret i1 false

some:
  store i64 2, ptr %trouble
  ret i1 true
}

; A step of Python's was interrupted.
define internal void @raise(i64 %trouble) {
start:
  %is.interrupt = icmp eq i64 %trouble, 3
  br i1 %is.interrupt, label %interrupt, label %done

interrupt:
  %gil = call i32 @PyGILState_Ensure()
  %kind = load ptr, ptr @PyExc_KeyboardInterrupt
  call void @PyErr_SetNone(ptr %kind)
  call void @PyGILState_Release(i32 %gil)
  br label %done

done:
  ret void
}
