// Sampled columns of one channel over a chunk of positions, and their
// adjoint. The offsets of a channel are constant over its map, so a sampled
// row is a weighted sum of two input rows, each read at two neighbouring
// columns: contiguous reads, no gathers.

template <typename T>
inline void blend(T* to, const T* a, const T* b, T rest, int64_t n) {
  if (rest == 0) {
    // Not a product with zero: an infinite neighbour must not become NaN.
    sweep<T>(n, [&](auto v, int64_t i) MMDENSE_LAMBDA {
      using V = decltype(v);
      V::load(a + i).store(to + i);
    });
    return;
  }
  sweep<T>(n, [&](auto v, int64_t i) MMDENSE_LAMBDA {
    using V = decltype(v);
    V first{V::load(a + i).v * V::of(1 - rest).v};
    multiply_add(V::load(b + i), V::of(rest), first).store(to + i);
  });
}

template <typename T>
class Sampler {
 public:
  Sampler(const Shape& shape, const SamplerBuffers<T>& buffers, const T* x,
          const T* rate)
      : s(shape), m(buffers), x_(x), rate_(rate) {}

  // Cut positions begin..end-1 into pieces of output rows.
  void select(int64_t begin, int64_t end) {
    count_ = 0;
    int64_t plane = s.y.out * s.x.out, first = begin / plane;
    for (int64_t p = begin; p < end;) {
      int64_t sample = p / plane, y = p % plane / s.x.out, x = p % s.x.out;
      int64_t length = s.x.out - x < end - p ? s.x.out - x : end - p;
      m.segments[count_++] = {sample, sample - first, y, x, length, p - begin};
      p += length;
    }
  }
  int64_t segments() const { return count_; }
  const Segment& segment(int64_t i) const { return m.segments[i]; }

  // Interpolate the input rows that the taps of a channel read.
  void set_channel(int64_t channel) {
    channel_ = channel;
    int64_t slot = -1;
    for (int64_t i = 0; i < count_; ++i) {
      const Segment& g = m.segments[i];
      if (g.slot != slot) make_taps(g.sample, slot = g.slot);
      if (m.poisoned[slot]) continue;
      for (int64_t ty = 0; ty < s.y.kernel; ++ty) make_row(i, ty);
    }
  }

  // Sample every tap into a row of `to`; writes up to a vector too far.
  void columns(T* to, int64_t pitch) const {
    for (int64_t ty = 0; ty < s.y.kernel; ++ty)
      for (int64_t tx = 0; tx < s.x.kernel; ++tx, to += pitch)
        for (int64_t i = 0; i < count_; ++i) sample_row(i, ty, tx, to);
  }

  // Add the adjoint of `columns` to the gradients of the map and the rate.
  void adjoint(const T* grad, int64_t pitch, T* grad_x, double* grad_rate) {
    for (int64_t ty = 0; ty < s.y.kernel; ++ty, grad += s.x.kernel * pitch) {
      if (grad_rate) slopes_along_x(ty, grad, pitch, grad_rate);
      pad_grads(grad, pitch);
      for (int64_t i = 0; i < count_; ++i)
        if (!m.poisoned[m.segments[i].slot]) sum_along_x(i, ty);
      for (int64_t i = 0; i < count_; ++i)
        if (!m.poisoned[m.segments[i].slot])
          spread_along_y(i, ty, grad_x, grad_rate);
    }
    poison(grad_x, grad_rate);
  }

 private:
  const T* map(const Segment& g) const {
    return x_ + (g.sample * s.channels() + channel_) * s.y.in * s.x.in;
  }
  Tap<T>& tap_y(int64_t slot, int64_t i) const {
    return m.taps[slot * (s.y.kernel + s.x.kernel) + i];
  }
  Tap<T>& tap_x(int64_t slot, int64_t i) const {
    return tap_y(slot, s.y.kernel + i);
  }
  // The interpolated row of a segment and vertical tap; column u of the map
  // is at [u % stride * row_pitch + u / stride].
  T* row(int64_t segment, int64_t ty) const {
    return m.rows +
           (segment * s.y.kernel + ty) * s.x.stride * m.row_pitch +
           m.row_margin;
  }
  T* padded_grad(int64_t segment, int64_t tx) const {
    return m.grads + (segment * s.x.kernel + tx) * m.grad_pitch +
           m.grad_margin;
  }
  T* sums(int64_t segment) const {
    return m.sums + segment * s.x.stride * m.sum_pitch;
  }
  const T* input_row(const Segment& g, int64_t y) const {
    return y < 0 || y >= s.y.in ? m.zeros : map(g) + y * s.x.in;
  }
  static int64_t floor_divide(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
  }

