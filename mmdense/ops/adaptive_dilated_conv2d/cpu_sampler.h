// Sampled columns of one channel over a chunk of positions, and their
// adjoint. The offsets of a channel are constant over its map, so a sampled
// row is a weighted sum of two input rows, each read at two neighbouring
// columns: contiguous reads, no gathers.

template <typename T>
class Sampler {
  using V = Vec<T, Width<T>::gemm>;

 public:
  Sampler(const Shape& shape, const SamplerBuffers<T>& buffers, const T* x,
          const T* rate)
      : s(shape),
        m(buffers),
        x_(x),
        rate_(rate),
        x_end_(x + s.batch * s.channels() * s.y.in * s.x.in) {
    clear(m.zeros, m.zeros_size);
  }

  // Positions begin..end-1: whole output rows, or a piece of one.
  void select(int64_t begin, int64_t end) {
    x0_ = begin % s.x.out;
    piece_ = x0_ != 0 || end - begin < s.x.out;
    length_ = piece_ ? end - begin : s.x.out;
    int64_t row = begin / s.x.out, last = divide_up(end, s.x.out);
    rows_ = 0;
    for (slots_ = 0; row < last; ++slots_) {
      int64_t sample = row / s.y.out, y = row % s.y.out;
      int64_t count = s.y.out - y < last - row ? s.y.out - y : last - row;
      m.slots[slots_] = {sample, y, rows_, count, 0, false};
      rows_ += count;
      row += count;
    }
  }

  // Interpolate the input rows that the taps of a channel read.
  void set_channel(int64_t channel) {
    channel_ = channel;
    int64_t low = s.x.in + 2, high = -s.x.out - 3;
    for (int64_t i = 0; i < slots_; ++i)
      make_taps(m.slots[i], tap_y(i, 0), low, high);
    lay_out(low, high);
    for (int64_t i = 0; i < slots_; ++i)
      m.slots[i].offset = m.slots[i].first * pitch_ + i * gap_;
    for (int64_t i = 0; i < slots_; ++i)
      if (!m.slots[i].poisoned)
        for (int64_t ty = 0; ty < s.y.kernel; ++ty)
          make_rows(m.slots[i], *tap_y(i, ty), ty);
  }

  // Sample every tap into a row of `to`; writes up to a vector too far.
  void columns(T* to, int64_t pitch) const {
    for (int64_t ty = 0; ty < s.y.kernel; ++ty)
      for (int64_t tx = 0; tx < s.x.kernel; ++tx, to += pitch)
        for (int64_t i = 0; i < slots_; ++i)
          sample_rows(m.slots[i], *tap_x(i, tx), ty, to);
  }

  // Add the adjoint of `columns` to the gradients of the map and the rate.
  void adjoint(const T* grad, int64_t pitch, T* grad_x, double* grad_rate) {
    for (int64_t i = 0; i < slots_; ++i) {
      const Slot& slot = m.slots[i];
      T* to = grad_x ? plane_of(grad_x, slot) : nullptr;
      double* slope = grad_rate ? grad_rate + place_of(slot) : nullptr;
      if (poison(slot, to, slope)) continue;
      for (int64_t ty = 0; ty < s.y.kernel; ++ty) {
        for (int64_t tx = 0; tx < s.x.kernel; ++tx, grad += pitch)
          pad(slot, tx, grad + slot.first * length_, grad + pitch);
        for (int64_t phase = 0; phase < s.x.stride; ++phase) {
          int64_t terms = 0;
          for (int64_t tx = 0; tx < s.x.kernel; ++tx)
            terms = add_terms(slot, *tap_x(i, tx), tx, phase, T(1), terms);
          sum_terms(slot, ty, phase, terms);
        }
        for (int64_t tx = 0; slope && tx < s.x.kernel; ++tx)
          if (reach_x(tx))
            *slope += reach_x(tx) * dots<false>(slot, *tap_x(i, tx), ty, tx)
                                        .step;
      }
      spread(slot, tap_y(i, 0), to, slope);
      grad -= s.taps() * pitch;
    }
  }

