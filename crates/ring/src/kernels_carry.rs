//! Carries of a sum of two addends, one known to one party, the other to two; and conjunctions of their bits.
//!
//! All on bit planes: row p of an array holds bit p of every element. A secret bit b is u ^ v with u known to the
//! first party and v to the two others, who share every product of u's between them, so that a polynomial in such
//! bits is, for each of them, a local expression: the sum over the monomials of u's of (its share) times (v's). The
//! first party contributes shares of the products of u's (`*_products`), the others evaluate (`*_join`); each result
//! is hidden by a fresh mask before it meets the other half. `aby3.md` has the protocol and its proof.
//!
//! Carries are pairs (G, P) of a range of positions: G, a carry leaves the range whatever comes in; P, it leaves if
//! one comes in. High joins low as (Gh ^ Ph Gl, Ph Pl). Three at a time cost the bits of two at a time and half of
//! the rounds. Every job writes rows of its own, so jobs run side by side.

use rayon::prelude::*;

/// Words of work above which jobs spread over threads.
const SPREAD: usize = 1 << 20;

/// Rows of `words` words.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    pub data: &'a [u64],
    pub words: usize,
}

impl<'a> Rows<'a> {
    #[inline]
    fn at(&self, row: usize) -> &'a [u64] {
        &self.data[row * self.words..(row + 1) * self.words]
    }

    fn many<const N: usize>(&self, first: usize) -> [&'a [u64]; N] {
        std::array::from_fn(|i| self.at(first + i))
    }
}

/// 1 to 3 neighbouring positions of the two words that are added.
#[derive(Clone, Copy, Debug)]
pub struct Leaf {
    /// The lowest position.
    pub start: usize,
    pub size: usize,
    /// What comes out, in this order: G, P, and the carries out of the positions below the highest.
    pub generate: bool,
    pub pass: bool,
    pub inner: bool,
}

impl Leaf {
    /// Products of bits of the first addend: every non-empty subset.
    pub fn products(&self) -> usize {
        (1 << self.size) - 1
    }

    pub fn outputs(&self) -> usize {
        self.generate as usize + self.pass as usize + if self.inner { self.size - 1 } else { 0 }
    }
}

/// Two or three neighbouring ranges to be joined: rows of their G and P.
#[derive(Clone, Copy, Debug)]
pub struct Node {
    /// (G, P) of each range from high to low. Without G everywhere: only the conjunction of the P's is wanted.
    /// Without P in the lowest: no carry comes into it.
    pub high: (Option<usize>, usize),
    pub middle: Option<(Option<usize>, usize)>,
    pub low: (Option<usize>, Option<usize>),
}

impl Node {
    pub fn products(&self) -> usize {
        let carry = self.high.0.is_some() as usize;
        let pass = self.low.1.is_some() as usize;
        match self.middle {
            None => carry + pass,
            Some(_) => match (carry, pass) {
                (1, 0) => 5,
                (1, _) => 8,
                _ => 4 * pass,
            },
        }
    }

    pub fn outputs(&self) -> usize {
        self.high.0.is_some() as usize + self.low.1.is_some() as usize
    }

    /// The greatest row it reads.
    pub fn last_row(&self) -> usize {
        let middle = self.middle.map_or((None, None), |(g, p)| (g, Some(p)));
        [
            self.high.0,
            Some(self.high.1),
            middle.0,
            middle.1,
            self.low.0,
            self.low.1,
        ]
        .into_iter()
        .flatten()
        .max()
        .unwrap_or(0)
    }
}

/// Three positions with a carry into the lowest: the carries out of the lower two.
#[derive(Clone, Copy, Debug)]
pub struct Inner {
    pub start: usize,
    /// Row of the first of the leaf's products.
    pub share: usize,
    /// Row of the carry.
    pub carry: usize,
}

