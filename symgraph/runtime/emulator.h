// Runs the text of CUDA kernels on a CPU, and finds what a GPU would only get wrong.
//
// Blocks run one after another. Each thread of a block is a fiber, of which one runs at a time, until it waits for
// others or returns. A seed draws the order of blocks, warps and lanes, and a warp runs until all its lanes wait, so
// that it may be a whole phase ahead of the next: what lacks a barrier gives other results for another seed. Shared
// memory begins as NaNs. What CUDA leaves undefined about barriers, shuffles and shared memory ends the launch with a
// message. A fiber that returns takes the next thread that is not begun, so a kernel without barriers is a plain loop.
//
// A text says SG_KERNEL(name) behind each kernel, which exports name_launch and name_parameters.
#pragma once
#if defined(__APPLE__) && !defined(_XOPEN_SOURCE)
#define _XOPEN_SOURCE 700  // ucontext.h asks for it
#define _DARWIN_C_SOURCE
#endif
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__SANITIZE_ADDRESS__)
#define SG_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SG_SANITIZED 1
#endif
#endif
#ifdef SG_SANITIZED
extern "C" {
void __sanitizer_start_switch_fiber(void** kept, const void* stack, size_t size);
void __sanitizer_finish_switch_fiber(void* kept, const void** old, size_t* size);
void __asan_poison_memory_region(const volatile void* from, size_t size);
void __asan_unpoison_memory_region(const volatile void* from, size_t size);
}
#endif

// Static shared arrays stand in a section of their own, whose ends the linker knows.
#ifdef __APPLE__
#define SG_SECTION "__DATA,sg_shared"
extern "C" char sg_shared_begin[] __asm("section$start$__DATA$sg_shared");
extern "C" char sg_shared_end[] __asm("section$end$__DATA$sg_shared");
#else
#define SG_SECTION "sg_shared"
#define sg_shared_begin __start_sg_shared
#define sg_shared_end __stop_sg_shared
extern "C" {
extern char __start_sg_shared[] __attribute__((weak, visibility("hidden")));
extern char __stop_sg_shared[] __attribute__((weak, visibility("hidden")));
}
#endif

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
struct uint3 {
  unsigned x, y, z;
};

