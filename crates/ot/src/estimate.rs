//! What the best published attacks on parity with noise cost, in the base 2 logarithm of operations.
//!
//! An instance is n rows of a code of dimension k and noise of t ones, one in each of t blocks of `n / t` rows.
//!
//! * Decoding: Liu, Wang, Yang and Yu, "The Hardness of LPN over Any Integer Ring and Field for PCG Applications"
//!   (eprint 2022/712). The ones of a block add up to 1, so regular noise gives t linear equations and leaves noise of
//!   t ones at random among `n - t` rows of a code of dimension `k - t`.
//! * Algebra: Briaud and Øygarden, "A New Algebraic Approach to the Regular Syndrome Decoding Problem and Implications
//!   for PCG Constructions" (eprint 2023/176): products of two places of a block are zero.
//!
//! Not computed here: statistical decoding, which 2022/712 finds far dearer than both at all sizes of interest, and an
//! improvement of the algebra (eprint 2025/1476), whose formula leaves about 138 bits of [`crate::Params::MEDIUM`]
//! and 148 of [`crate::Params::SMALL`]; it was not applied to [`crate::Params::LARGE`]. [`Estimate::pooled`] is from no paper:
//! see there.

/// Logarithms of operations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Guess rows without noise and solve (Gauss), or with a few ones and search for them (Stern and Dumer).
    pub decoding: f64,
    /// Solve for the places of the noise.
    pub algebraic: f64,
    /// As `decoding`, but charging little for what the papers charge much: the search runs on a fresh choice of rows
    /// each time, so that a trial takes `k^2.8` operations for any n, and an entry of a list takes 64. Lists reach
    /// 2^50 entries, whose memory is free here. A margin for what is not published.
    pub pooled: f64,
}

impl Estimate {
    pub fn new(n: usize, k: usize, t: usize) -> Estimate {
        let [n1, k1, t1] = [n - t, k - t, t].map(|x| x as f64);
        let whole = (2.0 * n1.log2() - n1.log2().log2(), n1.log2());
        let solve = 2.8 * k1.log2();
        Estimate {
            decoding: (solve - fraction(n1 - k1, n1, t)).min(search(
                n1,
                k1,
                t1,
                whole.0 + whole.1,
                whole.1,
            )),
            algebraic: algebra(n, k, t),
            pooled: search(n1, k1, t1, solve, 6.0),
        }
    }

    /// The cheapest of all.
    pub fn bits(&self) -> f64 {
        self.decoding.min(self.algebraic).min(self.pooled)
    }
}

/// `log2(2^a + 2^b)`.
fn plus(a: f64, b: f64) -> f64 {
    a.max(b) + (1.0 + (-(a - b).abs()).exp2()).log2()
}

/// `log2 C(a, t) - log2 C(n, t)`: that t places among n are among a of them.
fn fraction(a: f64, n: f64, t: usize) -> f64 {
    (0..t)
        .map(|i| ((a - i as f64) / (n - i as f64)).log2())
        .sum()
}

/// `log2 C(n, m)`.
fn choose(n: f64, m: usize) -> f64 {
    (0..m)
        .map(|i| ((n - i as f64) / (i as f64 + 1.0)).log2())
        .sum()
}

/// The search of 2022/712: p ones among `k + l` rows, found as collisions on l bits of two lists of
/// `C((k + l) / 2, p / 2)`, and none among the other rows. A trial costs 2^trial and an entry 2^entry.
fn search(n: f64, k: f64, t: f64, trial: f64, entry: f64) -> f64 {
    let mut best = f64::INFINITY;
    for p in (0..=20).step_by(2).filter(|p| *p as f64 <= t) {
        let list = choose((k / 2.0).floor(), p / 2);
        // Long enough that collisions are no more than entries, and a little to both sides.
        for l in (0..=2 * list as usize + 8).step_by(2) {
            let l = l as f64;
            let list = choose(((k + l) / 2.0).floor(), p / 2);
            let pairs = 2.0 * list - l;
            let cost = plus(trial, 1.0 + entry + plus(list, pairs));
            let rest = t as usize - p;
            let chance = fraction(n - k - l, n, rest)
                + (0..p)
                    .map(|i| ((t - i as f64) / (n - (rest + i) as f64)).log2())
                    .sum::<f64>()
                + 2.0 * list;
            if chance < 0.0 {
                best = best.min(cost - chance);
            }
        }
    }
    best
}

