// A rate for every output position. Maps lie as rows of channels: a tap of a
// position is a weighted sum of four rows, which all channels of a rate group
// share, and samples are the left operand of the product. Included once an
// instruction set by cpu_kernel.h.

// N values of places that are apart, and their adjoint.
template <typename T, int N>
inline Vec<T, N> gather(Vec<T, N>, const T* from, const int32_t* index) {
  T lane[N];
  for (int i = 0; i < N; ++i) lane[i] = from[index[i]];
  return Vec<T, N>::load(lane);
}
template <typename T, int N>
inline void scatter_add(T* to, const int32_t* index, Vec<T, N> value) {
  T lane[N];
  value.store(lane);
  for (int i = 0; i < N; ++i) to[index[i]] += lane[i];
}
#if defined(__x86_64__) && defined(__GNUC__)
#if MMDENSE_VECTOR_BYTES == 64
inline Vec<float, 16> gather(Vec<float, 16>, const float* from,
                             const int32_t* index) {
  return {(Vec<float, 16>::Raw)_mm512_i32gather_ps(_mm512_loadu_si512(index),
                                                   from, 4)};
}
inline Vec<double, 8> gather(Vec<double, 8>, const double* from,
                             const int32_t* index) {
  return {(Vec<double, 8>::Raw)_mm512_i32gather_pd(
      _mm256_loadu_si256((const __m256i*)index), from, 8)};
}
// A lane is a channel: no two lanes have one place.
inline void scatter_add(float* to, const int32_t* index,
                        Vec<float, 16> value) {
  value.v += gather(value, to, index).v;
  _mm512_i32scatter_ps(to, _mm512_loadu_si512(index), (__m512)value.v, 4);
}
#elif MMDENSE_VECTOR_BYTES == 32
inline Vec<float, 8> gather(Vec<float, 8>, const float* from,
                            const int32_t* index) {
  return {(Vec<float, 8>::Raw)_mm256_i32gather_ps(
      from, _mm256_loadu_si256((const __m256i*)index), 4)};
}
#endif
#endif

// Where a tap reads along one axis: pixel `near` or `far` (-1 outside the
// map), and the share of `far`. NaN is whole 0, as in reference.py.
template <typename T>
inline void place(T step, int64_t size, int64_t lanes,
                  const T* __restrict rate, const int32_t* __restrict start,
                  int32_t* __restrict near, int32_t* __restrict far,
                  T* __restrict rest) {
  // Beyond this every map has ended; a position can be added to it.
  const T most = static_cast<T>(1 << 29);
  const uint32_t end = static_cast<uint32_t>(size);
  for (int64_t i = 0; i < lanes; ++i) {
    T offset = step * rate[i];
    T near_by = offset < most ? offset : most;
    near_by = near_by > -most ? near_by : -most;
    near_by = offset == offset ? near_by : T(0);
    int32_t whole = static_cast<int32_t>(near_by);
    whole -= static_cast<T>(whole) > near_by ? 1 : 0;
    // Of an offset that is not finite, NaN.
    rest[i] = (near_by - static_cast<T>(whole)) + (offset - offset);
    int32_t at = start[i] + whole;
    near[i] = static_cast<uint32_t>(at) < end ? at : -1;
    far[i] = static_cast<uint32_t>(at + 1) < end ? at + 1 : -1;
  }
}

// The four neighbours of a tap, for many lanes: where they lie, their
// weights, and the derivatives of these for the rate.
template <typename T>
inline void corners(int64_t lanes, int32_t width, int32_t pitch,
                    int32_t outside, int32_t lane_step, T step_y, T step_x,
                    const int32_t* __restrict near_y,
                    const int32_t* __restrict far_y,
                    const T* __restrict rest_y,
                    const int32_t* __restrict near_x,
                    const int32_t* __restrict far_x,
                    const T* __restrict rest_x, int64_t ld,
                    int32_t* __restrict index, T* __restrict weight,
                    T* __restrict slope) {
  for (int64_t i = 0; i < lanes; ++i) {
    int32_t lane = static_cast<int32_t>(i) * lane_step;
    int32_t y0 = near_y[i], y1 = far_y[i], x0 = near_x[i], x1 = far_x[i];
    index[i] = ((y0 | x0) < 0 ? outside : (y0 * width + x0) * pitch) + lane;
    index[i + ld] =
        ((y0 | x1) < 0 ? outside : (y0 * width + x1) * pitch) + lane;
    index[i + 2 * ld] =
        ((y1 | x0) < 0 ? outside : (y1 * width + x0) * pitch) + lane;
    index[i + 3 * ld] =
        ((y1 | x1) < 0 ? outside : (y1 * width + x1) * pitch) + lane;
  }
  // Arrays of lanes end with whole vectors.
  using V = Vec<T, Width<T>::gemm>;
  V y = V::of(step_y), x = V::of(step_x);
  for (int64_t i = 0; i < lanes; i += V::lanes) {
    V down = V::load(rest_y + i), right = V::load(rest_x + i);
    V up{1 - down.v}, left{1 - right.v};
    V{up.v * left.v}.store(weight + i);
    V{up.v * right.v}.store(weight + i + ld);
    V{down.v * left.v}.store(weight + i + 2 * ld);
    V{down.v * right.v}.store(weight + i + 3 * ld);
    V up_x{up.v * x.v}, left_y{left.v * y.v};
    V down_x{down.v * x.v}, right_y{right.v * y.v};
    V{-left_y.v - up_x.v}.store(slope + i);
    V{up_x.v - right_y.v}.store(slope + i + ld);
    V{left_y.v - down_x.v}.store(slope + i + 2 * ld);
    V{right_y.v + down_x.v}.store(slope + i + 3 * ld);
  }
}

