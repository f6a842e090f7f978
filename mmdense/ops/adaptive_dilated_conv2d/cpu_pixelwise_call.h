// Calls the kernels of cpu_pixelwise.h; part of cpu.cpp, after its helpers.
#pragma once

// A channels-last map as (samples, pixels, slabs, channels).
at::Tensor slabs_of(const at::Tensor& x, const Rows& r) {
  at::Tensor pixels = x.permute({0, 2, 3, 1});
  int64_t samples = x.size(0), plane = x.size(2) * x.size(3);
  if (r.step == 1) return pixels.view({samples, plane, r.slabs, r.channels});
  return pixels.view({samples, plane, r.channels, r.slabs}).transpose(2, 3);
}

// run(index, first, count) for each of `number` things, `length` long, in
// pieces; at least `grain` of them a thread.
template <typename Run>
void in_pieces(int64_t number, int64_t length, int64_t grain, const Run& run) {
  constexpr int64_t step = 256;
  int64_t pieces = divide_up(length, step);
  at::parallel_for(0, number * pieces, grain,
                   [&](int64_t first, int64_t last) {
                     for (int64_t i = first; i < last; ++i) {
                       int64_t at = i % pieces * step;
                       run(i / pieces, at,
                           length - at < step ? length - at : step);
                     }
                   });
}

// A contiguous or channels-last map with its pixels in rows, `extra` rows of
// zeros behind each sample.
at::Tensor to_rows(const at::Tensor& x, const Rows& r, at::ScalarType dtype,
                   int64_t extra) {
  int64_t samples = x.size(0), plane = x.size(2) * x.size(3);
  at::Tensor rows = at::empty({samples, plane + extra, r.slabs, r.padded},
                              x.options().dtype(dtype).memory_format(
                                  at::MemoryFormat::Contiguous));
  rows.narrow(1, plane, extra).zero_();
  rows.narrow(3, r.channels, r.padded - r.channels).zero_();
  if (is_channels_last(x)) {
    rows.narrow(1, 0, plane).narrow(3, 0, r.channels).copy_(slabs_of(x, r));
    return rows;
  }
  at::Tensor from = x.to(dtype).contiguous();
  AT_DISPATCH_FLOATING_TYPES(dtype, "adc2d", [&] {
    using T = scalar_t;
    auto run = kernels<T>().transpose;
    const T* source = from.const_data_ptr<T>();
    T* target = rows.mutable_data_ptr<T>();
    in_pieces(samples * r.slabs, plane, 1,
              [&](int64_t i, int64_t p, int64_t count) {
                int64_t slab = i % r.slabs, n = i / r.slabs;
                run(r.channels, count,
                    source + (n * x.size(1) + slab * r.slab_step) * plane + p,
                    r.step * plane,
                    target + (n * (plane + extra) + p) * r.pitch() +
                        slab * r.padded,
                    r.pitch());
              });
  });
  return rows;
}

// The map again, (samples, channels, height, width), in the dtype and the
// memory format of `like`.
at::Tensor from_rows(const at::Tensor& rows, const Rows& r,
                     at::IntArrayRef size, const at::Tensor& like) {
  int64_t samples = size[0], plane = size[2] * size[3];
  int64_t extra = samples ? rows.size(1) - plane : 0;
  if (is_channels_last(like)) {
    at::Tensor out =
        at::empty(size, like.options(), at::MemoryFormat::ChannelsLast);
    slabs_of(out, r).copy_(
        rows.narrow(1, 0, plane).narrow(3, 0, r.channels));
    return out;
  }
  at::Tensor out = at::empty(size, rows.options());
  AT_DISPATCH_FLOATING_TYPES(rows.scalar_type(), "adc2d", [&] {
    using T = scalar_t;
    auto run = kernels<T>().transpose;
    const T* source = rows.const_data_ptr<T>();
    T* target = out.mutable_data_ptr<T>();
    in_pieces(samples * r.slabs, plane, 1,
              [&](int64_t i, int64_t p, int64_t count) {
                int64_t slab = i % r.slabs, n = i / r.slabs;
                run(count, r.channels,
                    source + (n * (plane + extra) + p) * r.pitch() +
                        slab * r.padded,
                    r.pitch(),
                    target + (n * size[1] + slab * r.slab_step) * plane + p,
                    r.step * plane);
              });
  });
  return out.to(like.scalar_type());
}

// Every matrix (rows, columns), one behind the other, transposed; a row of the
// result has `padded` values, zeros in the end.
at::Tensor transpose_matrices(const at::Tensor& from, int64_t matrices,
                              int64_t rows, int64_t columns, int64_t padded) {
  at::Tensor to = at::empty({matrices, columns, padded}, from.options());
  to.narrow(2, rows, padded - rows).zero_();
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "adc2d", [&] {
    using T = scalar_t;
    auto run = kernels<T>().transpose;
    const T* source = from.const_data_ptr<T>();
    T* target = to.mutable_data_ptr<T>();
    in_pieces(matrices, columns, 16,
              [&](int64_t i, int64_t c, int64_t count) {
                int64_t at = i * columns;
                run(rows, count, source + at * rows + c, columns,
                    target + (at + c) * padded, padded);
              });
  });
  return to;
}

