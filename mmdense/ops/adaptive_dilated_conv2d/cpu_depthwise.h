// One input channel a group: no columns and no matrix product. An output row
// is a weighted sum of interpolated rows, each read at shifted places.

// Units first..last-1; a unit is a group of one sample.
template <typename T>
void depthwise_forward(const Forward<T>& f, char* buffer, int64_t first,
                       int64_t last) {
  const Shape& s = f.shape;
  Arena arena(buffer);
  DepthwiseBuffers<T> m(arena, s, f.plan, 0);
  Sampler<T> sampler(s, m.sampler, f.x, f.rate);
  int64_t plane = s.y.out * s.x.out, taps = s.taps();
  for (int64_t unit = first; unit < last; ++unit) {
    int64_t sample = unit / s.groups, group = unit % s.groups;
    for (int64_t y = 0; y < s.y.out; y += f.plan.rows) {
      int64_t rows = s.y.out - y < f.plan.rows ? s.y.out - y : f.plan.rows;
      int64_t begin = (sample * s.y.out + y) * s.x.out;
      sampler.select(begin, begin + rows * s.x.out);
      sampler.set_channel(group);
      const Slot& slot = sampler.slot(0);
      int64_t pitch = sampler.pitch();
      for (int64_t o = group * s.cout; o < (group + 1) * s.cout; ++o) {
        T* to = f.out + (sample * s.groups * s.cout + o) * plane;
        if (slot.poisoned) {
          for (int64_t k = 0; k < plane; ++k) to[k] = static_cast<T>(NAN);
          continue;
        }
        const T* weight = f.weight + o * taps;
        int64_t terms = 0;
        for (int64_t ty = 0; ty < s.y.kernel; ++ty) {
          for (int64_t tx = 0; tx < s.x.kernel; ++tx, ++weight) {
            const Tap<T>& tap = *sampler.tap_x(0, tx);
            for (int side = 0; side < 2; ++side) {
              if (side && tap.rest == 0) continue;
              m.sampler.term_from[terms] = sampler.source(slot, tap, ty, side);
              m.sampler.term_weight[terms++] =
                  *weight * (side ? tap.rest : 1 - tap.rest);
            }
          }
        }
        weighted_sum(m.result, rows * pitch, m.sampler.term_from,
                     m.sampler.term_weight, terms, f.bias ? f.bias[o] : T(0));
        pack_rows(to + y * s.x.out, to + plane, m.result, pitch, rows,
                  s.x.out);
      }
    }
  }
}

// Units first..last-1; a unit is a group, whose samples come in order.
template <typename T>
void depthwise_backward(const Backward<T>& f, char* buffer, int64_t first,
                        int64_t last) {
  const Shape& s = f.shape;
  Arena arena(buffer);
  DepthwiseBuffers<T> m(arena, s, f.plan, s.cout);
  Sampler<T> sampler(s, m.sampler, f.x, f.rate);
  int64_t plane = s.y.out * s.x.out, taps = s.taps();
  for (int64_t group = first; group < last; ++group) {
    const T* weights = f.weight + group * s.cout * taps;
    for (int64_t k = 0; k < s.cout * taps; ++k) m.grad_weight[k] = 0;
    for (int64_t row = 0; row < s.batch * s.y.out;) {
      int64_t sample = row / s.y.out, y = row % s.y.out;
      int64_t rows = s.y.out - y < f.plan.rows ? s.y.out - y : f.plan.rows;
      sampler.select(row * s.x.out, (row + rows) * s.x.out);
      row += rows;
      sampler.set_channel(group);
      const Slot& slot = sampler.slot(0);
      T* to = f.grad_x ? sampler.plane_of(f.grad_x, slot) : nullptr;
      double* slope =
          f.grad_rate ? f.grad_rate + sampler.place_of(slot) : nullptr;
      if (sampler.poison(slot, to, slope)) {
        for (int64_t k = 0; k < s.cout * taps; ++k) m.grad_weight[k] = NAN;
        continue;
      }
      for (int64_t o = 0; o < s.cout; ++o)
        sampler.pad(slot, o,
                    f.grad + ((sample * s.groups + group) * s.cout + o) *
                                 plane + y * s.x.out,
                    f.grad + s.batch * s.groups * s.cout * plane);
      for (int64_t ty = 0; (to || slope) && ty < s.y.kernel; ++ty) {
        for (int64_t phase = 0; phase < s.x.stride; ++phase) {
          int64_t terms = 0;
          for (int64_t o = 0; o < s.cout; ++o)
            for (int64_t tx = 0; tx < s.x.kernel; ++tx)
              terms = sampler.add_terms(
                  slot, *sampler.tap_x(0, tx), o, phase,
                  weights[o * taps + ty * s.x.kernel + tx], terms);
          sampler.sum_terms(slot, ty, phase, terms);
        }
      }
      if (to || slope) sampler.spread(slot, sampler.tap_y(0, 0), to, slope);
      for (int64_t k = 0; k < s.cout * taps; ++k) {
        int64_t ty = k % taps / s.x.kernel, tx = k % s.x.kernel;
        const Tap<T>& tap = *sampler.tap_x(0, tx);
        Dots<T> dots = sampler.template dots<true>(slot, tap, ty, k / taps);
        m.grad_weight[k] += dots.value;
        // Not a product with zero, as in Sampler::blend.
        if (tap.rest != 0) m.grad_weight[k] += tap.rest * dots.step;
        if (slope && sampler.reach_x(tx))
          *slope += sampler.reach_x(tx) * weights[k] * dots.step;
      }
    }
    for (int64_t k = 0; f.grad_weight && k < s.cout * taps; ++k)
      f.grad_weight[group * s.cout * taps + k] =
          static_cast<T>(m.grad_weight[k]);
  }
}
