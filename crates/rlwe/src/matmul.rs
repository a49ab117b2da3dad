//! Products of matrices modulo 2^l, as shares.
//!
//! The client has one matrix and the key, the server the other matrix. The client sends its matrix encrypted, the
//! server multiplies, masks and answers; then both hold shares of the product. Neither learns anything of the other's
//! matrix: the server sees ciphertexts, the client what `Answers::mask` in scheme.rs lets out.
//!
//! For shares A0 + A1 and B0 + B1 of two matrices the cross terms A0 B1 and A1 B0 are two such products with the
//! roles exchanged: each party is the client for its share of A, the server with its share of B. Both requests travel
//! at once, both answers at once: two messages each way and each line is used in both directions.

use crate::error::Error;
use crate::ntt::{Sums, MIN_DEGREE};
use crate::params::{Params, Plain};
use crate::plan::Plan;
use crate::sample;
use crate::scale::{rounded, Raise};
use crate::scheme::{
    read_head, write_head, Answers, Masks, PublicKey, SecretKey, ANSWER, HEAD, REQUEST,
};
use rayon::prelude::*;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Ring elements to residues and back.
struct Codec {
    params: Arc<Params>,
    bits: u32,
    up: Raise<1>,
    /// Fractions of 192 bits: short by 2^-140, which is nothing beside the noise.
    answers: Answers<3, 2>,
}

impl Codec {
    fn new(params: Arc<Params>) -> Result<Codec, Error> {
        let bits = match &params.plain {
            Plain::Ring(bits) => *bits,
            Plain::Slots(..) => {
                let (what, got) = ("a plaintext modulus of slots", params.log_t as u32);
                return Err(Error::Width {
                    what,
                    got,
                    most: 64,
                });
            }
        };
        Ok(Codec {
            up: Raise::new(&params.moduli, bits),
            answers: Answers::new(&params),
            bits,
            params,
        })
    }

    /// round(2^l x) of a fraction, modulo 2^l.
    fn share(&self, fraction: [u64; 3]) -> u64 {
        rounded(fraction, self.bits)[2] >> (64 - self.bits)
    }

    /// A ring element as a number from -2^(l-1) on.
    fn signed(&self, x: u64) -> i64 {
        let shift = 64 - self.bits;
        ((x << shift) as i64) >> shift
    }
}

/// The party that encrypts.
pub struct Client {
    codec: Codec,
    secret: SecretKey,
}

/// The party that multiplies.
pub struct Server {
    codec: Codec,
    key: PublicKey,
}

fn expect(what: &'static str, got: usize, want: usize) -> Result<(), Error> {
    if got != want {
        return Err(Error::Shape { what, got, want });
    }
    Ok(())
}

impl Client {
    /// A fresh key.
    pub fn new(params: Arc<Params>) -> Result<Client, Error> {
        Ok(Client {
            secret: SecretKey::new(&params)?,
            codec: Codec::new(params)?,
        })
    }

    /// For [`Server::new`], once.
    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        PublicKey::make(&self.codec.params, &self.secret)
    }

    /// The client's matrix, row-major, encrypted: head, seed, and c0 of each block, row blocks outermost.
    pub fn request(&self, plan: &Plan, matrix: &[u64]) -> Result<Vec<u8>, Error> {
        let params = &*self.codec.params;
        plan.check(params)?;
        expect(
            "the client's matrix",
            matrix.len(),
            plan.rows.whole * plan.inner.whole,
        )?;
        let (seed, hidden) = (*sample::seed()?, sample::seed()?);
        let mut out = Vec::with_capacity(plan.request_bytes());
        write_head(params, REQUEST, &mut out);
        out.extend(seed);
        let blocks: Vec<Vec<u8>> = (0..plan.rows.count * plan.inner.count)
            .into_par_iter()
            .map(|index| {
                let message = self.message(plan, matrix, index);
                let errors =
                    sample::errors(&sample::stream(&hidden, "error", index), params.degree);
                let c0 =
                    self.secret
                        .encrypt(params, message, &params.uniform(&seed, index), &errors);
                let mut bytes = Vec::with_capacity(params.packed());
                params.write(&c0, &mut bytes);
                bytes
            })
            .collect();
        blocks.iter().for_each(|b| out.extend_from_slice(b));
        Ok(out)
    }

    /// Residues of (q/t) m of block `index`.
    fn message(&self, plan: &Plan, matrix: &[u64], index: usize) -> Zeroizing<Vec<u64>> {
        let n = self.codec.params.degree;
        let mut out = Zeroizing::new(vec![0; self.codec.params.words()]);
        let (row, inner) = (index / plan.inner.count, index % plan.inner.count);
        for (i, gi) in plan.rows.range(row).enumerate() {
            for (j, gj) in plan.inner.range(inner).enumerate() {
                let x = matrix[plan.place(gi, gj, plan.rows.whole, plan.inner.whole)];
                let at = plan.left(i, j);
                self.codec.up.of(&[x], |p, r| out[p * n + at] = r);
            }
        }
        out
    }

    /// The client's share of the product, row-major.
    pub fn finish(&self, plan: &Plan, answer: &[u8]) -> Result<Vec<u64>, Error> {
        Ok(gather(&self.codec, plan, self.open(plan, answer)?))
    }

    fn open(&self, plan: &Plan, answer: &[u8]) -> Result<Vec<Part>, Error> {
        let params = &*self.codec.params;
        plan.check(params)?;
        let mut rest = read_head(
            params,
            ANSWER,
            "an answer",
            answer,
            plan.answer_bytes() - HEAD,
        )?;
        let mut parts = Vec::new();
        for (row, column) in plan.answers() {
            let (part, later) = rest.split_at(plan.answer_part(params, row, column));
            rest = later;
            parts.push((row, column, part));
        }
        parts
            .into_par_iter()
            .map(|(row, column, part)| {
                let wanted = plan.wanted(row, column);
                let fractions = self
                    .codec
                    .answers
                    .open(params, &self.secret, part, &wanted)?;
                Ok((row, column, fractions))
            })
            .collect()
    }
}

