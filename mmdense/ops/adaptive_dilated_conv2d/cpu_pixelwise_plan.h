// Sizes and buffers of the convolution with a rate for every output position.
// Nothing here depends on the instruction set.
#pragma once

#include "cpu_plan.h"

namespace mmdense_adc {

// Maps lie as rows: one row a pixel, its channels side by side, those of a
// slab filled up with zeros to whole vectors. A slab is a convolution group;
// of a depthwise convolution, the input is one slab, and so are the first,
// the second, ... outputs of all channels.
struct Rows {
  int64_t slabs, channels, padded;
  // Channel c of slab i is number i * slab_step + c * step of the map.
  int64_t slab_step, step;

  int64_t pitch() const { return slabs * padded; }
};

// Positions of a chunk and channels of a block: their samples (of 3x3 taps,
// 0.4 MB) lie in a second-level cache, and weights are read once a chunk. Both
// do not depend on the number of threads, so no sum does.
constexpr int64_t kPixels = 192, kChannels = 64;

struct PixelPlan {
  Rows in, out;
  bool depthwise;
  // All channels of a vector have one rate: then a position's neighbours are
  // vectors of channels, and else each lane reads its own.
  bool shared;
  int64_t block, blocks, lanes;
  // Samples whose maps make up a chunk, at least one.
  int64_t samples;

  PixelPlan(const Shape& s, bool by_channel, int64_t vector)
      : depthwise(by_channel),
        shared(true),
        lanes(vector),
        samples(divide_up(kPixels, s.y.out * s.x.out)) {
    if (depthwise) {
      in = {1, s.groups, 0, 0, 1};
      out = {s.cout, s.groups, 0, 1, s.cout};
    } else {
      in = {s.groups, s.cin, 0, s.cin, 1};
      out = {s.groups, s.cout, 0, s.cout, 1};
    }
    in.padded = round_up(in.channels, lanes);
    out.padded = round_up(out.channels, lanes);
    blocks = divide_up(in.padded, kChannels);
    block = round_up(divide_up(in.padded, blocks), lanes);
    blocks = divide_up(in.padded, block);
  }

  // Writes the rate group of every place in a row; of a place that is filled
  // up, that of the slab's last channel. Settles `shared`.
  void share_rates(const Shape& s, int32_t* rate_of) {
    int64_t each = s.channels() / s.rates;
    for (int64_t slab = 0; slab < in.slabs; ++slab)
      for (int64_t c = 0; c < in.padded; ++c) {
        int64_t real = c < in.channels ? c : in.channels - 1;
        int32_t* to = rate_of + slab * in.padded + c;
        *to = static_cast<int32_t>((slab * in.slab_step + real) / each);
        if (c % lanes != 0 && *to != to[-1]) shared = false;
      }
  }
  // Where the gradient of a rate is summed: one place a vector, or a channel.
  int64_t sums() const { return shared ? in.pitch() / lanes : in.pitch(); }
};

// All as rows. x has a pixel of zeros behind each sample, grad_x one for what
// falls outside: what lies outside the map is there.
template <typename T>
struct PixelCall {
  Shape shape;
  PixelPlan plan;
  const T *x = nullptr, *weight = nullptr, *rate = nullptr;
  const int32_t* rate_of = nullptr;
  T* out = nullptr;
  const T *grad = nullptr, *grad_tiles = nullptr;
  T *grad_x = nullptr, *grad_weight = nullptr, *grad_rate = nullptr;

  int64_t sample_size() const {
    return (shape.y.in * shape.x.in + 1) * plan.in.pitch();
  }
};

// The neighbours of every tap: where, how much, and its slope along the rate.
template <typename T>
struct PixelBuffers {
  int64_t lanes;
  int64_t *sample, *rate_at;
  int32_t *row, *column, *lane_row, *lane_column;
  T* rate;
  int32_t *near_y, *far_y, *near_x, *far_x;
  T *rest_y, *rest_x;
  int32_t* index;
  T *weight, *slope, *columns;

  PixelBuffers(Arena& arena, const Shape& s, const PixelPlan& plan,
               int64_t positions, int64_t taps)
      : lanes(round_up(plan.shared ? positions : plan.block, kVectorBytes)),
        sample(arena.take<int64_t>(positions)),
        rate_at(arena.take<int64_t>(positions)),
        row(arena.take<int32_t>(positions)),
        column(arena.take<int32_t>(positions)),
        lane_row(arena.take<int32_t>(lanes)),
        lane_column(arena.take<int32_t>(lanes)),
        rate(arena.take<T>(lanes)),
        near_y(arena.take<int32_t>(s.y.kernel * lanes)),
        far_y(arena.take<int32_t>(s.y.kernel * lanes)),
        near_x(arena.take<int32_t>(s.x.kernel * lanes)),
        far_x(arena.take<int32_t>(s.x.kernel * lanes)),
        rest_y(arena.take<T>(s.y.kernel * lanes)),
        rest_x(arena.take<T>(s.x.kernel * lanes)),
        index(arena.take<int32_t>(4 * taps * lanes)),
        weight(arena.take<T>(4 * taps * lanes)),
        slope(arena.take<T>(4 * taps * lanes)),
        columns(arena.take<T>(positions * taps * plan.block)) {}
};

}  // namespace mmdense_adc
