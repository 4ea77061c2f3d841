; Threads that share the turns of a loop. The turns are cut into chunks; who has nothing to do claims one, and the caller
; does so too: it waits for chunks that others have claimed and for nothing else, so that a thread which sleeps, or which the
; system does not run, delays nobody. Every thread claims chunks of a part of its own, the same in every call, before those
; of others: what it read or wrote lies in its cache. Where chunks wait for each other, which a negative size of chunks says,
; they are all one part and claimed in order.
;
; A loop of one thread is cut into chunks where it goes through more than the second cache may hold. It runs the other way
; than the last such loop, as parts do: first what was read or written last, which a loop that always began with the first
; turn would drive out of the cache before it comes to it.
;
; The pool is this memory, in bytes, which symgraph/runtime/pool.py makes:
;
;    0  calls       the number of the last one
;   64  done        how many chunks are done
;  128  owner       1 while a call uses the pool
;  192  function    of machine code: void (ptr table, i64 begin, i64 end)
;  200  tables      one for each thread, since each has a room of its own
;  208  pitch       bytes from one table to the next
;  216  turns       of the loop
;  224  chunk       turns of a chunk
;  232  chunks      how many
;  240  share       how many threads take part, the caller one of them
;  256  workers     how many other threads there are
;  264  patience    how often a thread looks for work before it sleeps
;  272  yield       a function that lets the system run another thread, or 0
;  280  back        1 where the next loop begins with its last chunk
;  288  way         the same of the loop that the pool is used for
;  296  parts       how many it has
;  320  the first thread, which calls; 64 bytes for each of 256:
;         0  ticket  the number of the call in the upper half, and in the lower how many chunks of its part nobody has claimed
;         8  asleep  1 while it sleeps, and after it the lock that it sleeps at; not of the caller
;
; The blocking lock is Python's, which needs no interpreter. `@relax` tells the processor that a thread is waiting.

declare i32 @PyThread_acquire_lock(ptr, i32)
declare void @PyThread_release_lock(ptr)