template <typename T>
class PixelSampler {
  using V = Vec<T, Width<T>::gemm>;

 public:
  PixelSampler(const PixelCall<T>& call, const PixelBuffers<T>& buffers,
               int64_t first_tap, int64_t last_tap)
      : f(call),
        s(call.shape),
        m(buffers),
        first_(first_tap),
        taps_(last_tap - first_tap) {}

  // Positions begin..end-1 of the whole batch.
  void select(int64_t begin, int64_t end) {
    begin_ = begin;
    count_ = end - begin;
    tabled_ = -1;
    int64_t plane = s.y.out * s.x.out;
    int64_t n = begin / plane, q = begin % plane;
    for (int64_t p = 0; p < count_; ++p, ++q) {
      if (q == plane) {
        q = 0;
        ++n;
      }
      m.sample[p] = n * f.sample_size();
      m.rate_at[p] = n * s.rates * plane + q;
      m.row[p] = start(s.y, q / s.x.out);
      m.column[p] = start(s.x, q % s.x.out);
    }
  }

  // Samples of `count` channels from place `at` of a row on, as (position,
  // tap, channel).
  void columns(int64_t at, int64_t count, T* to) {
    int64_t line = taps_ * count;
    if (!f.plan.shared) {
      for (int64_t p = 0; p < count_; ++p) {
        each(p, at, count);
        const T* x = f.x + m.sample[p] + at;
        for (int64_t t = 0; t < taps_; ++t)
          for (int64_t c = 0; c < count; c += V::lanes) {
            const int32_t* index = m.index + 4 * t * m.lanes + c;
            const T* weight = m.weight + 4 * t * m.lanes + c;
            V sum = V::of(0);
            for (int k = 0; k < 4; ++k)
              sum = multiply_add(V::load(weight + k * m.lanes),
                                 gather(sum, x, index + k * m.lanes), sum);
            sum.store(to + p * line + t * count + c);
          }
      }
      return;
    }
    for (int64_t c = 0, n; c < count; c += n) {
      n = run(at + c, count - c);
      together(at + c);
      for (int64_t p = 0; p < count_; ++p) {
        const T* x = f.x + m.sample[p] + at + c;
        for (int64_t t = 0; t < taps_; ++t) {
          const int32_t* index = m.index + 4 * t * m.lanes + p;
          const T* weight = m.weight + 4 * t * m.lanes + p;
          const T* from[4];
          V share[4];
          for (int k = 0; k < 4; ++k) {
            from[k] = x + index[k * m.lanes];
            share[k] = V::of(weight[k * m.lanes]);
          }
          T* target = to + p * line + t * count + c;
          for (int64_t i = 0; i < n; i += V::lanes) {
            V sum{share[0].v * V::load(from[0] + i).v};
            for (int k = 1; k < 4; ++k)
              sum = multiply_add(share[k], V::load(from[k] + i), sum);
            sum.store(target + i);
          }
        }
      }
    }
  }