/// Degrees of equations looked at; no attack on sizes of interest goes further.
const DEGREE: usize = 5;
type Series = [f64; DEGREE + 1];

/// The hybrid of 2023/176: guess that in f of the t blocks of b places u places are zero, which is so with probability
/// `(1 - u / b)^f`, then solve linear equations in the monomials up to the first degree d at which the Hilbert series
/// `(1 + (b - u - 1) z)^f (1 + (b - 1) z)^(t - f) / (1 + z)^(n - k)`, summed up, is not positive. Wiedemann's algorithm
/// takes 3 (k + 1 - f u) M^2 operations for M monomials.
fn algebra(n: usize, k: usize, t: usize) -> f64 {
    let block = (n / t) as f64;
    let mut best = f64::INFINITY;
    for f in (0..=t).step_by((t / 200).max(1)) {
        for degree in 2..=DEGREE {
            let solved = |u: f64| series(n - k, block, t, f, u).1[degree] < 1.0;
            let (mut low, mut high) = (0.0, block - 1.0);
            if !solved(high) {
                continue;
            }
            while low < high {
                let middle = ((low + high) / 2.0_f64).floor();
                if solved(middle) {
                    high = middle;
                } else {
                    low = middle + 1.0;
                }
            }
            let left = k as f64 + 1.0 - f as f64 * low;
            if left > 0.0 {
                let monomials = series(n - k, block, t, f, low).0[degree];
                let guess = f as f64 * (1.0 - low / block).log2();
                best = best.min(2.0 * monomials.log2() + (3.0 * left).log2() - guess);
            }
        }
    }
    best
}

/// Monomials up to each degree, and what the equations leave of them.
fn series(equations: usize, block: f64, t: usize, f: usize, u: f64) -> (Series, Series) {
    let monomials = product(
        &power(block - u - 1.0, f as f64),
        &power(block - 1.0, (t - f) as f64),
    );
    let left = product(&monomials, &power(1.0, -(equations as f64)));
    (summed(monomials), summed(left))
}

/// `(1 + a z)^m`.
fn power(a: f64, m: f64) -> Series {
    let mut out = [1.0; DEGREE + 1];
    for i in 0..DEGREE {
        out[i + 1] = out[i] * a * (m - i as f64) / (i as f64 + 1.0);
    }
    out
}

fn product(a: &Series, b: &Series) -> Series {
    std::array::from_fn(|i| (0..=i).map(|j| a[j] * b[i - j]).sum())
}

fn summed(mut a: Series) -> Series {
    for i in 1..=DEGREE {
        a[i] += a[i - 1];
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, want: f64) -> bool {
        (got - want).abs() < 1.0
    }

    /// Sizes that both papers attack, against a program written apart from this one, which searches more finely.
    #[test]
    fn another_program_agrees() {
        let e = Estimate::new(1 << 20, 32_771, 1419);
        assert!(near(e.algebraic, 99.1) && near(e.decoding, 101.1), "{e:?}");
        let e = Estimate::new(1 << 18, 15_336, 760);
        assert!(near(e.decoding, 96.4), "{e:?}");
    }

    #[test]
    fn more_noise_and_a_longer_secret_cost_more() {
        let bits = |n, k, t| Estimate::new(n, k, t).bits();
        assert!(bits(470_016, 34_000, 918) > bits(470_016, 32_000, 918));
        assert!(bits(1 << 20, 60_000, 1024) > bits(1 << 20, 60_000, 512));
        assert!(bits(1 << 21, 60_000, 1024) < bits(1 << 20, 60_000, 1024));
    }
}
