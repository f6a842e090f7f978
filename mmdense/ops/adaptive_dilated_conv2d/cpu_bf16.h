// The kernels of cpu_kernel.h with products of bfloat16 values and sums in
// float32. Positions and interpolation stay float32: columns are made as there
// and rounded when they are packed.

// Rounds whole vectors, up to one too far.
inline void round_row(uint16_t* to, const float* from, int64_t n) {
  for (int64_t k = 0; k < n; k += 16) {
    __m256bh value = _mm512_cvtneps_pbh(_mm512_loadu_ps(from + k));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + k), (__m256i)value);
  }
}

// Two rows of a right operand side by side: even row in the lower half.
inline void pack_pair(uint32_t* to, const float* even, const float* odd,
                      int64_t n) {
  alignas(64) uint16_t order[32];
  for (int i = 0; i < 16; ++i) {
    order[2 * i] = i;
    order[2 * i + 1] = 16 + i;
  }
  __m512i interleave = _mm512_load_si512(order);
  for (int64_t k = 0; k < n; k += 16) {
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(odd + k),
                                                _mm512_loadu_ps(even + k));
    _mm512_storeu_si512(to + k, _mm512_permutexvar_epi16(interleave, both));
  }
}
inline void pack_pair(uint32_t* to, const uint16_t* even, const uint16_t* odd,
                      int64_t n) {
  for (int64_t k = 0; k < n; ++k)
    to[k] = even[k] | static_cast<uint32_t>(odd[k]) << 16;
}

#if MMDENSE_AMX
// GCC does not know what memory the tile instructions read.
inline void settle_memory() { __asm__ volatile("" ::: "memory"); }

struct TileSetup {
  // All eight tiles are 16 rows of 64 bytes.
  TileSetup() {
    alignas(64) uint8_t config[64] = {1};
    for (int i = 0; i < 8; ++i) {
      config[16 + 2 * i] = 64;
      config[48 + i] = 16;
    }
    uint8_t* all = config;
    __asm__ volatile("" : "+r"(all)::"memory");
    _tile_loadconfig(all);
  }
  ~TileSetup() { _tile_release(); }
};