  // Add the adjoint of `columns` to the gradients of the map and the rate.
  template <bool NeedsX, bool NeedsRate>
  void adjoint(int64_t at, int64_t count, const T* grad) {
    int64_t line = taps_ * count, sums = f.plan.sums();
    if (!f.plan.shared) {
      for (int64_t p = 0; p < count_; ++p) {
        each(p, at, count);
        const T* x = f.x + m.sample[p] + at;
        T* grad_x = NeedsX ? f.grad_x + m.sample[p] + at : nullptr;
        for (int64_t c = 0; c < count; c += V::lanes) {
          V total = V::of(0);
          for (int64_t t = 0; t < taps_; ++t) {
            const int32_t* index = m.index + 4 * t * m.lanes + c;
            V by = V::load(grad + p * line + t * count + c);
            for (int k = 0; k < 4; ++k) {
              int64_t i = (4 * t + k) * m.lanes + c;
              const int32_t* where = index + k * m.lanes;
              if (NeedsRate) {
                V slope{V::load(m.slope + i).v * by.v};
                total = multiply_add(slope, gather(slope, x, where), total);
              }
              if (NeedsX)
                scatter_add(grad_x, where, V{V::load(m.weight + i).v * by.v});
            }
          }
          if (NeedsRate) total.store(f.grad_rate + (begin_ + p) * sums + at + c);
        }
      }
      return;
    }
    for (int64_t c = 0, n; c < count; c += n) {
      n = run(at + c, count - c);
      together(at + c);
      for (int64_t p = 0; p < count_; ++p) {
        int64_t sample = m.sample[p] + at + c;
        V total = V::of(0);
        for (int64_t t = 0; t < taps_; ++t) {
          const T *by = grad + p * line + t * count + c, *from[4];
          T* to[4];
          V share[4], slope[4];
          for (int k = 0; k < 4; ++k) {
            int64_t i = (4 * t + k) * m.lanes + p;
            from[k] = f.x + sample + m.index[i];
            to[k] = NeedsX ? f.grad_x + sample + m.index[i] : nullptr;
            share[k] = V::of(m.weight[i]);
            slope[k] = V::of(m.slope[i]);
          }
          for (int64_t i = 0; i < n; i += V::lanes) {
            V g = V::load(by + i);
            if (NeedsRate) {
              V rise{slope[0].v * V::load(from[0] + i).v};
              for (int k = 1; k < 4; ++k)
                rise = multiply_add(slope[k], V::load(from[k] + i), rise);
              total = multiply_add(g, rise, total);
            }
            // One after the other: outside the map they are one pixel.
            if (NeedsX)
              for (int k = 0; k < 4; ++k)
                multiply_add(share[k], g, V::load(to[k] + i)).store(to[k] + i);
          }
        }
        if (NeedsRate)
          f.grad_rate[(begin_ + p) * sums + (at + c) / f.plan.lanes] =
              static_cast<T>(total.sum());
      }
    }
  }

 private:
  static int32_t start(const Axis& axis, int64_t position) {
    return static_cast<int32_t>(position * axis.stride - axis.padding +
                                axis.dilation * (axis.kernel / 2));
  }

  // Of `most` channels from place `at` on, how many have its rate.
  int64_t run(int64_t at, int64_t most) const {
    int64_t n = f.plan.lanes;
    while (n < most && f.rate_of[at + n] == f.rate_of[at])
      n += f.plan.lanes;
    return n;
  }

  // Neighbours of all positions, for the channels of one rate.
  void together(int64_t at) {
    if (f.rate_of[at] == tabled_) return;
    tabled_ = f.rate_of[at];
    int64_t first = tabled_ * s.y.out * s.x.out;
    for (int64_t p = 0; p < count_; ++p)
      m.rate[p] = f.rate[first + m.rate_at[p]];
    table(count_, m.row, m.column, 0);
  }

  // Neighbours of one position, for every channel's own rate.
  void each(int64_t p, int64_t at, int64_t count) {
    const T* rate = f.rate + (begin_ + p) * s.rates;
    for (int64_t i = 0; i < count; ++i) {
      m.rate[i] = rate[f.rate_of[at + i]];
      m.lane_row[i] = m.row[p];
      m.lane_column[i] = m.column[p];
    }
    table(count, m.lane_row, m.lane_column, 1);
  }

  void table(int64_t lanes, const int32_t* row, const int32_t* column,
             int32_t lane_step) {
    int64_t kx = s.x.kernel, ld = m.lanes;
    int64_t last = first_ + taps_;
    for (int64_t i = first_ / kx; i * kx < last; ++i)
      place(reach(s.y, i), s.y.in, lanes, m.rate, row, m.near_y + i * ld,
            m.far_y + i * ld, m.rest_y + i * ld);
    for (int64_t j = 0; j < kx; ++j)
      if (taps_ > 1 || j == first_ % kx)
        place(reach(s.x, j), s.x.in, lanes, m.rate, column, m.near_x + j * ld,
              m.far_x + j * ld, m.rest_x + j * ld);
    int32_t pitch = static_cast<int32_t>(f.plan.in.pitch());
    int32_t outside = static_cast<int32_t>(s.y.in * s.x.in) * pitch;
    for (int64_t t = first_; t < last; ++t) {
      int64_t i = t / kx, j = t % kx, at = 4 * (t - first_) * ld;
      corners(lanes, static_cast<int32_t>(s.x.in), pitch, outside, lane_step,
              reach(s.y, i), reach(s.x, j), m.near_y + i * ld,
              m.far_y + i * ld, m.rest_y + i * ld, m.near_x + j * ld,
              m.far_x + j * ld, m.rest_x + j * ld, ld, m.index + at,
              m.weight + at, m.slope + at);
    }
  }

  static T reach(const Axis& axis, int64_t i) {
    return static_cast<T>(axis.dilation * (i - axis.kernel / 2));
  }

  const PixelCall<T>& f;
  const Shape& s;
  const PixelBuffers<T>& m;
  const int64_t first_, taps_;
  int64_t begin_ = 0, count_ = 0;
  // The rate group whose neighbours the table holds.
  int64_t tabled_ = -1;
};
