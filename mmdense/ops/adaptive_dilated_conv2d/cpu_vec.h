// Generic vectors. Like every file cpu_kernel.h includes, this one is read
// once an instruction set and has no include guard. No standard templates in
// these files: an instance of one compiled for AVX-512 could be the copy that
// the linker keeps for everybody.

// N values side by side. A multiply-add is one expression, so that compilers
// contract it where the instruction set has it.
#ifdef __GNUC__
template <int Size>
struct Integer {
  typedef int32_t Type;
};
template <>
struct Integer<8> {
  typedef int64_t Type;
};

template <typename T, int N>
struct Vec {
  typedef T Raw __attribute__((vector_size(N * sizeof(T))));
  typedef typename Integer<sizeof(T)>::Type Lane;
  typedef Lane Lanes __attribute__((vector_size(N * sizeof(T))));
  static constexpr int lanes = N;
  Raw v;

  static Vec load(const T* p) {
    Vec r;
    __builtin_memcpy(&r.v, p, sizeof(Raw));
    return r;
  }
  static Vec of(T s) { return {s - Raw{}}; }
  void store(T* p) const { __builtin_memcpy(p, &v, sizeof(Raw)); }
  double sum() const {
    T lane[N];
    double total[N];
    store(lane);
    for (int i = 0; i < N; ++i) total[i] = lane[i];
    for (int half = N / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) total[i] += total[i + half];
    return total[0];
  }

  // The lanes before `count`, and this vector with zeros in all others.
  static Lanes first(int64_t count) {
    Lanes index;
    for (int i = 0; i < N; ++i) index[i] = i;
    return index < static_cast<Lane>(count) - Lanes{};
  }
  Vec masked(Lanes keep) const { return {(Raw)((Lanes)v & keep)}; }
};
#else
template <typename T, int N>
struct Vec;
#endif

template <typename T>
struct Vec<T, 1> {
  static constexpr int lanes = 1;
  T v;

  static Vec load(const T* p) { return {*p}; }
  static Vec of(T s) { return {s}; }
  void store(T* p) const { *p = v; }
  double sum() const { return v; }
  static bool first(int64_t count) { return count > 0; }
  Vec masked(bool keep) const { return {keep ? v : T(0)}; }
};

template <typename V>
inline V multiply_add(V a, V b, V c) {
  return {a.v * b.v + c.v};
}

template <typename T>
struct Width {
  static constexpr int size = sizeof(T);
  static constexpr int gemm =
      MMDENSE_VECTOR_BYTES > size ? MMDENSE_VECTOR_BYTES / size : 1;
  // Blocks that are transposed: 256 bits a row at most.
  static constexpr int wide = gemm * size > 32 ? 32 / size : gemm;
};