  // Only the product with the rate is split, as the reference does it: the
  // rest of a position is whole and would cost precision. Clamping keeps a
  // tap beyond the map beyond it.
  static bool make_tap(const Axis& a, int64_t i, T rate, Tap<T>& tap) {
    int64_t middle = (a.kernel - 1) / 2;
    T offset = rate * static_cast<T>(a.dilation * (i - middle));
    T whole = static_cast<T>(floor(static_cast<double>(offset)));
    T limit = static_cast<T>(int64_t{1} << 30);
    if (!(whole <= limit)) whole = limit;
    if (!(whole >= -limit)) whole = -limit;
    tap.whole = static_cast<int64_t>(whole) + a.dilation * middle - a.padding;
    tap.rest = offset - whole;
    int64_t low = -a.out * a.stride - 2, high = a.in + 1;
    if (tap.whole < low || tap.whole > high) {
      tap.whole = tap.whole < low ? low : high;
      tap.rest = 0;
    }
    return offset - offset == 0;
  }

  void make_taps(int64_t sample, int64_t slot) {
    T rate = rate_[sample * s.rates + channel_ * s.rates / s.channels()];
    bool finite = true;
    for (int64_t i = 0; i < s.y.kernel; ++i)
      finite &= make_tap(s.y, i, rate, tap_y(slot, i));
    for (int64_t i = 0; i < s.x.kernel; ++i)
      finite &= make_tap(s.x, i, rate, tap_x(slot, i));
    m.poisoned[slot] = !finite;
  }

  // The columns of the map that the horizontal taps of a segment touch.
  void touched(const Segment& g, int64_t& low, int64_t& high) const {
    low = s.x.in;
    high = 0;
    for (int64_t i = 0; i < s.x.kernel; ++i) {
      int64_t a = g.x * s.x.stride + tap_x(g.slot, i).whole;
      int64_t b = a + (g.length - 1) * s.x.stride + 2;
      if (a < low) low = a;
      if (b > high) high = b;
    }
    if (low < 0) low = 0;
    if (high > s.x.in) high = s.x.in;
  }

  void make_row(int64_t i, int64_t ty) {
    const Segment& g = m.segments[i];
    Tap<T> tap = tap_y(g.slot, ty);
    int64_t y = g.y * s.y.stride + tap.whole, low, high;
    touched(g, low, high);
    const T *a = input_row(g, y), *b = input_row(g, y + 1);
    T* to = row(i, ty);
    if (s.x.stride == 1) {
      blend(to + low, a + low, b + low, tap.rest, high - low);
      return;
    }
    int64_t phase = low % s.x.stride, at = low / s.x.stride;
    for (int64_t u = low; u < high; ++u) {
      to[phase * m.row_pitch + at] =
          tap.rest == 0 ? a[u] : (1 - tap.rest) * a[u] + tap.rest * b[u];
      if (++phase == s.x.stride) phase = 0, ++at;
    }
  }

  // Where the column `whole` beside a position's own lies in row().
  const T* shifted(const T* row, const Segment& g, int64_t whole) const {
    int64_t steps = floor_divide(whole, s.x.stride);
    return row + (whole - steps * s.x.stride) * m.row_pitch + g.x + steps;
  }

  void sample_row(int64_t i, int64_t ty, int64_t tx, T* to) const {
    using V = Vec<T, Width<T>::wide>;
    const Segment& g = m.segments[i];
    Tap<T> tap = tap_x(g.slot, tx);
    to += g.at;
    if (m.poisoned[g.slot]) {
      for (int64_t k = 0; k < g.length; ++k) to[k] = static_cast<T>(NAN);
      return;
    }
    const T* a = shifted(row(i, ty), g, tap.whole);
    if (tap.rest == 0) {
      for (int64_t k = 0; k < g.length; k += V::lanes)
        V::load(a + k).store(to + k);
      return;
    }
    const T* b = shifted(row(i, ty), g, tap.whole + 1);
    V left = V::of(1 - tap.rest), right = V::of(tap.rest);
    for (int64_t k = 0; k < g.length; k += V::lanes) {
      V first{V::load(a + k).v * left.v};
      multiply_add(V::load(b + k), right, first).store(to + k);
    }
  }

  // The part of the rate's gradient that moves positions along x: a sampled
  // value changes by the difference of its two neighbours.
  void slopes_along_x(int64_t ty, const T* grad, int64_t pitch,
                      double* grad_rate) const {
    int64_t middle = (s.x.kernel - 1) / 2;
    for (int64_t tx = 0; tx < s.x.kernel; ++tx) {
      if (tx == middle) continue;
      for (int64_t i = 0; i < count_; ++i) {
        const Segment& g = m.segments[i];
        if (m.poisoned[g.slot]) continue;
        int64_t whole = tap_x(g.slot, tx).whole;
        const T* a = shifted(row(i, ty), g, whole);
        const T* b = shifted(row(i, ty), g, whole + 1);
        const T* d = grad + tx * pitch + g.at;
        double slope = dot_difference(d, a, b, g.length);
        grad_rate[g.sample * s.channels()] +=
            slope * static_cast<double>(s.x.dilation * (tx - middle));
      }
    }
  }

  // sum d * (b - a)
  static double dot_difference(const T* d, const T* a, const T* b, int64_t n) {
    Vec<T, Width<T>::wide> wide = wide.of(0);
    Vec<T, 1> rest{0};
    int64_t k = 0;
    for (; k + wide.lanes <= n; k += wide.lanes)
      wide.v += wide.load(d + k).v * (wide.load(b + k).v - wide.load(a + k).v);
    for (; k < n; ++k) rest.v += d[k] * (b[k] - a[k]);
    return static_cast<double>(wide.sum()) + rest.v;
  }

