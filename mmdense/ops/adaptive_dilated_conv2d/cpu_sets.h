// The kernels for each instruction set, and the choice among them: those that
// this machine runs. Included once, by cpu.cpp.
#pragma once

#include <ATen/Version.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <cpuid.h>
#include <immintrin.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

#include <string>

#include "cpu_pixelwise_plan.h"
#include "cpu_plan.h"

#ifdef __GNUC__
#define MMDENSE_UNROLL _Pragma("GCC unroll 8")
#else
#define MMDENSE_UNROLL
#endif

namespace mmdense_adc {

// Registers bound the tile: rows * vectors sums, one row of vectors, one
// broadcast value.
namespace baseline {
#ifdef __GNUC__
#define MMDENSE_VECTOR_BYTES 16
#else
#define MMDENSE_VECTOR_BYTES 1
#endif
#define MMDENSE_TILE_ROWS 4
#define MMDENSE_TILE_VECTORS 2
#define MMDENSE_LAMBDA
#include "cpu_kernel.h"
#undef MMDENSE_VECTOR_BYTES
#undef MMDENSE_TILE_ROWS
#undef MMDENSE_TILE_VECTORS
#undef MMDENSE_LAMBDA
}  // namespace baseline

#if defined(__x86_64__) && defined(__GNUC__)
#define MMDENSE_X86 1

#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2,fma"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif
namespace avx2 {
#define MMDENSE_VECTOR_BYTES 32
#define MMDENSE_TILE_ROWS 4
#define MMDENSE_TILE_VECTORS 3
#define MMDENSE_LAMBDA __attribute__((target("avx2,fma")))
#include "cpu_kernel.h"
#undef MMDENSE_VECTOR_BYTES
#undef MMDENSE_TILE_ROWS
#undef MMDENSE_TILE_VECTORS
#undef MMDENSE_LAMBDA
}  // namespace avx2
#ifdef __clang__
#pragma clang attribute pop
#pragma clang attribute push(                                           \
    __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma"))), \
    apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,fma")
#endif
namespace avx512 {
#define MMDENSE_VECTOR_BYTES 64
#define MMDENSE_TILE_ROWS 8
#define MMDENSE_TILE_VECTORS 3
#define MMDENSE_LAMBDA \
  __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma")))
#include "cpu_kernel.h"
#undef MMDENSE_VECTOR_BYTES
#undef MMDENSE_TILE_ROWS
#undef MMDENSE_TILE_VECTORS
#undef MMDENSE_LAMBDA
}  // namespace avx512
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#if defined(__linux__) &&                            \
    ((defined(__clang__) && __clang_major__ >= 12) || \
     (!defined(__clang__) && __GNUC__ >= 11))
#define MMDENSE_BF16 1
#define MMDENSE_VECTOR_BYTES 64
#define MMDENSE_TILE_ROWS 8
#define MMDENSE_TILE_VECTORS 3

#define MMDENSE_LAMBDA \
  __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma,avx512bf16")))
#ifdef __clang__
#pragma clang attribute push(MMDENSE_LAMBDA, apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,fma,avx512bf16")
#endif
namespace avx512_bf16 {
#define MMDENSE_AMX 0
#include "cpu_kernel.h"
#include "cpu_bf16.h"
#undef MMDENSE_AMX
}  // namespace avx512_bf16
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef MMDENSE_LAMBDA

#define MMDENSE_LAMBDA \
  __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma,avx512bf16,amx-tile,amx-bf16")))
#ifdef __clang__
#pragma clang attribute push(MMDENSE_LAMBDA, apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512bw,avx512dq,fma,avx512bf16,amx-tile,amx-bf16")
#endif
namespace amx {
#define MMDENSE_AMX 1
#include "cpu_kernel.h"
#include "cpu_bf16.h"
#undef MMDENSE_AMX
}  // namespace amx
#ifdef __clang__
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef MMDENSE_LAMBDA
#undef MMDENSE_VECTOR_BYTES
#undef MMDENSE_TILE_ROWS
#undef MMDENSE_TILE_VECTORS
#endif  // products of bfloat16 values
#endif  // x86-64

namespace {

template <typename T>
struct Kernels {
  void (*forward)(const Forward<T>&, char*, int64_t, int64_t);
  void (*backward)(const Backward<T>&, char*, int64_t, int64_t);
  void (*depthwise_forward)(const Forward<T>&, char*, int64_t, int64_t);
  void (*depthwise_backward)(const Backward<T>&, char*, int64_t, int64_t);
  void (*transpose)(int64_t, int64_t, const T*, int64_t, T*, int64_t);
  void (*pixel_forward)(const PixelCall<T>&, char*, int64_t, int64_t);
  void (*pixel_input)(const PixelCall<T>&, char*, int64_t, int64_t);
  void (*pixel_tiles)(const PixelCall<T>&, T*, int64_t, int64_t);
  void (*pixel_weight)(const PixelCall<T>&, char*, int64_t, int64_t);
};

#define MMDENSE_KERNELS(set)                                  \
  {                                                           \
    set::forward<T>, set::backward<T>,                        \
        set::depthwise_forward<T>, set::depthwise_backward<T>, \
        set::transpose<T>, set::pixel_forward<T>,             \
        set::pixel_input<T>, set::pixel_tiles<T>,             \
        set::pixel_weight<T>                                  \
  }

// PyTorch's own choice, so that ATEN_CPU_CAPABILITY=default or avx2 lowers
// ours too; and never what this machine has not.
template <typename T>
Kernels<T> kernels() {
#ifdef MMDENSE_X86
  static const std::string level = at::get_cpu_capability();
  if (level == "AVX512" && __builtin_cpu_supports("avx512f") &&
      __builtin_cpu_supports("avx512vl") &&
      __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma"))
    return Kernels<T> MMDENSE_KERNELS(avx512);
  if ((level == "AVX512" || level == "AVX2") &&
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return Kernels<T> MMDENSE_KERNELS(avx2);
#endif
  return Kernels<T> MMDENSE_KERNELS(baseline);
}

// Products of bfloat16 values, where this machine has an instruction for them;
// MMDENSE_CPU_BF16=none, avx512 or amx lowers the choice, for tests.
struct Kernels16 {
  void (*forward)(const Forward16&, char*, int64_t, int64_t);
  void (*backward)(const Backward16&, char*, int64_t, int64_t);
};

Kernels16 find_kernels16() {
#ifdef MMDENSE_BF16
  const char* asked = getenv("MMDENSE_CPU_BF16");
  std::string most = asked ? asked : "amx";
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (most == "none" || at::get_cpu_capability() != "AVX512" ||
      !__builtin_cpu_supports("avx512vl") ||
      !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq"))
    return {nullptr, nullptr};
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & 1u << 5))
    return {nullptr, nullptr};
  // Linux hands out the tiles' registers (feature 18) to those who ask.
  constexpr int request = 0x1023, tiles = 18;
  constexpr unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
  if (most == "amx" && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
      (d & amx_bf16) && (d & amx_tile) &&
      syscall(SYS_arch_prctl, request, tiles) == 0)
    return {amx::forward_bf16, amx::backward_bf16};
  return {avx512_bf16::forward_bf16, avx512_bf16::backward_bf16};
#else
  return {nullptr, nullptr};
#endif
}

const Kernels16& kernels16() {
  static const Kernels16 found = find_kernels16();
  return found;
}

}  // namespace
}  // namespace mmdense_adc