/// Row block, column block, and the fractions of q that are a party's part of it.
type Part = (usize, usize, Zeroizing<Vec<[u64; 3]>>);

/// Shares of all blocks, each put in its place.
fn gather(codec: &Codec, plan: &Plan, blocks: Vec<Part>) -> Vec<u64> {
    let mut out = vec![0; plan.rows.whole * plan.columns.whole];
    for (row, column, fractions) in blocks {
        let columns = plan.columns.range(column);
        for (i, line) in plan
            .rows
            .range(row)
            .zip(fractions.chunks_exact(columns.len()))
        {
            for (c, fraction) in columns.clone().zip(line) {
                out[plan.place(i, c, plan.rows.whole, plan.columns.whole)] = codec.share(*fraction);
            }
        }
    }
    out
}

/// Columns of blocks that are worked on together: the sums of one take half a megabyte for each row of blocks.
const COLUMNS_AT_ONCE: usize = 128;

/// Bytes of ciphertexts and plain blocks in one tile: they stay in the second cache while all columns pass.
const TILE: usize = 1 << 20;

/// Bytes and mask of one block of the result.
type Block = (Vec<u8>, Zeroizing<Vec<[u64; 3]>>);

/// The `length` values from `first` on modulo one prime; of a plain block `start` coefficients matter.
#[derive(Clone, Copy)]
struct Tile {
    prime: usize,
    start: usize,
    first: usize,
    length: usize,
}

impl Server {
    /// With the client's [`Client::public_key`].
    pub fn new(params: Arc<Params>, public_key: &[u8]) -> Result<Server, Error> {
        Ok(Server {
            key: PublicKey::read(&params, public_key)?,
            codec: Codec::new(params)?,
        })
    }

    /// The answer to a request, and the server's share of the product, row-major.
    pub fn answer(
        &self,
        plan: &Plan,
        matrix: &[u64],
        request: &[u8],
    ) -> Result<(Vec<u8>, Vec<u64>), Error> {
        let (answer, parts) = self.multiply(plan, matrix, request)?;
        Ok((answer, gather(&self.codec, plan, parts)))
    }

    fn multiply(
        &self,
        plan: &Plan,
        matrix: &[u64],
        request: &[u8],
    ) -> Result<(Vec<u8>, Vec<Part>), Error> {
        let params = &*self.codec.params;
        plan.check(params)?;
        expect(
            "the server's matrix",
            matrix.len(),
            plan.inner.whole * plan.columns.whole,
        )?;
        self.check_operand(plan, matrix)?;
        let ciphertexts = self.read(plan, request)?;
        let hidden = sample::seed()?;
        let masks = Masks {
            key: &self.key,
            seed: &hidden,
        };
        let mut out = Vec::with_capacity(plan.answer_bytes());
        write_head(params, ANSWER, &mut out);
        let mut shares = Vec::new();
        let places: Vec<(usize, usize)> = plan.answers().collect();
        for places in places.chunks(COLUMNS_AT_ONCE * plan.rows.count) {
            let blocks = self.answer_columns(plan, matrix, &ciphertexts, places, &masks);
            for ((row, column), (bytes, fractions)) in places.iter().zip(blocks) {
                out.extend_from_slice(&bytes);
                shares.push((*row, *column, fractions));
            }
        }
        Ok((out, shares))
    }