/// Give each job its rows of `out`, and run all.
fn each<J: Sync>(
    jobs: &[J],
    out: &mut [u64],
    words: usize,
    rows: impl Fn(&J) -> usize,
    run: impl Fn(&J, usize, &mut [u64]) + Sync,
) {
    let mut parts = Vec::with_capacity(jobs.len());
    let (mut rest, mut first) = (out, 0);
    for job in jobs {
        let n = rows(job);
        let (own, left) = rest.split_at_mut(n * words);
        parts.push((job, first, own));
        rest = left;
        first += n;
    }
    if first * words >= SPREAD {
        parts
            .into_par_iter()
            .for_each(|(job, first, own)| run(job, first, own));
    } else {
        parts
            .into_iter()
            .for_each(|(job, first, own)| run(job, first, own));
    }
}

/// `out[i] ^= f(i)`: written as a macro so that every loop is over slices of one length.
macro_rules! xor_into {
    ($words:expr, $out:expr, $i:ident, $value:expr) => {{
        let out = &mut $out[..$words];
        for $i in 0..$words {
            out[$i] ^= $value;
        }
    }};
}

/// Rows of all products, for all leaves, added to `out`: the first party's messages when `out` holds masks.
pub fn leaf_products(m: Rows, jobs: &[Leaf], out: &mut [u64]) {
    let w = m.words;
    each(jobs, out, w, Leaf::products, |job, _, out| {
        let mut rows = out.chunks_exact_mut(w.max(1));
        let mut row = || rows.next().unwrap_or_default();
        match job.size {
            1 => {
                let a = m.at(job.start);
                xor_into!(w, row(), i, a[i]);
            }
            2 => {
                let [b, a] = m.many(job.start);
                xor_into!(w, row(), i, a[i]);
                xor_into!(w, row(), i, b[i]);
                xor_into!(w, row(), i, a[i] & b[i]);
            }
            _ => {
                let [c, b, a] = m.many(job.start);
                xor_into!(w, row(), i, a[i]);
                xor_into!(w, row(), i, b[i]);
                xor_into!(w, row(), i, c[i]);
                xor_into!(w, row(), i, a[i] & b[i]);
                xor_into!(w, row(), i, a[i] & c[i]);
                xor_into!(w, row(), i, b[i] & c[i]);
                xor_into!(w, row(), i, a[i] & b[i] & c[i]);
            }
        }
    });
}

/// Shares of all outputs of all leaves, added to `out`. `lead`: this one of the two adds what depends on v alone.
pub fn leaf_join(shares: Rows, n: Rows, jobs: &[Leaf], lead: bool, out: &mut [u64]) {
    let w = n.words;
    let lead = if lead { u64::MAX } else { 0 };
    let firsts: Vec<usize> = jobs
        .iter()
        .scan(0, |next, job| {
            let first = *next;
            *next += job.products();
            Some(first)
        })
        .collect();
    let numbered: Vec<(Leaf, usize)> = jobs.iter().copied().zip(firsts).collect();
    each(
        &numbered,
        out,
        w,
        |(job, _)| job.outputs(),
        |(job, first), _, out| {
            let mut rows = out.chunks_exact_mut(w.max(1));
            let mut row = || rows.next().unwrap_or_default();
            match job.size {
                1 => {
                    let (a, x) = (shares.at(*first), n.at(job.start));
                    if job.generate {
                        xor_into!(w, row(), i, a[i] & x[i]);
                    }
                    if job.pass {
                        xor_into!(w, row(), i, a[i] ^ x[i] & lead);
                    }
                }
                2 => {
                    let [a, b, ab] = shares.many(*first);
                    let [y, x] = n.many(job.start);
                    if job.generate {
                        xor_into!(w, row(), i, a[i] & x[i] ^ (ab[i] ^ b[i] & x[i]) & y[i]);
                    }
                    if job.pass {
                        let lone = |i: usize| x[i] & y[i] & lead;
                        xor_into!(w, row(), i, ab[i] ^ a[i] & y[i] ^ b[i] & x[i] ^ lone(i));
                    }
                    if job.inner {
                        xor_into!(w, row(), i, b[i] & y[i]);
                    }
                }
                _ => {
                    let [a, b, c, ab, ac, bc, abc] = shares.many(*first);
                    let [z, y, x] = n.many(job.start);
                    if job.generate {
                        xor_into!(
                            w,
                            row(),
                            i,
                            a[i] & x[i]
                                ^ (ab[i] ^ b[i] & x[i]) & y[i]
                                ^ (abc[i] ^ ac[i] & y[i] ^ (bc[i] ^ c[i] & y[i]) & x[i]) & z[i]
                        );
                    }
                    if job.pass {
                        xor_into!(
                            w,
                            row(),
                            i,
                            abc[i]
                                ^ ab[i] & z[i]
                                ^ (ac[i] ^ a[i] & z[i]) & y[i]
                                ^ (bc[i] ^ b[i] & z[i] ^ (c[i] ^ z[i] & lead) & y[i]) & x[i]
                        );
                    }
                    if job.inner {
                        xor_into!(w, row(), i, c[i] & z[i]);
                        xor_into!(w, row(), i, b[i] & y[i] ^ (bc[i] ^ c[i] & y[i]) & z[i]);
                    }
                }
            }
        },
    );
}

