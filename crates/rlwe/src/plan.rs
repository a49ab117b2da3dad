//! How a product of matrices is cut into polynomials.

use crate::error::Error;
use crate::merge::MOST;
use crate::packing::{block_sizes, cost, Packing};
use crate::params::{Params, TERMS};

/// Answers that may have to be held until they are merged, of half a megabyte each.
const HELD: usize = 128;

/// Blocks of (rows, inner, columns) of the product of m x k and k x n. Both ends compute the same one.
///
/// Of a block of the encrypted matrix, element (i, j) is the coefficient of x^(i k' n' - j), where x^N = -1; of one of
/// the plain matrix, (j, c) is that of x^(c k' + j). The product's coefficient of x^(i k' n' + c k') is the sum over
/// j, since other exponents' multiples of k' would need two j that differ by less than k' (Cheetah, eprint 2022/207,
/// section 4). With m' k' n' <= N nothing wraps but the negative exponents, i = 0, where none is a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// (m, k, n)
    pub shape: [usize; 3],
    /// (m', k', n')
    pub block: [usize; 3],
    /// Blocks of columns whose answers become one: k' is a multiple of a power of two that is not less.
    pub merged: usize,
    degree: usize,
}

impl Plan {
    /// The one of the least cost.
    pub fn new(params: &Params, shape: [usize; 3]) -> Result<Plan, Error> {
        let [m, k, _] = shape;
        for got in shape {
            if got == 0 || got > TERMS {
                return Err(Error::Inner { got, most: TERMS });
            }
        }
        let degree = params.chain.degree;
        let steps = if params.merging { MOST.ilog2() } else { 0 };
        let mut best: Option<(usize, Plan)> = None;
        for step in (0..=steps).map(|i| 1 << i) {
            for rows in block_sizes(m, degree / step) {
                for inner in block_sizes(k, degree / rows / step * step) {
                    let inner = inner.next_multiple_of(step);
                    // The noise of an answer is that of all blocks along the inner dimension.
                    let padded = k.div_ceil(inner) * inner;
                    let most = (degree / (rows * inner)).min((TERMS / padded).max(1));
                    for plan in Plan::merged(degree, shape, [rows, inner, most], step) {
                        let cost = cost(&plan, params);
                        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
                            best = Some((cost, plan));
                        }
                    }
                }
            }
        }
        Ok(best.expect("blocks of one element always fit").1)
    }

    /// Plans with blocks of these rows, inner size and up to these columns, whose results are at multiples of `step`,
    /// and in which so many answers are merged that a smaller one would not do.
    fn merged(
        degree: usize,
        shape: [usize; 3],
        [rows, inner, most]: [usize; 3],
        step: usize,
    ) -> impl Iterator<Item = Plan> {
        let sizes = block_sizes(shape[2], most).into_iter();
        sizes.filter_map(move |columns| {
            let blocks = shape[2].div_ceil(columns);
            let merged = blocks.div_ceil(blocks.div_ceil(step));
            let held = shape[0].div_ceil(rows) * merged;
            (2 * merged > step && (step == 1 || held <= HELD)).then_some(Plan {
                shape,
                block: [rows, inner, columns],
                merged,
                degree,
            })
        })
    }

    /// Of the two ways to get shares of a product of m x k by k x n, the one that costs less: with the left
    /// matrix encrypted, or, where `true` is given, with the right one. Then all three matrices are transposed: the
    /// owner of the right one is the client with its transpose, the other's is the server's matrix, and the shares
    /// are of the transposed product.
    pub fn cheaper(params: &Params, shape: [usize; 3]) -> Result<(Plan, bool), Error> {
        let [m, k, n] = shape;
        let (left, right) = (Plan::new(params, shape)?, Plan::new(params, [n, k, m])?);
        Ok(match cost(&right, params) < cost(&left, params) {
            true => (right, true),
            false => (left, false),
        })
    }
}

impl Packing for Plan {
    fn degree(&self) -> usize {
        self.degree
    }

    fn counts(&self) -> [usize; 3] {
        let [m, k, n] = self.shape;
        let [rows, inner, columns] = self.block;
        let merged = columns * self.merged;
        [m.div_ceil(rows), k.div_ceil(inner), n.div_ceil(merged)]
    }

