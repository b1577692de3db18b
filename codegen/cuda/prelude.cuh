// What kernels call beside operators: total forms of what C leaves open, and half precision kept as bits.

// Neighbours that memory gives and takes in one piece.
template <class T, int n> struct __align__(sizeof(T) * n) Lanes { T at[n]; };

template <class T> __device__ __forceinline__ T maximum(T a, T b) { return a > b || a != a ? a : b; }
template <class T> __device__ __forceinline__ T minimum(T a, T b) { return a < b || a != a ? a : b; }

template <class T> __device__ __forceinline__ T quotient(T a, T b) {
  if (b == 0) return 0;
  if (T(-1) < T(0) && b == T(-1)) return (T)(0 - (unsigned long long)a);
  return a / b;
}

template <class T> __device__ __forceinline__ T remainder_of(T a, T b) {
  return b == 0 || (T(-1) < T(0) && b == T(-1)) ? T(0) : (T)(a % b);
}

// Shifts beyond the width give what shifting one by one would.
template <class T> __device__ __forceinline__ T shift_left(T a, T n) {
  return (unsigned long long)n < 8 * sizeof(T) ? (T)((unsigned long long)a << n) : T(0);
}

template <class T> __device__ __forceinline__ T shift_right(T a, T n) {
  if ((unsigned long long)n < 8 * sizeof(T)) return (T)(a >> n);
  return a < T(0) ? (T)-1 : T(0);
}

// What the thread of the warp has whose number differs in this bit.
template <class T> __device__ __forceinline__ void shuffle(T& other, T mine, int bit) {
  other = (T)__shfl_xor_sync(0xFFFFFFFFu, mine, bit);
}

#ifndef ON_HOST
__device__ __forceinline__ float half_to_float(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}

__device__ __forceinline__ unsigned short float_to_half(float x) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}

// Two numbers that the narrow type has, in one register, the first in its lower half.
__device__ __forceinline__ unsigned bf16_pair(float x, float y) {
  return __float_as_uint(x) >> 16 | (__float_as_uint(y) & 0xFFFF0000u);
}

__device__ __forceinline__ unsigned fp16_pair(float x, float y) {
  return float_to_half(x) | (unsigned)float_to_half(y) << 16;
}

// c += a * b by the threads of a warp, in float32: what each has of c[16, 8], a[16, 8 or 16] and b[8 or 16, 8].
__device__ __forceinline__ void mma_tf32(
    float& c0, float& c1, float& c2, float& c3, float a0, float a1, float a2, float a3, float b0, float b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)
      : "r"(__float_as_uint(a0)), "r"(__float_as_uint(a1)), "r"(__float_as_uint(a2)), "r"(__float_as_uint(a3)),
        "r"(__float_as_uint(b0)), "r"(__float_as_uint(b1)));
}

#define MMA_OF_PAIRS(kind)                                                                                         \
  __device__ __forceinline__ void mma_##kind(                                                                     \
      float& c0, float& c1, float& c2, float& c3, float a0, float a1, float a2, float a3, float a4, float a5,     \
      float a6, float a7, float b0, float b1, float b2, float b3) {                                               \
    asm volatile(                                                                                                 \
        "mma.sync.aligned.m16n8k16.row.col.f32." PAIRS_OF_##kind ".f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "      \
        "{%8, %9}, {%0, %1, %2, %3};"                                                                             \
        : "+f"(c0), "+f"(c1), "+f"(c2), "+f"(c3)                                                                  \
        : "r"(kind##_pair(a0, a1)), "r"(kind##_pair(a2, a3)), "r"(kind##_pair(a4, a5)), "r"(kind##_pair(a6, a7)), \
          "r"(kind##_pair(b0, b1)), "r"(kind##_pair(b2, b3)));                                                    \
  }
#define PAIRS_OF_bf16 "bf16.bf16"
#define PAIRS_OF_fp16 "f16.f16"
MMA_OF_PAIRS(bf16)
MMA_OF_PAIRS(fp16)
#endif
