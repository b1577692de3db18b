// CUDA C on the host, for tests: what stands before a module's text when the host's C++ compiler takes it.
//
// Threads of a block that wait for each other are fibres of one thread of the system. A warp runs until all of its
// threads wait or have ended, then the next one does: it gets as far ahead of the others as the text allows, so that a
// missing barrier shows. Within a warp, threads meet where they exchange values. Shared storage holds NaN when a block
// begins.
#pragma once
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("gpu_shared")))
#define __align__(n) __attribute__((aligned(n)))
#define ON_HOST

// The few functions of <math.h> by which the compiler knows them: that header is slow to read.
#define fabs __builtin_fabs
#define fabsf __builtin_fabsf
#define fma __builtin_fma
#define fmaf __builtin_fmaf
#define sqrt __builtin_sqrt
#define sqrtf __builtin_sqrtf
#define floor __builtin_floor
#define floorf __builtin_floorf
#define ceil __builtin_ceil
#define ceilf __builtin_ceilf
#define trunc __builtin_trunc
#define truncf __builtin_truncf
#define rint __builtin_rint
#define rintf __builtin_rintf
#define copysign __builtin_copysign
#define copysignf __builtin_copysignf

extern "C" __attribute__((weak, visibility("hidden"))) char __start_gpu_shared[], __stop_gpu_shared[];

struct dim3 { int x, y, z; };
static dim3 blockIdx, threadIdx;

template <class To, class From> static inline To same_bits(From from) {
  To to;
  static_assert(sizeof(To) == sizeof(From), "as many bits");
  memcpy(&to, &from, sizeof(To));
  return to;
}
static inline int __float_as_int(float x) { return same_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }
static inline float __int_as_float(int x) { return same_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
static inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }
static inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
static inline float half_to_float(unsigned short bits) { return (float)same_bits<_Float16>(bits); }
static inline unsigned short float_to_half(float x) { return same_bits<unsigned short>((_Float16)x); }