    fn sizes(&self) -> [usize; 3] {
        let [m, k, n] = self.shape;
        [m * k, k * n, m * n]
    }

    fn encrypted(&self, row: usize, inner: usize, mut put: impl FnMut(usize, usize, bool)) {
        let [m, k, _] = self.shape;
        let [rows, width, columns] = self.block;
        let (top, left) = (row * rows, inner * width);
        for i in 0..rows.min(m - top) {
            for j in 0..width.min(k - left) {
                let element = (top + i) * k + left + j;
                match (i * width * columns).checked_sub(j) {
                    Some(exponent) => put(exponent, element, false),
                    None => put(self.degree - j, element, true),
                }
            }
        }
    }

    fn plain(&self, inner: usize, column: usize, mut put: impl FnMut(usize, usize)) {
        let [_, k, n] = self.shape;
        let [_, width, columns] = self.block;
        let (top, left) = (inner * width, column * columns);
        for j in 0..width.min(k - top) {
            for c in 0..columns.min(n.saturating_sub(left)) {
                put(c * width + j, (top + j) * n + left + c);
            }
        }
    }

    fn plain_length(&self) -> usize {
        self.block[1] * self.block[2]
    }

    fn merged(&self) -> usize {
        self.merged
    }

    fn results(&self) -> usize {
        self.block[0] * self.block[2] * self.merged
    }

    fn position(&self, i: usize) -> usize {
        let each = self.block[0] * self.block[2];
        i % each * self.block[1] + i / each
    }

    fn result(&self, row: usize, column: usize, i: usize) -> Option<usize> {
        let ([m, _, n], [rows, _, columns]) = (self.shape, self.block);
        let each = rows * columns;
        let (column, i) = (column * self.merged + i / each, i % each);
        let (i, c) = (row * rows + i / columns, column * columns + i % columns);
        (i < m && c < n).then_some(i * n + c)
    }

    fn describe(&self) -> Vec<u64> {
        let numbers = self.shape.into_iter().chain(self.block);
        let numbers = numbers.chain([self.merged]);
        std::iter::once(1)
            .chain(numbers.map(|x| x as u64))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_products_take_the_bytes_that_were_promised() {
        let params = Params::new(64, 64).unwrap();
        let plan = Plan::new(&params, [500, 500, 500]).unwrap();
        let bytes = plan.request_bytes(&params) + plan.answer_bytes(&params);
        assert!(bytes <= 33_600_000, "{plan:?}: {bytes}");
        let [m, k, n] = plan.block;
        assert!(m * k * n <= params.chain.degree);
        assert_eq!(plan, Plan::new(&params, [500, 500, 500]).unwrap());
    }

    /// Of a small product the request is its own matrix, and not a whole polynomial.
    #[test]
    fn small_products_take_the_bytes_that_were_promised() {
        let params = Params::new(64, 64).unwrap();
        for shape in [[64, 30, 1], [1, 30, 64]] {
            let (plan, right) = Plan::cheaper(&params, shape).unwrap();
            assert!(right == (shape[0] == 1) && plan.block == [64, 30, 1]);
            assert_eq!(plan.request_bytes(&params), 24 + 32 + 1920 / 8 * 197);
            assert_eq!(plan.answer_bytes(&params), 24 + (8192 + 64) / 8 * 73);
        }
    }

    #[test]
    fn the_smaller_matrix_is_encrypted() {
        let params = Params::new(64, 64).unwrap();
        let (plan, right) = Plan::cheaper(&params, [100, 10_000, 1]).unwrap();
        assert!(right && plan.shape == [1, 10_000, 100]);
        let (plan, right) = Plan::cheaper(&params, [1, 10_000, 100]).unwrap();
        assert!(!right && plan.shape == [1, 10_000, 100]);
    }

    #[test]
    fn shapes_are_checked() {
        let params = Params::new(32, 32).unwrap();
        for shape in [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, TERMS + 1, 1]] {
            assert!(
                matches!(Plan::new(&params, shape), Err(Error::Inner { .. })),
                "{shape:?}"
            );
        }
        let plan = Plan::new(&params, [1, TERMS, 1]).unwrap();
        assert_eq!(plan.block[2], 1);
    }
}
