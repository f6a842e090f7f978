// Forward and backward passes with a rate for every output position, over the
// samples of cpu_pixelwise_sampler.h. Included once an instruction set by
// cpu_kernel.h.

// to[p][c] (+)= sum of from[p][t][c] * weight[t][c] over the taps.
template <typename T>
void sum_taps(int64_t positions, int64_t taps, int64_t count, const T* from,
              const T* weight, int64_t ldw, T* to, int64_t ld) {
  using V = Vec<T, Width<T>::gemm>;
  for (int64_t p = 0; p < positions; ++p)
    for (int64_t c = 0; c < count; c += V::lanes) {
      V sum = V::of(0);
      for (int64_t t = 0; t < taps; ++t)
        sum = multiply_add(V::load(from + (p * taps + t) * count + c),
                           V::load(weight + t * ldw + c), sum);
      sum.store(to + p * ld + c);
    }
}

// Chunks first..last-1 of kPixels positions, all channels.
template <typename T>
void pixel_forward(const PixelCall<T>& f, char* buffer, int64_t first,
                   int64_t last) {
  const Shape& s = f.shape;
  const PixelPlan& plan = f.plan;
  int64_t taps = s.taps(), positions = s.positions();
  Arena arena(buffer);
  PixelBuffers<T> m(arena, s, plan, kPixels, taps);
  PixelSampler<T> sampler(f, m, 0, taps);
  for (int64_t chunk = first; chunk < last; ++chunk) {
    int64_t begin = chunk * kPixels;
    int64_t end = begin + kPixels < positions ? begin + kPixels : positions;
    T* out = f.out + begin * plan.out.pitch();
    sampler.select(begin, end);
    for (int64_t slab = 0; slab < plan.in.slabs; ++slab)
      for (int64_t c = 0; c < plan.in.padded; c += plan.block) {
        int64_t left = plan.in.padded - c;
        int64_t count = left < plan.block ? left : plan.block;
        sampler.columns(slab * plan.in.padded + c, count, m.columns);
        if (plan.depthwise) {
          for (int64_t k = 0; k < s.cout; ++k)
            sum_taps(end - begin, taps, count, m.columns,
                     f.weight + k * taps * plan.in.padded + c, plan.in.padded,
                     out + k * plan.out.padded + c, plan.out.pitch());
          continue;
        }
        // Weights are (channel, tap, output): a tap's are apart by taps.
        int64_t real = s.cin - c < count ? s.cin - c : count;
        int64_t ld = taps * plan.out.padded;
        const T* weight = f.weight + (slab * s.cin + c) * ld;
        for (int64_t t = 0; t < taps; ++t)
          multiply<T, false>(end - begin, s.cout, real,
                             m.columns + t * count, taps * count,
                             weight + t * plan.out.padded, ld,
                             out + slab * plan.out.padded, plan.out.pitch(),
                             c + t > 0);
      }
  }
}

// Units first..last-1; a unit is a block of channels of some samples, of whose
// gradients it is the only writer.
template <typename T>
void pixel_input(const PixelCall<T>& f, char* buffer, int64_t first,
                 int64_t last) {
  using V = Vec<T, Width<T>::gemm>;
  const Shape& s = f.shape;
  const PixelPlan& plan = f.plan;
  int64_t taps = s.taps(), plane = s.y.out * s.x.out;
  int64_t padded = plan.in.padded;
  Arena arena(buffer);
  PixelBuffers<T> m(arena, s, plan, kPixels, taps);
  PixelSampler<T> sampler(f, m, 0, taps);
  for (int64_t unit = first; unit < last; ++unit) {
    int64_t c = unit % plan.blocks * plan.block;
    int64_t slab = unit / plan.blocks % plan.in.slabs;
    int64_t n = unit / plan.blocks / plan.in.slabs * plan.samples;
    int64_t stop = n + plan.samples < s.batch ? n + plan.samples : s.batch;
    int64_t count = padded - c < plan.block ? padded - c : plan.block;
    // Weights are (output, tap, channel).
    const T* weight = f.weight + slab * s.cout * taps * padded + c;
    for (int64_t begin = n * plane; begin < stop * plane; begin += kPixels) {
      int64_t end = begin + kPixels;
      if (end > stop * plane) end = stop * plane;
      const T* grad = f.grad + begin * plan.out.pitch();
      if (plan.depthwise) {
        for (int64_t p = 0; p < end - begin; ++p)
          for (int64_t t = 0; t < taps; ++t)
            for (int64_t i = 0; i < count; i += V::lanes) {
              V sum = V::of(0);
              for (int64_t k = 0; k < s.cout; ++k)
                sum = multiply_add(
                    V::load(weight + (k * taps + t) * padded + i),
                    V::load(grad + p * plan.out.pitch() +
                            k * plan.out.padded + c + i),
                    sum);
              sum.store(m.columns + (p * taps + t) * count + i);
            }
      } else {
        // The taps of all channels lie side by side in both.
        int64_t calls = count == padded ? 1 : taps;
        int64_t wide = count == padded ? taps * count : count;
        for (int64_t t = 0; t < calls; ++t)
          multiply<T, false>(end - begin, wide, s.cout,
                             grad + slab * plan.out.padded, plan.out.pitch(),
                             weight + t * padded, taps * padded,
                             m.columns + t * count, taps * count, false);
      }
      sampler.select(begin, end);
      int64_t at = slab * padded + c;
      if (f.grad_x && f.grad_rate)
        sampler.template adjoint<true, true>(at, count, m.columns);
      else if (f.grad_x)
        sampler.template adjoint<true, false>(at, count, m.columns);
      else
        sampler.template adjoint<false, true>(at, count, m.columns);
    }
  }
}

