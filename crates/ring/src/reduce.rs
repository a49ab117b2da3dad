//! Sums and running sums.

use crate::element::Ring;
use crate::multiversion;
use crate::parallel::{parts, LIGHT};

multiversion! {
    fn total<T: Ring>(x: &[T]) -> T {
        let mut lanes = [T::default(); 64];
        let mut x = x;
        while let Some((chunk, rest)) = x.split_first_chunk::<64>() {
            for i in 0..64 {
                lanes[i] = lanes[i].plus(chunk[i]);
            }
            x = rest;
        }
        lanes.iter().chain(x).fold(T::default(), |sum, x| sum.plus(*x))
    }

    fn add_to<T: Ring>(out: &mut [T], x: &[T]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = out.plus(*x);
        }
    }

    fn plus<T: Ring>(out: &mut [T], x: &[T], y: &[T]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = x.plus(*y);
        }
    }
}

/// `x` has the shape (outer, n, inner); `out` becomes its sum over the middle, of shape (outer, inner).
pub fn sum<T: Ring>(out: &mut [T], x: &[T], n: usize, inner: usize) {
    if n == 0 || inner == 0 {
        return out.fill(T::default());
    }
    if inner == 1 {
        return row_sums(out, x, n);
    }
    for (out, x) in out.chunks_mut(inner).zip(x.chunks(n * inner)) {
        parts(out, 1, LIGHT, |i, out| {
            out.copy_from_slice(&x[i..i + out.len()]);
            for row in x.chunks(inner).skip(1) {
                add_to(out, &row[i..i + out.len()]);
            }
        });
    }
}

/// Parts of 2^15 elements, so that long sums use every thread.
fn row_sums<T: Ring>(out: &mut [T], x: &[T], n: usize) {
    use rayon::prelude::*;
    const PART: usize = 1 << 15;
    if x.len() < 16 * PART {
        for (out, row) in out.iter_mut().zip(x.chunks(n)) {
            *out = total(row);
        }
    } else if out.len() > 64 {
        out.par_iter_mut()
            .zip(x.par_chunks(n))
            .with_min_len(PART / n + 1)
            .for_each(|(out, row)| *out = total(row));
    } else {
        for (out, row) in out.iter_mut().zip(x.chunks(n)) {
            *out = row
                .par_chunks(PART)
                .map(total)
                .reduce(T::default, |x, y| x.plus(y));
        }
    }
}

/// `x` and `out` have the shape (outer, n, inner); `out` becomes the running sums over the middle.
pub fn cumsum<T: Ring>(out: &mut [T], x: &[T], n: usize, inner: usize) {
    if n == 0 || inner == 0 {
        return;
    }
    for (out, x) in out.chunks_mut(n * inner).zip(x.chunks(n * inner)) {
        if inner == 1 {
            let mut sum = T::default();
            for (out, x) in out.iter_mut().zip(x) {
                sum = sum.plus(*x);
                *out = sum;
            }
            continue;
        }
        out[..inner].copy_from_slice(&x[..inner]);
        for row in 1..n {
            let (done, todo) = out.split_at_mut(row * inner);
            plus(
                &mut todo[..inner],
                &done[(row - 1) * inner..],
                &x[row * inner..(row + 1) * inner],
            );
        }
    }
}