/// As `leaf_products`, for joins; the first party's part of every bit is `u0 ^ u1`.
pub fn node_products(u0: Rows, u1: Rows, jobs: &[Node], out: &mut [u64]) {
    let w = u0.words;
    each(jobs, out, w, Node::products, |job, _, out| {
        let both = |row: usize| -> Vec<u64> {
            u0.at(row)
                .iter()
                .zip(u1.at(row))
                .map(|(a, b)| a ^ b)
                .collect()
        };
        let mut rows = out.chunks_exact_mut(w.max(1));
        let mut row = || rows.next().unwrap_or_default();
        let a = both(job.high.1);
        let (low_g, low_p) = (job.low.0.map(both), job.low.1.map(both));
        let Some(middle) = job.middle else {
            if let Some(f) = low_g {
                xor_into!(w, row(), i, a[i] & f[i]);
            }
            if let Some(c) = low_p {
                xor_into!(w, row(), i, a[i] & c[i]);
            }
            return;
        };
        let b = both(middle.1);
        let ab: Vec<u64> = a.iter().zip(&b).map(|(a, b)| a & b).collect();
        xor_into!(w, row(), i, ab[i]);
        if let (Some(d), Some(f)) = (middle.0.map(both), low_g) {
            xor_into!(w, row(), i, a[i] & d[i]);
            xor_into!(w, row(), i, a[i] & f[i]);
            xor_into!(w, row(), i, b[i] & f[i]);
            xor_into!(w, row(), i, ab[i] & f[i]);
        }
        if let Some(c) = low_p {
            xor_into!(w, row(), i, a[i] & c[i]);
            xor_into!(w, row(), i, b[i] & c[i]);
            xor_into!(w, row(), i, ab[i] & c[i]);
        }
    });
}