    /// The server's own numbers are as small as the plan says.
    fn check_operand(&self, plan: &Plan, matrix: &[u64]) -> Result<(), Error> {
        let size = |x: &u64| {
            let x = self.codec.signed(*x);
            (x ^ (x >> 63)) as u64
        };
        let all = matrix.iter().map(size).fold(0, |a, b| a | b);
        let got = 65 - all.leading_zeros();
        if got > plan.operand {
            let (what, most) = ("the plain operand", plan.operand);
            return Err(Error::Width { what, got, most });
        }
        Ok(())
    }

    /// (c0, c1) of all blocks.
    fn read(&self, plan: &Plan, request: &[u8]) -> Result<Vec<[Vec<u64>; 2]>, Error> {
        let params = &*self.codec.params;
        let rest = read_head(
            params,
            REQUEST,
            "a request",
            request,
            plan.request_bytes() - HEAD,
        )?;
        let (seed_bytes, packed) = rest.split_at(32);
        let mut seed = [0; 32];
        seed.copy_from_slice(seed_bytes);
        packed
            .par_chunks(params.packed())
            .enumerate()
            .map(|(index, bytes)| Ok([params.read(bytes)?, params.uniform(&seed, index)]))
            .collect()
    }

    /// The blocks at `places`, which are whole columns of blocks.
    fn answer_columns(
        &self,
        plan: &Plan,
        matrix: &[u64],
        ciphertexts: &[[Vec<u64>; 2]],
        places: &[(usize, usize)],
        masks: &Masks,
    ) -> Vec<Block> {
        let params = &*self.codec.params;
        let (n, primes) = (params.degree, params.moduli.len());
        let columns = places[0].1..places[places.len() - 1].1 + 1;
        let start = params.ntts[0].start(plan.inner.part * plan.columns.part);
        let plain: Vec<Zeroizing<Vec<u64>>> = (0..primes)
            .into_par_iter()
            .map(|prime| self.residues(plan, matrix, columns.clone(), prime, start))
            .collect();
        let fitting = TILE / (24 * plan.inner.count).max(1);
        let length = (1 << fitting.max(1).ilog2())
            .clamp(MIN_DEGREE, n)
            .max(start);
        let tiles: Vec<Vec<u64>> = (0..primes * (n / length))
            .into_par_iter()
            .map(|tile| {
                let (prime, first) = (tile / (n / length), tile % (n / length) * length);
                let tile = Tile {
                    prime,
                    start,
                    first,
                    length,
                };
                self.tile(plan, ciphertexts, &plain[prime], tile)
            })
            .collect();
        (0..places.len())
            .into_par_iter()
            .map(|at| {
                let (row, column) = places[at];
                let c = [0, 1].map(|c| {
                    let mut whole = Vec::with_capacity(params.words());
                    let part = (2 * at + c) * length..(2 * at + c + 1) * length;
                    tiles
                        .iter()
                        .for_each(|t| whole.extend_from_slice(&t[part.clone()]));
                    whole
                });
                let index = column * plan.rows.count + row;
                let wanted = plan.wanted(row, column);
                let mut bytes = Vec::with_capacity(plan.answer_part(params, row, column));
                let answers = &self.codec.answers;
                let own = answers.mask(params, masks, index, c, &wanted, &mut bytes);
                (bytes, own)
            })
            .collect()
    }

    /// The plain blocks of some columns modulo one prime, `start` coefficients each.
    fn residues(
        &self,
        plan: &Plan,
        matrix: &[u64],
        columns: std::ops::Range<usize>,
        prime: usize,
        start: usize,
    ) -> Zeroizing<Vec<u64>> {
        let modulus = &self.codec.params.moduli[prime];
        let mut out = Zeroizing::new(vec![0; columns.len() * plan.inner.count * start]);
        let mut blocks = out.chunks_exact_mut(start);
        for column in columns {
            for (inner, block) in (0..plan.inner.count).zip(&mut blocks) {
                for (j, gj) in plan.inner.range(inner).enumerate() {
                    for (c, gc) in plan.columns.range(column).enumerate() {
                        let x = matrix[plan.place(gj, gc, plan.inner.whole, plan.columns.whole)];
                        block[plan.right(j, c)] = modulus.reduce_signed(self.codec.signed(x));
                    }
                }
            }
        }
        out
    }