  // ---- Parts of the above, for the depthwise kernel

  int64_t slots() const { return slots_; }
  const Slot& slot(int64_t i) const { return m.slots[i]; }
  Tap<T>* tap_y(int64_t slot, int64_t i) const {
    return m.taps + slot * (s.y.kernel + s.x.kernel) + i;
  }
  Tap<T>* tap_x(int64_t slot, int64_t i) const {
    return tap_y(slot, s.y.kernel + i);
  }
  int64_t pitch() const { return pitch_; }
  T reach_x(int64_t tx) const {
    return static_cast<T>(s.x.dilation * (tx - (s.x.kernel - 1) / 2));
  }
  int64_t place_of(const Slot& slot) const {
    return slot.sample * s.channels() + channel_;
  }
  template <typename P>
  P* plane_of(P* map, const Slot& slot) const {
    return map + place_of(slot) * s.y.in * s.x.in;
  }

  // What a tap reads, in padded rows: the left or the right neighbour.
  const T* source(const Slot& slot, const Tap<T>& tap, int64_t ty,
                  int side) const {
    return m.row(ty * s.x.stride + tap.phase[side], slot.offset) +
           x0_ + tap.steps[side] - origin_;
  }

  // What a NaN input would do to the gradients.
  bool poison(const Slot& slot, T* grad_x, double* slope) const {
    if (!slot.poisoned) return false;
    if (slope) *slope = NAN;
    for (int64_t k = 0; grad_x && k < s.y.in * s.x.in; ++k)
      grad_x[k] = static_cast<T>(NAN);
    return true;
  }

  // Gradients of a slot's positions as padded rows of copy `which`; up to
  // `end` they may be read.
  void pad(const Slot& slot, int64_t which, const T* from,
           const T* end) const {
    int64_t tail = length_ % V::lanes, full = length_ - tail, pitch = pitch_;
    auto keep = V::first(tail);
    clear(m.grad(which, slot.offset - gap_), gap_);
    T* to = m.grad(which, slot.offset);
    for (int64_t r = 0; r < slot.rows; ++r, from += length_, to += pitch) {
      int64_t k = 0;
      for (; k < full; k += V::lanes) V::load(from + k).store(to + k);
      if (tail && end - from >= full + V::lanes) {
        V::load(from + k).masked(keep).store(to + k);
        k += V::lanes;
      }
      clear(to + k, pitch - k);
      for (; k < length_; ++k) to[k] = from[k];
    }
  }

  // The adjoint of a shift is the opposite shift: every column of the map
  // takes the gradients of the positions that read it, times their weights.
  int64_t add_terms(const Slot& slot, const Tap<T>& tap, int64_t which,
                    int64_t phase, T scale, int64_t terms) const {
    for (int side = 0; side < 2; ++side) {
      T weight = side ? tap.rest : 1 - tap.rest;
      if (weight == 0 || tap.phase[side] != phase) continue;
      m.term_from[terms] = m.grad(which, slot.offset) + origin_ - x0_ -
                           tap.steps[side];
      m.term_weight[terms++] = weight * scale;
    }
    return terms;
  }
  void sum_terms(const Slot& slot, int64_t ty, int64_t phase,
                 int64_t terms) const {
    weighted_sum(m.sum(ty * s.x.stride + phase, slot.offset), slot.rows * pitch_,
                 m.term_from, m.term_weight, terms, T(0));
  }

