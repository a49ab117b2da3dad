//! Matrix products.
//!
//! Large ones are blocked as dense linear algebra does it: strips of the left matrix, `ROWS` high, and of the right
//! one, `COLUMNS` wide, are laid out in the order of their use, and a kernel that keeps its whole tile of the result
//! in registers runs along them ([`crate::tile`]). Products with vectors are bound by memory and have loops of
//! their own.

use crate::element::Ring;
use crate::elementwise;
use crate::multiversion;
use crate::tile::{Tile, Tiled};
use rayon::prelude::*;
use std::cell::RefCell;

/// The sizes of one product: (m, k) @ (k, n).
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

/// Matrices that lie one after the other, row by row, or, if `transposed`, column by column.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T> {
    pub data: &'a [T],
    pub transposed: bool,
}

impl<'a, T: Ring> Matrix<'a, T> {
    /// Number `i` of matrices of `size` elements.
    fn number(self, i: usize, size: usize) -> Self {
        Matrix {
            data: &self.data[i * size..(i + 1) * size],
            ..self
        }
    }

    fn transpose(self) -> Self {
        Matrix {
            transposed: !self.transposed,
            ..self
        }
    }
}

/// Multiplications above which a product is shared out over threads: some 0.1 ms. Handing work over takes 0.01 ms,
/// and more where the processors are busy, as with several agents on one machine.
const PARALLEL: usize = 1 << 22;
/// As above, for products with vectors, which are bound by memory.
const PARALLEL_THIN: usize = 1 << 20;
/// Multiplications below which laying out strips does not pay.
const BLOCKED: usize = 12 * 12 * 12;
/// Depth below which a strip would not pay for adding its tiles to the result.
const LEAST_DEPTH: usize = 64;
/// Rows of the left matrix laid out at a time: they stay in the second cache.
const HEIGHT: usize = 96;
/// Bytes of memory for each purpose that a thread keeps between products.
const KEPT: usize = 32 << 20;
/// Bytes of the right matrix laid out at a time: they stay in the third cache.
const LAID_OUT: usize = 16 << 20;
/// Elements of a sum of left matrices made at a time.
const PIECE: usize = 1 << 19;
/// Rows (or columns, if transposed) of such a piece at least, so that the right matrix is not laid out too often.
const LEAST_RUN: usize = 256;
/// Columns from which rows are added four at a time; shorter ones one by one, as memory is read in order then.
const WIDE: usize = 256;

/// `out = x @ y` for matrices that lie one after the other.
pub fn matmul<T: Tiled>(out: &mut [T], x: Matrix<T>, y: Matrix<T>, sizes: Sizes) {
    out.fill(T::default());
    accumulate(out, x, y, sizes);
}

/// `x0 @ y0 + x0 @ y1 + x1 @ y0`, as one product of twice the depth: `[x0 | x1] @ [y0 + y1 ; y0]`, or
/// `[x0 + x1 | x0] @ [y0 ; y1]` where the left matrices are the smaller ones. `x0` and `x1` lie alike, and so do `y0` and
/// `y1`.
pub fn cross_matmul<T: Tiled>(
    out: &mut [T],
    [x0, x1]: [Matrix<T>; 2],
    [y0, y1]: [Matrix<T>; 2],
    sizes: Sizes,
) {
    out.fill(T::default());
    if x0.data.len() < y0.data.len() {
        with_strips(2, x0.data.len(), |sum: &mut [T]| {
            elementwise::binary::<T, elementwise::Add>(sum, x0.data, x1.data);
            accumulate(out, Matrix { data: sum, ..x0 }, y0, sizes);
        });
        accumulate(out, x0, y1, sizes);
        return;
    }
    with_strips(2, y0.data.len(), |sum: &mut [T]| {
        elementwise::binary::<T, elementwise::Add>(sum, y0.data, y1.data);
        accumulate(out, x0, Matrix { data: sum, ..y0 }, sizes);
    });
    accumulate(out, x1, y0, sizes);
}

