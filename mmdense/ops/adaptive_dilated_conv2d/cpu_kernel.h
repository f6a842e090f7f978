// The kernels on generic vectors. cpu.cpp includes this file once an
// instruction set, inside a namespace of its own, with the vector and tile
// sizes defined; so neither it nor the files below have include guards.

#include "cpu_vec.h"
#include "cpu_rows.h"
#include "cpu_gemm.h"
#include "cpu_taps.h"
#include "cpu_sampler.h"

// Calls body(sample, position in its map, length, position in the chunk).
template <typename Body>
inline void each_run(const Shape& s, int64_t begin, int64_t end,
                     const Body& body) {
  int64_t plane = s.y.out * s.x.out;
  for (int64_t p = begin; p < end;) {
    int64_t length = plane - p % plane < end - p ? plane - p % plane : end - p;
    body(p / plane, p % plane, length, p - begin);
    p += length;
  }
}

// A group's product for a chunk, to where it belongs, with the bias.
template <typename T>
void store_result(const Forward<T>& f, int64_t group, int64_t begin,
                  int64_t end, const T* result) {
  const Shape& s = f.shape;
  int64_t plane = s.y.out * s.x.out, pitch = f.plan.pitch;
  each_run(s, begin, end, [&](int64_t sample, int64_t position,
                              int64_t length, int64_t at) MMDENSE_LAMBDA {
    for (int64_t o = 0; o < s.cout; ++o) {
      int64_t channel = group * s.cout + o;
      T* to = f.out + (sample * s.groups * s.cout + channel) * plane +
              position;
      const T* from = result + o * pitch + at;
      T bias = f.bias ? f.bias[channel] : 0;
      for (int64_t k = 0; k < length; ++k) to[k] = from[k] + bias;
    }
  });
}

// Chunks first..last-1, for all output channels: the columns of a block of
// input channels are made, used, and overwritten by those of the next.
template <typename T>
void forward(const Forward<T>& f, char* buffer, int64_t first, int64_t last) {
  const Shape& s = f.shape;
  const Plan& plan = f.plan;
  Arena arena(buffer);
  ForwardBuffers<T> m(arena, s, plan);
  Sampler<T> sampler(s, m.sampler, f.x, f.rate);
  int64_t taps = s.taps(), depth = s.cin * taps, pitch = plan.pitch;
  for (int64_t chunk = first; chunk < last; ++chunk) {
    int64_t begin = plan.begin(s, chunk), end = plan.end(s, chunk);
    sampler.select(begin, end);
    for (int64_t group = 0; group < s.groups; ++group) {
      const T* weight = f.weight + group * s.cout * depth;
      for (int64_t c = 0; c < s.cin; c += plan.block) {
        int64_t count = s.cin - c < plan.block ? s.cin - c : plan.block;
        for (int64_t i = 0; i < count; ++i) {
          sampler.set_channel(group * s.cin + c + i);
          sampler.columns(m.columns + i * taps * pitch, pitch);
        }
        multiply<T, false>(s.cout, end - begin, count * taps,
                           weight + c * taps, depth, m.columns, pitch,
                           m.result, pitch, c > 0);
      }
      store_result(f, group, begin, end, m.result);
    }
  }
}

// Units first..last-1; a unit is a block of input channels of a group. It owns
// these channels of every gradient and visits all chunks in order, so nothing
// is shared between threads and the order of every sum is fixed.
template <typename T>
void backward(const Backward<T>& f, char* buffer, int64_t first,
              int64_t last) {
  const Shape& s = f.shape;
  const Plan& plan = f.plan;
  Arena arena(buffer);
  BackwardBuffers<T> m(arena, s, plan);
  Sampler<T> sampler(s, m.sampler, f.x, f.rate);
  int64_t taps = s.taps(), depth = s.cin * taps, pitch = plan.pitch;
  int64_t plane = s.y.out * s.x.out;
  bool to_input = f.grad_x || f.grad_rate;
  for (int64_t unit = first; unit < last; ++unit) {
    int64_t group = unit / plan.blocks, c = unit % plan.blocks * plan.block;
    int64_t count = s.cin - c < plan.block ? s.cin - c : plan.block;
    int64_t channel = group * s.cin + c, rows = count * taps;
    int64_t weights = group * s.cout * depth + c * taps;
    if (to_input)
      pack_transposed(rows, s.cout, f.weight + weights, depth, m.weight);
    for (int64_t chunk = 0; chunk < plan.chunks; ++chunk) {
      int64_t begin = plan.begin(s, chunk), end = plan.end(s, chunk);
      sampler.select(begin, end);
      each_run(s, begin, end, [&](int64_t sample, int64_t position,
                                  int64_t length, int64_t at) MMDENSE_LAMBDA {
        const T* from =
            f.grad + (sample * s.groups + group) * s.cout * plane + position;
        for (int64_t o = 0; o < s.cout; ++o)
          copy_exact(m.grad + o * pitch + at, from + o * plane, length);
      });
      if (to_input)
        multiply<T, true>(rows, end - begin, s.cout, m.weight, 0, m.grad,
                          pitch, m.columns, pitch, false);
      // A channel's columns take the place of their gradients.
      for (int64_t i = 0; i < count; ++i) {
        T* columns = m.columns + i * taps * pitch;
        sampler.set_channel(channel + i);
        if (to_input)
          sampler.adjoint(columns, pitch, f.grad_x, f.grad_rate);
        if (f.grad_weight) sampler.columns(columns, pitch);
      }
      if (!f.grad_weight) continue;
      transpose(s.cout, end - begin, m.grad, pitch, m.grad_transposed,
                m.cout_pitch);
      multiply<T, false>(rows, s.cout, end - begin, m.columns, pitch,
                         m.grad_transposed, m.cout_pitch, m.grad_weight,
                         m.cout_pitch, chunk > 0);
    }
    if (f.grad_weight)
      transpose(rows, s.cout, m.grad_weight, m.cout_pitch,
                f.grad_weight + weights, depth);
  }
}

#include "cpu_depthwise.h"
#include "cpu_pixelwise_sampler.h"
#include "cpu_pixelwise.h"