  // A row of the map takes the sums over horizontal taps of all output rows
  // that read it, times their weights; their difference, times how far a tap
  // moves, against the row itself is the slope along y.
  void spread(const Slot& slot, const Tap<T>* taps, T* grad_x,
              double* slope) const {
    int64_t stride = s.y.stride, middle = (s.y.kernel - 1) / 2;
    int64_t top = slot.y * stride, last = -1, y = s.y.in;
    for (int64_t ty = 0; ty < s.y.kernel; ++ty) {
      int64_t low = top + taps[ty].whole;
      if (low < y) y = low;
      if (low + (slot.rows - 1) * stride + 1 > last)
        last = low + (slot.rows - 1) * stride + 1;
    }
    if (y < 0) y = 0;
    if (last >= s.y.in) last = s.y.in - 1;
    const T* map = plane_of(x_, slot);
    V sum = V::of(0);
    double rest = 0;
    // Rows that the same taps reach are one run.
    for (int64_t run; y <= last; y += run) {
      run = stride == 1 ? last + 1 - y : 1;
      int64_t terms = 0;
      for (int64_t ty = 0; ty < s.y.kernel; ++ty) {
        T reach = static_cast<T>(s.y.dilation * (ty - middle));
        for (int side = 0; side < 2; ++side) {
          T weight = side ? taps[ty].rest : 1 - taps[ty].rest;
          int64_t r = y - side - taps[ty].whole - top;
          if (stride > 1 && r % stride) continue;
          if (stride > 1) r /= stride;
          if (weight == 0 && !(slope && reach)) continue;
          int64_t change = r < 0 ? -r : slot.rows - r;
          if (change > 0 && change < run) run = change;
          if (r < 0 || r >= slot.rows) continue;
          m.term_from[terms] =
              m.sum(ty * s.x.stride, slot.offset + r * pitch_);
          m.term_weight[terms] = weight;
          m.term_move[terms++] = side ? reach : -reach;
        }
      }
      for (int64_t i = 0; terms > 0 && i < run; ++i) {
        const T* x = slope ? input_row(map, y + i, 0) : nullptr;
        T* to = grad_x ? grad_x + (y + i) * s.x.in + column() : nullptr;
        if (s.x.stride == 1)
          add_row(to, x, terms, i * pitch_, sum);
        else
          add_phases(to, x, terms, i * pitch_, rest);
      }
    }
    if (slope) *slope += sum.sum() + rest;
  }

  // Gradients of copy `which` against what a tap reads.
  template <bool With>
  Dots<T> dots(const Slot& slot, const Tap<T>& tap, int64_t ty,
               int64_t which) const {
    return dot_step<T, With>(m.grad(which, slot.offset),
                             source(slot, tap, ty, 0),
                             source(slot, tap, ty, 1), slot.rows * pitch_);
  }

 private:
  void make_taps(Slot& slot, Tap<T>* taps, int64_t& low, int64_t& high) const {
    T rate = rate_[slot.sample * s.rates + channel_ * s.rates / s.channels()];
    bool finite = true;
    for (int64_t i = 0; i < s.y.kernel; ++i)
      finite &= make_tap(s.y, i, rate, *taps++);
    for (int64_t i = 0; i < s.x.kernel; ++i) {
      Tap<T>& tap = *taps++;
      finite &= make_tap(s.x, i, rate, tap);
      for (int side = 0; side < 2; ++side) {
        int64_t at = tap.whole + side, stride = s.x.stride;
        int64_t steps = stride == 1 ? at : at / stride - (at % stride < 0);
        tap.steps[side] = steps;
        tap.phase[side] = at - steps * stride;
        if (steps < low) low = steps;
        if (steps > high) high = steps;
      }
    }
    slot.poisoned = !finite;
  }

  // Which columns of the map (of a phase) padded rows hold, and how many
  // zeros follow: no shifted read of a row reaches the next row's values.
  void lay_out(int64_t low, int64_t high) {
    origin_ = 0;
    width_ = m.phase_width;
    int64_t first = x0_ + low, last = x0_ + length_ + high;
    if (piece_) {
      origin_ = first < 0 ? 0 : first > width_ ? width_ : first;
      width_ = (last > width_ ? width_ : last) - origin_;
      if (width_ < 0) width_ = 0;
    }
    int64_t needs[] = {origin_ - first, last - origin_ - width_,
                       high + x0_ - origin_,
                       origin_ + width_ - low - x0_ - length_};
    int64_t margin = 0;
    for (int64_t need : needs)
      if (need > margin) margin = need;
    gap_ = round_up(margin, V::lanes);
    pitch_ = round_up((width_ > length_ ? width_ : length_) + margin,
                      V::lanes);
    read_ = s.x.stride == 1 ? width_ : s.x.in;
    full_ = read_ / V::lanes * V::lanes;
    keep_ = V::first(read_ - full_);
  }

