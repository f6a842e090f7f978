// Sampled columns of one channel over a chunk of positions, and their
// adjoint. The offsets of a channel are constant over its map, so a sampled
// row is a weighted sum of two input rows, each read at two neighbouring
// columns: contiguous reads, no gathers.

// to = (1 - rest) * a + rest * b
template <typename T>
inline void blend(T* to, const T* a, const T* b, T rest, int64_t n) {
  if (rest == 0) {
    // Not a product with zero: an infinite neighbour must not become NaN.
    sweep<T>(n, [=](auto v, int64_t i) MMDENSE_LAMBDA {
      v.load(a + i).store(to + i);
    });
    return;
  }
  sweep<T>(n, [=](auto v, int64_t i) MMDENSE_LAMBDA {
    v.v = v.load(a + i).v * v.of(1 - rest).v;
    multiply_add(v.load(b + i), v.of(rest), v).store(to + i);
  });
}

// to += weight * from
template <typename T>
inline void accumulate(T* to, const T* from, T weight, int64_t n) {
  sweep<T>(n, [=](auto v, int64_t i) MMDENSE_LAMBDA {
    multiply_add(v.load(from + i), v.of(weight), v.load(to + i)).store(to + i);
  });
}

// A sum over rows, kept apart by the width of the vectors that made it.
template <typename T>
struct Sum {
  Vec<T, Width<T>::wide> wide = wide.of(0);
  Vec<T, Width<T>::narrow> narrow = narrow.of(0);
  T one = 0;

  // += d * (b - a)
  void add(const T* d, const T* a, const T* b, int64_t n) {
    int64_t i = 0;
    for (; i + wide.lanes <= n; i += wide.lanes) {
      auto step = wide;
      step.v = wide.load(b + i).v - wide.load(a + i).v;
      wide = multiply_add(wide.load(d + i), step, wide);
    }
    for (; i + narrow.lanes <= n; i += narrow.lanes) {
      auto step = narrow;
      step.v = narrow.load(b + i).v - narrow.load(a + i).v;
      narrow = multiply_add(narrow.load(d + i), step, narrow);
    }
    for (; i < n; ++i) one += d[i] * (b[i] - a[i]);
  }
  // += scale * sum
  void add(const Sum& sum, T scale) {
    wide = multiply_add(sum.wide, wide.of(scale), wide);
    narrow = multiply_add(sum.narrow, narrow.of(scale), narrow);
    one += sum.one * scale;
  }
  double total() const { return wide.sum() + narrow.sum() + one; }
};

template <typename T>
class Sampler {
  using V = Vec<T, Width<T>::wide>;

 public:
  Sampler(const Shape& shape, const SamplerBuffers<T>& buffers, const T* x,
          const T* rate)
      : s(shape), m(buffers), x_(x), rate_(rate) {}

  // Cut positions begin..end-1 into pieces of output rows.
  void select(int64_t begin, int64_t end) {
    int64_t plane = s.y.out * s.x.out, segments = 0;
    slots_ = 0;
    for (int64_t p = begin; p < end;) {
      int64_t sample = p / plane, y = p % plane / s.x.out, x = p % s.x.out;
      int64_t length = s.x.out - x < end - p ? s.x.out - x : end - p;
      if (slots_ == 0 || m.slots[slots_ - 1].sample != sample)
        m.slots[slots_++] = {sample, segments, segments, 0, 0, false};
      m.segments[segments++] = {y, x, length, p - begin};
      m.slots[slots_ - 1].end = segments;
      p += length;
    }
  }

  // Interpolate the input rows that the taps of a channel read.
  void set_channel(int64_t channel) {
    channel_ = channel;
    for (int64_t i = 0; i < slots_; ++i) {
      Slot& slot = m.slots[i];
      make_taps(slot, tap_y(i, 0));
      if (slot.poisoned) continue;
      for (int64_t ty = 0; ty < s.y.kernel; ++ty)
        make_rows(slot, tap_y(i, ty), ty);
    }
  }