; All turns of a loop, by all threads that are there; by this one alone where no more are to share it, or somebody else has
; them.
define void @share(ptr %pool, ptr %function, ptr %tables, i64 %pitch, i64 %turns, i64 %size, i64 %share) {
start:
  %in.order = icmp slt i64 %size, 0
  %chunk = call i64 @llvm.abs.i64(i64 %size, i1 true)
  %above = add i64 %turns, %chunk
  %last = sub i64 %above, 1
  %chunks = sdiv i64 %last, %chunk
  %few = icmp sle i64 %chunks, 1
  br i1 %few, label %alone, label %several

several:
  %back.at = getelementptr i8, ptr %pool, i64 280
  %is.one = icmp eq i64 %share, 1
  br i1 %is.one, label %sweep, label %ask

sweep:
  %back = load atomic i64, ptr %back.at monotonic, align 8
  %there = xor i64 %back, 1
  store atomic i64 %there, ptr %back.at monotonic, align 8
  %is.back = icmp ne i64 %back, 0
  %last.chunk = sub i64 %chunks, 1
  br label %piece

piece:
  %c = phi i64 [ 0, %sweep ], [ %c.next, %piece ]
  %from.last = sub i64 %last.chunk, %c
  %number = select i1 %is.back, i64 %from.last, i64 %c
  %begin = mul i64 %number, %chunk
  %far = add i64 %begin, %chunk
  %end.of.piece = call i64 @llvm.smin.i64(i64 %far, i64 %turns)
  call void %function(ptr %tables, i64 %begin, i64 %end.of.piece)
  %c.next = add i64 %c, 1
  %is.left = icmp slt i64 %c.next, %chunks
  br i1 %is.left, label %piece, label %swept

swept:
  ret void

ask:
  %owner.at = getelementptr i8, ptr %pool, i64 128
  %asked = cmpxchg ptr %owner.at, i64 0, i64 1 seq_cst seq_cst
  %free = extractvalue { i64, i1 } %asked, 1
  br i1 %free, label %prepare, label %alone

alone:
  call void %function(ptr %tables, i64 0, i64 %turns)
  ret void

prepare:
  %function.at = getelementptr i8, ptr %pool, i64 192
  store ptr %function, ptr %function.at
  %tables.at = getelementptr i8, ptr %pool, i64 200
  store ptr %tables, ptr %tables.at
  %pitch.at = getelementptr i8, ptr %pool, i64 208
  store i64 %pitch, ptr %pitch.at
  %turns.at = getelementptr i8, ptr %pool, i64 216
  store i64 %turns, ptr %turns.at
  %chunk.at = getelementptr i8, ptr %pool, i64 224
  store i64 %chunk, ptr %chunk.at
  %chunks.at = getelementptr i8, ptr %pool, i64 232
  store i64 %chunks, ptr %chunks.at
  %share.at = getelementptr i8, ptr %pool, i64 240
  store atomic i64 %share, ptr %share.at monotonic, align 8
  %way = load atomic i64, ptr %back.at monotonic, align 8
  %way.after = xor i64 %way, 1
  store atomic i64 %way.after, ptr %back.at monotonic, align 8
  %way.here = select i1 %in.order, i64 0, i64 %way
  %way.at = getelementptr i8, ptr %pool, i64 288
  store i64 %way.here, ptr %way.at
  %lines = call i64 @llvm.smin.i64(i64 %share, i64 256)
  %parts = select i1 %in.order, i64 1, i64 %lines
  %parts.at = getelementptr i8, ptr %pool, i64 296
  store atomic i64 %parts, ptr %parts.at monotonic, align 8
  %done.at = getelementptr i8, ptr %pool, i64 64
  store atomic i64 0, ptr %done.at monotonic, align 8
  %old = load atomic i64, ptr %pool monotonic, align 8
  %call = add i64 %old, 1
  %upper = shl i64 %call, 32
  br label %part

part:
  %p = phi i64 [ 0, %prepare ], [ %p.next, %part ]
  %p.next = add i64 %p, 1
  %first = call i64 @before(i64 %chunks, i64 %p, i64 %parts)
  %after = call i64 @before(i64 %chunks, i64 %p.next, i64 %parts)
  %count = sub i64 %after, %first
  %ticket = or i64 %upper, %count
  %ticket.at = call ptr @line(ptr %pool, i64 %p)
  store atomic i64 %ticket, ptr %ticket.at release, align 8
  %more.parts = icmp slt i64 %p.next, %parts
  br i1 %more.parts, label %part, label %call.them

call.them:
  %before = atomicrmw xchg ptr %pool, i64 %call seq_cst
  %workers.at = getelementptr i8, ptr %pool, i64 256
  %workers = load i64, ptr %workers.at
  %others = sub i64 %share, 1
  %wanted = call i64 @llvm.smin.i64(i64 %workers, i64 %others)
  br label %more

more:
  %n = phi i64 [ 0, %call.them ], [ %n.next, %next ]
  %n.next = add i64 %n, 1
  %all = icmp sge i64 %n, %wanted
  br i1 %all, label %work, label %look

look:
  %line = call ptr @line(ptr %pool, i64 %n.next)
  %asleep.at = getelementptr i8, ptr %line, i64 8
  %asleep = load atomic i64, ptr %asleep.at seq_cst, align 8
  %sleeps = icmp ne i64 %asleep, 0
  br i1 %sleeps, label %take, label %next

take:
  %slept = atomicrmw xchg ptr %asleep.at, i64 0 seq_cst
  %is.mine = icmp ne i64 %slept, 0
  br i1 %is.mine, label %wake, label %next

wake:
  %lock.at = getelementptr i8, ptr %asleep.at, i64 8
  %lock = load ptr, ptr %lock.at
  call void @PyThread_release_lock(ptr %lock)
  br label %next

next:
  br label %more

work:
  call void @works(ptr %pool, i64 0)
  br label %wait

wait:                                             ; for the chunks of others
  %looks = phi i64 [ 0, %work ], [ %looks.next, %relax ]
  %so.far = load atomic i64, ptr %done.at acquire, align 8
  %whole = icmp eq i64 %so.far, %chunks
  br i1 %whole, label %end, label %relax

relax:
  %looks.next = call i64 @waits(ptr %pool, i64 %looks)
  br label %wait

end:
  store atomic i64 0, ptr %owner.at seq_cst, align 8
  ret void
}

