//! Matrix products.

use crate::element::Ring;
use crate::multiversion;
use rayon::prelude::*;

/// The sizes of one product: (m, k) @ (k, n).
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub m: usize,
    pub k: usize,
    pub n: usize,
}

/// Products above this many are shared out over threads.
const PARALLEL: usize = 1 << 18;

/// `out = x @ y` for `batch` matrices that lie one after the other.
pub fn matmul<T: Ring>(out: &mut [T], x: &[T], y: &[T], sizes: Sizes) {
    let Sizes { m, k, n } = sizes;
    if m * n == 0 {
        return;
    }
    if k == 0 {
        return out.fill(T::default());
    }
    for ((out, x), y) in out
        .chunks_mut(m * n)
        .zip(x.chunks(m * k))
        .zip(y.chunks(k * n))
    {
        let rows = m.div_ceil(rayon::current_num_threads()).max(1);
        if m * k * n < PARALLEL {
            rows_times(out, x, y, k, n);
        } else {
            out.par_chunks_mut(rows * n)
                .zip(x.par_chunks(rows * k))
                .for_each(|(out, x)| rows_times(out, x, y, k, n));
        }
    }
}

multiversion! {
    fn rows_times<T: Ring>(out: &mut [T], x: &[T], y: &[T], k: usize, n: usize) {
        out.fill(T::default());
        for (out, x) in out.chunks_mut(n).zip(x.chunks(k)) {
            for (x, y) in x.iter().zip(y.chunks(n)) {
                for (out, y) in out.iter_mut().zip(y) {
                    *out = out.plus(x.times(*y));
                }
            }
        }
    }
}

/// `x0 @ y0 + x0 @ y1 + x1 @ y0`, as one product of twice the depth: `[x0 | x1] @ [y0 + y1 ; y0]`.
pub fn cross_matmul<T: Ring>(out: &mut [T], [x0, x1]: [&[T]; 2], [y0, y1]: [&[T]; 2], sizes: Sizes) {
    let Sizes { m, k, n } = sizes;
    if m * n == 0 {
        return;
    }
    let batch = out.len() / (m * n);
    let mut x = Vec::with_capacity(batch * m * 2 * k);
    if k > 0 {
        for (x0, x1) in x0.chunks(k).zip(x1.chunks(k)) {
            x.extend_from_slice(x0);
            x.extend_from_slice(x1);
        }
    }
    let mut y = Vec::with_capacity(batch * 2 * k * n);
    if k > 0 {
        for (y0, y1) in y0.chunks(k * n).zip(y1.chunks(k * n)) {
            y.extend(y0.iter().zip(y1).map(|(a, b)| a.plus(*b)));
            y.extend_from_slice(y0);
        }
    }
    matmul(out, &x, &y, Sizes { m, k: 2 * k, n });
}
