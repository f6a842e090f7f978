// Where a tap of a channel reads along one axis. Included once an instruction
// set by cpu_kernel.h.

// Whole vectors of zeros.
template <typename T>
inline void clear(T* to, int64_t n) {
  using V = Vec<T, Width<T>::gemm>;
  for (int64_t k = 0; k < n; k += V::lanes) V::of(0).store(to + k);
}

// Only the product with the rate is split, as the reference does it: the
// rest of a position is whole and would cost precision. Clamping keeps a
// tap beyond the map beyond it. False where the rate is not finite.
template <typename T>
inline bool make_tap(const Axis& a, int64_t i, T rate, Tap<T>& tap) {
  int64_t middle = (a.kernel - 1) / 2;
  T offset = rate * static_cast<T>(a.dilation * (i - middle));
  T whole = static_cast<T>(floor(static_cast<double>(offset)));
  T limit = static_cast<T>(int64_t{1} << 30);
  tap.rest = offset - whole;
  if (!(whole <= limit)) whole = limit;
  if (!(whole >= -limit)) whole = -limit;
  tap.whole = static_cast<int64_t>(whole) + a.dilation * middle - a.padding;
  int64_t low = -a.out * a.stride - 2, high = a.in + 1;
  if (tap.whole < low || tap.whole > high) {
    tap.whole = tap.whole < low ? low : high;
    tap.rest = 0;
  }
  return offset - offset == 0;
}
