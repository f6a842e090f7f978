// c (+)= a * b on blocks that lie in cache; b and c are read and written in
// whole vectors, so their rows are padded.

// One register tile: R rows of `Vectors` vectors. Row r of a is at
// a + r * lda, or interleaved with its neighbours (value p at a[p * R + r]) if
// Packed. Rows from `rows` on repeat the last one and are not stored.
template <typename T, int R, int Vectors, bool Packed>
void tile(int64_t rows, int64_t depth, const T* a, int64_t lda, const T* b,
          int64_t ldb, T* c, int64_t ldc, bool add) {
  using V = Vec<T, Width<T>::gemm>;
  const T* row[R];
  for (int r = 0; r < R; ++r)
    row[r] = Packed ? a + r : a + (r < rows ? r : rows - 1) * lda;
  V sum[R][Vectors];
  for (int r = 0; r < R; ++r)
    for (int j = 0; j < Vectors; ++j) sum[r][j] = V::of(0);
  for (int64_t p = 0; p < depth; ++p) {
    V right[Vectors];
    MMDENSE_UNROLL
    for (int j = 0; j < Vectors; ++j) {
      right[j] = V::load(b + j * V::lanes);
    }
    MMDENSE_UNROLL
    for (int r = 0; r < R; ++r) {
      V left = V::of(Packed ? a[p * R + r] : row[r][p]);
    MMDENSE_UNROLL
      for (int j = 0; j < Vectors; ++j)
        sum[r][j] = multiply_add(left, right[j], sum[r][j]);
    }
    b += ldb;
  }
  for (int r = 0; r < R && r < rows; ++r) {
    for (int j = 0; j < Vectors; ++j) {
      T* to = c + r * ldc + j * V::lanes;
      V value = sum[r][j];
      if (add) value.v += V::load(to).v;
      value.store(to);
    }
  }
}

template <typename T, int R, bool Packed>
void tile_row(int64_t rows, int64_t columns, int64_t depth, const T* a,
              int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc,
              bool add) {
  constexpr int lanes = Width<T>::gemm;
  int64_t vectors = divide_up(columns, lanes);
  int64_t tiles = divide_up(vectors, MMDENSE_TILE_VECTORS);
  for (; tiles > 0; --tiles) {
    int64_t count = divide_up(vectors, tiles);
    if (count == 1)
      tile<T, R, 1, Packed>(rows, depth, a, lda, b, ldb, c, ldc, add);
    else if (count == 2)
      tile<T, R, 2, Packed>(rows, depth, a, lda, b, ldb, c, ldc, add);
    else
      tile<T, R, MMDENSE_TILE_VECTORS, Packed>(rows, depth, a, lda, b, ldb, c,
                                               ldc, add);
    b += count * lanes;
    c += count * lanes;
    vectors -= count;
  }
}

// a is packed in tiles of MMDENSE_TILE_ROWS rows (see pack_transposed), or as
// it is with row length lda.
template <typename T, bool Packed>
void multiply(int64_t rows, int64_t columns, int64_t depth, const T* a,
              int64_t lda, const T* b, int64_t ldb, T* c, int64_t ldc,
              bool add) {
  constexpr int R = MMDENSE_TILE_ROWS;
  for (int64_t r = 0; r < rows; r += R) {
    int64_t left = rows - r < R ? rows - r : R;
    const T* from = a + r * (Packed ? depth : lda);
    T* to = c + r * ldc;
    if (Packed || left > R / 2)
      tile_row<T, R, Packed>(left, columns, depth, from, lda, b, ldb, to, ldc,
                             add);
    else if (left > 1)
      tile_row<T, R / 2, false>(left, columns, depth, from, lda, b, ldb, to,
                                ldc, add);
    else
      tile_row<T, 1, false>(left, columns, depth, from, lda, b, ldb, to, ldc,
                            add);
  }
}

// The transpose of from (depth, rows), row length ld, in the layout of a
// packed left operand; the last tile is filled up with zeros.
template <typename T>
void pack_transposed(int64_t rows, int64_t depth, const T* from, int64_t ld,
                     T* to) {
  constexpr int R = MMDENSE_TILE_ROWS;
  for (int64_t p = 0; p < depth; ++p) {
    const T* source = from + p * ld;
    for (int64_t r = 0; r < rows; r += R) {
      T* tile = to + r * depth + p * R;
      int64_t count = rows - r < R ? rows - r : R;
      if (count == R)
        for (int i = 0; i < R; ++i) tile[i] = source[r + i];
      else
        for (int i = 0; i < R; ++i) tile[i] = i < count ? source[r + i] : 0;
    }
  }
}

#if defined(__GNUC__) && !defined(__clang__)
// N x N values; interleaving rows i and i + N/2 log2(N) times transposes.
template <typename T>
inline void transpose_square(const T* from, int64_t ld, T* to, int64_t ldt) {
  constexpr int N = Width<T>::wide;
  using V = Vec<T, N>;
  typename V::Lanes low, high;
  for (int i = 0; i < N; ++i) {
    low[i] = i / 2 + i % 2 * N;
    high[i] = low[i] + N / 2;
  }
  V row[N], next[N];
  for (int i = 0; i < N; ++i) row[i] = V::load(from + i * ld);
  for (int round = 1; round < N; round *= 2) {
    for (int i = 0; i < N / 2; ++i) {
      next[2 * i].v = __builtin_shuffle(row[i].v, row[i + N / 2].v, low);
      next[2 * i + 1].v = __builtin_shuffle(row[i].v, row[i + N / 2].v, high);
    }
    for (int i = 0; i < N; ++i) row[i] = next[i];
  }
  for (int i = 0; i < N; ++i) row[i].store(to + i * ldt);
}
#else
template <typename T>
inline void transpose_square(const T* from, int64_t ld, T* to, int64_t ldt) {
  for (int i = 0; i < Width<T>::wide; ++i)
    for (int j = 0; j < Width<T>::wide; ++j)
      to[j * ldt + i] = from[i * ld + j];
}
#endif

// to (columns, ldt) = transpose of from (rows, ld).
template <typename T>
void transpose(int64_t rows, int64_t columns, const T* from, int64_t ld, T* to,
               int64_t ldt) {
  constexpr int64_t N = Width<T>::wide;
  // Down the columns, or the rows of `to`, often a power of two apart, would
  // push each other out of the cache half written.
  for (int64_t c = 0; c < columns; c += N) {
    int64_t r = 0;
    if (c + N <= columns)
      for (; r + N <= rows; r += N)
        transpose_square(from + r * ld + c, ld, to + c * ldt + r, ldt);
    for (; r < rows; ++r)
      for (int64_t j = c; j < columns && j < c + N; ++j)
        to[j * ldt + r] = from[r * ld + j];
  }
}