; The memory of a thread.
define internal ptr @line(ptr %pool, i64 %n) alwaysinline {
start:
  %offset = mul i64 %n, 64
  %here = add i64 %offset, 320
  %line = getelementptr i8, ptr %pool, i64 %here
  ret ptr %line
}

; How many chunks come before a part.
define internal i64 @before(i64 %chunks, i64 %part, i64 %parts) alwaysinline {
start:
  %all = mul i64 %chunks, %part
  %found = sdiv i64 %all, %parts
  ret i64 %found
}

; Chunks, first of the own part, until nobody has left one to claim.
define internal void @works(ptr %pool, i64 %n) {
start:
  %share.at = getelementptr i8, ptr %pool, i64 240
  %parts.at = getelementptr i8, ptr %pool, i64 296
  %done.at = getelementptr i8, ptr %pool, i64 64
  %parts = load atomic i64, ptr %parts.at monotonic, align 8
  %has.own = icmp slt i64 %n, %parts
  %own = select i1 %has.own, i64 %n, i64 0
  br label %look

look:
  %p = phi i64 [ %own, %start ], [ %p, %run ], [ %following, %next ]
  %seen.parts = phi i64 [ 0, %start ], [ %seen.parts, %run ], [ %seen.more, %next ]
  %ticket.at = call ptr @line(ptr %pool, i64 %p)
  %found = load atomic i64, ptr %ticket.at acquire, align 8
  br label %try

try:
  %ticket = phi i64 [ %found, %look ], [ %seen, %claim ]
  %left = and i64 %ticket, 4294967295
  %none = icmp eq i64 %left, 0
  br i1 %none, label %next, label %invited

invited:
  %share = load atomic i64, ptr %share.at monotonic, align 8
  %is.asked = icmp slt i64 %n, %share
  br i1 %is.asked, label %claim, label %end

claim:
  %less = sub i64 %ticket, 1
  %claimed = cmpxchg ptr %ticket.at, i64 %ticket, i64 %less acq_rel acquire
  %seen = extractvalue { i64, i1 } %claimed, 0
  %is.mine = extractvalue { i64, i1 } %claimed, 1
  br i1 %is.mine, label %run, label %try

run:                                              ; the call goes on until this chunk is done
  %function.at = getelementptr i8, ptr %pool, i64 192
  %function = load ptr, ptr %function.at
  %tables.at = getelementptr i8, ptr %pool, i64 200
  %tables = load ptr, ptr %tables.at
  %pitch.at = getelementptr i8, ptr %pool, i64 208
  %pitch = load i64, ptr %pitch.at
  %turns.at = getelementptr i8, ptr %pool, i64 216
  %turns = load i64, ptr %turns.at
  %chunk.at = getelementptr i8, ptr %pool, i64 224
  %chunk = load i64, ptr %chunk.at
  %chunks.at = getelementptr i8, ptr %pool, i64 232
  %chunks = load i64, ptr %chunks.at
  %way.at = getelementptr i8, ptr %pool, i64 288
  %way = load i64, ptr %way.at
  %parts.here = load atomic i64, ptr %parts.at monotonic, align 8
  %place = mul i64 %n, %pitch
  %table = getelementptr i8, ptr %tables, i64 %place
  %p.after = add i64 %p, 1
  %first = call i64 @before(i64 %chunks, i64 %p, i64 %parts.here)
  %after = call i64 @before(i64 %chunks, i64 %p.after, i64 %parts.here)
  %there = sub i64 %after, %left
  %above = add i64 %first, %left
  %back = sub i64 %above, 1
  %is.back = icmp ne i64 %way, 0
  %which = select i1 %is.back, i64 %back, i64 %there
  %begin = mul i64 %which, %chunk
  %far = add i64 %begin, %chunk
  %end.of.chunk = call i64 @llvm.smin.i64(i64 %far, i64 %turns)
  call void %function(ptr %table, i64 %begin, i64 %end.of.chunk)
  %before = atomicrmw add ptr %done.at, i64 1 release
  br label %look

next:
  %seen.more = add i64 %seen.parts, 1
  %p.next = add i64 %p, 1
  %is.past = icmp sge i64 %p.next, %parts
  %following = select i1 %is.past, i64 0, i64 %p.next
  %is.left = icmp slt i64 %seen.more, %parts
  br i1 %is.left, label %look, label %end

end:
  ret void
}