// A call's shape, its operands as rows, and what both passes share.
struct PixelOperands {
  Shape s;
  PixelPlan plan;
  at::Tensor x, weight, rate, rate_of;

  PixelOperands(const Shape& shape, const at::Tensor& x_,
                const at::Tensor& weight_, const at::Tensor& rate_)
      : s(shape),
        plan(s, is_depthwise(s), kVectorBytes / rate_.element_size()) {
    constexpr int64_t most = int64_t(1) << 31, far = int64_t(1) << 28;
    TORCH_CHECK(rate_.size(2) == s.y.out && rate_.size(3) == s.x.out,
                "adaptive_dilated_conv2d_cpu: rate must have the size of the "
                "output, ", s.y.out, " x ", s.x.out, ", got ", rate_.sizes());
    TORCH_CHECK((s.y.in * s.x.in + 1) * plan.in.pitch() < most &&
                    s.y.in + 2 * s.y.padding < far &&
                    s.x.in + 2 * s.x.padding < far,
                "adaptive_dilated_conv2d_cpu: with a rate for every position "
                "a sample must have less than 2**31 values, and less than "
                "2**28 along an axis with its padding, got ", x_.sizes());
    auto dtype = rate_.scalar_type();
    rate_of = at::empty({plan.in.pitch()}, rate_.options().dtype(at::kInt));
    plan.share_rates(s, rate_of.mutable_data_ptr<int32_t>());
    x = to_rows(x_, plan.in, dtype, 1);
    weight = weight_.to(dtype).contiguous();
    int64_t g = s.rates;
    rate = plan.shared ? rate_.contiguous()
                       : to_rows(rate_, {1, g, g, 0, 1}, dtype, 0);
  }

  // (channel, tap, output), the right operand of the forward product; of a
  // depthwise convolution, as channels_inside.
  at::Tensor outputs_inside() const {
    if (plan.depthwise) return channels_inside();
    return transpose_matrices(weight, s.groups, s.cout, s.cin * s.taps(),
                              plan.out.padded);
  }
  // (output, tap, channel), the right operand for the samples' gradients.
  at::Tensor channels_inside() const {
    if (!plan.depthwise)
      return transpose_matrices(weight, s.groups * s.cout, s.cin, s.taps(),
                                plan.in.padded);
    at::Tensor by_output =
        weight.view({s.groups, s.cout, s.taps()}).transpose(0, 1);
    return transpose_matrices(by_output.contiguous(), s.cout, s.groups,
                              s.taps(), plan.in.padded);
  }
  // The weight's layout again.
  at::Tensor from_channels_inside(const at::Tensor& rows) const {
    int64_t channels = plan.in.channels;
    at::Tensor to = transpose_matrices(
        rows, weight.size(0) * s.cin / channels, s.taps(), plan.in.padded,
        s.taps());
    to = to.narrow(1, 0, channels);
    if (plan.depthwise) to = to.transpose(0, 1);
    return to.reshape(weight.sizes());
  }
  template <typename T>
  PixelCall<T> call() const {
    PixelCall<T> f{s, plan};
    f.x = x.const_data_ptr<T>();
    f.rate = rate.const_data_ptr<T>();
    f.rate_of = rate_of.const_data_ptr<int32_t>();
    return f;
  }
};

at::Tensor pixelwise_forward(const Shape& s, const at::Tensor& x,
                             const at::Tensor& weight, const at::Tensor& rate,
                             const at::Tensor& bias) {
  PixelOperands operands(s, x, weight, rate);
  const PixelPlan& plan = operands.plan;
  at::Tensor rows = at::empty({s.batch, s.y.out * s.x.out, plan.out.pitch()},
                              rate.options().memory_format(
                                  at::MemoryFormat::Contiguous));
  at::Tensor packed = operands.outputs_inside();
  AT_DISPATCH_FLOATING_TYPES(rate.scalar_type(), "adc2d", [&] {
    using T = scalar_t;
    PixelCall<T> f = operands.call<T>();
    f.weight = packed.const_data_ptr<T>();
    f.out = rows.mutable_data_ptr<T>();
    Arena count(nullptr);
    PixelBuffers<T>(count, s, plan, kPixels, s.taps());
    at::parallel_for(0, divide_up(s.positions(), kPixels), 1,
                     [&](int64_t first, int64_t last) {
                       Scratch scratch(count.used());
                       kernels<T>().pixel_forward(f, scratch.data, first,
                                                  last);
                     });
  });
  if (bias.defined()) {
    at::Tensor in_rows =
        to_rows(bias.view({1, -1, 1, 1}), plan.out, bias.scalar_type(), 0);
    rows.add_(in_rows.view({-1}));
  }
  return from_rows(
      rows.view({s.batch, -1, plan.out.slabs, plan.out.padded}), plan.out,
      {s.batch, weight.size(0), s.y.out, s.x.out}, x);
}

