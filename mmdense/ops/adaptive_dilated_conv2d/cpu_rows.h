// Arithmetic on rows that lie in whole vectors: aligned, padded, many rows in
// one pass. Reads may be shifted by any number of values.

template <typename T, int Count>
inline void weighted_sum_block(T* to, int64_t at, const T* const* from,
                               const T* weight, int64_t terms, T start) {
  using V = Vec<T, Width<T>::gemm>;
  V sum[Count];
  for (int j = 0; j < Count; ++j) sum[j] = V::of(start);
  for (int64_t t = 0; t < terms; ++t) {
    const T* source = from[t] + at;
    V left = V::of(weight[t]);
    MMDENSE_UNROLL
    for (int j = 0; j < Count; ++j)
      sum[j] = multiply_add(left, V::load(source + j * V::lanes), sum[j]);
  }
  for (int j = 0; j < Count; ++j) sum[j].store(to + at + j * V::lanes);
}

// to[p] = start + sum of weight[t] * from[t][p]; n counts whole vectors' values.
template <typename T>
void weighted_sum(T* to, int64_t n, const T* const* from, const T* weight,
                  int64_t terms, T start) {
  constexpr int64_t lanes = Width<T>::gemm;
  int64_t at = 0;
  for (; at + 8 * lanes <= n; at += 8 * lanes)
    weighted_sum_block<T, 8>(to, at, from, weight, terms, start);
  if (at + 4 * lanes <= n) {
    weighted_sum_block<T, 4>(to, at, from, weight, terms, start);
    at += 4 * lanes;
  }
  if (at + 2 * lanes <= n) {
    weighted_sum_block<T, 2>(to, at, from, weight, terms, start);
    at += 2 * lanes;
  }
  if (at < n) weighted_sum_block<T, 1>(to, at, from, weight, terms, start);
}

// The sums of d * (b - a) and, if With, of d * a.
template <typename T>
struct Dots {
  double step, value;
};

template <typename T, bool With>
Dots<T> dot_step(const T* d, const T* a, const T* b, int64_t n) {
  using V = Vec<T, Width<T>::gemm>;
  V step[2] = {V::of(0), V::of(0)}, value[2] = {V::of(0), V::of(0)};
  int64_t at = 0;
  for (; at + 2 * V::lanes <= n; at += 2 * V::lanes) {
    MMDENSE_UNROLL
    for (int j = 0; j < 2; ++j) {
      V left = V::load(a + at + j * V::lanes);
      V slope{V::load(b + at + j * V::lanes).v - left.v};
      V by = V::load(d + at + j * V::lanes);
      step[j] = multiply_add(by, slope, step[j]);
      if (With) value[j] = multiply_add(by, left, value[j]);
    }
  }
  if (at < n) {
    V left = V::load(a + at), by = V::load(d + at);
    V slope{V::load(b + at).v - left.v};
    step[0] = multiply_add(by, slope, step[0]);
    if (With) value[0] = multiply_add(by, left, value[0]);
  }
  step[0].v += step[1].v;
  value[0].v += value[1].v;
  return {step[0].sum(), With ? value[0].sum() : 0};
}

// Copies n values and nothing beyond them.
template <typename T>
inline void copy_exact(T* to, const T* from, int64_t n) {
  using V = Vec<T, Width<T>::gemm>;
  int64_t i = 0;
  for (; i + V::lanes <= n; i += V::lanes) V::load(from + i).store(to + i);
  for (; i < n; ++i) to[i] = from[i];
}

// to += the first n lanes of a vector, and nothing beyond them is touched.
template <typename T, int N>
struct Lanes {
  static void add(T* to, const T* lane, int64_t n) {
    if (n >= N) {
      Vec<T, N> sum = Vec<T, N>::load(to);
      sum.v += Vec<T, N>::load(lane).v;
      sum.store(to);
      to += N;
      lane += N;
      n -= N;
    }
    Lanes<T, N / 2>::add(to, lane, n);
  }
};
template <typename T>
struct Lanes<T, 0> {
  static void add(T*, const T*, int64_t) {}
};
template <typename T, int N>
inline void add_exact(T* to, Vec<T, N> vector, int64_t n) {
  T lane[N];
  vector.store(lane);
  Lanes<T, N / 2>::add(to, lane, n);
}

// Rows of n values apart by `pitch`, to rows right behind each other. Whole
// vectors are written as long as they end before `end`.
template <typename T>
inline void pack_rows(T* to, const T* end, const T* from, int64_t pitch,
                      int64_t rows, int64_t n) {
  using V = Vec<T, Width<T>::gemm>;
  int64_t whole = round_up(n, V::lanes);
  for (; rows > 0 && end - to >= whole; --rows, to += n, from += pitch)
    for (int64_t i = 0; i < n; i += V::lanes) V::load(from + i).store(to + i);
  for (; rows > 0; --rows, to += n, from += pitch) copy_exact(to, from, n);
}