  // The first column of the map that padded rows hold.
  int64_t column() const { return s.x.stride == 1 ? origin_ : 0; }

  // A row of the map from column() on, of which whole vectors can be read. At
  // the end of the tensor that takes a copy: one for either `side`.
  const T* input_row(const T* map, int64_t y, int side) const {
    if (y < 0 || y >= s.y.in) return m.zeros;
    const T* from = map + y * s.x.in + column();
    int64_t left = s.x.in - column();
    if (x_end_ - from >= left + V::lanes) return from;
    for (int64_t k = 0; k < left; ++k) m.edge[side][k] = from[k];
    return m.edge[side];
  }

  // How many rows of a map allow whole vectors to be read.
  int64_t safe_rows(const T* map) const {
    int64_t safe = s.y.in;
    while (safe > 0 && x_end_ - map < safe * s.x.in + V::lanes) --safe;
    return safe;
  }

  void make_rows(const Slot& slot, const Tap<T>& tap, int64_t ty) const {
    const T* map = plane_of(x_, slot);
    int64_t safe = safe_rows(map), stride = s.y.stride;
    int64_t y = slot.y * stride + tap.whole, run;
    for (int64_t r = 0; r < slot.rows; r += run, y += run * stride) {
      int64_t left = slot.rows - r;
      run = 1;
      const T *a, *b;
      if (y >= 0 && y + 1 < safe) {
        run = stride == 1 ? safe - 1 - y : (safe - 2 - y) / stride + 1;
        if (run > left) run = left;
        a = map + y * s.x.in + column();
        b = a + s.x.in;
      } else {
        a = input_row(map, y, 0);
        b = input_row(map, y + 1, 1);
      }
      if (s.x.stride == 1) {
        T* to = m.row(ty, slot.offset + r * pitch_);
        if (a == b)
          clear(to, pitch_);
        else
          blend(to, a, b, tap.rest, run);
        continue;
      }
      for (int64_t i = r; i < r + run; ++i) {
        blend(m.merged, a, b, tap.rest, 1);
        sort_by_phase(ty * s.x.stride, slot.offset + i * pitch_);
        a += stride * s.x.in;
        b += stride * s.x.in;
      }
    }
    // Zeros around the slot: shifted reads go beyond it, and even what they
    // multiply by zero must be a number.
    for (int64_t phase = 0; phase < s.x.stride; ++phase) {
      int64_t which = ty * s.x.stride + phase;
      clear(m.row(which, slot.offset - gap_), gap_);
      clear(m.row(which, slot.offset + slot.rows * pitch_), gap_);
    }
  }

  void sort_by_phase(int64_t which, int64_t at) const {
    for (int64_t phase = 0; phase < s.x.stride; ++phase) {
      T* to = m.row(which + phase, at);
      int64_t from = origin_ * s.x.stride + phase, k = 0;
      for (; k < width_ && from < s.x.in; ++k, from += s.x.stride)
        to[k] = m.merged[from];
      for (; k < pitch_; ++k) to[k] = 0;
    }
  }