// Chunks first..last-1 of kPixels positions: the gradient of the output
// in the layout of a packed left operand.
template <typename T>
void pixel_tiles(const PixelCall<T>& f, T* tiles, int64_t first,
                 int64_t last) {
  const Shape& s = f.shape;
  int64_t rows = round_up(s.cout, kTileRows), positions = s.positions();
  for (int64_t chunk = first; chunk < last; ++chunk) {
    int64_t begin = chunk * kPixels, left = positions - begin;
    for (int64_t slab = 0; slab < f.plan.out.slabs; ++slab)
      pack_transposed(s.cout, left < kPixels ? left : kPixels,
                      f.grad + begin * f.plan.out.pitch() +
                          slab * f.plan.out.padded,
                      f.plan.out.pitch(),
                      tiles + (slab * positions + begin) * rows);
  }
}

// Units first..last-1; a unit is one tap of a block of channels, of whose
// weights' gradient it is the only writer.
template <typename T>
void pixel_weight(const PixelCall<T>& f, char* buffer, int64_t first,
                  int64_t last) {
  using V = Vec<T, Width<T>::gemm>;
  const Shape& s = f.shape;
  const PixelPlan& plan = f.plan;
  int64_t taps = s.taps(), positions = s.positions();
  int64_t rows = round_up(s.cout, kTileRows);
  for (int64_t unit = first; unit < last; ++unit) {
    int64_t t = unit % taps, c = unit / taps % plan.blocks * plan.block;
    int64_t slab = unit / taps / plan.blocks;
    int64_t left = plan.in.padded - c;
    int64_t count = left < plan.block ? left : plan.block;
    // Weights are (output, tap, channel).
    int64_t line = taps * plan.in.padded;
    T* to = f.grad_weight + slab * s.cout * line + t * plan.in.padded + c;
    Arena arena(buffer);
    PixelBuffers<T> m(arena, s, plan, kPixels, 1);
    PixelSampler<T> sampler(f, m, t, t + 1);
    for (int64_t begin = 0; begin < positions; begin += kPixels) {
      int64_t end = begin + kPixels;
      if (end > positions) end = positions;
      sampler.select(begin, end);
      sampler.columns(slab * plan.in.padded + c, count, m.columns);
      if (!plan.depthwise) {
        multiply<T, true>(s.cout, count, end - begin,
                          f.grad_tiles + (slab * positions + begin) * rows, 0,
                          m.columns, count, to, line, begin > 0);
        continue;
      }
      for (int64_t k = 0; k < s.cout; ++k)
        for (int64_t i = 0; i < count; i += V::lanes) {
          V sum = V::of(0);
          const T* grad = f.grad + begin * plan.out.pitch() +
                          k * plan.out.padded + c + i;
          for (int64_t p = 0; p < end - begin; ++p)
            sum = multiply_add(V::load(grad + p * plan.out.pitch()),
                               V::load(m.columns + p * count + i), sum);
          T* total = to + k * line + i;
          if (begin > 0) sum.v += V::load(total).v;
          sum.store(total);
        }
    }
  }
}