/// As `leaf_join`, for joins: `u` is this party's share of the first party's part of every bit.
pub fn node_join(shares: Rows, u: Rows, v: Rows, jobs: &[Node], lead: bool, out: &mut [u64]) {
    let w = v.words;
    let lead = if lead { u64::MAX } else { 0 };
    let mut next = 0;
    let numbered: Vec<(Node, usize)> = jobs
        .iter()
        .map(|job| {
            let first = next;
            next += job.products();
            (*job, first)
        })
        .collect();
    each(
        &numbered,
        out,
        w,
        |(job, _)| job.outputs(),
        |(job, first), _, out| {
            let mut rows = out.chunks_exact_mut(w.max(1));
            let mut row = || rows.next().unwrap_or_default();
            let pair = |row: usize| (u.at(row), v.at(row));
            let (a, x) = pair(job.high.1);
            let Some(middle) = job.middle else {
                let mut share = *first;
                if let (Some(k), Some(f)) = (job.high.0.map(pair), job.low.0.map(pair)) {
                    let ((k, l), (f, h), af) = (k, f, shares.at(share));
                    share += 1;
                    xor_into!(
                        w,
                        row(),
                        i,
                        k[i] ^ l[i] & lead ^ af[i] ^ a[i] & h[i] ^ x[i] & (f[i] ^ h[i] & lead)
                    );
                }
                if let Some((c, z)) = job.low.1.map(pair) {
                    let ac = shares.at(share);
                    xor_into!(
                        w,
                        row(),
                        i,
                        ac[i] ^ a[i] & z[i] ^ x[i] & (c[i] ^ z[i] & lead)
                    );
                }
                return;
            };
            let (b, y) = pair(middle.1);
            let ab = shares.at(*first);
            let mut share = first + 1;
            if let (Some(k), Some(d), Some(f)) = (
                job.high.0.map(pair),
                middle.0.map(pair),
                job.low.0.map(pair),
            ) {
                let ((k, l), (d, e), (f, h)) = (k, d, f);
                let [ad, af, bf, abf] = shares.many(share);
                share += 4;
                xor_into!(
                    w,
                    row(),
                    i,
                    k[i] ^ l[i] & lead
                        ^ ad[i]
                        ^ a[i] & e[i]
                        ^ x[i] & (d[i] ^ e[i] & lead)
                        ^ abf[i]
                        ^ ab[i] & h[i]
                        ^ y[i] & (af[i] ^ a[i] & h[i])
                        ^ x[i] & (bf[i] ^ b[i] & h[i] ^ y[i] & (f[i] ^ h[i] & lead))
                );
            }
            if let Some((c, z)) = job.low.1.map(pair) {
                let [ac, bc, abc] = shares.many(share);
                xor_into!(
                    w,
                    row(),
                    i,
                    abc[i]
                        ^ ab[i] & z[i]
                        ^ y[i] & (ac[i] ^ a[i] & z[i])
                        ^ x[i] & (bc[i] ^ b[i] & z[i] ^ y[i] & (c[i] ^ z[i] & lead))
                );
            }
        },
    );
}

/// As `leaf_products`, for the carries within blocks: three rows a job.
pub fn inner_products(m: Rows, u0: Rows, u1: Rows, jobs: &[Inner], out: &mut [u64]) {
    let w = m.words;
    each(
        jobs,
        out,
        w,
        |_| 3,
        |job, _, out| {
            let [c, b] = m.many(job.start);
            let (p, q) = (u0.at(job.carry), u1.at(job.carry));
            let mut rows = out.chunks_exact_mut(w.max(1));
            let mut row = || rows.next().unwrap_or_default();
            xor_into!(w, row(), i, c[i] & (p[i] ^ q[i]));
            xor_into!(w, row(), i, b[i] & (p[i] ^ q[i]));
            xor_into!(w, row(), i, b[i] & c[i] & (p[i] ^ q[i]));
        },
    );
}

