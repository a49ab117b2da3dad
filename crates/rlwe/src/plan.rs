//! How a product of matrices is cut into ciphertexts.
//!
//! Cheetah (eprint 2022/207, section 3.1): with a block of m' x k' of the left and k' x n' of the right matrix,
//! m' k' n' <= N, the product of
//!
//! ```text
//!     sum A[i,j] X^(i k' n' + k' - 1 - j)    and    sum B[j,c] X^(c k' + j)
//! ```
//!
//! has `(A B)[i,c]` at X^(i k' n' + c k' + k' - 1): other pairs meet there only for equal j, and what wraps around
//! X^N = -1 ends below X^(k' - 1).

use crate::error::Error;
use crate::params::{check_width, Params};
use crate::scheme::{Answers, HEAD};

/// Whose matrix is encrypted; the other is plain at the other party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encrypted {
    Left,
    Right,
}

/// The blocks of one product; made from public shapes only, so that both ends make the same.
///
/// An encrypted right matrix is the transposed product, B' A' = (A B)'; `rows`, `inner` and `columns` are of the
/// product as computed, whose left matrix is always the encrypted one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub encrypted: Encrypted,
    /// Bits of the plain operand, as signed numbers.
    pub operand: u32,
    pub(crate) rows: Cut,
    pub(crate) inner: Cut,
    pub(crate) columns: Cut,
    request_bytes: usize,
    answer_bytes: usize,
    /// Of the parameters it was made for.
    tag: u32,
}

/// A side of `whole` elements in `count` blocks of `part`, the last perhaps shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub whole: usize,
    pub part: usize,
    pub count: usize,
}

impl Cut {
    fn new(whole: usize, most: usize) -> Cut {
        let count = whole.div_ceil(most);
        Cut {
            whole,
            part: whole.div_ceil(count),
            count,
        }
    }

    /// The elements of block `b`.
    pub fn range(&self, b: usize) -> std::ops::Range<usize> {
        b * self.part..self.whole.min((b + 1) * self.part)
    }

    /// Every size of parts worth trying: those that differ in their count.
    fn all(whole: usize, most: usize) -> impl Iterator<Item = Cut> {
        let mut next = Some(Cut::new(whole, most));
        std::iter::from_fn(move || {
            let now = next?;
            next = (now.part > 1).then(|| Cut::new(whole, now.part - 1));
            Some(now)
        })
    }
}

impl Plan {
    /// For A (m x k) times B (k x n), `shape` = [m, k, n]. Of all blocks those with the fewest bytes in both
    /// directions, of these the least work.
    pub fn new(
        params: &Params,
        shape: [usize; 3],
        encrypted: Encrypted,
        operand: u32,
    ) -> Result<Plan, Error> {
        check_width("the plain operand", operand, params.log_t as u32)?;
        let [m, k, n] = shape;
        if let Some(side) = shape.iter().find(|s| !(1..=1 << 24).contains(*s)) {
            let (what, want) = ("a side of a matrix", (*side).clamp(1, 1 << 24));
            return Err(Error::Shape {
                what,
                got: *side,
                want,
            });
        }
        let (m, n) = match encrypted {
            Encrypted::Left => (m, n),
            Encrypted::Right => (n, m),
        };
        let mut best: Option<(usize, usize, Plan)> = None;
        let mut refused = None;
        for rows in Cut::all(m, params.degree) {
            for inner in Cut::all(k, params.degree / rows.part) {
                let columns = Cut::new(n, params.degree / (rows.part * inner.part));
                let terms = inner.count * inner.part * columns.part;
                if let Err(error) = params.check_error(terms, operand) {
                    refused = Some(error);
                    continue;
                }
                let request = params.packed().saturating_mul(rows.count * inner.count);
                let plan = Plan {
                    encrypted,
                    operand,
                    rows,
                    inner,
                    columns,
                    request_bytes: request.saturating_add(HEAD + 32),
                    answer_bytes: answer_bytes(params, rows, columns).saturating_add(HEAD),
                    tag: params.tag,
                };
                let bytes = plan.request_bytes.saturating_add(plan.answer_bytes);
                // A transform costs some four times the products of a pair of polynomials.
                let work = (inner.count * columns.count).saturating_mul(2 + rows.count);
                if best.as_ref().is_none_or(|b| (bytes, work) < (b.0, b.1)) {
                    best = Some((bytes, work, plan));
                }
            }
        }
        match (best, refused) {
            (Some((_, _, plan)), _) => Ok(plan),
            (None, Some(error)) => Err(error),
            (None, None) => unreachable!("sides are at least 1"),
        }
    }

    /// Bytes of the message with the encrypted matrix.
    pub fn request_bytes(&self) -> usize {
        self.request_bytes
    }

    /// Bytes of the message back.
    pub fn answer_bytes(&self) -> usize {
        self.answer_bytes
    }

    /// m', k', n' of a block, of the product as computed.
    pub fn block(&self) -> [usize; 3] {
        [self.rows.part, self.inner.part, self.columns.part]
    }