; One more look in vain: what the count of them is then.
define internal i64 @waits(ptr %pool, i64 %looks) {
start:
  call void @relax()
  %more = add i64 %looks, 1
  %patience.at = getelementptr i8, ptr %pool, i64 264
  %patience = load i64, ptr %patience.at
  %is.long = icmp sgt i64 %more, %patience
  br i1 %is.long, label %ask, label %end

ask:
  %yield.at = getelementptr i8, ptr %pool, i64 272
  %yield = load ptr, ptr %yield.at
  %cannot = icmp eq ptr %yield, null
  br i1 %cannot, label %end, label %let

let:
  %ignored = call i32 %yield()
  br label %end

end:
  ret i64 %more
}

; Until a word that other threads add to is so much. They run what is missing: what is claimed first is waited for by who
; claims later.
define void @await(ptr %pool, ptr %word, i64 %least) {
start:
  br label %look

look:
  %looks = phi i64 [ 0, %start ], [ %looks.next, %relax ]
  %so.far = load atomic i64, ptr %word acquire, align 8
  %enough = icmp sge i64 %so.far, %least
  br i1 %enough, label %end, label %relax

relax:
  %looks.next = call i64 @waits(ptr %pool, i64 %looks)
  br label %look

end:
  ret void
}

; What a worker does for ever; the caller of a loop has number 0.
define void @worker(ptr %pool, i64 %n) {
start:
  %line = call ptr @line(ptr %pool, i64 %n)
  %asleep.at = getelementptr i8, ptr %line, i64 8
  %lock.at = getelementptr i8, ptr %line, i64 16
  %lock = load ptr, ptr %lock.at
  %patience.at = getelementptr i8, ptr %pool, i64 264
  br label %wait

wait:
  %known = phi i64 [ 0, %start ], [ %calls, %awake ]
  %patience = load i64, ptr %patience.at
  br label %look

look:
  %looks = phi i64 [ 0, %wait ], [ %looks.next, %relax ]
  %is.work = call i1 @has.work(ptr %pool, i64 %n, i64 %known)
  br i1 %is.work, label %awake, label %patient

patient:
  %looks.next = add i64 %looks, 1
  %more = icmp slt i64 %looks.next, %patience
  br i1 %more, label %relax, label %sleep

relax:
  call void @relax()
  br label %look

sleep:                                            ; who brings work sees that, or is seen here
  store atomic i64 1, ptr %asleep.at seq_cst, align 8
  %is.late = call i1 @has.work(ptr %pool, i64 %n, i64 %known)
  br i1 %is.late, label %cancel, label %block

cancel:
  %slept = atomicrmw xchg ptr %asleep.at, i64 0 seq_cst
  %still = icmp ne i64 %slept, 0
  br i1 %still, label %awake, label %block

block:
  %acquired = call i32 @PyThread_acquire_lock(ptr %lock, i32 1)
  br label %awake

awake:
  %calls = load atomic i64, ptr %pool acquire, align 8
  call void @works(ptr %pool, i64 %n)
  br label %wait
}

; Whether a thread with this number is asked for by another call than the last that it knows.
define internal i1 @has.work(ptr %pool, i64 %n, i64 %known) {
start:
  %share.at = getelementptr i8, ptr %pool, i64 240
  %calls = load atomic i64, ptr %pool seq_cst, align 8
  %is.new = icmp ne i64 %calls, %known
  %share = load atomic i64, ptr %share.at monotonic, align 8
  %is.asked = icmp slt i64 %n, %share
  %is.work = and i1 %is.new, %is.asked
  ret i1 %is.work
}

declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.abs.i64(i64, i1)