namespace emulator {

constexpr unsigned LANES = 32, MOST_THREADS = 1024, MOST_WARPS = MOST_THREADS / LANES;
constexpr size_t MOST_SHARED = 227 << 10;  // bytes, of the largest of today's devices
constexpr size_t STACK = 256 << 10;  // of a fiber, with what is below it
constexpr size_t GUARD = 64 << 10;   // and cannot be written: a page, be it as large as pages are
constexpr size_t ZONE = 1024;       // bytes on both sides of the shared memory of a launch
constexpr unsigned MARK = 0xffffffa5;  // what is there: NaN in each float type, and not what a kernel writes

// Where a barrier or a shuffle stands in the text.
struct Site {
  const char* what;
  int line;
};

enum State : unsigned char { RUNS, AT_BARRIER, IN_WARP, DONE };

struct Warp {
  unsigned lanes, done, waiting;  // a bit each
  const Site* site;               // where all wait that do
  unsigned mask;
  bool apart;  // unless they wait at several places
};

struct Fiber {
  jmp_buf place;
  void* kept;   // the sanitizer's
  Fiber* next;  // of those without a thread
};

// Memory for the fibers of one library at a time, which are kept from launch to launch.
struct Stacks {
  char* memory;  // of MOST_THREADS stacks
  const void* owner;
};

struct Thread {
  State state;
  Fiber* fiber;  // none before it waits for the first time
  uint3 index;
  const Site* site;  // where it waits
  unsigned mask;     // for these lanes
  unsigned source;   // and wants the value of this one
  uint64_t value, taken;
  unsigned votes;
};

// The launch.
static const char* name;
static void (*entry)(void**);
static void** arguments;
static dim3 grid, block;
static uint3 block_index, thread_index;
static unsigned count, warps;
static char *room, *shared;
static size_t shared_size;
static uint64_t seed;
static char message[512];

// The block.
static Thread threads[MOST_THREADS];
static Warp warp_of[MOST_WARPS];
static unsigned current, live, at_barrier;
static const Site* barrier_site;

// Where the search for the next thread stands: a warp and a lane of the drawn orders.
static unsigned warp_order[MOST_WARPS], lane_order[LANES], warp_at, lane_at;
static bool again, moved;

static Fiber fibers[MOST_THREADS];
static unsigned fiber_count;
static Fiber *running, *idle;
static Stacks* stacks;
static jmp_buf host;
#ifdef SG_SANITIZED
static void* host_kept;
static const void* host_stack;
static size_t host_size;
#endif

static uint64_t drawn() {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  return seed ^= seed << 17;
}

static void draw_order(unsigned* order, unsigned size) {
  for (unsigned i = size; i-- > 1;) {
    const unsigned j = drawn() % (i + 1), kept = order[i];
    order[i] = order[j];
    order[j] = kept;
  }
}

static char* stack(const Fiber* fiber) { return stacks->memory + (fiber - fibers) * STACK + GUARD; }

// What the sanitizer hears of going from fiber to fiber, where null is the host.
#ifdef SG_SANITIZED
static void leave(Fiber* from, Fiber* to) {
  __sanitizer_start_switch_fiber(
      from ? &from->kept : &host_kept, to ? stack(to) : host_stack, to ? STACK - GUARD : host_size);
}

static void arrive(Fiber* at) {
  const void* old;
  size_t size;
  __sanitizer_finish_switch_fiber(at ? at->kept : host_kept, &old, &size);
  if (at && !host_stack) host_stack = old, host_size = size;
}
#else
static void leave(Fiber*, Fiber*) {}
static void arrive(Fiber*) {}
#endif

[[noreturn]] static void to_host(int how) {
  if (running) leave(running, nullptr);
  _longjmp(host, how);
}

[[noreturn]] static void fail(const char* text, ...) {
  const uint3 b = block_index, t = threads[current].index;
  int size = snprintf(message, sizeof message, "%s, block (%u, %u, %u), thread (%u, %u, %u): ", name, b.x, b.y, b.z,
                      t.x, t.y, t.z);
  va_list rest;
  va_start(rest, text);
  vsnprintf(message + size, sizeof message - size, text, rest);
  va_end(rest);
  to_host(2);
}

// All that is left waits for something that nobody does.
[[noreturn]] static void deadlock() {
  const Site *barrier = nullptr, *warp = nullptr;
  for (unsigned t = 0; t < count; ++t) {
    if (threads[t].state == AT_BARRIER) barrier = threads[t].site, current = t;
    if (threads[t].state == IN_WARP) warp = threads[t].site;
  }
  if (barrier && warp)
    fail("deadlock: waits at %s (line %d), others in %s (line %d)", barrier->what, barrier->line, warp->what,
         warp->line);
  fail("deadlock: waits in %s (line %d) for lanes that wait elsewhere", (warp ? warp : barrier)->what,
       (warp ? warp : barrier)->line);
}

// The next thread that can run, or -1 where all have returned.
static int next() {
  for (;;) {
    const unsigned first = warp_order[warp_at] * LANES;
    while (lane_at < LANES) {
      const unsigned t = first + lane_order[lane_at++];
      if (t < count && threads[t].state == RUNS) {
        again = moved = true;
        return t;
      }
    }
    lane_at = 0;
    if (again) {
      again = false;
      continue;
    }
    if (++warp_at < warps) continue;
    warp_at = 0;
    if (!live) return -1;
    if (!moved) deadlock();
    moved = false;
    if (seed) draw_order(warp_order, warps), draw_order(lane_order, LANES);
  }
}

static void enter(unsigned t) {
  current = t;
  thread_index = threads[t].index;
}

static void finish() {
  Warp& warp = warp_of[current / LANES];
  const unsigned own = current % LANES;
  if (at_barrier) fail("returns while others wait at %s (line %d)", barrier_site->what, barrier_site->line);
  threads[current].state = DONE;
  warp.done |= 1u << own;
  --live;
  for (unsigned i = 0; warp.waiting && i < LANES; ++i) {
    const Thread& other = threads[current - own + i];
    if (warp.waiting >> i & 1 && other.mask >> own & 1)
      fail("returns while lane %u waits for it in %s (line %d)", i, other.site->what, other.site->line);
  }
}

[[noreturn]] static void go(int t);

// Threads, one after another.
static void fiber_body() {
  arrive(running);
  for (;;) {
    entry(arguments);
    finish();
    const int t = next();
    if (t >= 0 && !threads[t].fiber) {
      enter(t);
      continue;
    }
    running->next = idle;
    idle = running;
    if (!_setjmp(running->place)) go(t);
    arrive(running);
  }
}

[[noreturn]] static void go_to_new_fiber() {
  static ucontext_t start;
  Fiber* const from = running;
  running = &fibers[fiber_count];
  char* const low = stack(running);
  if (mprotect(low - GUARD, GUARD, PROT_NONE)) abort();
  getcontext(&start);
  start.uc_stack.ss_sp = low;
  start.uc_stack.ss_size = STACK - GUARD - fiber_count % 61 * 64;  // their ends do not share one set of a cache
  start.uc_link = nullptr;
  makecontext(&start, fiber_body, 0);
  ++fiber_count;
  leave(from, running);
  setcontext(&start);
  abort();
}

// On with thread t, or back to the host where there is none.
[[noreturn]] static void go(int t) {
  if (t < 0) to_host(1);
  enter(t);
  Fiber* to = threads[t].fiber;
  if (!to) {
    if (!idle) go_to_new_fiber();
    to = idle;
    idle = to->next;
  }
  leave(running, to);
  running = to;
  _longjmp(to->place, 1);
}

__attribute__((noinline)) static void wait(State why, const Site* site) {
  Thread& own = threads[current];
  own.state = why;
  own.site = site;
  own.fiber = running;
  if (!_setjmp(running->place)) go(next());
  arrive(running);
}

__attribute__((noinline)) static void barrier(const Site* site) {
  if (live < count) fail("is at %s (line %d), but a thread of its block has returned", site->what, site->line);
  if (at_barrier && barrier_site != site)
    fail("is at %s (line %d), others wait at the one of line %d", site->what, site->line, barrier_site->line);
  barrier_site = site;
  if (++at_barrier < count) return wait(AT_BARRIER, site);
  at_barrier = 0;
  for (unsigned t = 0; t < count; ++t)
    if (threads[t].state == AT_BARRIER) threads[t].state = RUNS;
}

// Why the lanes of a mask cannot meet here, if they cannot.
static void check(const Site* site, unsigned mask) {
  const unsigned own = current % LANES;
  const Warp& warp = warp_of[current / LANES];
  if (!(mask >> own & 1))
    fail("%s (line %d): the mask %08x leaves out lane %u, which calls", site->what, site->line, mask, own);
  if (mask & ~warp.lanes)
    fail("%s (line %d): the mask %08x names lanes that the block does not have", site->what, site->line, mask);
  if (mask & warp.done)
    fail("%s (line %d): the mask %08x names lanes that have returned", site->what, site->line, mask);
  for (unsigned i = 0; i < LANES; ++i) {
    const Thread& other = threads[current - own + i];
    if (!((mask & warp.waiting) >> i & 1) || !(other.mask >> own & 1)) continue;  // or it does not wait for this lane
    if (other.site != site)
      fail("%s (line %d): lane %u waits for it in %s (line %d)", site->what, site->line, i, other.site->what,
           other.site->line);
    if (other.mask != mask)
      fail("%s (line %d): the mask is %08x, and %08x of lane %u", site->what, site->line, mask, other.mask, i);
  }
}

// Returns when all lanes of the mask are here, with what they wanted of each other.
__attribute__((noinline)) static void meet(const Site* site, unsigned mask) {
  const unsigned own = current % LANES;
  Warp& warp = warp_of[current / LANES];
  Thread* const lanes = threads + (current - own);
  const bool first = !warp.waiting, same = warp.site == site && warp.mask == mask && !warp.apart;
  if (first || !same || !(mask >> own & 1) || mask & warp.done) check(site, mask);
  if (first) warp.site = site, warp.mask = mask;
  warp.apart = !first && !same;
  lanes[own].mask = mask;
  lanes[own].site = site;
  warp.waiting |= 1u << own;
  bool complete = (warp.waiting & mask) == mask;
  for (unsigned i = 0; complete && warp.apart && i < LANES; ++i)
    if (mask >> i & 1) complete = lanes[i].site == site && lanes[i].mask == mask;
  if (!complete) return wait(IN_WARP, site);
  warp.waiting &= ~mask;
  unsigned votes = 0;
  for (unsigned i = 0; i < LANES; ++i)
    if (mask >> i & 1 && lanes[i].value) votes |= 1u << i;
  for (unsigned i = 0; i < LANES; ++i) {
    if (!(mask >> i & 1)) continue;
    const unsigned from = lanes[i].source;
    lanes[i].taken = mask >> from & 1 ? lanes[from].value : ~0ull;  // who is not named gives nothing
    lanes[i].votes = votes;
    lanes[i].state = RUNS;
  }
}

template <class T>
static T shuffled(const Site* site, unsigned mask, T x, unsigned source) {
  static_assert(sizeof(T) <= 8, "shuffles take 8 bytes at most");
  Thread& own = threads[current];
  own.value = 0;
  memcpy(&own.value, &x, sizeof x);
  own.source = source;
  meet(site, mask);
  T y;
  memcpy(&y, &own.taken, sizeof y);
  return y;
}

static unsigned voted(const Site* site, unsigned mask, bool x) {
  Thread& own = threads[current];
  own.value = x;
  own.source = current % LANES;
  meet(site, mask);
  return own.votes;
}

template <class T>
static T from_lane(const Site* site, unsigned mask, T x, int lane, unsigned width = LANES) {
  return shuffled(site, mask, x, current % LANES / width * width + (unsigned)lane % width);
}

template <class T>
static T from_above(const Site* site, unsigned mask, T x, unsigned by, unsigned width = LANES) {
  const unsigned own = current % LANES;
  return shuffled(site, mask, x, own % width + by < width ? own + by : own);
}

template <class T>
static T from_below(const Site* site, unsigned mask, T x, unsigned by, unsigned width = LANES) {
  const unsigned own = current % LANES;
  return shuffled(site, mask, x, own % width >= by ? own - by : own);
}

template <class T>
static T from_other(const Site* site, unsigned mask, T x, unsigned bits, unsigned width = LANES) {
  const unsigned own = current % LANES, source = own ^ bits;
  return shuffled(site, mask, x, source < LANES && source / width <= own / width ? source : own);
}

static unsigned all_or(unsigned mask = ~0u) { return mask; }

template <class T>
static T* aligned(T* address, size_t bytes) {
  if ((uintptr_t)address % bytes) fail("the address %p is not aligned to %zu bytes", (const void*)address, bytes);
  return address;
}

static void fill(void* from, size_t size) {
  for (size_t i = 0; i < size / sizeof MARK; ++i) memcpy((char*)from + i * sizeof MARK, &MARK, sizeof MARK);
}

static bool is_filled(const char* from, size_t size) {
  for (size_t i = 0; i < size / sizeof MARK; ++i)
    if (memcmp(from + i * sizeof MARK, &MARK, sizeof MARK)) return false;
  return true;
}

// Whether all went well.
static bool run_block() {
  memset(shared, 0xff, shared_size);
  if (sg_shared_begin) memset(sg_shared_begin, 0xff, sg_shared_end - sg_shared_begin);
  for (unsigned t = 0; t < count; ++t) threads[t].state = RUNS, threads[t].fiber = nullptr;
  for (unsigned i = 0; i < warps; ++i)
    warp_of[i] = {(i + 1) * LANES > count ? (1u << count % LANES) - 1 : ~0u, 0, 0, nullptr, 0, false};
  live = count;
  running = nullptr;
  if (seed) draw_order(warp_order, warps), draw_order(lane_order, LANES);
  const int how = _setjmp(host);
  if (how == 0) go(next());
  if (running) arrive(nullptr);
  if (how == 2) return false;
  running = nullptr;
#ifndef SG_SANITIZED  // which names the thread that does it
  if (!is_filled(room, ZONE) || !is_filled(shared + shared_size, ZONE))
    return snprintf(message, sizeof message, "%s, block (%u, %u, %u): writes outside its %zu bytes of shared memory",
                    name, block_index.x, block_index.y, block_index.z, shared_size), false;
#endif
  return true;
}

static uint64_t common(uint64_t a, uint64_t b) {
  while (b) {
    const uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static bool run_blocks() {
  const uint64_t total = (uint64_t)grid.x * grid.y * grid.z;
  uint64_t at = 0, step = 1;
  if (seed) {
    at = drawn() % total;
    do step = drawn() % total + 1;
    while (common(step, total) != 1);
  }
  for (uint64_t k = 0; k < total; ++k, at = (at + step) % total) {
    block_index = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y), (unsigned)(at / grid.x / grid.y)};
    if (!run_block()) return false;
  }
  return true;
}

// Null, or what went wrong.
static const char* launch(const char* kernel, void (*body)(void**), void** given, const unsigned* blocks,
                          const unsigned* sizes, size_t bytes, uint64_t order, Stacks* memory) {
  const uint64_t all = (uint64_t)sizes[0] * sizes[1] * sizes[2];
  if (!all || all > MOST_THREADS || sizes[0] > 1024 || sizes[1] > 1024 || sizes[2] > 64 || !blocks[0] ||
      !blocks[1] || !blocks[2] || blocks[0] > INT_MAX || blocks[1] > 65535 || blocks[2] > 65535 ||
      bytes > MOST_SHARED) {
    snprintf(message, sizeof message,
             "%s: no device launches (%u, %u, %u) blocks of (%u, %u, %u) threads with %zu bytes of shared memory", kernel,
             blocks[0], blocks[1], blocks[2], sizes[0], sizes[1], sizes[2], bytes);
    return message;
  }
  name = kernel, entry = body, arguments = given, shared_size = bytes;
  seed = order * 0x9e3779b97f4a7c15;  // zero stays zero: all in their own order
  grid = {blocks[0], blocks[1], blocks[2]};
  block = {sizes[0], sizes[1], sizes[2]};
  count = (unsigned)all;
  warps = (count + LANES - 1) / LANES;
  const unsigned x = block.x, y = block.y;
  for (unsigned t = 0; t < count; ++t) threads[t].index = {t % x, t / x % y, t / x / y};
  for (unsigned i = 0; i < LANES; ++i) lane_order[i] = i;
  for (unsigned i = 0; i < MOST_WARPS; ++i) warp_order[i] = i;
  at_barrier = warp_at = lane_at = 0;
  again = moved = false;
  stacks = memory;
  if (stacks->owner != fibers) fiber_count = 0, idle = nullptr;
  void* made = nullptr;
  const size_t whole = ZONE + (bytes + 3) / 4 * 4 + ZONE;
  if (posix_memalign(&made, 128, whole)) abort();
  room = (char*)made, shared = room + ZONE;
  fill(room, ZONE);
  fill(shared + bytes, ZONE);
#ifdef SG_SANITIZED
  __asan_poison_memory_region(room, ZONE);
  __asan_poison_memory_region(shared + bytes, ZONE);
#endif

  const bool well = run_blocks();

#ifdef SG_SANITIZED
  __asan_unpoison_memory_region(room, whole);
#endif
  stacks->owner = well ? fibers : nullptr;  // those that fail never come back to their ends
  free(room);
  return well ? nullptr : message;
}

template <class T>
struct Kind {
  static constexpr char letter() {
    if constexpr (__is_class(T)) return 'V';
    else return T(0.5) != T(0) ? 'f' : T(-1) < T(0) ? 'i' : 'u';
  }
  static int print(char* to, size_t room) { return snprintf(to, room, "%c%zu", letter(), sizeof(T)); }
};
template <>
struct Kind<bool> {
  static int print(char* to, size_t room) { return snprintf(to, room, "b1"); }
};
template <>
struct Kind<void> {
  static int print(char* to, size_t room) { return snprintf(to, room, "V1"); }
};
template <class T>
struct Kind<const T> : Kind<T> {};
template <class T>
struct Kind<T*> {
  static int print(char* to, size_t room) {
    const int size = Kind<T>::print(to, room);
    return size + snprintf(to + size, room - size, "*");
  }
};
template <class T>
struct Kind<const T*> {
  static int print(char* to, size_t room) {
    const int size = snprintf(to, room, "const ");
    return size + Kind<T*>::print(to + size, room - size);
  }
};

// The types of parameters as `const f4*, i8`.
template <class... A>
static const char* parameters(void (*)(A...)) {
  static char text[32 * (sizeof...(A) + 1)];
  int at = 0;
  auto print = [&](int (*one)(char*, size_t)) {
    if (at) at += snprintf(text + at, sizeof text - at, ", ");
    at += one(text + at, sizeof text - at);
  };
  at = 0;
  (print(Kind<A>::print), ...);
  return text;
}

template <class... A>
struct Call {
  Call(void (*kernel)(A...), A... values) { kernel(values...); }
};

template <class... A>
static void call(void (*kernel)(A...), void** from) {
  int i = 0;
  Call<A...>{kernel, *(A*)from[i++]...};  // braces keep the order
}

}  // namespace emulator

