// Per-channel bilinear shift on the CPU; see reference.py for the definition.
//
// One offset holds for a whole channel, so nothing is gathered: a row of
// output is a weighted sum of two neighbouring input rows at two neighbouring
// columns, four contiguous streams with constant weights.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <tuple>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace {

// The instruction set is chosen when the kernel runs, so that a library built
// on one machine runs on another: every plane function exists twice.
#if defined(__GNUC__) && defined(__x86_64__)
#define MMDENSE_HAS_WIDE 1
#define MMDENSE_WIDE __attribute__((target("avx2,fma")))
#define MMDENSE_INLINE inline __attribute__((always_inline))
#else
#define MMDENSE_HAS_WIDE 0
#define MMDENSE_WIDE
#define MMDENSE_INLINE inline
#endif

bool wide_vectors() {
#if MMDENSE_HAS_WIDE
  static const bool supported =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return supported;
#else
  return false;
#endif
}

// Where and how one axis of a channel is read.
template <typename T>
struct Axis {
  int64_t start;  // the whole pixels of the offset
  T rest;         // the fraction, in [0, 1)
  int64_t begin;  // first output index with both neighbours inside
  int64_t end;    // past the last of them; end >= begin
};

template <typename T>
MMDENSE_INLINE Axis<T> make_axis(T offset, int64_t size) {
  const T floor = std::floor(offset);
  Axis<T> axis;
  axis.start = static_cast<int64_t>(floor);
  axis.rest = offset - floor;
  axis.begin = std::min(std::max<int64_t>(0, -axis.start), size);
  axis.end =
      std::max(axis.begin, std::min(size, size - 1 - axis.start));
  return axis;
}

// Compared as floating point: an offset of 1e9 or 1e30 fits no index.
template <typename T>
MMDENSE_INLINE bool reaches(T offset, int64_t size) {
  const T floor = std::floor(offset);
  return floor >= static_cast<T>(-size) && floor < static_cast<T>(size);
}

template <typename T>
MMDENSE_INLINE void shift_plane(
    const T* x, const T* zeros, T* out, int64_t height, int64_t width, T dy,
    T dx) {
  if (!std::isfinite(dy) || !std::isfinite(dx)) {
    std::fill_n(out, height * width, std::numeric_limits<T>::quiet_NaN());
    return;
  }
  if (!reaches(dy, height) || !reaches(dx, width)) {
    std::fill_n(out, height * width, T(0));
    return;
  }
  const Axis<T> rows = make_axis(dy, height);
  const Axis<T> columns = make_axis(dx, width);
  const T top = 1 - rows.rest, bottom = rows.rest;
  const T left = 1 - columns.rest, right = columns.rest;
  const T w00 = top * left, w01 = top * right;
  const T w10 = bottom * left, w11 = bottom * right;
  for (int64_t i = 0; i < height; ++i) {
    const int64_t row = i + rows.start;
    const T* a = row >= 0 && row < height ? x + row * width : zeros;
    const T* b = row >= -1 && row < height - 1 ? x + (row + 1) * width : zeros;
    T* o = out + i * width;
    std::fill_n(o, columns.begin, T(0));
    std::fill(o + columns.end, o + width, T(0));
    // Half outside: the column before the first, and the last itself.
    if (columns.start < 0) {
      o[columns.begin - 1] = w01 * a[0] + w11 * b[0];
    }
    if (columns.start >= 0) {
      o[columns.end] = w00 * a[width - 1] + w10 * b[width - 1];
    }
    const int64_t n = columns.end - columns.begin;
    a += columns.begin + columns.start;
    b += columns.begin + columns.start;
    o += columns.begin;
#pragma omp simd
    for (int64_t j = 0; j < n; ++j) {
      o[j] = w00 * a[j] + w01 * a[j + 1] + w10 * b[j] + w11 * b[j + 1];
    }
  }
}

// The derivative of one output pixel by (dy, dx), from its four neighbours.
template <typename T>
MMDENSE_INLINE void add_slopes(
    T grad, T a0, T a1, T b0, T b1, T fy, T fx, T& by_dy, T& by_dx) {
  const T down0 = b0 - a0, down1 = b1 - a1;
  by_dy += grad * (down0 + fx * (down1 - down0));
  const T across0 = a1 - a0, across1 = b1 - b0;
  by_dx += grad * (across0 + fy * (across1 - across0));
}