// Of every rate, from what its channels' places hold.
at::Tensor sum_of_rates(const PixelOperands& operands, const at::Tensor& sums,
                        const at::Tensor& rate) {
  const Shape& s = operands.s;
  const PixelPlan& plan = operands.plan;
  int64_t places = plan.sums(), each = plan.in.pitch() / places;
  at::Tensor total = at::zeros({s.batch, s.y.out * s.x.out, 1, s.rates},
                               sums.options());
  AT_DISPATCH_FLOATING_TYPES(sums.scalar_type(), "adc2d", [&] {
    using T = scalar_t;
    const T* from = sums.const_data_ptr<T>();
    T* to = total.mutable_data_ptr<T>();
    const int32_t* rate_of = operands.rate_of.const_data_ptr<int32_t>();
    at::parallel_for(0, s.positions(), 256, [&](int64_t first, int64_t last) {
      for (int64_t p = first; p < last; ++p)
        for (int64_t i = 0; i < places; ++i)
          to[p * s.rates + rate_of[i * each]] += from[p * places + i];
    });
  });
  return from_rows(total, {1, s.rates, s.rates, 0, 1}, rate.sizes(),
                   rate.contiguous());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> pixelwise_backward(
    const Shape& s, const at::Tensor& grad, const at::Tensor& x,
    const at::Tensor& weight, const at::Tensor& rate, bool needs_x,
    bool needs_weight, bool needs_rate) {
  PixelOperands operands(s, x, weight, rate);
  const PixelPlan& plan = operands.plan;
  auto contiguous = at::MemoryFormat::Contiguous;
  auto options = rate.options().memory_format(contiguous);
  at::Tensor gradient = to_rows(grad, plan.out, rate.scalar_type(), 0);
  at::Tensor grad_x, grad_weight, grad_rate, sums;
  if (needs_x) grad_x = at::zeros_like(operands.x);
  if (needs_rate)
    sums = at::zeros({s.batch, s.y.out * s.x.out, plan.sums()}, options);
  AT_DISPATCH_FLOATING_TYPES(rate.scalar_type(), "adc2d", [&] {
    using T = scalar_t;
    PixelCall<T> f = operands.call<T>();
    f.grad = gradient.const_data_ptr<T>();
    if (needs_x || needs_rate) {
      at::Tensor packed = operands.channels_inside();
      f.weight = packed.const_data_ptr<T>();
      if (needs_x) f.grad_x = grad_x.mutable_data_ptr<T>();
      if (needs_rate) f.grad_rate = sums.mutable_data_ptr<T>();
      Arena count(nullptr);
      PixelBuffers<T>(count, s, plan, kPixels, s.taps());
      int64_t units = divide_up(s.batch, plan.samples) * plan.in.slabs *
                      plan.blocks;
      at::parallel_for(0, units, 1, [&](int64_t first, int64_t last) {
        Scratch scratch(count.used());
        kernels<T>().pixel_input(f, scratch.data, first, last);
      });
    }
    if (needs_weight) {
      grad_weight = at::empty(
          {weight.size(0) * s.cin / plan.in.channels * s.taps() *
           plan.in.padded},
          options);
      int64_t rows = round_up(s.cout, kTileRows);
      at::Tensor tiles = at::empty(
          {plan.depthwise ? 0 : plan.out.slabs * s.positions() * rows},
          options);
      if (!plan.depthwise)
        at::parallel_for(0, divide_up(s.positions(), kPixels), 1,
                         [&](int64_t first, int64_t last) {
                           kernels<T>().pixel_tiles(
                               f, tiles.mutable_data_ptr<T>(), first, last);
                         });
      f.grad_tiles = tiles.const_data_ptr<T>();
      f.grad_weight = grad_weight.mutable_data_ptr<T>();
      Arena count(nullptr);
      PixelBuffers<T>(count, s, plan, kPixels, 1);
      at::parallel_for(0, plan.in.slabs * plan.blocks * s.taps(), 1,
                       [&](int64_t first, int64_t last) {
                         Scratch scratch(count.used());
                         kernels<T>().pixel_weight(f, scratch.data, first,
                                                   last);
                       });
      grad_weight = operands.from_channels_inside(grad_weight);
    }
  });
  if (needs_rate) grad_rate = sum_of_rates(operands, sums, rate);
  if (needs_x) grad_x = from_rows(grad_x, plan.in, x.sizes(), x);
  if (needs_weight) grad_weight = grad_weight.to(x.scalar_type());
  return {grad_x, grad_weight, grad_rate};
}