    /// sum_k c[row, k] w[k, column] modulo one prime, of the `length` values from `first` on: for each column and
    /// row those of c0, then those of c1.
    fn tile(
        &self,
        plan: &Plan,
        ciphertexts: &[[Vec<u64>; 2]],
        plain: &[u64],
        tile: Tile,
    ) -> Vec<u64> {
        let Tile {
            prime,
            start,
            first,
            length,
        } = tile;
        let params = &*self.codec.params;
        let (ntt, inner) = (&params.ntts[prime], plan.inner.count);
        let at = prime * params.degree + first..prime * params.degree + first + length;
        // Rows of blocks, each c0 then c1.
        let own: Vec<Vec<&[u64]>> = ciphertexts
            .chunks_exact(inner)
            .flat_map(|row| [0, 1].map(|c| row.iter().map(|x| &x[c][at.clone()]).collect()))
            .collect();
        let columns = plain.len() / (inner * start);
        let mut values = Zeroizing::new(vec![0; inner * length]);
        let mut sums = Sums::new(length);
        let mut out = vec![0; columns * own.len() * length];
        let mut results = out.chunks_exact_mut(length);
        for blocks in plain.chunks_exact(inner * start) {
            let blocks = blocks.chunks_exact(start);
            for (block, values) in blocks.zip(values.chunks_exact_mut(length)) {
                values[..start].copy_from_slice(block);
                ntt.forward_tile(values, start, first);
            }
            for (own, result) in own.iter().zip(&mut results) {
                sums.clear();
                sums.add(own, &values, &ntt.modulus);
                sums.finish(result, ntt);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Encrypted;

    /// Mean distance of t x / q from a whole number, of the two parties' parts together: the probability of a wrong
    /// rounding.
    fn noise(
        params: &Arc<Params>,
        bits: u32,
        operand: u32,
        shape: [usize; 3],
        a: u64,
        b: u64,
    ) -> (f64, f64) {
        let client = Client::new(params.clone()).unwrap();
        let server = Server::new(params.clone(), &client.public_key().unwrap()).unwrap();
        let plan = Plan::new(params, shape, Encrypted::Left, operand).unwrap();
        let request = client
            .request(&plan, &vec![a; shape[0] * shape[1]])
            .unwrap();
        let matrix = vec![b; shape[1] * shape[2]];
        let (answer, theirs) = server.multiply(&plan, &matrix, &request).unwrap();
        let ours = client.open(&plan, &answer).unwrap();
        let mut distances = Vec::new();
        for (x, y) in ours.iter().zip(&theirs) {
            for (x, y) in x.2.iter().zip(y.2.iter()) {
                // The sum modulo 1, less its `bits` top bits, as a signed number of 128 bits.
                let low = |f: &[u64; 3]| {
                    let top = (f[2] as u128) << 64 | f[1] as u128;
                    top << bits | (f[0] as u128) << 64 >> (128 - bits)
                };
                distances.push((low(x).wrapping_add(low(y)) as i128 as f64 / 2f64.powi(128)).abs());
            }
        }
        let mean = distances.iter().sum::<f64>() / distances.len() as f64;
        (mean.log2(), plan.error(params))
    }

    #[test]
    fn noise_stays_below_its_bound() {
        for (bits, operand) in [(64, 64), (64, 32), (48, 48), (40, 40), (32, 32), (32, 16)] {
            let params = Params::ring(bits, operand).unwrap();
            let low = (u64::MAX << (operand - 1)) & (u64::MAX >> (64 - bits));
            for a in [0, 1, 0x9e37_79b9_7f4a_7c15, u64::MAX] {
                let (measured, bound) = noise(&params, bits, operand, [60, 700, 40], a, low);
                assert!(
                    measured < bound,
                    "{bits} {operand} {a:x}: 2^{measured} above 2^{bound}"
                );
                assert!(bound <= -40.0);
                // What answers drop is a floor under it: the bound is not idle.
                assert!(
                    measured > bound - 6.0,
                    "{bits} {operand}: 2^{measured} against 2^{bound}"
                );
            }
        }
    }

    /// With one term of the operand's full size and little else dropped, noise is that of the product alone.
    #[test]
    fn noise_of_products_is_as_computed() {
        let params = Params::custom(8192, &[46, 46, 46], 64, 0).unwrap();
        for _ in 0..3 {
            let random = 0x9e37_79b9_7f4a_7c15;
            let e = noise(&params, 64, 58, [200, 30, 40], random, (1 << 57) - 1);
            assert!(e.0 < e.1 && e.0 > e.1 - 8.0, "{e:?}");
        }
    }
}