  // Sample every tap into a row of `to`; writes up to a vector too far.
  void columns(T* to, int64_t pitch) const {
    for (int64_t ty = 0; ty < s.y.kernel; ++ty)
      for (int64_t tx = 0; tx < s.x.kernel; ++tx, to += pitch)
        for (int64_t i = 0; i < slots_; ++i)
          sample_rows(m.slots[i], tap_x(i, tx), ty, to);
  }

  // Add the adjoint of `columns` to the gradients of the map and the rate.
  void adjoint(const T* grad, int64_t pitch, T* grad_x, double* grad_rate) {
    for (int64_t i = 0; i < slots_; ++i) {
      const Slot& slot = m.slots[i];
      int64_t plane = s.y.in * s.x.in, sample = slot.sample * s.channels();
      T* to = grad_x ? grad_x + sample * plane : nullptr;
      if (slot.poisoned) {
        // What a NaN input would do.
        if (grad_rate) grad_rate[sample] = NAN;
        for (int64_t k = 0; to && k < plane; ++k) to[k] = static_cast<T>(NAN);
        continue;
      }
      Sum<T> slope;
      for (int64_t ty = 0; ty < s.y.kernel; ++ty) {
        const T* from = grad + ty * s.x.kernel * pitch;
        pad_grads(slot, from, pitch);
        for (int64_t phase = 0; phase < s.x.stride; ++phase)
          sum_along_x(slot, tap_x(i, 0), phase);
        spread_along_y(slot, tap_y(i, ty), ty, to, slope);
        if (grad_rate) slopes_along_x(slot, tap_x(i, 0), ty, slope);
      }
      if (grad_rate) grad_rate[sample] += slope.total();
    }
  }

 private:
  Tap<T>* tap_y(int64_t slot, int64_t i) const {
    return m.taps + slot * (s.y.kernel + s.x.kernel) + i;
  }
  Tap<T>* tap_x(int64_t slot, int64_t i) const {
    return tap_y(slot, s.y.kernel + i);
  }
  // The interpolated row of a segment and vertical tap; column u of the map
  // is at [u % stride * row_pitch + u / stride].
  T* row(int64_t segment, int64_t ty) const {
    return m.rows + (segment * s.y.kernel + ty) * s.x.stride * m.row_pitch +
           m.row_margin;
  }
  T* padded_grad(int64_t segment) const {
    return m.grads + segment * s.x.kernel * m.grad_pitch + m.grad_margin;
  }
  T* sums(int64_t segment) const {
    return m.sums + segment * s.x.stride * m.sum_pitch;
  }
  const T* map(const Slot& slot) const {
    return x_ + (slot.sample * s.channels() + channel_) * s.y.in * s.x.in;
  }
  const T* input_row(const T* map, int64_t y) const {
    return y < 0 || y >= s.y.in ? m.zeros : map + y * s.x.in;
  }
  int64_t place(const Tap<T>& tap, int side) const {
    return tap.phase[side] * m.row_pitch + tap.steps[side];
  }

  // Only the product with the rate is split, as the reference does it: the
  // rest of a position is whole and would cost precision. Clamping keeps a
  // tap beyond the map beyond it.
  static bool make_tap(const Axis& a, int64_t i, T rate, Tap<T>& tap) {
    int64_t middle = (a.kernel - 1) / 2;
    T offset = rate * static_cast<T>(a.dilation * (i - middle));
    T whole = static_cast<T>(floor(static_cast<double>(offset)));
    T limit = static_cast<T>(int64_t{1} << 30);
    tap.rest = offset - whole;
    if (!(whole <= limit)) whole = limit;
    if (!(whole >= -limit)) whole = -limit;
    tap.whole = static_cast<int64_t>(whole) + a.dilation * middle - a.padding;
    int64_t low = -a.out * a.stride - 2, high = a.in + 1;
    if (tap.whole < low || tap.whole > high) {
      tap.whole = tap.whole < low ? low : high;
      tap.rest = 0;
    }
    return offset - offset == 0;
  }

