//! How a product that is linear in both operands becomes products of polynomials.

use crate::error::Error;
use crate::params::Params;
use crate::wire;
use std::ops::Range;

/// Operands and result are cut into blocks, of which (row, inner) of the encrypted operand times (inner, column) of the
/// plain one are summed to (row, column) of the result. All answers are equally long; both ends use the same one.
pub trait Packing: Sync {
    /// The degree that it was made for.
    fn degree(&self) -> usize;

    /// How many (rows, inner, columns) of blocks there are.
    fn counts(&self) -> [usize; 3];

    /// How many numbers the encrypted operand, the plain one and the result have.
    fn sizes(&self) -> [usize; 3];

    /// Calls `put(exponent, element, negative)` for the coefficients of an encrypted block; others are zero.
    fn encrypted(&self, row: usize, inner: usize, put: impl FnMut(usize, usize, bool));

    /// Calls `put(exponent, element)` for the coefficients of a plain block; others are zero.
    fn plain(&self, inner: usize, column: usize, put: impl FnMut(usize, usize));

    /// Exponents of plain blocks are below.
    fn plain_length(&self) -> usize;

    /// How many products of plain columns become one answer ([`crate::merge`]): column c is those from c times as many
    /// on. Beyond the edge, plain blocks are zero.
    fn merged(&self) -> usize {
        1
    }

    /// How many coefficients of an answer are results, as many of each of those that were merged.
    fn results(&self) -> usize;

    /// The exponent of a block's result.
    fn position(&self, i: usize) -> usize;

    /// Which number of the result it is; `None` beyond the edge.
    fn result(&self, row: usize, column: usize, i: usize) -> Option<usize>;

    /// What tells this shape and these blocks from others.
    fn describe(&self) -> Vec<u64>;

    /// The exponents of c0 that results depend on: a result's less a plain coefficient's. Where the first is
    /// negative all are N more; those from N on, where x^N = -1, stand for what is left of them. Plain exponents begin
    /// with 0, results are in order.
    fn needed(&self) -> Range<usize> {
        let last = self.position(self.results() / self.merged() - 1);
        let first = self.position(0) + self.degree() + 1 - self.plain_length();
        match last + self.degree() + 1 - first {
            length if length < self.degree() => first..first + length,
            _ => 0..self.degree(),
        }
    }

    /// A seed, and what is needed of c0 of each ciphertext.
    fn request_bytes(&self, params: &Params) -> usize {
        let [rows, inner, _] = self.counts();
        wire::HEADER + 32 + rows * inner * params.chain.bytes(self.needed().len())
    }

    fn answer_bytes(&self, params: &Params) -> usize {
        let [rows, _, columns] = self.counts();
        wire::HEADER + rows * columns * answer_size(self, params)
    }
}

/// All of c1, and of c0 the coefficients that are results.
pub(crate) fn answer_size<P: Packing + ?Sized>(plan: &P, params: &Params) -> usize {
    let bits = params.chain.answer_bits;
    wire::packed(params.chain.degree, bits) + wire::packed(plan.results(), bits)
}

/// Tells one product from another: shapes, blocks and widths.
pub(crate) fn fingerprint(plan: &impl Packing, params: &Params) -> u64 {
    let widths = [params.ring_bits, params.operand_bits, params.merging.into()];
    let mut text = Vec::from(widths.map(|x| x as u8));
    plan.describe()
        .iter()
        .for_each(|x| text.extend(x.to_le_bytes()));
    u64::from_le_bytes(argot_prf::hash(&text).as_chunks::<8>().0[0])
}

/// That it was made for these parameters.
pub(crate) fn want_made_for(plan: &impl Packing, params: &Params) -> Result<(), Error> {
    let want = params.chain.degree;
    match plan.degree() {
        got if got != want => Err(Error::WrongDegree { got, want }),
        _ if plan.merged() > 1 && !params.merging => Err(Error::NoMerging),
        _ => Ok(()),
    }
}

/// Bytes that a link of 100 Mbit/s carries while two polynomials are multiplied.
const WORTH: usize = 512;

/// The cost that plans compare: bytes, and work in the same units.
pub(crate) fn cost(plan: &impl Packing, params: &Params) -> usize {
    let [rows, inner, columns] = plan.counts();
    let columns = columns * plan.merged();
    let answer = if plan.merged() > 1 { 32 } else { 16 };
    // Shapes that nobody could compute have costs beyond all numbers.
    let times = |a: usize, b: usize, c: usize| a.saturating_mul(b).saturating_mul(c);
    let parts = [
        times(rows, inner, columns),
        times(16, rows, inner),
        times(answer, rows, columns),
    ];
    let work = parts.into_iter().fold(0, usize::saturating_add);
    let bytes = plan.request_bytes(params) + plan.answer_bytes(params);
    bytes.saturating_add(WORTH.saturating_mul(work))
}

/// The smallest size for each number of blocks that `n` can be cut into, none above `most`.
pub(crate) fn block_sizes(n: usize, most: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    let mut size = n.min(most);
    while size > 0 {
        let least = n.div_ceil(n.div_ceil(size));
        sizes.push(least);
        size = least - 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convolution::{Convolution, Shape};
    use crate::plan::Plan;

    /// Against all differences of exponents.
    fn check_needed(plan: &impl Packing, most: usize) {
        let n = plan.degree();
        let mut want = vec![false; n];
        plan.plain(0, 0, |exponent, _| {
            assert!(exponent < plan.plain_length());
            for i in 0..plan.results() {
                want[(n + plan.position(i) - exponent) % n] = true;
            }
        });
        let needed = plan.needed();
        assert!(needed.len() <= most && most <= n, "{}", needed.len());
        for at in (0..n).filter(|&at| want[at]) {
            assert!(needed.contains(&at) || needed.contains(&(at + n)), "{at}");
        }
    }

    #[test]
    fn requests_have_what_results_depend_on() {
        let params = Params::new(64, 64).unwrap();
        for (shape, most) in [
            ([64, 30, 1], 1920),
            ([30, 64, 1], 1920),
            ([1, 1, 1], 1),
            ([9, 7, 5], 9 * 35 + 28),
            ([500, 500, 500], 8192),
        ] {
            check_needed(&Plan::new(&params, shape).unwrap(), most);
        }
        for (kernels, kernel, stride) in [(1, 3, 1), (7, 3, 1), (4, 2, 2), (2, 12, 1)] {
            let shape = Shape {
                channels: 5,
                height: 12,
                width: 12,
                kernels,
                kernel_height: kernel,
                kernel_width: kernel,
                stride,
            };
            let most = (5 * 144 * (2 * kernels - 1)).min(8192);
            check_needed(&Convolution::new(&params, shape).unwrap(), most);
        }
    }

    #[test]
    fn sizes_are_the_smallest_of_their_counts() {
        assert_eq!(block_sizes(10, 20), [10, 5, 4, 3, 2, 1]);
        assert_eq!(block_sizes(10, 4), [4, 3, 2, 1]);
        assert_eq!(block_sizes(1, 1), [1]);
        assert!(block_sizes(5, 0).is_empty());
    }
}