  // Padded rows (1 - rest) * a + rest * b, with zeros behind them.
  void blend(T* to, const T* a, const T* b, T rest, int64_t rows) const {
    int64_t n = read_, full = full_, pitch = pitch_;
    int64_t step = s.y.stride * s.x.in;
    auto keep = keep_;
    V right = V::of(rest), left = V::of(1 - rest);
    for (; rows > 0; --rows, to += pitch, a += step, b += step) {
      int64_t k = 0;
      if (rest == 0) {
        // Not a product with zero: an infinite neighbour must not become NaN.
        for (; k < full; k += V::lanes) V::load(a + k).store(to + k);
        if (k < n) {
          V::load(a + k).masked(keep).store(to + k);
          k += V::lanes;
        }
      } else {
        for (; k < full; k += V::lanes) {
          V value{V::load(a + k).v * left.v};
          multiply_add(V::load(b + k), right, value).store(to + k);
        }
        if (k < n) {
          V value{V::load(a + k).v * left.v};
          multiply_add(V::load(b + k), right, value)
              .masked(keep)
              .store(to + k);
          k += V::lanes;
        }
      }
      for (; k < pitch; k += V::lanes) V::of(0).store(to + k);
    }
  }

  void sample_rows(const Slot& slot, const Tap<T>& tap, int64_t ty,
                   T* to) const {
    T* at = to + slot.first * length_;
    if (slot.poisoned) {
      for (int64_t k = 0; k < slot.rows * length_; ++k)
        at[k] = static_cast<T>(NAN);
      return;
    }
    const T *a = source(slot, tap, ty, 0), *b = source(slot, tap, ty, 1);
    int64_t length = length_, step = pitch_, rows = slot.rows;
    if (tap.rest == 0) {
      for (int64_t r = 0; r < rows; ++r, a += step, at += length)
        for (int64_t k = 0; k < length; k += V::lanes)
          V::load(a + k).store(at + k);
      return;
    }
    V right = V::of(tap.rest), left = V::of(1 - tap.rest);
    for (int64_t r = 0; r < rows; ++r, a += step, b += step, at += length) {
      for (int64_t k = 0; k < length; k += V::lanes) {
        V value{V::load(a + k).v * left.v};
        multiply_add(V::load(b + k), right, value).store(at + k);
      }
    }
  }

  void add_row(T* to, const T* x, int64_t terms, int64_t skip,
               V& slope) const {
    for (int64_t k = 0; k < read_; k += V::lanes) {
      V value = V::of(0), moved = V::of(0);
      for (int64_t t = 0; t < terms; ++t) {
        V sum = V::load(m.term_from[t] + skip + k);
        value = multiply_add(sum, V::of(m.term_weight[t]), value);
        moved = multiply_add(sum, V::of(m.term_move[t]), moved);
      }
      if (k < full_) {
        if (to) {
          value.v += V::load(to + k).v;
          value.store(to + k);
        }
        if (x) slope = multiply_add(V::load(x + k), moved, slope);
      } else {
        if (to) add_exact(to + k, value, read_ - k);
        if (x)
          slope = multiply_add(V::load(x + k).masked(keep_),
                               moved.masked(keep_), slope);
      }
    }
  }

  // The same for columns sorted by phase, back in the order of the map.
  void add_phases(T* to, const T* x, int64_t terms, int64_t skip,
                  double& slope) const {
    for (int64_t phase = 0; phase < s.x.stride; ++phase) {
      int64_t u = origin_ * s.x.stride + phase;
      int64_t at = phase * m.block + skip;
      for (int64_t k = 0; k < width_ && u < s.x.in; ++k, u += s.x.stride) {
        T value = 0, moved = 0;
        for (int64_t t = 0; t < terms; ++t) {
          T sum = m.term_from[t][at + k];
          value += sum * m.term_weight[t];
          moved += sum * m.term_move[t];
        }
        if (to) to[u] += value;
        if (x) slope += static_cast<double>(x[u] * moved);
      }
    }
  }

  const Shape& s;
  const SamplerBuffers<T>& m;
  const T *x_, *rate_, *x_end_;
  int64_t x0_ = 0, length_ = 0, rows_ = 0, slots_ = 0, channel_ = 0;
  int64_t origin_ = 0, width_ = 0, pitch_ = 0, gap_ = 0;
  // Columns of the map a row is read for, those in whole vectors, the rest.
  int64_t read_ = 0, full_ = 0;
  decltype(V::first(0)) keep_ = V::first(0);
  bool piece_ = false;
};
