// What every text begins with. It needs no header, and is the same for a GPU and for the emulator on a CPU.

#ifndef SG_KERNEL  // the emulator has its own
#define SG_KERNEL(name)  // stands behind each kernel
#define SG_SHARED(type, name) /* the shared memory that a launch asks for, as an array */ \
  extern __shared__ __align__(16) unsigned char sg_shared[];                              \
  type* const name = (type*)sg_shared
#endif

#ifndef INFINITY  // NVRTC has no math.h
#define INFINITY __int_as_float(0x7f800000)
#define NAN __int_as_float(0x7fc00000)
#endif

// The bits of a number, and the number of bits.
__device__ inline int sg_bits(float x) { return __float_as_int(x); }
__device__ inline long long sg_bits(double x) { return __double_as_longlong(x); }
__device__ inline float sg_float(int bits) { return __int_as_float(bits); }
__device__ inline double sg_double(long long bits) { return __longlong_as_double(bits); }

// 16-bit floats are kept as their bits and computed with as float; they are rounded to nearest, ties to even.
__device__ inline float sg_from_half(unsigned short half) {
#ifdef __CUDACC__
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(half));
  return x;
#else
  const int sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 1023;
  const float small = fraction * 0x1p-24f;
  if (exponent == 0) return sign ? -small : small;
  return sg_float(sign | (exponent == 31 ? 255 : exponent + 112) << 23 | fraction << 13);
#endif
}

__device__ inline unsigned short sg_to_half(float x) {
#ifdef __CUDACC__
  unsigned short half;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(x));
  return half;
#else
  const int bits = sg_bits(x), sign = bits >> 16 & 0x8000, size = bits & 0x7fffffff;
  if (size > 0x7f800000) return 0x7fff;
  if (size >= 0x47800000) return sign | 0x7c00;  // 65536 and more
  if (size < 0x38800000) return sign | (sg_bits(sg_float(size) + 0.5f) - 0x3f000000);  // the last bit of 0.5 is 2**-24
  return sign | ((size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13);
#endif
}

__device__ inline float sg_from_bfloat16(unsigned short bits) { return sg_float((int)((unsigned)bits << 16)); }

__device__ inline unsigned short sg_to_bfloat16(float x) {
  const unsigned bits = sg_bits(x);
  if (x != x) return (bits >> 16 & 0x8000) | 0x7fc0;
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// Complex numbers; what is longer than these lines is a function of its own.
template <class T>
struct alignas(2 * sizeof(T)) sg_complex {
  T re, im;
};

template <class T>
__device__ inline sg_complex<T> operator+(const sg_complex<T>& x, const sg_complex<T>& y) {
  return {x.re + y.re, x.im + y.im};
}

template <class T>
__device__ inline sg_complex<T> operator-(const sg_complex<T>& x, const sg_complex<T>& y) {
  return {x.re - y.re, x.im - y.im};
}

template <class T>
__device__ inline sg_complex<T> operator-(const sg_complex<T>& x) {
  return {-x.re, -x.im};
}

template <class T>
__device__ inline bool operator==(const sg_complex<T>& x, const sg_complex<T>& y) {
  return x.re == y.re && x.im == y.im;
}

template <class T>
__device__ inline bool operator!=(const sg_complex<T>& x, const sg_complex<T>& y) {
  return !(x == y);
}

// Numbers that are loaded and stored at once; a pointer to the first is aligned to all of them, or to 16 bytes.
template <class T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) sg_vector {
  T at[N];
};

template <class T, int N>
__device__ inline sg_vector<T, N> sg_load(const T* from) {
  return *(const sg_vector<T, N>*)__builtin_assume_aligned(from, alignof(sg_vector<T, N>));
}

template <class T, int N>
__device__ inline void sg_store(T* to, const sg_vector<T, N>& x) {
  *(sg_vector<T, N>*)__builtin_assume_aligned(to, alignof(sg_vector<T, N>)) = x;
}

// What the thread has that is this one's but for the bits of `lanes`; all threads of a warp ask together.
template <class T>
__device__ inline T sg_shuffle_xor(T x, int lanes) {
  if constexpr (sizeof(T) < 4) return (T)__shfl_xor_sync(0xffffffff, (int)x, lanes);
  else return __shfl_xor_sync(0xffffffff, x, lanes);
}