template <typename T>
MMDENSE_INLINE void slope_plane(
    const T* grad, const T* x, const T* zeros, T* grad_offset, int64_t height,
    int64_t width, T dy, T dx) {
  if (!std::isfinite(dy) || !std::isfinite(dx)) {
    grad_offset[0] = grad_offset[1] = std::numeric_limits<T>::quiet_NaN();
    return;
  }
  grad_offset[0] = grad_offset[1] = 0;
  if (!reaches(dy, height) || !reaches(dx, width)) {
    return;
  }
  const Axis<T> rows = make_axis(dy, height);
  const Axis<T> columns = make_axis(dx, width);
  const T fy = rows.rest, fx = columns.rest;
  double sum_dy = 0, sum_dx = 0;
  for (int64_t i = 0; i < height; ++i) {
    const int64_t row = i + rows.start;
    const T* a = row >= 0 && row < height ? x + row * width : zeros;
    const T* b = row >= -1 && row < height - 1 ? x + (row + 1) * width : zeros;
    const T* g = grad + i * width;
    T by_dy = 0, by_dx = 0;
    if (columns.start < 0) {
      add_slopes(g[columns.begin - 1], T(0), a[0], T(0), b[0], fy, fx, by_dy,
                 by_dx);
    }
    if (columns.start >= 0) {
      add_slopes(g[columns.end], a[width - 1], T(0), b[width - 1], T(0), fy,
                 fx, by_dy, by_dx);
    }
    const int64_t n = columns.end - columns.begin;
    a += columns.begin + columns.start;
    b += columns.begin + columns.start;
    g += columns.begin;
#pragma omp simd reduction(+ : by_dy, by_dx)
    for (int64_t j = 0; j < n; ++j) {
      add_slopes(g[j], a[j], a[j + 1], b[j], b[j + 1], fy, fx, by_dy, by_dx);
    }
    sum_dy += by_dy;
    sum_dx += by_dx;
  }
  grad_offset[0] = static_cast<T>(sum_dy);
  grad_offset[1] = static_cast<T>(sum_dx);
}

template <typename T>
void shift_narrow(const T* x, const T* zeros, T* out, int64_t height,
                  int64_t width, T dy, T dx) {
  shift_plane(x, zeros, out, height, width, dy, dx);
}

template <typename T>
MMDENSE_WIDE void shift_wide(const T* x, const T* zeros, T* out,
                             int64_t height, int64_t width, T dy, T dx) {
  shift_plane(x, zeros, out, height, width, dy, dx);
}

template <typename T>
void slope_narrow(const T* grad, const T* x, const T* zeros, T* grad_offset,
                  int64_t height, int64_t width, T dy, T dx) {
  slope_plane(grad, x, zeros, grad_offset, height, width, dy, dx);
}

template <typename T>
MMDENSE_WIDE void slope_wide(const T* grad, const T* x, const T* zeros,
                             T* grad_offset, int64_t height, int64_t width,
                             T dy, T dx) {
  slope_plane(grad, x, zeros, grad_offset, height, width, dy, dx);
}

// Enough channels for a thread to be worth waking.
int64_t grain(const at::Tensor& x) {
  const int64_t plane = std::max<int64_t>(1, x.size(2) * x.size(3));
  return std::max<int64_t>(1, 32768 / plane);
}

// Memory for a result. A large one is made of pages the system has to clear
// first, and taking them 4 KiB at a time costs several times the shift itself;
// huge pages make that a small part of it. Advice only: refused, it is slow.
at::Tensor fresh(at::IntArrayRef sizes, const at::TensorOptions& options) {
  at::Tensor out = at::empty(sizes, options);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  constexpr uintptr_t huge = 2 << 20;
  const uintptr_t start = reinterpret_cast<uintptr_t>(out.data_ptr());
  const uintptr_t begin = (start + huge - 1) / huge * huge;
  const uintptr_t end = (start + out.nbytes()) / huge * huge;
  if (end > begin) {
    madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
  }
#endif
  return out;
}

void check(const at::Tensor& x, const at::Tensor& offset) {
  TORCH_CHECK(x.dim() == 4 && offset.dim() == 3 &&
                  offset.size(0) == x.size(0) &&
                  offset.size(1) == x.size(1) && offset.size(2) == 2,
              "channel_shift_cpu: x must be (N, C, H, W) and offset "
              "(N, C, 2), got ", x.sizes(), " and ", offset.sizes());
  TORCH_CHECK(offset.scalar_type() == x.scalar_type() &&
                  (x.scalar_type() == at::kFloat ||
                   x.scalar_type() == at::kDouble),
              "channel_shift_cpu: x and offset must be both float32 or both "
              "float64, got ", x.scalar_type(), " and ",
              offset.scalar_type());
}