  void pad_grads(const T* grad, int64_t pitch) {
    for (int64_t tx = 0; tx < s.x.kernel; ++tx) {
      for (int64_t i = 0; i < count_; ++i) {
        const Segment& g = m.segments[i];
        T* to = padded_grad(i, tx);
        for (int64_t k = 0; k < g.x; ++k) to[k] = 0;
        for (int64_t k = g.x + g.length; k < s.x.out; ++k) to[k] = 0;
        blend(to + g.x, grad + tx * pitch + g.at, to, T(0), g.length);
      }
    }
  }

  // The adjoint of a shift is the opposite shift: for every column of the
  // map, the gradients of the positions that read it, times their weights.
  void sum_along_x(int64_t i, int64_t ty) {
    using V = Vec<T, Width<T>::wide>;
    const Segment& g = m.segments[i];
    int64_t low, high;
    touched(g, low, high);
    for (int64_t phase = 0; phase < s.x.stride; ++phase) {
      int64_t terms = 0;
      for (int64_t tx = 0; tx < s.x.kernel; ++tx) {
        Tap<T> tap = tap_x(g.slot, tx);
        for (int side = 0; side < 2; ++side) {
          int64_t steps = floor_divide(tap.whole + side, s.x.stride);
          T weight = side ? tap.rest : 1 - tap.rest;
          if (weight == 0 || tap.whole + side != steps * s.x.stride + phase)
            continue;
          m.term_source[terms] = padded_grad(i, tx) - steps;
          m.term_weight[terms++] = weight;
        }
      }
      T* to = sums(i) + phase * m.sum_pitch;
      int64_t end = divide_up(high - phase, s.x.stride);
      int64_t k = low > phase ? divide_up(low - phase, s.x.stride) : 0;
      for (; k < end; k += 2 * V::lanes) {
        V a = V::of(0), b = V::of(0);
        for (int64_t t = 0; t < terms; ++t) {
          V weight = V::of(m.term_weight[t]);
          const T* from = m.term_source[t] + k;
          a = multiply_add(V::load(from), weight, a);
          b = multiply_add(V::load(from + V::lanes), weight, b);
        }
        a.store(to + k);
        b.store(to + k + V::lanes);
      }
    }
  }

  void spread_along_y(int64_t i, int64_t ty, T* grad_x, double* grad_rate) {
    const Segment& g = m.segments[i];
    Tap<T> tap = tap_y(g.slot, ty);
    int64_t y = g.y * s.y.stride + tap.whole, low, high;
    touched(g, low, high);
    int64_t n = high - low;
    if (n <= 0) return;
    const T* from =
        (s.x.stride == 1 ? sums(i) : merged(i, low, high)) + low;
    int64_t moved = ty - (s.y.kernel - 1) / 2;
    if (grad_rate && moved)
      grad_rate[g.sample * s.channels()] +=
          static_cast<double>(s.y.dilation * moved) *
          dot_difference(from, input_row(g, y) + low,
                         input_row(g, y + 1) + low, n);
    if (!grad_x) return;
    T* to = grad_x + g.sample * s.channels() * s.y.in * s.x.in + low;
    if (y >= 0 && y < s.y.in) accumulate(to + y * s.x.in, from, 1 - tap.rest, n);
    if (y >= -1 && y + 1 < s.y.in && tap.rest != 0)
      accumulate(to + (y + 1) * s.x.in, from, tap.rest, n);
  }

  static void accumulate(T* to, const T* from, T weight, int64_t n) {
    sweep<T>(n, [&](auto v, int64_t k) MMDENSE_LAMBDA {
      using V = decltype(v);
      multiply_add(V::load(from + k), V::of(weight), V::load(to + k))
          .store(to + k);
    });
  }

  // Back from columns sorted by phase to the order of the map.
  const T* merged(int64_t i, int64_t low, int64_t high) const {
    const T* from = sums(i);
    int64_t phase = low % s.x.stride, at = low / s.x.stride;
    for (int64_t u = low; u < high; ++u) {
      m.merged[u] = from[phase * m.sum_pitch + at];
      if (++phase == s.x.stride) phase = 0, ++at;
    }
    return m.merged;
  }

  // What a NaN input would do, for a NaN or infinite rate.
  void poison(T* grad_x, double* grad_rate) const {
    int64_t slot = -1;
    for (int64_t i = 0; i < count_; ++i) {
      const Segment& g = m.segments[i];
      if (g.slot == slot || !m.poisoned[g.slot]) continue;
      slot = g.slot;
      int64_t plane = s.y.in * s.x.in;
      if (grad_rate) grad_rate[g.sample * s.channels()] = NAN;
      T* to = grad_x + g.sample * s.channels() * plane;
      for (int64_t k = 0; grad_x && k < plane; ++k) to[k] = static_cast<T>(NAN);
    }
  }

  const Shape& s;
  const SamplerBuffers<T>& m;
  const T *x_, *rate_;
  int64_t count_ = 0, channel_ = 0;
};
