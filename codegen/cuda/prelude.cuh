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

#ifndef HALF_DEFINED
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
#endif