  void make_taps(Slot& slot, Tap<T>* taps) const {
    T rate = rate_[slot.sample * s.rates + channel_ * s.rates / s.channels()];
    bool finite = true;
    for (int64_t i = 0; i < s.y.kernel; ++i)
      finite &= make_tap(s.y, i, rate, *taps++);
    slot.low = s.x.in + 1;
    slot.high = -s.x.out * s.x.stride;
    for (int64_t i = 0; i < s.x.kernel; ++i) {
      Tap<T>& tap = *taps++;
      finite &= make_tap(s.x, i, rate, tap);
      for (int side = 0; side < 2; ++side) {
        int64_t at = tap.whole + side, stride = s.x.stride;
        int64_t steps = stride == 1 ? at : at / stride - (at % stride < 0);
        tap.steps[side] = steps;
        tap.phase[side] = at - steps * stride;
      }
      if (tap.whole < slot.low) slot.low = tap.whole;
      if (tap.whole + 2 > slot.high) slot.high = tap.whole + 2;
    }
    slot.poisoned = !finite;
  }

  // The columns of the map that a segment's taps read.
  int64_t low(const Slot& slot, const Segment& g) const {
    int64_t u = g.x * s.x.stride + slot.low;
    return u < 0 ? 0 : u;
  }
  int64_t high(const Slot& slot, const Segment& g) const {
    int64_t u = (g.x + g.length - 1) * s.x.stride + slot.high;
    return u > s.x.in ? s.x.in : u;
  }

  void make_rows(const Slot& slot, const Tap<T>* tap, int64_t ty) const {
    const T* from = map(slot);
    for (int64_t i = slot.begin; i < slot.end; ++i) {
      const Segment& g = m.segments[i];
      int64_t y = g.y * s.y.stride + tap->whole;
      int64_t begin = low(slot, g), end = high(slot, g);
      const T *a = input_row(from, y), *b = input_row(from, y + 1);
      T* to = row(i, ty);
      if (s.x.stride == 1) {
        blend(to + begin, a + begin, b + begin, tap->rest, end - begin);
        continue;
      }
      int64_t phase = begin % s.x.stride, at = begin / s.x.stride;
      for (int64_t u = begin; u < end; ++u) {
        to[phase * m.row_pitch + at] =
            tap->rest == 0 ? a[u]
                           : (1 - tap->rest) * a[u] + tap->rest * b[u];
        if (++phase == s.x.stride) phase = 0, ++at;
      }
    }
  }

  void sample_rows(const Slot& slot, const Tap<T>* tap, int64_t ty,
                   T* to) const {
    int64_t left = place(*tap, 0), right = place(*tap, 1);
    V rest = V::of(tap->rest), other = V::of(1 - tap->rest);
    const T* from = row(slot.begin, ty);
    int64_t step = s.y.kernel * s.x.stride * m.row_pitch;
    for (int64_t i = slot.begin; i < slot.end; ++i, from += step) {
      const Segment& g = m.segments[i];
      const T *a = from + g.x + left, *b = from + g.x + right;
      T* at = to + g.at;
      if (slot.poisoned) {
        for (int64_t k = 0; k < g.length; ++k) at[k] = static_cast<T>(NAN);
      } else if (tap->rest == 0) {
        for (int64_t k = 0; k < g.length; k += V::lanes)
          V::load(a + k).store(at + k);
      } else {
        for (int64_t k = 0; k < g.length; k += V::lanes) {
          V first{V::load(a + k).v * other.v};
          multiply_add(V::load(b + k), rest, first).store(at + k);
        }
      }
    }
  }

  // The part of the rate's gradient that moves positions along x: a sampled
  // value changes by the difference of its two neighbours.
  void slopes_along_x(const Slot& slot, const Tap<T>* taps, int64_t ty,
                      Sum<T>& slope) const {
    int64_t middle = (s.x.kernel - 1) / 2;
    for (int64_t tx = 0; tx < s.x.kernel; ++tx) {
      if (tx == middle) continue;
      int64_t left = place(taps[tx], 0), right = place(taps[tx], 1);
      Sum<T> sum;
      for (int64_t i = slot.begin; i < slot.end; ++i) {
        const Segment& g = m.segments[i];
        const T* from = row(i, ty) + g.x;
        sum.add(padded_grad(i) + tx * m.grad_pitch + g.x, from + left,
                from + right, g.length);
      }
      slope.add(sum, static_cast<T>(s.x.dilation * (tx - middle)));
    }
  }