/// `(a x0 + b x1) @ (c y0 + d y1)`. `x0` and `x1` lie alike, and so do `y0` and `y1`. The left sum is made in pieces, so
/// that it need not be held whole. For products that are not bound by memory.
pub fn weighted_matmul<T: Tiled>(
    out: &mut [T],
    (x0, x1, a, b): (Matrix<T>, Matrix<T>, T, T),
    (y0, y1, c, d): (Matrix<T>, Matrix<T>, T, T),
    sizes: Sizes,
) {
    let Sizes { m, k, n } = sizes;
    out.fill(T::default());
    if out.is_empty() || k == 0 {
        return;
    }
    with_strips(2, y0.data.len(), |right: &mut [T]| {
        elementwise::weighted(right, (y0.data, c), (y1.data, d));
        let right = Matrix { data: right, ..y0 };
        let piece = |at: usize, to: usize, out: &mut [T], y: Matrix<T>, sizes: Sizes| {
            with_strips(3, to - at, |left: &mut [T]| {
                elementwise::weighted(left, (&x0.data[at..to], a), (&x1.data[at..to], b));
                accumulate(out, Matrix { data: left, ..x0 }, y, sizes);
            })
        };
        let group = PIECE / (m * k);
        if group > 0 {
            for (i, out) in out.chunks_mut(group * m * n).enumerate() {
                let (first, count) = (i * group, out.len() / (m * n));
                let y = Matrix {
                    data: &right.data[first * k * n..(first + count) * k * n],
                    ..right
                };
                piece(first * m * k, (first + count) * m * k, out, y, sizes);
            }
            return;
        }
        for (i, out) in out.chunks_mut(m * n).enumerate() {
            let y = right.number(i, k * n);
            let at = i * m * k;
            if x0.transposed && y.transposed {
                piece(at, at + m * k, out, y, sizes);
            } else if x0.transposed {
                let depth = (PIECE / m).max(LEAST_RUN);
                for p in (0..k).step_by(depth) {
                    let to = k.min(p + depth);
                    let data = &y.data[p * n..to * n];
                    let sizes = Sizes { k: to - p, ..sizes };
                    piece(at + p * m, at + to * m, out, Matrix { data, ..y }, sizes);
                }
            } else {
                let height = (PIECE / k).max(LEAST_RUN);
                for (r, out) in out.chunks_mut(height * n).enumerate() {
                    let (from, rows) = (at + r * height * k, out.len() / n);
                    piece(from, from + rows * k, out, y, Sizes { m: rows, ..sizes });
                }
            }
        }
    });
}

/// `out += x @ y`.
fn accumulate<T: Tiled>(out: &mut [T], x: Matrix<T>, y: Matrix<T>, sizes: Sizes) {
    let Sizes { m, k, n } = sizes;
    if m * k * n == 0 {
        return;
    }
    let one =
        |(i, out): (usize, &mut [T])| product(out, x.number(i, m * k), y.number(i, k * n), sizes);
    let batch = out.len() / (m * n);
    if batch > 1 && m * n * k * batch >= PARALLEL {
        out.par_chunks_mut(m * n)
            .with_min_len((PARALLEL / 4 / (m * n * k)).max(1))
            .enumerate()
            .for_each(one);
    } else {
        out.chunks_mut(m * n).enumerate().for_each(one);
    }
}

fn product<T: Tiled>(out: &mut [T], x: Matrix<T>, y: Matrix<T>, sizes: Sizes) {
    let Sizes { m, k, n } = sizes;
    let thin = m.min(n) < 5;
    if !thin && m * k * n >= BLOCKED {
        return T::tile(Blocked { out, x, y, sizes });
    }
    if thin && n < m {
        if x.transposed {
            return by_transposition(out, x, y, sizes);
        }
        return dots(out, x, y, sizes);
    }
    if y.transposed && n > 1 {
        if thin && m < n {
            return by_transposition(out, x, y, sizes);
        }
        let mut rows = vec![T::default(); k * n];
        transpose(&mut rows, y.data, n, k);
        return weighted_rows(out, x, &rows, sizes);
    }
    weighted_rows(out, x, y.data, sizes);
}

/// `(y^T @ x^T)^T`.
fn by_transposition<T: Tiled>(out: &mut [T], x: Matrix<T>, y: Matrix<T>, sizes: Sizes) {
    let Sizes { m, k, n } = sizes;
    let mut found = vec![T::default(); m * n];
    product(
        &mut found,
        y.transpose(),
        x.transpose(),
        Sizes { m: n, k, n: m },
    );
    for (i, out) in out.chunks_mut(n).enumerate() {
        for (j, out) in out.iter_mut().enumerate() {
            *out = out.plus(found[j * m + i]);
        }
    }
}

/// `out = x^T` for `x` with rows of `columns` elements.
fn transpose<T: Ring>(out: &mut [T], x: &[T], rows: usize, columns: usize) {
    for j in 0..columns {
        for i in 0..rows {
            out[j * rows + i] = x[i * columns + j];
        }
    }
}

/// For few columns: a dot product for every element of the result. `x` lies row by row.
fn dots<T: Ring>(out: &mut [T], x: Matrix<T>, y: Matrix<T>, sizes: Sizes) {
    let Sizes { m, k, n } = sizes;
    let held;
    let columns = if y.transposed || n == 1 {
        y.data
    } else {
        let mut flipped = vec![T::default(); k * n];
        transpose(&mut flipped, y.data, k, n);
        held = flipped;
        &held
    };
    let rows = |out: &mut [T], x: &[T]| {
        for (out, x) in out.chunks_mut(n).zip(x.chunks(k)) {
            for (out, y) in out.iter_mut().zip(columns.chunks(k)) {
                *out = out.plus(dot(x, y));
            }
        }
    };
    if m * k * n < PARALLEL_THIN {
        return rows(out, x.data);
    }
    let part = (PARALLEL_THIN / 8 / (k * n)).max(1);
    out.par_chunks_mut(part * n)
        .zip(x.data.par_chunks(part * k))
        .for_each(|(out, x)| rows(out, x));
}