template <typename T>
void forward(const at::Tensor& x, const at::Tensor& offset,
             const at::Tensor& out) {
  const int64_t height = x.size(2), width = x.size(3);
  const int64_t plane = height * width;
  const T* source = x.const_data_ptr<T>();
  const T* shifts = offset.const_data_ptr<T>();
  T* target = out.mutable_data_ptr<T>();
  const std::vector<T> zeros(width);
  const auto shift = wide_vectors() ? shift_wide<T> : shift_narrow<T>;
  at::parallel_for(
      0, x.size(0) * x.size(1), grain(x), [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
          shift(source + c * plane, zeros.data(), target + c * plane, height,
                width, shifts[2 * c], shifts[2 * c + 1]);
        }
      });
}

// Both gradients of a channel in one go, while its plane is in the cache.
template <typename T>
void backward(const at::Tensor& grad, const at::Tensor& x,
              const at::Tensor& offset, const at::Tensor& grad_x,
              const at::Tensor& grad_offset, bool needs_x,
              bool needs_offset) {
  const int64_t height = x.size(2), width = x.size(3);
  const int64_t plane = height * width;
  const T* slopes = grad.const_data_ptr<T>();
  const T* source = x.const_data_ptr<T>();
  const T* shifts = offset.const_data_ptr<T>();
  T* by_x = grad_x.mutable_data_ptr<T>();
  T* by_offset = grad_offset.mutable_data_ptr<T>();
  const std::vector<T> zeros(width);
  const auto shift = wide_vectors() ? shift_wide<T> : shift_narrow<T>;
  const auto slope = wide_vectors() ? slope_wide<T> : slope_narrow<T>;
  at::parallel_for(
      0, x.size(0) * x.size(1), grain(x), [&](int64_t begin, int64_t end) {
        for (int64_t c = begin; c < end; ++c) {
          const T dy = shifts[2 * c], dx = shifts[2 * c + 1];
          if (needs_offset) {
            slope(slopes + c * plane, source + c * plane, zeros.data(),
                  by_offset + 2 * c, height, width, dy, dx);
          }
          if (needs_x) {
            // The adjoint of reading at +d is reading at -d.
            shift(slopes + c * plane, zeros.data(), by_x + c * plane, height,
                  width, -dy, -dx);
          }
        }
      });
}

at::Tensor channel_shift_cpu(const at::Tensor& x, const at::Tensor& offset) {
  check(x, offset);
  const at::Tensor maps = x.contiguous(), shifts = offset.contiguous();
  at::Tensor out = fresh(x.sizes(), x.options());
  if (x.scalar_type() == at::kFloat) {
    forward<float>(maps, shifts, out);
  } else {
    forward<double>(maps, shifts, out);
  }
  return out;
}

std::tuple<at::Tensor, at::Tensor> channel_shift_backward_cpu(
    const at::Tensor& grad, const at::Tensor& x, const at::Tensor& offset,
    bool needs_x, bool needs_offset) {
  check(x, offset);
  TORCH_CHECK(grad.sizes() == x.sizes() &&
                  grad.scalar_type() == x.scalar_type(),
              "channel_shift_backward_cpu: grad must be like x, got ",
              grad.sizes(), " ", grad.scalar_type());
  const at::Tensor slopes = grad.contiguous(), maps = x.contiguous();
  const at::Tensor shifts = offset.contiguous();
  const std::vector<int64_t> none{0};
  at::Tensor grad_x =
      fresh(needs_x ? x.sizes() : at::IntArrayRef(none), x.options());
  at::Tensor grad_offset = at::empty(
      needs_offset ? offset.sizes() : at::IntArrayRef(none),
      offset.options());
  if (x.scalar_type() == at::kFloat) {
    backward<float>(slopes, maps, shifts, grad_x, grad_offset, needs_x,
                    needs_offset);
  } else {
    backward<double>(slopes, maps, shifts, grad_x, grad_offset, needs_x,
                     needs_offset);
  }
  return {grad_x, grad_offset};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(mmdense, m) {
  m.def("channel_shift_cpu(Tensor x, Tensor offset) -> Tensor");
  m.def(
      "channel_shift_backward_cpu(Tensor grad, Tensor x, Tensor offset, "
      "bool needs_x, bool needs_offset) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(mmdense, CPU, m) {
  m.impl("channel_shift_cpu", &channel_shift_cpu);
  m.impl("channel_shift_backward_cpu", &channel_shift_backward_cpu);
}
