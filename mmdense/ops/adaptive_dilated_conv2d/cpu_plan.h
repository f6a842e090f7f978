// Sizes, blocks and buffers of the adaptive dilated convolution on a CPU.
// Nothing here depends on the instruction set.
#pragma once

#include <cstdint>

namespace mmdense_adc {

// Widest vector and tallest register tile of any instruction set: buffers are
// laid out for these, whichever kernel runs.
constexpr int64_t kVectorBytes = 64;
constexpr int64_t kTileRows = 8;

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

struct Axis {
  int64_t in, out, kernel, stride, padding, dilation;
};

// cin and cout count one convolution group; rates counts rate groups.
struct Shape {
  int64_t batch, groups, cin, cout, rates;
  Axis y, x;

  int64_t taps() const { return y.kernel * x.kernel; }
  int64_t channels() const { return groups * cin; }
  int64_t positions() const { return batch * y.out * x.out; }
};

// The positions of the whole batch, in order (sample, row, column), are cut
// into chunks of whole output rows, or where rows are long into pieces of a
// row; the input channels of a group into blocks. Columns exist for one chunk
// and one block at a time: `block * taps` rows of `pitch` values.
struct Plan {
  int64_t chunk, pitch, chunks;
  int64_t rows, pieces;
  int64_t block, blocks;

  int64_t begin(const Shape& s, int64_t i) const {
    return pieces == 1 ? i * chunk : i / pieces * s.x.out + i % pieces * chunk;
  }
  int64_t end(const Shape& s, int64_t i) const {
    int64_t end = begin(s, i) + chunk;
    int64_t most =
        pieces == 1 ? s.positions() : (i / pieces + 1) * s.x.out;
    return end < most ? end : most;
  }
};

// Hands out aligned pieces of one allocation; with a null base, only counts.
class Arena {
 public:
  explicit Arena(char* base) : base_(base) {}

  template <typename T>
  T* take(int64_t count) {
    int64_t at = used_;
    used_ += round_up(count * static_cast<int64_t>(sizeof(T)), kVectorBytes);
    return base_ ? reinterpret_cast<T*>(base_ + at) : nullptr;
  }
  int64_t used() const { return used_; }

 private:
  char* base_;
  int64_t used_ = 0;
};

// The rows of one sample in a chunk: `rows` of them from output row y on, the
// first of which is row `first` of the chunk. Padded rows start at `offset`.
struct Slot {
  int64_t sample, y, first, rows, offset;
  bool poisoned;
};

// A sampling offset along an axis, without the position's own p * stride:
// between column `whole` and the next, which is `steps * stride + phase`.
template <typename T>
struct Tap {
  T rest;
  int64_t whole, steps[2], phase[2];
};

// Rows of whole vectors with zeros behind them, which are the next row's zeros
// in front: any shifted read stays right, and one loop runs over many rows.
// The columns of the map are sorted by remainder modulo the stride (`phase`),
// so that a shifted read is contiguous at every stride. `copies` counts the
// padded gradients a backward pass holds at a time, 0 in a forward pass.
template <typename T>
struct SamplerBuffers {
  int64_t phase_width, lead, block, zeros_size;
  Slot* slots;
  Tap<T>* taps;
  T *zeros, *edge[2], *merged, *rows, *grads, *sums;
  const T** term_from;
  T *term_weight, *term_move;

  SamplerBuffers(Arena& arena, const Shape& s, const Plan& plan,
                 int64_t copies) {
    constexpr int64_t lanes = kVectorBytes / sizeof(T);
    int64_t most = plan.rows, slots_most = (most - 1) / s.y.out + 2;
    phase_width = divide_up(s.x.in, s.x.stride);
    int64_t wide = phase_width > s.x.out ? phase_width : s.x.out;
    // The farthest clamped taps of both signs: see Sampler::lay_out.
    lead = round_up(phase_width + s.x.out + 8, lanes);
    block = lead + most * round_up(wide + lead, lanes) +
            slots_most * (lead + lanes);
    slots = arena.take<Slot>(slots_most);
    taps = arena.take<Tap<T>>(slots_most * (s.y.kernel + s.x.kernel));
    int64_t row = s.x.in + wide + lead + lanes;
    zeros_size = row;
    zeros = arena.take<T>(row);
    edge[0] = arena.take<T>(row);
    edge[1] = arena.take<T>(row);
    merged = arena.take<T>(row);
    rows = arena.take<T>(s.y.kernel * s.x.stride * block);
    int64_t outputs = copies > s.cout ? copies : s.cout;
    int64_t terms = 2 * s.taps() * outputs;
    term_from = arena.take<const T*>(terms);
    term_weight = arena.take<T>(terms);
    term_move = arena.take<T>(terms);
    if (copies == 0) return;
    grads = arena.take<T>(copies * block);
    sums = arena.take<T>(s.y.kernel * s.x.stride * block);
  }