/// For few rows, and for small products: every row of the result as a sum of multiples of the rows of `y`.
fn weighted_rows<T: Ring>(out: &mut [T], x: Matrix<T>, y: &[T], sizes: Sizes) {
    let Sizes { m, k, n } = sizes;
    let (down, right) = if x.transposed { (1, m) } else { (k, 1) };
    if n < WIDE {
        let mut weights = vec![T::default(); k];
        for (i, out) in out.chunks_mut(n).enumerate() {
            for (p, weight) in weights.iter_mut().enumerate() {
                *weight = x.data[i * down + p * right];
            }
            add_rows(out, &weights, y);
        }
        return;
    }
    for p in (0..k).step_by(4) {
        let depth = (k - p).min(4);
        for (i, out) in out.chunks_mut(n).enumerate() {
            let mut weights = [T::default(); 4];
            for (q, weight) in weights[..depth].iter_mut().enumerate() {
                *weight = x.data[i * down + (p + q) * right];
            }
            add_rows(out, &weights[..depth], &y[p * n..(p + depth) * n]);
        }
    }
}

multiversion! {
    fn dot<T: Ring>(x: &[T], y: &[T]) -> T {
        let mut lanes = [T::default(); 32];
        let (mut xs, mut ys) = (x, y);
        while let (Some((x, more_x)), Some((y, more_y))) =
            (xs.split_first_chunk::<32>(), ys.split_first_chunk::<32>())
        {
            for i in 0..32 {
                lanes[i] = lanes[i].plus(x[i].times(y[i]));
            }
            (xs, ys) = (more_x, more_y);
        }
        let rest = xs.iter().zip(ys);
        let sum = rest.fold(T::default(), |sum, (x, y)| sum.plus(x.times(*y)));
        lanes.iter().fold(sum, |sum, x| sum.plus(*x))
    }

    fn add_rows<T: Ring>(out: &mut [T], weights: &[T], y: &[T]) {
        let n = out.len();
        if let [a, b, c, d] = *weights {
            let (ya, rest) = y.split_at(n);
            let (yb, rest) = rest.split_at(n);
            let (yc, yd) = rest.split_at(n);
            let yd = &yd[..n];
            for i in 0..n {
                let left = a.times(ya[i]).plus(b.times(yb[i]));
                let right = c.times(yc[i]).plus(d.times(yd[i]));
                out[i] = out[i].plus(left.plus(right));
            }
        } else {
            for (weight, y) in weights.iter().zip(y.chunks(n)) {
                for (out, y) in out.iter_mut().zip(y) {
                    *out = out.plus(weight.times(*y));
                }
            }
        }
    }
}

/// A line of cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u64; 8]);

thread_local! {
    /// Memory for the right matrix, strips of the left one, and sums; kept from one product to the next.
    static STRIPS: RefCell<[Vec<Line>; 4]> =
        const { RefCell::new([Vec::new(), Vec::new(), Vec::new(), Vec::new()]) };
}

/// Call `work` with memory for `n` elements of unspecified contents. The memory is taken out of its place meanwhile,
/// since a thread that waits for others may begin another product.
fn with_strips<T: Ring, R>(which: usize, n: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    let mut lines = STRIPS.with(|held| std::mem::take(&mut held.borrow_mut()[which]));
    let needed = (n * T::BYTES).div_ceil(64);
    if lines.len() < needed {
        lines.resize(needed, Line([0; 8]));
    }
    // SAFETY: that many bytes are there, aligned to 64, and any bytes are valid elements.
    let result = work(unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), n) });
    if lines.len() * 64 <= KEPT {
        STRIPS.with(|held| held.borrow_mut()[which] = lines);
    }
    result
}

/// One product, to be done by tiles.
pub struct Blocked<'a, T> {
    out: &'a mut [T],
    x: Matrix<'a, T>,
    y: Matrix<'a, T>,
    sizes: Sizes,
}

