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
      for (int i = 0; i < R; ++i) tile[i] = r + i < rows ? source[r + i] : 0;
    }
  }
}

// to (columns, ldt) = transpose of from (rows, ld).
template <typename T>
void transpose(int64_t rows, int64_t columns, const T* from, int64_t ld, T* to,
               int64_t ldt) {
  constexpr int64_t block = 8;
  for (int64_t r = 0; r < rows; r += block) {
    int64_t r_end = r + block < rows ? r + block : rows;
    for (int64_t c = 0; c < columns; ++c)
      for (int64_t i = r; i < r_end; ++i) to[c * ldt + i] = from[i * ld + c];
  }
}