// Two by two tiles of c share the loads of two tiles of a and of b each.
template <bool Tall, bool Wide>
inline void tile16(int64_t depth, const uint16_t* a, int64_t lda,
                   const uint32_t* b, int64_t ldb, float* c, int64_t ldc,
                   bool add) {
  settle_memory();
  if (add) {
    _tile_loadd(0, c, ldc * 4);
    if (Wide) _tile_loadd(1, c + 16, ldc * 4);
    if (Tall) _tile_loadd(2, c + 16 * ldc, ldc * 4);
    if (Tall && Wide) _tile_loadd(3, c + 16 * ldc + 16, ldc * 4);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < depth; k += 32, b += 16 * ldb) {
    _tile_loadd(4, a + k, lda * 2);
    _tile_loadd(6, b, ldb * 4);
    _tile_dpbf16ps(0, 4, 6);
    if (Wide) {
      _tile_loadd(7, b + 16, ldb * 4);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (Tall) {
      _tile_loadd(5, a + 16 * lda + k, lda * 2);
      _tile_dpbf16ps(2, 5, 6);
      if (Wide) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, c, ldc * 4);
  if (Wide) _tile_stored(1, c + 16, ldc * 4);
  if (Tall) _tile_stored(2, c + 16 * ldc, ldc * 4);
  if (Tall && Wide) _tile_stored(3, c + 16 * ldc + 16, ldc * 4);
}
#else
struct TileSetup {
  TileSetup() {}
};

// 16 rows in two turns of 8 rows by one or two vectors.
template <bool Tall, bool Wide>
inline void tile16(int64_t depth, const uint16_t* a, int64_t lda,
                   const uint32_t* b, int64_t ldb, float* c, int64_t ldc,
                   bool add) {
  constexpr int count = Wide ? 2 : 1;
  for (int top = 0; top < (Tall ? 32 : 16); top += 8) {
    __m512 sum[8][count];
    for (int r = 0; r < 8; ++r)
      for (int j = 0; j < count; ++j)
        sum[r][j] = add ? _mm512_loadu_ps(c + (top + r) * ldc + 16 * j)
                        : _mm512_setzero_ps();
    for (int64_t k = 0; k < depth; k += 2) {
      __m512bh right[count];
      for (int j = 0; j < count; ++j)
        right[j] = (__m512bh)_mm512_loadu_si512(b + k / 2 * ldb + 16 * j);
      MMDENSE_UNROLL
      for (int r = 0; r < 8; ++r) {
        int32_t pair;
        __builtin_memcpy(&pair, a + (top + r) * lda + k, sizeof pair);
        __m512bh left = (__m512bh)_mm512_set1_epi32(pair);
        for (int j = 0; j < count; ++j)
          sum[r][j] = _mm512_dpbf16_ps(sum[r][j], left, right[j]);
      }
    }
    for (int r = 0; r < 8; ++r)
      for (int j = 0; j < count; ++j)
        _mm512_storeu_ps(c + (top + r) * ldc + 16 * j, sum[r][j]);
  }
}
#endif

// c (+)= a * b. a is (rows, depth) as it is, b in pairs of rows. rows is a
// multiple of 16, depth of 32; columns are written in sixteens.
inline void multiply16(int64_t rows, int64_t columns, int64_t depth,
                       const uint16_t* a, int64_t lda, const uint32_t* b,
                       int64_t ldb, float* c, int64_t ldc, bool add) {
  for (int64_t r = 0; r < rows; r += 32, a += 32 * lda, c += 32 * ldc) {
    bool tall = rows - r > 16;
    for (int64_t n = 0; n < columns; n += 32) {
      bool wide = columns - n > 16;
      if (tall && wide)
        tile16<true, true>(depth, a, lda, b + n, ldb, c + n, ldc, add);
      else if (tall)
        tile16<true, false>(depth, a, lda, b + n, ldb, c + n, ldc, add);
      else if (wide)
        tile16<false, true>(depth, a, lda, b + n, ldb, c + n, ldc, add);
      else
        tile16<false, false>(depth, a, lda, b + n, ldb, c + n, ldc, add);
    }
  }
}

inline void forward_bf16(const Forward16& f, char* buffer, int64_t first,
                         int64_t last) {
  TileSetup setup;
  const Shape& s = f.shape;
  const Plan& plan = f.plan;
  Arena arena(buffer);
  ForwardBuffers16 m(arena, s, plan);
  Sampler<float> sampler(s, m.sampler, f.x, f.rate);
  int64_t taps = s.taps(), pitch = plan.pitch;
  for (int64_t chunk = first; chunk < last; ++chunk) {
    int64_t begin = plan.begin(s, chunk), end = plan.end(s, chunk);
    int64_t n = end - begin;
    sampler.select(begin, end);
    for (int64_t group = 0; group < s.groups; ++group) {
      for (int64_t c = 0; c < s.cin; c += plan.block) {
        int64_t count = s.cin - c < plan.block ? s.cin - c : plan.block;
        uint32_t* to = m.pairs;
        for (int64_t i = 0; i < count; i += 2) {
          sampler.set_channel(group * s.cin + c + i);
          sampler.columns(m.columns, pitch);
          if (i + 1 < count) {
            sampler.set_channel(group * s.cin + c + i + 1);
            sampler.columns(m.columns + taps * pitch, pitch);
          } else {
            for (int64_t k = 0; k < taps * pitch; ++k)
              m.columns[taps * pitch + k] = 0;
          }
          for (int64_t t = 0; t < taps; ++t, to += pitch)
            pack_pair(to, m.columns + 2 * t * pitch,
                      m.columns + (2 * t + 1) * pitch, n);
        }
        int64_t depth = depth16(count * taps, taps);
        uint32_t* past = m.pairs + depth / 2 * pitch;
        for (; to < past; ++to) *to = 0;
        multiply16(round_up(s.cout, 16), n, depth,
                   f.weight + group * f.group_step +
                       c / plan.block * f.block_step,
                   f.row_step, m.pairs, pitch, m.result, pitch, c > 0);
      }
      store_result(f, group, begin, end, m.result);
    }
  }
}

inline void backward_bf16(const Backward16& f, char* buffer, int64_t first,
                          int64_t last) {
  TileSetup setup;
  const Shape& s = f.shape;
  const Plan& plan = f.plan;
  Arena arena(buffer);
  BackwardBuffers16 m(arena, s, plan);
  Sampler<float> sampler(s, m.sampler, f.x, f.rate);
  int64_t taps = s.taps(), depth = s.cin * taps, pitch = plan.pitch;
  int64_t plane = s.y.out * s.x.out, deep = round_up(s.cout, 32);
  bool to_input = f.grad_x || f.grad_rate;
  for (int64_t unit = first; unit < last; ++unit) {
    int64_t group = unit / plan.blocks, c = unit % plan.blocks * plan.block;
    int64_t count = s.cin - c < plan.block ? s.cin - c : plan.block;
    int64_t channel = group * s.cin + c, rows = count * taps;
    int64_t weights = group * s.cout * depth + c * taps;
    for (int64_t r = 0; to_input && r < round_up(rows, 16); ++r)
      for (int64_t o = 0; o < deep; ++o)
        m.weight[r * deep + o] =
            r < rows && o < s.cout ? f.weight16[weights + o * depth + r] : 0;
    for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
      int64_t begin = plan.begin(s, chunk), end = plan.end(s, chunk);
      int64_t n = end - begin, long_n = round_up(n, 32);
      sampler.select(begin, end);
      each_run(s, begin, end, [&](int64_t sample, int64_t position,
                                  int64_t length, int64_t at) MMDENSE_LAMBDA {
        const uint16_t* from =
            f.grad16 + (sample * s.groups + group) * s.cout * plane + position;
        for (int64_t o = 0; o < s.cout; ++o)
          for (int64_t k = 0; k < length; ++k)
            m.grad[o * m.pitch16 + at + k] = from[o * plane + k];
      });
      for (int64_t o = 0; o < deep; ++o)
        for (int64_t k = o < s.cout ? n : 0; k < long_n; ++k)
          m.grad[o * m.pitch16 + k] = 0;
      if (to_input) {
        for (int64_t o = 0; o < deep; o += 2)
          pack_pair(m.grad_pairs + o / 2 * pitch, m.grad + o * m.pitch16,
                    m.grad + (o + 1) * m.pitch16, n);
        multiply16(round_up(rows, 16), n, deep, m.weight, deep, m.grad_pairs,
                   pitch, m.columns, pitch, false);
      }
      // A channel's columns take the place of their gradients.
      for (int64_t i = 0; i < count; ++i) {
        float* columns = m.columns + i * taps * pitch;
        sampler.set_channel(channel + i);
        if (to_input)
          sampler.adjoint(columns, pitch, f.grad_x, f.grad_rate);
        if (!f.grad_weight) continue;
        sampler.columns(columns, pitch);
        for (int64_t t = 0; t < taps; ++t) {
          uint16_t* to = m.columns16 + (i * taps + t) * m.pitch16;
          round_row(to, columns + t * pitch, n);
          for (int64_t k = n; k < long_n; ++k) to[k] = 0;
        }
      }
      if (!f.grad_weight) continue;
      // Two neighbouring positions are one pair: move them together.
      transpose(s.cout, long_n / 2, reinterpret_cast<const float*>(m.grad),
                m.pitch16 / 2, m.grad_transposed, m.cout_pitch);
      multiply16(round_up(rows, 16), s.cout, long_n, m.columns16, m.pitch16,
                 reinterpret_cast<const uint32_t*>(m.grad_transposed),
                 m.cout_pitch, m.grad_weight, m.cout_pitch, chunk > 0);
    }
    if (f.grad_weight)
      transpose(rows, s.cout, m.grad_weight, m.cout_pitch,
                f.grad_weight + weights, depth);
  }
}