#define SG_SITE(what)                              \
  ([]() -> const emulator::Site* {                 \
    static const emulator::Site site = {what, __LINE__}; \
    return &site;                                  \
  }())
#define SG_EXPORTED extern "C" __attribute__((visibility("default")))
#define SG_KERNEL(name)                                                                                          \
  SG_EXPORTED const char* name##_launch(void** arguments, const unsigned* grid, const unsigned* block, size_t shared, \
                                        uint64_t seed, emulator::Stacks* stacks) {                               \
    return emulator::launch(                                                                                     \
        #name, [](void** from) { emulator::call(&name, from); }, arguments, grid, block, shared, seed, stacks);  \
  }                                                                                                              \
  SG_EXPORTED const char* name##_parameters() { return emulator::parameters(&name); }
#define SG_SHARED(type, name) type* const name = (type*)emulator::shared

// CUDA's own names.
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static __attribute__((section(SG_SECTION)))
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __launch_bounds__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __builtin_assume_aligned(address, bytes) emulator::aligned(address, bytes)

#define threadIdx emulator::thread_index
#define blockIdx emulator::block_index
#define blockDim emulator::block
#define gridDim emulator::grid
constexpr int warpSize = emulator::LANES;

#define __syncthreads() emulator::barrier(SG_SITE("__syncthreads"))
#define __syncwarp(...) emulator::meet(SG_SITE("__syncwarp"), emulator::all_or(__VA_ARGS__))
#define __shfl_sync(...) emulator::from_lane(SG_SITE("__shfl_sync"), __VA_ARGS__)
#define __shfl_down_sync(...) emulator::from_above(SG_SITE("__shfl_down_sync"), __VA_ARGS__)
#define __shfl_up_sync(...) emulator::from_below(SG_SITE("__shfl_up_sync"), __VA_ARGS__)
#define __shfl_xor_sync(...) emulator::from_other(SG_SITE("__shfl_xor_sync"), __VA_ARGS__)
#define __ballot_sync(mask, x) emulator::voted(SG_SITE("__ballot_sync"), mask, x)
#define __any_sync(mask, x) (emulator::voted(SG_SITE("__any_sync"), mask, x) != 0)
#define __all_sync(mask, x) (emulator::voted(SG_SITE("__all_sync"), mask, x) == (mask))

// Fibers change at barriers only, so what is atomic is what stands here.
template <class T>
struct SgSame {
  using Type = T;
};
#define SG_ATOMIC(name, new_one)                               \
  template <class T>                                           \
  static inline T name(T* at, typename SgSame<T>::Type x) {    \
    const T old = *at;                                         \
    *at = new_one;                                             \
    return old;                                                \
  }
SG_ATOMIC(atomicAdd, old + x)
SG_ATOMIC(atomicSub, old - x)
SG_ATOMIC(atomicMin, old < x ? old : x)
SG_ATOMIC(atomicMax, old > x ? old : x)
SG_ATOMIC(atomicAnd, old & x)
SG_ATOMIC(atomicOr, old | x)
SG_ATOMIC(atomicXor, old ^ x)
SG_ATOMIC(atomicExch, x)
#undef SG_ATOMIC
template <class T>
static inline T atomicCAS(T* at, typename SgSame<T>::Type expected, typename SgSame<T>::Type x) {
  const T old = *at;
  if (old == expected) *at = x;
  return old;
}
static inline void __threadfence() {}
static inline void __threadfence_block() {}

template <class T>
static inline T __ldg(const T* from) {
  return *from;
}
template <class T>
static inline T __ldcs(const T* from) {
  return *from;
}
template <class T>
static inline void __stcs(T* to, typename SgSame<T>::Type x) {
  *to = x;
}

template <class To, class From>
static inline To sg_as(From x) {
  static_assert(sizeof(To) == sizeof(From), "the same bits");
  To y;
  memcpy(&y, &x, sizeof y);
  return y;
}
static inline int __float_as_int(float x) { return sg_as<int>(x); }
static inline unsigned __float_as_uint(float x) { return sg_as<unsigned>(x); }
static inline float __int_as_float(int x) { return sg_as<float>(x); }
static inline float __uint_as_float(unsigned x) { return sg_as<float>(x); }
static inline long long __double_as_longlong(double x) { return sg_as<long long>(x); }
static inline double __longlong_as_double(long long x) { return sg_as<double>(x); }

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __ffsll(long long x) { return __builtin_ffsll(x); }
static inline int __mulhi(int a, int b) { return (long long)a * b >> 32; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
static inline long long __mul64hi(long long a, long long b) { return (__int128)a * b >> 64; }
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned __int128)a * b >> 64;
}

static inline float __saturatef(float x) { return x > 0 ? x < 1 ? x : 1 : 0; }
static inline float __fdividef(float a, float b) { return a / b; }
#define rsqrtf(x) (1 / sqrtf(x))  // functions of these names may be the C library's
#define rsqrt(x) (1 / sqrt(x))
#define __expf expf
#define __logf logf
#define __sinf sinf
#define __cosf cosf
#define __powf powf

template <class A, class B>
static inline auto min(A a, B b) -> decltype(a + b) {
  return (decltype(a + b))a < (decltype(a + b))b ? a : b;
}
template <class A, class B>
static inline auto max(A a, B b) -> decltype(a + b) {
  return (decltype(a + b))a > (decltype(a + b))b ? a : b;
}
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }
