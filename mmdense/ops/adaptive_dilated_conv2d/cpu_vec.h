// Generic vectors. Like every file cpu_kernel.h includes, this one is read
// once an instruction set and has no include guard. No standard templates in
// these files: an instance of one compiled for AVX-512 could be the copy that
// the linker keeps for everybody.

// N values side by side. A multiply-add is one expression, so that compilers
// contract it where the instruction set has it.
#ifdef __GNUC__
template <typename T, int N>
struct Vec {
  typedef T Raw __attribute__((vector_size(N * sizeof(T))));
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
    double total = 0;
    store(lane);
    for (int i = 0; i < N; ++i) total += lane[i];
    return total;
  }
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
  // Rows of a map are short: 256 bits a time waste less at their ends.
  static constexpr int wide = gemm * size > 32 ? 32 / size : gemm;
  static constexpr int narrow = wide * size > 16 ? 16 / size : wide;
};

// Calls body(Vec, index), which together cover 0..n-1 exactly once.
template <typename T, typename Body>
inline void sweep(int64_t n, const Body& body) {
  constexpr int wide = Width<T>::wide, narrow = Width<T>::narrow;
  int64_t i = 0;
  for (; i + wide <= n; i += wide) body(Vec<T, wide>{}, i);
  if (narrow < wide)
    for (; i + narrow <= n; i += narrow) body(Vec<T, narrow>{}, i);
  if (narrow > 1)
    for (; i < n; ++i) body(Vec<T, 1>{}, i);
}