namespace gpu {

constexpr int WARP = 32;
constexpr size_t STACK = 1 << 16;
enum State { RUNNING, MEETING, WAITING, ENDED };

#if defined(__x86_64__)
typedef void* Context;
extern "C" void gpu_switch(Context* from, Context to);
asm(R"(.text
.local gpu_switch
.type gpu_switch,@function
gpu_switch: push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15
 mov %rsp,(%rdi); mov %rsi,%rsp
 pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp; ret
.size gpu_switch,.-gpu_switch)");
static void make(Context* made, char* stack, void (*entry)()) {
  void** top = (void**)(((uintptr_t)stack + STACK) & ~(uintptr_t)15);
  *--top = nullptr;
  *--top = (void*)entry;
  for (int k = 0; k < 6; k++) *--top = nullptr;
  *made = top;
}
static void change(Context* from, Context* to) { gpu_switch(from, *to); }
#else
typedef ucontext_t Context;
static void make(Context* made, char* stack, void (*entry)()) {
  getcontext(made);
  made->uc_stack.ss_sp = stack;
  made->uc_stack.ss_size = STACK;
  makecontext(made, entry, 0);
}
static void change(Context* from, Context* to) { swapcontext(from, to); }
#endif

struct Fibre {
  Context context;
  State state;
  int line;
  dim3 index;
};

constexpr int MOST = 1024;  // threads of a block
static Fibre fibres[MOST];
static Context scheduler;
static int running;
static char* stacks;
static void (*body)(void**);
static void** arguments;

static void leave(State state, int line) {
  Fibre& f = fibres[running];
  f.state = state;
  f.line = line;
  change(&f.context, &scheduler);
}

static void entry() {
  body(arguments);
  leave(ENDED, 0);
}

static void start(int threads, dim3 block) {
  if (!stacks)
    stacks = (char*)mmap(0, STACK * MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  for (int t = 0; t < threads; t++) {
    fibres[t].state = RUNNING;
    fibres[t].index = {t % block.x, t / block.x % block.y, t / (block.x * block.y)};
    make(&fibres[t].context, stacks + t * STACK, entry);
  }
}

static void resume(int thread) {
  running = thread;
  threadIdx = fibres[thread].index;
  change(&scheduler, &fibres[thread].context);
}

// Runs the threads of a warp until all of them wait for the block or have ended; gives what is wrong, or null.
static const char* run_warp(int first, int end) {
  for (;;) {
    for (int t = first; t < end; t++)
      if (fibres[t].state == RUNNING) resume(t);
    int meeting = 0;
    for (int t = first; t < end; t++) meeting += fibres[t].state == MEETING;
    if (!meeting) return nullptr;
    for (int t = first; t < end; t++)
      if (fibres[t].state != MEETING || fibres[t].line != fibres[first].line)
        return "some threads of a warp exchange values, others do not";
    if (end - first < WARP) return "threads of an incomplete warp exchange values";
    for (int t = first; t < end; t++) fibres[t].state = RUNNING;
  }
}

// Runs the threads of a block to the end; gives what is wrong, or null.
static const char* run_block(int threads, dim3 block, bool backwards) {
  start(threads, block);
  int warps = (threads + WARP - 1) / WARP;
  for (;;) {
    for (int k = 0; k < warps; k++) {
      int first = (backwards ? warps - 1 - k : k) * WARP, end = first + WARP;
      const char* wrong = run_warp(first, end < threads ? end : threads);
      if (wrong) return wrong;
    }
    int waiting = 0;
    for (int t = 0; t < threads; t++) waiting += fibres[t].state == WAITING;
    if (!waiting) return nullptr;
    for (int t = 0; t < threads; t++)
      if (fibres[t].state != WAITING || fibres[t].line != fibres[0].line)
        return "a barrier is reached by some threads of a block only";
    for (int t = 0; t < threads; t++) fibres[t].state = RUNNING;
  }
}

static void run_threads(dim3 block) {
  for (threadIdx.z = 0; threadIdx.z < block.z; threadIdx.z++)
    for (threadIdx.y = 0; threadIdx.y < block.y; threadIdx.y++)
      for (threadIdx.x = 0; threadIdx.x < block.x; threadIdx.x++) body(arguments);
}

static const char* launch(void (*function)(void**), const int* extents, int together, int backwards, void** given) {
  dim3 grid = {extents[0], extents[1], extents[2]}, block = {extents[3], extents[4], extents[5]};
  body = function;
  arguments = given;
  size_t shared = __stop_gpu_shared - __start_gpu_shared;
  for (blockIdx.z = 0; blockIdx.z < grid.z; blockIdx.z++)
    for (blockIdx.y = 0; blockIdx.y < grid.y; blockIdx.y++)
      for (blockIdx.x = 0; blockIdx.x < grid.x; blockIdx.x++) {
        if (!together) {
          run_threads(block);
          continue;
        }
        memset(__start_gpu_shared, 0xFF, shared);
        const char* wrong = run_block(block.x * block.y * block.z, block, backwards);
        if (wrong) return wrong;
      }
  return nullptr;
}

// What the threads of a block show to those of their warp; two of them, so that who is ahead overwrites nothing.
struct Shown { double value[12]; };
static Shown shown[2][MOST];
static int turns[MOST];

// Shows ``mine`` to the warp and gives what its thread 0 shows, and the others behind it.
static const Shown* exchange(const Shown& mine, int line) {
  int me = running, turn = turns[me]++ & 1;
  shown[turn][me] = mine;
  leave(MEETING, line);
  return shown[turn] + me / WARP * WARP;
}

static int lane() { return running % WARP; }

template <class T> static T shuffle_xor(T value, int bit, int line) {
  static_assert(sizeof(T) <= sizeof(double), "one value");
  Shown mine;
  memcpy(mine.value, &value, sizeof(T));
  memcpy(&value, exchange(mine, line)[lane() ^ bit].value, sizeof(T));
  return value;
}

// c[16, 8] += a[16, depth] * b[depth, 8] by a warp, term by term: c is what the thread has of it, as are a and b, which
// are in pairs along the depth where that is 16 (PTX ISA, "Matrix fragments for mma.m16n8k8" and "... m16n8k16"). It is
// read from the manual once more, and not from codegen/intrinsics.py: a mistake there shows here.
static void mma(float* const* c, const float* a, const float* b, int depth, int line) {
  Shown mine;
  int pair = depth / 8;
  for (int k = 0; k < 4 * pair; k++) mine.value[k] = a[k];
  for (int k = 0; k < 2 * pair; k++) mine.value[8 + k] = b[k];
  const Shown* all = exchange(mine, line);
  for (int n = 0; n < 4; n++) {
    int row = lane() / 4 + n / 2 * 8, column = lane() % 4 * 2 + n % 2;
    for (int k = 0; k < depth; k++) {
      int holder = k / pair % 4, half = k / (4 * pair);
      double left = all[row % 8 * 4 + holder].value[pair * (row / 8 + 2 * half) + k % pair];
      double right = all[column * 4 + holder].value[8 + pair * half + k % pair];
      *c[n] = fmaf((float)left, (float)right, *c[n]);
    }
  }
}

}  // namespace gpu

#define __syncthreads() gpu::leave(gpu::WAITING, __LINE__)
#define __shfl_xor_sync(mask, value, bit) gpu::shuffle_xor(value, bit, __LINE__)
#define mma_tf32(c0, c1, c2, c3, a0, a1, a2, a3, b0, b1) { \
  float* mma_c[] = {&c0, &c1, &c2, &c3}; \
  const float mma_a[] = {a0, a1, a2, a3}, mma_b[] = {b0, b1}; \
  gpu::mma(mma_c, mma_a, mma_b, 8, __LINE__); }
#define mma_bf16(c0, c1, c2, c3, a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3) { \
  float* mma_c[] = {&c0, &c1, &c2, &c3}; \
  const float mma_a[] = {a0, a1, a2, a3, a4, a5, a6, a7}, mma_b[] = {b0, b1, b2, b3}; \
  gpu::mma(mma_c, mma_a, mma_b, 16, __LINE__); }
#define mma_fp16 mma_bf16