  // Copies of the gradients of a row of taps, with zeros around them.
  void pad_grads(const Slot& slot, const T* grad, int64_t pitch) const {
    for (int64_t i = slot.begin; i < slot.end; ++i) {
      const Segment& g = m.segments[i];
      for (int64_t tx = 0; tx < s.x.kernel; ++tx) {
        T* to = padded_grad(i) + tx * m.grad_pitch;
        const T* from = grad + tx * pitch + g.at;
        for (int64_t k = 0; k < g.x; ++k) to[k] = 0;
        for (int64_t k = g.x + g.length; k < s.x.out; ++k) to[k] = 0;
        blend(to + g.x, from, from, T(0), g.length);
      }
    }
  }

  // The adjoint of a shift is the opposite shift: every column of the map
  // takes the gradients of the positions that read it, times their weights.
  void sum_along_x(const Slot& slot, const Tap<T>* taps, int64_t phase) const {
    int64_t terms = 0;
    for (int64_t tx = 0; tx < s.x.kernel; ++tx) {
      for (int side = 0; side < 2; ++side) {
        T weight = side ? taps[tx].rest : 1 - taps[tx].rest;
        if (weight == 0 || taps[tx].phase[side] != phase) continue;
        m.term_offset[terms] = tx * m.grad_pitch - taps[tx].steps[side];
        m.term_weight[terms++] = weight;
      }
    }
    for (int64_t i = slot.begin; i < slot.end; ++i) {
      const Segment& g = m.segments[i];
      const T* grads = padded_grad(i);
      T* to = sums(i) + phase * m.sum_pitch;
      int64_t k = low(slot, g), end = high(slot, g);
      if (s.x.stride > 1) {
        k = k > phase ? divide_up(k - phase, s.x.stride) : 0;
        end = divide_up(end - phase, s.x.stride);
      }
      for (; k < end; k += 2 * V::lanes) {
        V a = V::of(0), b = V::of(0);
        for (int64_t t = 0; t < terms; ++t) {
          V weight = V::of(m.term_weight[t]);
          const T* from = grads + m.term_offset[t] + k;
          a = multiply_add(V::load(from), weight, a);
          b = multiply_add(V::load(from + V::lanes), weight, b);
        }
        a.store(to + k);
        b.store(to + k + V::lanes);
      }
    }
  }

  void spread_along_y(const Slot& slot, const Tap<T>* tap, int64_t ty,
                      T* grad_x, Sum<T>& slope) const {
    int64_t moved = ty - (s.y.kernel - 1) / 2;
    Sum<T> sum;
    for (int64_t i = slot.begin; i < slot.end; ++i) {
      const Segment& g = m.segments[i];
      int64_t y = g.y * s.y.stride + tap->whole, first = low(slot, g);
      int64_t n = high(slot, g) - first;
      if (n <= 0) continue;
      const T* from = s.x.stride == 1 ? sums(i) : merged(i, first, n);
      from += first;
      if (moved)
        sum.add(from, input_row(map(slot), y) + first,
                input_row(map(slot), y + 1) + first, n);
      if (!grad_x) continue;
      T* to = grad_x + y * s.x.in + first;
      if (y >= 0 && y < s.y.in) accumulate(to, from, 1 - tap->rest, n);
      if (y >= -1 && y + 1 < s.y.in && tap->rest != 0)
        accumulate(to + s.x.in, from, tap->rest, n);
    }
    slope.add(sum, static_cast<T>(s.y.dilation * moved));
  }

  // Back from columns sorted by phase to the order of the map.
  const T* merged(int64_t i, int64_t first, int64_t n) const {
    int64_t phase = first % s.x.stride, at = first / s.x.stride;
    for (int64_t u = first; u < first + n; ++u) {
      m.merged[u] = sums(i)[phase * m.sum_pitch + at];
      if (++phase == s.x.stride) phase = 0, ++at;
    }
    return m.merged;
  }

  const Shape& s;
  const SamplerBuffers<T>& m;
  const T *x_, *rate_;
  int64_t slots_ = 0, channel_ = 0;
};