  // Of interpolated rows, padded gradients, sums over horizontal taps.
  T* row(int64_t which, int64_t at) const {
    return rows + which * block + lead + at;
  }
  T* grad(int64_t which, int64_t at) const {
    return grads + which * block + lead + at;
  }
  T* sum(int64_t which, int64_t at) const {
    return sums + which * block + lead + at;
  }
};

template <typename T>
struct ForwardBuffers {
  T *columns, *result;
  SamplerBuffers<T> sampler;

  ForwardBuffers(Arena& arena, const Shape& s, const Plan& plan)
      : columns(arena.take<T>(plan.block * s.taps() * plan.pitch)),
        result(arena.take<T>(s.cout * plan.pitch)),
        sampler(arena, s, plan, 0) {}
};

// The depthwise kernels' buffers; with `copies` those of the backward pass.
template <typename T>
struct DepthwiseBuffers {
  SamplerBuffers<T> sampler;
  T* result;
  double* grad_weight;

  DepthwiseBuffers(Arena& arena, const Shape& s, const Plan& plan,
                   int64_t copies)
      : sampler(arena, s, plan, copies),
        result(arena.take<T>(sampler.block)),
        grad_weight(arena.take<double>(s.cout * s.taps())) {}
};

template <typename T>
struct BackwardBuffers {
  int64_t cout_pitch;
  T *columns, *grad, *grad_transposed, *weight, *grad_weight;
  SamplerBuffers<T> sampler;

  // An odd number of vectors a row, so that rows spread over the cache sets.
  static int64_t odd_pitch(int64_t count) {
    constexpr int64_t lanes = kVectorBytes / sizeof(T);
    return (divide_up(count, lanes) | 1) * lanes;
  }
  BackwardBuffers(Arena& arena, const Shape& s, const Plan& plan)
      : cout_pitch(odd_pitch(s.cout)),
        columns(arena.take<T>(plan.block * s.taps() * plan.pitch)),
        grad(arena.take<T>(s.cout * plan.pitch)),
        grad_transposed(arena.take<T>(plan.chunk * cout_pitch)),
        weight(arena.take<T>(round_up(plan.block * s.taps(), kTileRows) *
                             s.cout)),
        grad_weight(arena.take<T>(plan.block * s.taps() * cout_pitch)),
        sampler(arena, s, plan, s.x.kernel) {}
};

template <typename T>
struct Forward {
  Shape shape;
  Plan plan;
  const T *x, *weight, *rate, *bias;
  T* out;
};

// A null result is not wanted. grad_rate is per channel, (batch, channels).
template <typename T>
struct Backward {
  Shape shape;
  Plan plan;
  const T *grad, *x, *weight, *rate;
  T *grad_x, *grad_weight;
  double* grad_rate;
};

// Products of bfloat16 values go in steps of 32: so deep is the product over
// `columns` columns, those of an odd channel's missing neighbour included.
inline int64_t depth16(int64_t columns, int64_t taps) {
  return round_up(round_up(columns, 2 * taps), 32);
}

// Forward with a weight of bfloat16 values, as it is or packed: with zeros
// behind a block's columns and behind a group's rows.
struct Forward16 : Forward<float> {
  const uint16_t* weight;
  int64_t group_step, block_step, row_step;
};

struct Backward16 : Backward<float> {
  const uint16_t *grad16, *weight16;
};

struct ForwardBuffers16 {
  float *columns, *result;
  uint32_t* pairs;
  SamplerBuffers<float> sampler;

  ForwardBuffers16(Arena& arena, const Shape& s, const Plan& plan)
      : columns(arena.take<float>(2 * s.taps() * plan.pitch)),
        result(arena.take<float>(round_up(s.cout, 16) * plan.pitch)),
        pairs(arena.take<uint32_t>(depth16(plan.block * s.taps(), s.taps()) /
                                   2 * plan.pitch)),
        sampler(arena, s, plan, 0) {}
};

struct BackwardBuffers16 {
  int64_t cout_pitch, pitch16;
  float *columns, *grad_transposed, *grad_weight;
  uint16_t *columns16, *grad, *weight;
  uint32_t* grad_pairs;
  SamplerBuffers<float> sampler;

  BackwardBuffers16(Arena& arena, const Shape& s, const Plan& plan)
      : cout_pitch(BackwardBuffers<float>::odd_pitch(s.cout)),
        pitch16((divide_up(plan.chunk, 32) | 1) * 32),
        columns(arena.take<float>(rows(s, plan) * plan.pitch)),
        grad_transposed(arena.take<float>(pitch16 / 2 * cout_pitch)),
        grad_weight(arena.take<float>(rows(s, plan) * cout_pitch)),
        columns16(arena.take<uint16_t>(rows(s, plan) * pitch16)),
        grad(arena.take<uint16_t>(round_up(s.cout, 32) * pitch16)),
        weight(arena.take<uint16_t>(rows(s, plan) * round_up(s.cout, 32))),
        grad_pairs(
            arena.take<uint32_t>(round_up(s.cout, 32) / 2 * plan.pitch)),
        sampler(arena, s, plan, s.x.kernel) {}

  static int64_t rows(const Shape& s, const Plan& plan) {
    return round_up(plan.block * s.taps(), 16);
  }
};

}  // namespace mmdense_adc