    /// Ciphertexts up and down.
    pub fn ciphertexts(&self) -> [usize; 2] {
        [
            self.rows.count * self.inner.count,
            self.rows.count * self.columns.count,
        ]
    }

    /// log2 of the probability that one output is one off.
    pub fn error(&self, params: &Params) -> f64 {
        let terms = self.inner.count * self.inner.part * self.columns.part;
        params.error(terms, self.operand)
    }

    /// Blocks of the result in the order in which they travel: row block, column block.
    pub(crate) fn answers(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (rows, columns) = (self.rows.count, self.columns.count);
        (0..columns).flat_map(move |c| (0..rows).map(move |r| (r, c)))
    }

    pub(crate) fn answer_part(&self, params: &Params, row: usize, column: usize) -> usize {
        let wanted = self.rows.range(row).len() * self.columns.range(column).len();
        Answers::<3, 2>::bytes(params, wanted)
    }

    /// Both the plan and the caller have the same parameters.
    pub(crate) fn check(&self, params: &Params) -> Result<(), Error> {
        if self.tag != params.tag {
            return Err(Error::OtherModuli {
                got: self.tag,
                want: params.tag,
            });
        }
        Ok(())
    }

    /// Coefficient of element (i, j) of a block of the encrypted matrix.
    pub(crate) fn left(&self, i: usize, j: usize) -> usize {
        i * self.inner.part * self.columns.part + self.inner.part - 1 - j
    }

    /// Coefficient of element (j, c) of a block of the plain matrix: the lowest ones, so that most of the transform
    /// is copies.
    pub(crate) fn right(&self, j: usize, c: usize) -> usize {
        c * self.inner.part + j
    }

    /// Coefficients of a block of the result, row by row.
    pub(crate) fn wanted(&self, row: usize, column: usize) -> Vec<usize> {
        let (rows, columns) = (self.rows.range(row).len(), self.columns.range(column).len());
        let at = |i| (0..columns).map(move |c| self.left(i, 0) + self.right(0, c));
        (0..rows).flat_map(at).collect()
    }

    /// Where an element lies in the matrix as the caller has it: of `rows x columns` as computed, row-major, or
    /// transposed.
    pub(crate) fn place(&self, i: usize, j: usize, rows: usize, columns: usize) -> usize {
        match self.encrypted {
            Encrypted::Left => i * columns + j,
            Encrypted::Right => j * rows + i,
        }
    }
}

/// Bytes of all blocks of the result: whole ones, shorter ones at two edges, the one in the corner.
fn answer_bytes(params: &Params, rows: Cut, columns: Cut) -> usize {
    let sides = |cut: Cut| {
        [
            (cut.count - 1, cut.part),
            (1, cut.range(cut.count - 1).len()),
        ]
    };
    let mut sum = 0usize;
    for (down, height) in sides(rows) {
        for (across, width) in sides(columns) {
            let part = Answers::<3, 2>::bytes(params, height * width);
            sum = sum.saturating_add(part.saturating_mul(down * across));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_cover_and_differ() {
        for whole in [1, 2, 7, 100, 500] {
            let all: Vec<Cut> = Cut::all(whole, 64).collect();
            for cut in &all {
                assert_eq!(
                    (0..cut.count).map(|b| cut.range(b).len()).sum::<usize>(),
                    whole
                );
                assert!((0..cut.count).all(|b| !cut.range(b).is_empty()));
            }
            assert!(all.windows(2).all(|w| w[0].count < w[1].count));
        }
    }

    #[test]
    fn blocks_fit_and_outputs_lie_apart() {
        let params = Params::ring(64, 64).unwrap();
        for shape in [
            [1, 1, 1],
            [1, 9000, 1],
            [9000, 1, 1],
            [1, 1, 9000],
            [17, 33, 5],
            [500, 500, 500],
        ] {
            for encrypted in [Encrypted::Left, Encrypted::Right] {
                let plan = Plan::new(&params, shape, encrypted, 64).unwrap();
                let [m, k, n] = plan.block();
                assert!(m * k * n <= params.degree());
                let mut wanted = plan.wanted(0, 0);
                let count = wanted.len();
                wanted.sort();
                wanted.dedup();
                assert_eq!(wanted.len(), count);
                assert!(wanted.iter().all(|w| *w < params.degree()));
                let parts = plan.answers().map(|(r, c)| plan.answer_part(&params, r, c));
                assert_eq!(plan.answer_bytes(), HEAD + parts.sum::<usize>());
            }
        }
    }

    #[test]
    fn five_hundred_squared_stays_within_25_megabytes() {
        let params = Params::ring(64, 64).unwrap();
        let plan = Plan::new(&params, [500; 3], Encrypted::Left, 64).unwrap();
        assert!(
            plan.request_bytes() < 25_000_000 && plan.answer_bytes() < 25_000_000,
            "{plan:?}"
        );
    }

    #[test]
    fn empty_matrices_are_refused() {
        let params = Params::ring(64, 64).unwrap();
        let plan = Plan::new(&params, [3, 0, 1], Encrypted::Left, 64);
        assert!(matches!(
            plan,
            Err(Error::Shape {
                got: 0,
                want: 1,
                ..
            })
        ));
    }
}
