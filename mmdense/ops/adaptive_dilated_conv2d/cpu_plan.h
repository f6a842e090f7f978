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
// into chunks, the input channels of a group into blocks. Columns exist for
// one chunk and one block at a time: `block * taps` rows of `pitch` values.
struct Plan {
  int64_t chunk, pitch, chunks;
  int64_t block, blocks;
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

// A piece of an output row: `length` positions from column x of row y, which
// lie from position `at` of the chunk on.
struct Segment {
  int64_t y, x, length, at;
};

// The segments of one sample, and the first and last (past the end) column
// that a channel's horizontal taps read for the position in column 0.
struct Slot {
  int64_t sample, begin, end, low, high;
  bool poisoned;
};

// A sampling offset along an axis, without the position's own p * stride:
// between column `whole` and the next, which is `steps * stride + phase`.
template <typename T>
struct Tap {
  T rest;
  int64_t whole, steps[2], phase[2];
};

// Interpolated rows are stored with zeros on both sides, wide enough for any
// clamped tap, and with their columns sorted by remainder modulo the stride
// (`phase`), so that a shifted read is contiguous at every stride.
template <typename T>
struct SamplerBuffers {
  int64_t phase_width, row_margin, row_pitch, grad_margin, grad_pitch,
      sum_pitch;
  Segment* segments;
  Slot* slots;
  Tap<T>* taps;
  T *zeros, *rows, *grads, *sums, *merged, *term_weight;
  int64_t* term_offset;

  SamplerBuffers(Arena& arena, const Shape& s, const Plan& plan,
                 bool backward) {
    constexpr int64_t lanes = kVectorBytes / sizeof(T);
    int64_t plane = s.y.out * s.x.out;
    int64_t most_slots = (plan.chunk - 1) / plane + 2;
    int64_t most = (plan.chunk - 1) / s.x.out + 2;
    phase_width = divide_up(s.x.in, s.x.stride);
    row_margin = s.x.out + 4;
    row_pitch = round_up(row_margin * 2 + phase_width + lanes, lanes);
    grad_margin = phase_width + 4;
    grad_pitch = round_up(grad_margin * 2 + s.x.out + lanes, lanes);
    sum_pitch = round_up(phase_width + lanes, lanes);
    segments = arena.take<Segment>(most);
    slots = arena.take<Slot>(most_slots);
    taps = arena.take<Tap<T>>(most_slots * (s.y.kernel + s.x.kernel));
    zeros = arena.take<T>(s.x.in + lanes);
    rows = arena.take<T>(most * s.y.kernel * s.x.stride * row_pitch);
    if (!backward) return;
    grads = arena.take<T>(most * s.x.kernel * grad_pitch);
    sums = arena.take<T>(most * s.x.stride * sum_pitch);
    merged = arena.take<T>(s.x.in);
    term_weight = arena.take<T>(2 * s.x.kernel);
    term_offset = arena.take<int64_t>(2 * s.x.kernel);
  }
};

template <typename T>
struct ForwardBuffers {
  T *columns, *result;
  SamplerBuffers<T> sampler;

  ForwardBuffers(Arena& arena, const Shape& s, const Plan& plan)
      : columns(arena.take<T>(plan.block * s.taps() * plan.pitch)),
        result(arena.take<T>(s.cout * plan.pitch)),
        sampler(arena, s, plan, false) {}
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
        sampler(arena, s, plan, true) {}
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

}  // namespace mmdense_adc