impl<T: Ring> Blocked<'_, T> {
    /// Lay out the right matrix, whole if it is not too large, then let threads take rows of the result; they meet
    /// only when all is done.
    pub fn run<K: Tile<T>>(self) {
        let Sizes { m, k, n } = self.sizes;
        let threads = rayon::current_num_threads();
        let parallel = m * k * n >= PARALLEL && threads > 1 && m > K::ROWS;
        let even = m.div_ceil(2 * threads).next_multiple_of(K::ROWS);
        let height = if parallel { even.min(HEIGHT) } else { HEIGHT };
        let wide = n.next_multiple_of(K::COLUMNS);
        // A very wide matrix is laid out in fewer rows at a time than a strip could have.
        let depth = (LAID_OUT / (wide * T::BYTES)).clamp(LEAST_DEPTH, K::DEPTH);
        let slabs = (LAID_OUT / (depth * wide * T::BYTES)).max(1);
        for from in (0..k).step_by(slabs * depth) {
            let to = k.min(from + slabs * depth);
            with_strips(0, (to - from) * wide, |laid_out: &mut [T]| {
                let fill = |(s, slab): (usize, &mut [T])| {
                    let (p, size) = (from + s * depth, slab.len() / wide * K::COLUMNS);
                    for (j, strip) in slab.chunks_mut(size).enumerate() {
                        lay_columns(strip, self.y, (k, n), p, j * K::COLUMNS, K::COLUMNS);
                    }
                };
                let rows = |laid_out: &[T], (i, out): (usize, &mut [T])| {
                    for (s, slab) in laid_out.chunks(depth * wide).enumerate() {
                        let at = (i * height, from + s * depth);
                        self::rows::<T, K>(out, self.x, (m, k), at, slab, n);
                    }
                };
                if parallel {
                    laid_out
                        .par_chunks_mut(depth * wide)
                        .enumerate()
                        .for_each(fill);
                    let laid_out = &*laid_out;
                    self.out
                        .par_chunks_mut(height * n)
                        .enumerate()
                        .for_each(|part| rows(laid_out, part));
                } else {
                    laid_out.chunks_mut(depth * wide).enumerate().for_each(fill);
                    let laid_out = &*laid_out;
                    self.out
                        .chunks_mut(height * n)
                        .enumerate()
                        .for_each(|part| rows(laid_out, part));
                }
            });
        }
    }
}

/// Add to `out`, rows `first..` of the result, the product over the depth of a slab, which starts at `p`.
fn rows<T: Ring, K: Tile<T>>(
    out: &mut [T],
    x: Matrix<T>,
    (m, k): (usize, usize),
    (first, p): (usize, usize),
    slab: &[T],
    n: usize,
) {
    let depth = slab.len() / n.next_multiple_of(K::COLUMNS);
    let height = out.len() / n;
    with_strips(
        1,
        height.next_multiple_of(K::ROWS) * depth,
        |left: &mut [T]| {
            for (i, strip) in left.chunks_mut(K::ROWS * depth).enumerate() {
                lay_columns(
                    strip,
                    x.transpose(),
                    (k, m),
                    p,
                    first + i * K::ROWS,
                    K::ROWS,
                );
            }
            let mut tile = K::Buffer::default();
            for (j, right) in slab.chunks(K::COLUMNS * depth).enumerate() {
                let column = j * K::COLUMNS;
                let width = (n - column).min(K::COLUMNS);
                for (i, left) in left.chunks(K::ROWS * depth).enumerate() {
                    K::multiply(depth, left, right, tile.as_mut());
                    let out = out[i * K::ROWS * n..].chunks_mut(n).take(K::ROWS);
                    for (out, tile) in out.zip(tile.as_mut().chunks_exact(K::COLUMNS)) {
                        let out = &mut out[column..column + width];
                        if width == K::COLUMNS {
                            add_to(&mut out[..K::COLUMNS], &tile[..K::COLUMNS]);
                        // of a length the compiler knows
                        } else {
                            add_to(out, tile);
                        }
                    }
                }
            }
        },
    );
}

#[inline(always)]
fn add_to<T: Ring>(out: &mut [T], x: &[T]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = out.plus(*x);
    }
}

/// Lay out rows `p..` of columns `j..j + width` of a matrix of `shape`, row after row, as far as `strip` reaches;
/// columns that do not exist are zero.
fn lay_columns<T: Ring>(
    strip: &mut [T],
    y: Matrix<T>,
    shape: (usize, usize),
    p: usize,
    j: usize,
    width: usize,
) {
    let (k, n) = shape;
    let there = (n - j).min(width);
    if !y.transposed {
        for (q, row) in strip.chunks_exact_mut(width).enumerate() {
            let from = (p + q) * n + j;
            row[..there].copy_from_slice(&y.data[from..from + there]);
            row[there..].fill(T::default());
        }
        return;
    }
    let depth = strip.len() / width;
    let mut columns = [&y.data[..0]; 64];
    for (c, column) in columns[..there].iter_mut().enumerate() {
        *column = &y.data[(j + c) * k + p..(j + c) * k + p + depth];
    }
    for (q, row) in strip.chunks_exact_mut(width).enumerate() {
        for (to, column) in row.iter_mut().zip(&columns[..there]) {
            *to = column[q];
        }
        row[there..].fill(T::default());
    }
}
