// The adaptive dilated convolution on a CPU: an implicit matrix product whose
// right operand is sampled block by block in cache. README.md has the design.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <string.h>

#include <optional>
#include <tuple>

#include "cpu_pixelwise_plan.h"
#include "cpu_plan.h"
#include "cpu_sets.h"

namespace mmdense_adc {
namespace {

bool is_channels_last(const at::Tensor& x) {
  return x.is_contiguous(at::MemoryFormat::ChannelsLast) &&
         !x.is_contiguous();
}

// to[n, j, i] = from[n, i, j] for (samples, rows, columns).
void swap_axes(int64_t samples, int64_t rows, int64_t columns,
               const at::Tensor& from, const at::Tensor& to) {
  constexpr int64_t step = 64;
  int64_t blocks = divide_up(rows, step), plane = rows * columns;
  AT_DISPATCH_FLOATING_TYPES(from.scalar_type(), "adc2d", [&] {
    using T = scalar_t;
    auto run = kernels<T>().transpose;
    const T* source = from.const_data_ptr<T>();
    T* target = to.mutable_data_ptr<T>();
    at::parallel_for(
        0, samples * blocks, 1, [&](int64_t first, int64_t last) {
          for (int64_t i = first; i < last; ++i) {
            int64_t row = i % blocks * step, at = i / blocks * plane;
            run(rows - row < step ? rows - row : step, columns,
                source + at + row * columns, columns, target + at + row,
                rows);
          }
        });
  });
}

// x as maps one behind another, in the dtype of the computation.
at::Tensor planes(const at::Tensor& x, at::ScalarType dtype) {
  at::Tensor from = x.to(dtype);
  if (!is_channels_last(from)) return from.contiguous();
  at::Tensor to =
      at::empty(from.sizes(), from.options(), at::MemoryFormat::Contiguous);
  swap_axes(x.size(0), x.size(2) * x.size(3), x.size(1), from, to);
  return to;
}

// Maps one behind another in the dtype and the memory format of `like`.
at::Tensor give_back(const at::Tensor& maps, const at::Tensor& like) {
  if (!is_channels_last(like) || maps.numel() == 0)
    return maps.to(like.scalar_type());
  at::Tensor to =
      at::empty(maps.sizes(), maps.options(), at::MemoryFormat::ChannelsLast);
  swap_axes(maps.size(0), maps.size(1), maps.size(2) * maps.size(3), maps,
            to);
  return to.to(like.scalar_type());
}

Axis make_axis(const at::Tensor& x, const at::Tensor& weight,
               at::IntArrayRef stride, at::IntArrayRef padding,
               at::IntArrayRef dilation, int64_t a) {
  int64_t in = x.size(2 + a), kernel = weight.size(2 + a);
  TORCH_CHECK(stride[a] > 0 && dilation[a] > 0 && padding[a] >= 0,
              "adaptive_dilated_conv2d_cpu: stride and dilation must be at "
              "least 1 and padding at least 0, got ", stride[a], ", ",
              dilation[a], " and ", padding[a]);
  int64_t span = in + 2 * padding[a] - dilation[a] * (kernel - 1) - 1;
  TORCH_CHECK(span >= 0 && kernel % 2 == 1,
              "adaptive_dilated_conv2d_cpu: the kernel must be odd and not "
              "larger than the padded map, got ", kernel, " of dilation ",
              dilation[a], " on ", in + 2 * padding[a], " pixels");
  return {in, span / stride[a] + 1, kernel, stride[a], padding[a],
          dilation[a]};
}

Shape make_shape(const at::Tensor& x, const at::Tensor& weight,
                 const at::Tensor& rate, at::IntArrayRef stride,
                 at::IntArrayRef padding, at::IntArrayRef dilation,
                 int64_t groups) {
  TORCH_CHECK(x.dim() == 4 && weight.dim() == 4 &&
                  (rate.dim() == 2 || rate.dim() == 4) &&
                  stride.size() == 2 && padding.size() == 2 &&
                  dilation.size() == 2 && groups > 0 &&
                  x.size(1) == weight.size(1) * groups &&
                  weight.size(0) % groups == 0 &&
                  rate.size(0) == x.size(0) && rate.size(1) > 0 &&
                  x.size(1) % rate.size(1) == 0,
              "adaptive_dilated_conv2d_cpu: x must be (N, C, H, W), weight "
              "(C_out, C / groups, k_h, k_w), rate (N, g) with g dividing C, "
              "got ", x.sizes(), ", ", weight.sizes(), ", ", rate.sizes());
  bool doubles = x.scalar_type() == at::kDouble;
  TORCH_CHECK(x.scalar_type() == weight.scalar_type() &&
                  rate.scalar_type() == (doubles ? at::kDouble : at::kFloat),
              "adaptive_dilated_conv2d_cpu: x and weight must have one dtype "
              "and rate float32, or all be float64, got ",
              x.scalar_type(), ", ", weight.scalar_type(), " and ",
              rate.scalar_type());
  return {x.size(0), groups, weight.size(1), weight.size(0) / groups,
          rate.size(1), make_axis(x, weight, stride, padding, dilation, 0),
          make_axis(x, weight, stride, padding, dilation, 1)};
}

// Chunks of about 200 floats and blocks of a few hundred columns: one block of
// columns and the other operand stay in a second-level cache of 1 MiB.
Plan make_plan(const Shape& s, int64_t size, int64_t parts, int64_t columns,
               int64_t times = 1) {
  int64_t lanes = kVectorBytes / size, width = s.x.out;
  int64_t most = 768 / size * times;
  Plan plan;
  plan.rows = plan.pieces = 1;
  if (width > most * 3 / 2) {
    plan.pieces = divide_up(width, most);
    plan.chunk = round_up(divide_up(width, plan.pieces), lanes);
    plan.pieces = divide_up(width, plan.chunk);
    plan.chunks = s.batch * s.y.out * plan.pieces;
  } else {
    int64_t rows = s.batch * s.y.out, fit = most / width;
    if (fit < 1) fit = 1;
    int64_t rounds = divide_up(rows, parts * fit);
    plan.rows = divide_up(rows, parts * rounds);
    plan.chunk = plan.rows * width;
    plan.chunks = divide_up(rows, plan.rows);
  }
  // A vector of room for stores past the end, and an odd number of vectors,
  // so that rows spread over the cache sets.
  plan.pitch = ((divide_up(plan.chunk, lanes) + 1) | 1) * lanes;
  plan.block = columns / s.taps();
  if (plan.block < 1) plan.block = 1;
  if (plan.block > s.cin) plan.block = s.cin;
  plan.blocks = divide_up(s.cin, plan.block);
  return plan;
}

// Chunks that do not depend on the number of threads: then no sum does.
Plan make_backward_plan(const Shape& s, int64_t size) {
  // Few columns allow longer chunks, which repeat less at their ends.
  int64_t depth = s.cin * s.taps(), times = depth > 576 ? 1 : 2;
  Plan plan = make_plan(s, size, 1, 288, times);
  int64_t threads = at::get_num_threads();
  int64_t rounds = divide_up(s.groups * plan.blocks, threads);
  plan.block = divide_up(s.channels(), rounds * threads);
  if (plan.block > s.cin) plan.block = s.cin;
  plan.blocks = divide_up(s.cin, plan.block);
  return plan;
}

// One input channel and few output channels a group: sums of shifted rows
// take fewer steps than a matrix product and its columns.
bool is_depthwise(const Shape& s) { return s.cin == 1 && s.cout <= 8; }

// As many whole rows of one map as leave a channel's rows in a first-level
// cache.
Plan make_depthwise_plan(const Shape& s, int64_t size) {
  Plan plan{};
  int64_t wide = s.x.in + 8 > s.x.out ? s.x.in + 8 : s.x.out;
  plan.rows = 8192 / size / wide;
  if (plan.rows < 1) plan.rows = 1;
  if (plan.rows > s.y.out) plan.rows = s.y.out;
  plan.rows = divide_up(s.y.out, divide_up(s.y.out, plan.rows));
  plan.pieces = 1;
  return plan;
}

// Memory for one thread, aligned to a vector.
struct Scratch {
  explicit Scratch(int64_t bytes)
      : tensor(at::empty({bytes + kVectorBytes}, at::kByte)) {
    auto at = reinterpret_cast<uintptr_t>(tensor.data_ptr());
    data = reinterpret_cast<char*>(round_up(at, kVectorBytes));
  }
  at::Tensor tensor;
  char* data;
};

// As it is where columns and rows come in whole steps of the product.
at::Tensor pack_weight16(Forward16& f, const at::Tensor& weight) {
  const Shape& s = f.shape;
  int64_t taps = s.taps(), depth = s.cin * taps, block = f.plan.block;
  auto from = static_cast<const uint16_t*>(weight.const_data_ptr());
  f.weight = from;
  f.group_step = s.cout * depth;
  f.block_step = block * taps;
  f.row_step = depth;
  if (s.cout % 16 == 0 && block % 2 == 0 && s.cin % 2 == 0 &&
      block * taps % 32 == 0 && depth % 32 == 0)
    return weight;
  f.block_step = depth16(block * taps, taps);
  f.row_step = f.plan.blocks * f.block_step;
  f.group_step = round_up(s.cout, 16) * f.row_step;
  at::Tensor packed =
      at::zeros({s.groups * f.group_step}, weight.options());
  auto to = static_cast<uint16_t*>(packed.mutable_data_ptr());
  for (int64_t row = 0; row < s.groups * s.cout; ++row) {
    int64_t at = row / s.cout * f.group_step + row % s.cout * f.row_step;
    for (int64_t c = 0; c < s.cin; c += block) {
      int64_t count = s.cin - c < block ? s.cin - c : block;
      memcpy(to + at + c / block * f.block_step,
             from + row * depth + c * taps, count * taps * sizeof(*from));
    }
  }
  f.weight = to;
  return packed;
}

#include "cpu_pixelwise_call.h"

at::Tensor forward_cpu(const at::Tensor& x, const at::Tensor& weight,
                       const at::Tensor& rate,
                       const std::optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding,
                       at::IntArrayRef dilation, int64_t groups) {
  Shape s = make_shape(x, weight, rate, stride, padding, dilation, groups);
  bool has_bias = bias && bias->defined();
  if (has_bias)
    TORCH_CHECK(bias->dim() == 1 && bias->size(0) == weight.size(0) &&
                    bias->scalar_type() == x.scalar_type(),
                "adaptive_dilated_conv2d_cpu: bias must be (C_out,) of the "
                "dtype of x, got ", bias->sizes(), " ", bias->scalar_type());
  auto contiguous = at::MemoryFormat::Contiguous;
  auto dtype = rate.scalar_type();
  at::Tensor out = at::empty({s.batch, weight.size(0), s.y.out, s.x.out},
                             rate.options().memory_format(contiguous));
  if (out.numel() == 0) return out.to(x.scalar_type());
  if (s.cin == 0) {
    out.zero_();
    if (has_bias) out.add_(bias->view({-1, 1, 1}));
    return out.to(x.scalar_type());
  }
  if (rate.dim() == 4)
    return pixelwise_forward(
        s, x, weight, rate,
        has_bias ? bias->contiguous().to(dtype) : at::Tensor());
  bool products16 = x.scalar_type() == at::kBFloat16 && !is_depthwise(s) &&
                    kernels16().forward;
  at::Tensor xc = planes(x, dtype),
             wc = weight.contiguous(), rc = rate.contiguous(),
             bc = has_bias ? bias->contiguous().to(dtype) : at::Tensor();
  if (!products16) wc = wc.to(dtype);
  if (products16) {
    // Packed columns are half as large: chunks may be twice as long.
    Plan plan = make_plan(s, sizeof(float), at::get_num_threads(), 576, 2);
    Forward16 f{{s, plan, xc.const_data_ptr<float>(), nullptr,
                 rc.const_data_ptr<float>(),
                 has_bias ? bc.const_data_ptr<float>() : nullptr,
                 out.mutable_data_ptr<float>()}};
    at::Tensor packed = pack_weight16(f, wc);
    Arena count(nullptr);
    ForwardBuffers16(count, s, plan);
    at::parallel_for(0, plan.chunks, 1, [&](int64_t first, int64_t last) {
      Scratch scratch(count.used());
      kernels16().forward(f, scratch.data, first, last);
    });
    return give_back(out, x);
  }
  AT_DISPATCH_FLOATING_TYPES(dtype, "adc2d", [&] {
    using T = scalar_t;
    bool depthwise = is_depthwise(s);
    Plan plan = depthwise
                    ? make_depthwise_plan(s, sizeof(T))
                    : make_plan(s, sizeof(T), at::get_num_threads(), 576);
    Forward<T> f{s, plan, xc.const_data_ptr<T>(), wc.const_data_ptr<T>(),
                 rc.const_data_ptr<T>(),
                 has_bias ? bc.const_data_ptr<T>() : nullptr,
                 out.mutable_data_ptr<T>()};
    Arena count(nullptr);
    if (depthwise)
      DepthwiseBuffers<T>(count, s, plan, 0);
    else
      ForwardBuffers<T>(count, s, plan);
    auto run = depthwise ? kernels<T>().depthwise_forward
                         : kernels<T>().forward;
    int64_t units = depthwise ? s.batch * s.groups : plan.chunks;
    at::parallel_for(0, units, 1, [&](int64_t first, int64_t last) {
      Scratch scratch(count.used());
      run(f, scratch.data, first, last);
    });
  });
  return give_back(out, x);
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> backward_cpu(
    const at::Tensor& grad, const at::Tensor& x, const at::Tensor& weight,
    const at::Tensor& rate, at::IntArrayRef stride, at::IntArrayRef padding,
    at::IntArrayRef dilation, int64_t groups,
    const c10::List<bool>& output_mask) {
  Shape s = make_shape(x, weight, rate, stride, padding, dilation, groups);
  TORCH_CHECK(output_mask.size() == 3 &&
                  grad.sizes() == at::IntArrayRef({s.batch, weight.size(0),
                                                   s.y.out, s.x.out}) &&
                  grad.scalar_type() == x.scalar_type(),
              "adaptive_dilated_conv2d_backward_cpu: grad must be like the "
              "output, and output_mask three flags, got ", grad.sizes(), " ",
              grad.scalar_type(), " and ", output_mask.size());
  if (rate.dim() == 4 && grad.numel() > 0 && s.cin > 0)
    return pixelwise_backward(s, grad, x, weight, rate, output_mask[0],
                              output_mask[1], output_mask[2]);
  auto contiguous = at::MemoryFormat::Contiguous;
  auto dtype = rate.scalar_type();
  at::Tensor grad_x, grad_weight, grad_rate, by_channel;
  if (output_mask[0])
    grad_x = at::zeros_like(x, rate.options().memory_format(contiguous));
  if (output_mask[1])
    grad_weight =
        at::zeros_like(weight, rate.options().memory_format(contiguous));
  if (output_mask[2])
    by_channel = at::zeros({s.batch, s.channels()},
                           x.options().dtype(at::kDouble));
  bool products16 = x.scalar_type() == at::kBFloat16 && !is_depthwise(s) &&
                    kernels16().backward;
  at::Tensor gc = products16 && grad.is_contiguous() ? grad
                                                     : planes(grad, dtype),
             xc = planes(x, dtype), wc = weight.contiguous(),
             rc = rate.contiguous();
  if (products16)
    gc = gc.to(at::kBFloat16);
  else
    wc = wc.to(dtype);
  if (gc.numel() > 0 && s.cin > 0 && products16) {
    Plan plan = make_backward_plan(s, sizeof(float));
    Backward16 f{{s, plan, nullptr, xc.const_data_ptr<float>(), nullptr,
                  rc.const_data_ptr<float>(), nullptr, nullptr, nullptr},
                 static_cast<const uint16_t*>(gc.const_data_ptr()),
                 static_cast<const uint16_t*>(wc.const_data_ptr())};
    if (output_mask[0]) f.grad_x = grad_x.mutable_data_ptr<float>();
    if (output_mask[1]) f.grad_weight = grad_weight.mutable_data_ptr<float>();
    if (output_mask[2]) f.grad_rate = by_channel.mutable_data_ptr<double>();
    Arena count(nullptr);
    BackwardBuffers16(count, s, plan);
    at::parallel_for(0, s.groups * plan.blocks, 1,
                     [&](int64_t first, int64_t last) {
                       Scratch scratch(count.used());
                       kernels16().backward(f, scratch.data, first, last);
                     });
  } else if (gc.numel() > 0 && s.cin > 0) {
    AT_DISPATCH_FLOATING_TYPES(dtype, "adc2d", [&] {
      using T = scalar_t;
      bool depthwise = is_depthwise(s);
      Plan plan = depthwise ? make_depthwise_plan(s, sizeof(T))
                            : make_backward_plan(s, sizeof(T));
      Backward<T> f{s, plan, gc.const_data_ptr<T>(), xc.const_data_ptr<T>(),
                    wc.const_data_ptr<T>(), rc.const_data_ptr<T>(),
                    nullptr, nullptr, nullptr};
      if (output_mask[0]) f.grad_x = grad_x.mutable_data_ptr<T>();
      if (output_mask[1]) f.grad_weight = grad_weight.mutable_data_ptr<T>();
      if (output_mask[2]) f.grad_rate = by_channel.mutable_data_ptr<double>();
      Arena count(nullptr);
      if (depthwise)
        DepthwiseBuffers<T>(count, s, plan, s.cout);
      else
        BackwardBuffers<T>(count, s, plan);
      auto run = depthwise ? kernels<T>().depthwise_backward
                           : kernels<T>().backward;
      int64_t units = depthwise ? s.groups : s.groups * plan.blocks;
      at::parallel_for(
          0, units, 1, [&](int64_t first, int64_t last) {
            Scratch scratch(count.used());
            run(f, scratch.data, first, last);
          });
    });
  }
  if (output_mask[2])
    grad_rate = rate.dim() == 4
                    ? at::zeros_like(rate)
                    : by_channel
                          .view({s.batch, s.rates, s.channels() / s.rates})
                          .sum(-1)
                          .to(rate.scalar_type());
  if (output_mask[0]) grad_x = give_back(grad_x, x);
  if (output_mask[1]) grad_weight = grad_weight.to(x.scalar_type());
  return {grad_x, grad_weight, grad_rate};
}

}  // namespace
}  // namespace mmdense_adc

TORCH_LIBRARY_FRAGMENT(mmdense, m) {
  m.def(
      "adaptive_dilated_conv2d_cpu(Tensor x, Tensor weight, Tensor rate, "
      "Tensor? bias, int[] stride, int[] padding, int[] dilation, "
      "int groups) -> Tensor");
  m.def(
      "adaptive_dilated_conv2d_backward_cpu(Tensor grad, Tensor x, "
      "Tensor weight, Tensor rate, int[] stride, int[] padding, "
      "int[] dilation, int groups, bool[] output_mask) -> "
      "(Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(mmdense, CPU, m) {
  m.impl("adaptive_dilated_conv2d_cpu", mmdense_adc::forward_cpu);
  m.impl("adaptive_dilated_conv2d_backward_cpu", mmdense_adc::backward_cpu);
}