/// As `leaf_join`, for the carries within blocks: two rows a job, the lower carry first. `leaf` are the shares that
/// `leaf_join` had, `n` the second addend, `u` and `v` the carries.
pub fn inner_join(
    (leaf, shares): (Rows, Rows),
    n: Rows,
    (u, v): (Rows, Rows),
    jobs: &[Inner],
    lead: bool,
    out: &mut [u64],
) {
    let w = n.words;
    let lead = if lead { u64::MAX } else { 0 };
    each(
        jobs,
        out,
        w,
        |_| 2,
        |job, first, out| {
            let (b, c, bc) = (
                leaf.at(job.share + 1),
                leaf.at(job.share + 2),
                leaf.at(job.share + 5),
            );
            let [cf, bf, bcf] = shares.many(first / 2 * 3);
            let [z, y] = n.many(job.start);
            let (f, h) = (u.at(job.carry), v.at(job.carry));
            // The carry out of the lowest position, c z ^ (c ^ z)(f ^ h), once and times the next pass b ^ y.
            let low =
                |i: usize| c[i] & z[i] ^ cf[i] ^ c[i] & h[i] ^ z[i] & f[i] ^ z[i] & h[i] & lead;
            let (lower, upper) = out.split_at_mut(w);
            xor_into!(w, lower, i, low(i));
            xor_into!(
                w,
                upper,
                i,
                b[i] & y[i]
                    ^ bcf[i]
                    ^ bc[i] & (z[i] ^ h[i])
                    ^ z[i] & (bf[i] ^ b[i] & h[i])
                    ^ y[i] & low(i)
            );
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use argot_prf::Stream;

    const WORDS: usize = 3;

    fn draw(seed: u8, rows: usize) -> Vec<u64> {
        let mut out = vec![0; rows * WORDS];
        Stream::new(&[seed; 16]).words_at(0, &mut out);
        out
    }

    fn rows(data: &[u64]) -> Rows<'_> {
        Rows { data, words: WORDS }
    }

    /// Both halves of the others, from shares of the products that sum up to what the first party adds.
    fn both(
        count: usize,
        outputs: usize,
        products: impl Fn(&mut [u64]),
        join: impl Fn(Rows, bool, &mut [u64]),
    ) -> Vec<u64> {
        let drawn = draw(9, count);
        let mut rest = drawn.clone();
        products(&mut rest);
        let mut sum = vec![0; outputs * WORDS];
        for (shares, lead) in [(drawn, true), (rest, false)] {
            join(rows(&shares), lead, &mut sum);
        }
        sum
    }

    #[test]
    fn leaves_carry_as_addition_does() {
        for size in 1..=3 {
            let (m, n) = (draw(1, 5), draw(2, 5));
            let leaf = Leaf {
                start: 2,
                size,
                generate: true,
                pass: true,
                inner: true,
            };
            let out = both(
                leaf.products(),
                leaf.outputs(),
                |out| leaf_products(rows(&m), &[leaf], out),
                |shares, lead, out| leaf_join(shares, rows(&n), &[leaf], lead, out),
            );
            for e in 0..WORDS * 64 {
                let bit = |rows: &[u64], row: usize| rows[row * WORDS + e / 64] >> (e % 64) & 1;
                let word = |rows: &[u64], low: usize| -> u64 {
                    (0..low).map(|i| bit(rows, 2 + i) << i).sum()
                };
                let carry = |low: usize, into: u64| (word(&m, low) + word(&n, low) + into) >> low;
                assert_eq!(bit(&out, 0), carry(size, 0), "generate");
                assert_eq!(
                    bit(&out, 1),
                    (carry(size, 1) > carry(size, 0)) as u64,
                    "pass"
                );
                for i in 1..size {
                    assert_eq!(bit(&out, 1 + i), carry(i, 0), "inner");
                }
            }
        }
    }

    #[test]
    fn joins_are_those_of_carries() {
        let (u, v) = (draw(3, 6), draw(4, 6));
        let other = draw(5, 6);
        let first: Vec<u64> = u.iter().zip(&other).map(|(a, b)| a ^ b).collect();
        for generate in [false, true] {
            for middle in [false, true] {
                for pass in [false, true] {
                    if !generate && !pass {
                        continue;
                    }
                    let g = |row| generate.then_some(row);
                    let node = Node {
                        high: (g(0), 1),
                        middle: middle.then_some((g(2), 3)),
                        low: (g(4), pass.then_some(5)),
                    };
                    let mut sum = vec![0; node.outputs() * WORDS];
                    let drawn = draw(9, node.products());
                    let mut rest = drawn.clone();
                    node_products(rows(&u), rows(&other), &[node], &mut rest);
                    // The shares that the others have of the first party's bits are its own two parts.
                    node_join(rows(&drawn), rows(&u), rows(&v), &[node], true, &mut sum);
                    node_join(
                        rows(&rest),
                        rows(&other),
                        rows(&v),
                        &[node],
                        false,
                        &mut sum,
                    );
                    for e in 0..WORDS * 64 {
                        let at =
                            |rows: &[u64], row: usize| rows[row * WORDS + e / 64] >> (e % 64) & 1;
                        let bit = |row: usize| at(&first, row) ^ at(&v, row);
                        let (mut out_g, mut out_p) = (bit(4), bit(5));
                        for (g, p) in [(2, 3), (0, 1)] {
                            if p == 3 && !middle {
                                continue;
                            }
                            out_g = bit(g) ^ bit(p) & out_g;
                            out_p &= bit(p);
                        }
                        if generate {
                            assert_eq!(at(&sum, 0), out_g);
                        }
                        if pass {
                            assert_eq!(at(&sum, generate as usize), out_p);
                        }
                    }
                }
            }
        }
    }
}
