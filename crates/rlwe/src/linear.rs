//! Products of matrices, and convolutions, modulo 2^l, one operand encrypted: additive shares of the result in one
//! message each way. What is cut how is a plan's business ([`Packing`]).
//!
//! ```
//! use argot_rlwe::{linear::{Client, Server}, Params, Plan};
//! let params = Params::new(64, 64)?;
//! let plan = Plan::new(&params, [2, 3, 1])?;
//! let client = Client::new(&params)?;
//! let server = Server::new(&params, &client.public_key()?)?;
//!
//! let request = client.request(&plan, &[1, 2, 3, 4, 5, 6])?;
//! let (answer, theirs) = server.answer(&plan, &request, &[1, 0, u64::MAX])?;
//! let ours = client.finish(&plan, &answer)?;
//! assert_eq!(ours[0].wrapping_add(theirs[0]), 1u64.wrapping_sub(3));
//! assert_eq!(ours[1].wrapping_add(theirs[1]), 4u64.wrapping_sub(6));
//! # Ok::<(), argot_rlwe::Error>(())
//! ```
//!
//! Where the encrypted matrix is the right one, transpose all three. Of the two cross terms of a product of shares,
//! each party best is the client of one: both requests cross on the wire, then both answers, and both have the same
//! work. (One combined answer for both terms would need blocks that suit both operands, which takes more bytes from
//! shapes as small as 100 cubed on.)

use crate::cipher::{self, PublicKey, SecretKey, Values};
use crate::error::Error;
use crate::merge::{self, Merger};
use crate::ntt::TILE;
use crate::packing::{answer_size, fingerprint, want_made_for, Packing};
use crate::params::Params;
use crate::sample::{Purpose, Seed};
use crate::scratch::Buffer;
use crate::wire::{self, Kind};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Up to so many coefficients a plain polynomial is short ([`crate::ntt::Ntt::short_values`]): Horner's rule then
/// costs no more than the whole transform's stages and the memory to keep their result.
const SHORT: usize = 64;

/// Numbers of 64 bits that a group of answers may hold at a time: 16 MB, which are touched again by the next group.
const GROUP: usize = 2 << 20;

/// Numbers of 64 bits in a task's part of the encrypted matrix and of the plain one: the second cache of a core.
const TASK: usize = 160 << 10;

/// Who encrypts a matrix, and holds the key.
pub struct Client {
    params: Arc<Params>,
    key: SecretKey,
}

impl Client {
    /// With a fresh key.
    pub fn new(params: &Arc<Params>) -> Result<Client, Error> {
        Ok(Client {
            params: params.clone(),
            key: SecretKey::new(&params.chain)?,
        })
    }

    /// What the server needs, once.
    pub fn public_key(&self) -> Result<Vec<u8>, Error> {
        let chain = &self.params.chain;
        let mut key = self.key.public_key(chain, 1)?;
        if self.params.merging {
            key.extend(merge::keys(&self.key, chain)?);
        }
        Ok(key)
    }

    /// Encrypts the plan's first operand: a matrix row by row. Bits above the ring's are ignored.
    pub fn request<P: Packing>(&self, plan: &P, matrix: &[u64]) -> Result<Vec<u8>, Error> {
        let params = &*self.params;
        let chain = &params.chain;
        want_made_for(plan, params)?;
        want_count(matrix, plan.sizes()[0])?;
        let (public, secret) = (Seed::fresh()?, Seed::fresh()?);
        let mut out = Vec::with_capacity(plan.request_bytes(params));
        wire::header(Kind::Request, chain, fingerprint(plan, params), &mut out);
        out.extend(public.bytes());
        let start = out.len();
        out.resize(plan.request_bytes(params), 0);
        let needed = plan.needed();
        out[start..]
            .par_chunks_exact_mut(chain.bytes(needed.len()))
            .enumerate()
            .for_each(|(index, out)| {
                let words = self.polynomial(plan, matrix, index);
                let mut c0 = self
                    .key
                    .encrypt(&chain.primes, &public, &secret, index, |i, out| {
                        params.scale(i, &words, out);
                    });
                chain.coefficients(&mut c0);
                cipher::write(&chain.primes, &c0, &needed, out);
            });
        Ok(out)
    }

    /// A block's polynomial, ready for [`Params::scale`].
    fn polynomial<P: Packing>(&self, plan: &P, matrix: &[u64], index: usize) -> Buffer {
        let inner = plan.counts()[1];
        let mut words = Buffer::zeros(self.params.chain.degree);
        words.fill(self.params.before_scale(0));
        plan.encrypted(
            index / inner,
            index % inner,
            |exponent, element, negative| {
                let a = matrix[element];
                let a = if negative { a.wrapping_neg() } else { a };
                words[exponent] = self.params.before_scale(a);
            },
        );
        words
    }

    /// The client's share of the result.
    pub fn finish<P: Packing>(&self, plan: &P, answer: &[u8]) -> Result<Vec<u64>, Error> {
        let (params, chain) = (&*self.params, &self.params.chain);
        want_made_for(plan, params)?;
        let length = plan.answer_bytes(params) - wire::HEADER;
        let body = wire::body(
            answer,
            Kind::Answer,
            chain,
            fingerprint(plan, params),
            length,
        )?;
        let blocks = body
            .par_chunks_exact(answer_size(plan, params))
            .map(|bytes| {
                let (c1, c0) = bytes.split_at(wire::packed(chain.degree, chain.answer_bits));
                let product = self.key.product(chain, c1)?;
                let mut share = Zeroizing::new(vec![0; plan.results()]);
                wire::unpack(c0, chain.answer_bits, share.len(), |i, c0| {
                    let phase = c0.wrapping_sub(product(plan.position(i)));
                    share[i] = params.round(phase & chain.answer_mask());
                })?;
                Ok(share)
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(assemble(plan, &blocks))
    }
}

/// Who multiplies by a matrix in the clear.
pub struct Server {
    params: Arc<Params>,
    public: PublicKey,
    merger: Option<Merger>,
}

impl Server {
    /// With the client's public key.
    pub fn new(params: &Arc<Params>, public_key: &[u8]) -> Result<Server, Error> {
        let chain = &params.chain;
        let length = if params.merging {
            cipher::public_length(chain, 1)
        } else {
            public_key.len()
        };
        let (public, keys) = public_key.split_at(length.min(public_key.len()));
        Ok(Server {
            params: params.clone(),
            public: PublicKey::read(chain, public)?,
            merger: match params.merging {
                true => Some(Merger::read(chain, keys)?),
                false => None,
            },
        })
    }

    /// Multiplies what the client encrypted by the plan's second operand, whose elements are numbers of the ring that
    /// lie in the operand's width as signed ones. Gives the answer and the server's share.
    pub fn answer<P: Packing>(
        &self,
        plan: &P,
        request: &[u8],
        matrix: &[u64],
    ) -> Result<(Vec<u8>, Vec<u64>), Error> {
        let (params, chain) = (&*self.params, &self.params.chain);
        want_made_for(plan, params)?;
        want_count(matrix, plan.sizes()[1])?;
        want_width(params, matrix)?;
        let length = plan.request_bytes(params) - wire::HEADER;
        let body = wire::body(
            request,
            Kind::Request,
            chain,
            fingerprint(plan, params),
            length,
        )?;
        let (uniform, body) = cipher::seed_of(body);
        let needed = plan.needed();
        let encrypted = body
            .par_chunks_exact(chain.bytes(needed.len()))
            .enumerate()
            .map(|(i, bytes)| {
                let mut c0 = cipher::read(&chain.primes, bytes, &needed)?;
                chain.all_values(&mut c0);
                Ok([c0, cipher::expand(&chain.primes, &uniform, i)])
            })
            .collect::<Result<Vec<[Values; 2]>, Error>>()?;

        let seed = Seed::fresh()?;
        let size = answer_size(plan, params);
        let mut out = Vec::with_capacity(plan.answer_bytes(params));
        wire::header(Kind::Answer, chain, fingerprint(plan, params), &mut out);
        out.resize(plan.answer_bytes(params), 0);
        // Answers of a group of block columns at a time, in the order (column, row) of blocks.
        let ([block_rows, _, block_columns], merged) = (plan.counts(), plan.merged());
        let group = group_of(params, plan);
        let mut shares = vec![Zeroizing::new(Vec::new()); block_rows * block_columns];
        let answers = out[wire::HEADER..]
            .par_chunks_exact_mut(size)
            .zip(shares.par_iter_mut())
            .enumerate();
        let mut finished: Vec<_> = answers.collect();
        finished.sort_by_key(|(index, _)| index % block_columns);
        let mut work = Work::new(params, plan, group * merged);
        for (g, answers) in finished.chunks_mut(group * block_rows).enumerate() {
            let columns = g * group..g * group + answers.len() / block_rows;
            let columns = columns.start * merged..columns.end * merged;
            self.products(plan, &encrypted, matrix, columns, &mut work);
            answers
                .par_iter_mut()
                .enumerate()
                .for_each(|(at, (index, (out, share)))| {
                    let (column, row) = (at / block_rows, at % block_rows);
                    let product = |j| {
                        let mut product = work.answer((column * merged + j) * block_rows + row);
                        let number = *index * merged + j;
                        self.public.hide(chain, &seed, number, &mut product);
                        product
                    };
                    **share = self.reply(plan, &seed, *index, product, out);
                });
        }
        Ok((out, assemble(plan, &shares)))
    }

    /// The answer made of its products, as values, with their encryptions of zero: of one, or of several merged. Gives the
    /// share.
    fn reply<P: Packing>(
        &self,
        plan: &P,
        seed: &Seed,
        index: usize,
        product: impl Fn(usize) -> [Values; 2] + Sync,
        out: &mut [u8],
    ) -> Zeroizing<Vec<u64>> {
        let chain = &self.params.chain;
        let (merged, each) = (plan.merged(), plan.results() / plan.merged());
        // Results without a mask: whoever has the client's key reads the product from them.
        let results = |c0: Values| {
            let fraction = chain.fractions(c0);
            let of_results = (0..each).map(|i| fraction(plan.position(i)));
            Zeroizing::new(of_results.collect::<Vec<_>>())
        };
        let Some(merger) = self.merger.as_ref().filter(|_| merged > 1) else {
            let [c0, c1] = product(0);
            let (c0, c1) = (results(c0), chain.fractions(c1));
            return self.mask(plan, seed, index, [&|i| c0[i], &c1], out);
        };
        let step = merged.next_power_of_two();
        let halves = (0..merged).into_par_iter().map(|j| {
            let [c0, c1] = product(j);
            (results(c0), chain.lower(c1, step.ilog2()))
        });
        let (c0, c1): (Vec<_>, Vec<_>) = halves.unzip();
        let [d0, d1] = merger.merge(chain, c1, step);
        let (d0, d1) = (chain.low_fractions(&d0), chain.low_fractions(&d1));
        let c0 = |i| d0(plan.position(i)).wrapping_add(c0[i / each][i % each]);
        self.mask(plan, seed, index, [&c0, &d1], out)
    }

    /// Switches an answer, given by the fractions of results in c0 and of all coefficients of c1, adds masks to the
    /// results, and writes it. The server's share is minus the masks.
    fn mask<P: Packing>(
        &self,
        plan: &P,
        seed: &Seed,
        index: usize,
        [c0, c1]: [&dyn Fn(usize) -> u128; 2],
        out: &mut [u8],
    ) -> Zeroizing<Vec<u64>> {
        let (params, chain) = (&*self.params, &self.params.chain);
        let bits = chain.answer_bits;
        let mut masks = Zeroizing::new(vec![0; plan.results()]);
        seed.stream(Purpose::Mask, index).words_at(0, &mut masks);
        let (first, second) = out.split_at_mut(wire::packed(chain.degree, bits));
        wire::pack(
            (0..chain.degree).map(|at| chain.rounded(c1(at))),
            bits,
            first,
        );
        let masked = masks.iter().enumerate().map(|(i, &r)| {
            let r = u128::from(r) << params.answer_shift();
            chain.rounded(c0(i)).wrapping_add(r) & chain.answer_mask()
        });
        wire::pack(masked, bits, second);
        let shares = masks.iter().map(|r| r.wrapping_neg() & params.ring_mask());
        Zeroizing::new(shares.collect())
    }

    /// The answers, as values, of some columns of blocks: over the inner blocks, sums of encrypted times plain.
    ///
    /// Tasks are parts of the evaluation points, modulo one prime: a part of the encrypted matrix stays in the second
    /// cache while all plain polynomials pass by, and short ones are evaluated at just these points.
    fn products<P: Packing>(
        &self,
        plan: &P,
        encrypted: &[[Values; 2]],
        matrix: &[u64],
        columns: Range<usize>,
        work: &mut Work,
    ) {
        let chain = &self.params.chain;
        let degree = chain.degree;
        let inner_blocks = plan.counts()[1];
        let (size, points) = (work.size, work.points);
        work.answers = columns.len() * plan.counts()[0];
        let polynomials = columns.len() * inner_blocks * size;
        self.plain(plan, matrix, columns, work);
        let plain = &work.plain;
        let values = work.values.par_chunks_exact_mut(2 * points * work.answers);
        // What the last, smaller group leaves of the buffer is not touched.
        values.take(work.tasks).enumerate().for_each_init(
            || Buffer::zeros(inner_blocks * points),
            |buffer, (task, out)| {
                let (i, first) = (task * points / degree, task * points % degree);
                let ntt = &chain.primes[i];
                let at = i * degree + first;
                let pairs: Vec<[&[u64]; 2]> = encrypted
                    .iter()
                    .map(|[c0, c1]| [&c0[at..at + points], &c1[at..at + points]])
                    .collect();
                let mut out = out.chunks_exact_mut(2 * points);
                for column in plain[i][..polynomials].chunks_exact(inner_blocks * size) {
                    let parts = buffer.chunks_exact_mut(points);
                    for (part, polynomial) in parts.zip(column.chunks_exact(size)) {
                        if size == degree {
                            part.copy_from_slice(&polynomial[first..first + points]);
                        } else {
                            ntt.short_values(polynomial, first / TILE, part);
                        }
                    }
                    for pairs in pairs.chunks_exact(inner_blocks) {
                        let (c0, c1) = out.next().expect("one a row").split_at_mut(points);
                        ntt.dots(pairs, buffer, [c0, c1]);
                    }
                }
            },
        );
    }

    /// The plain polynomials of some columns of blocks, column by column, modulo each prime: coefficients of short
    /// ones, values of others.
    fn plain<P: Packing>(&self, plan: &P, matrix: &[u64], columns: Range<usize>, work: &mut Work) {
        let params = &*self.params;
        let (size, degree) = (work.size, params.chain.degree);
        let inner_blocks = plan.counts()[1];
        let count = columns.len() * inner_blocks;
        // Offset by 2^63, so that the signed numbers are words; zero is 2^63.
        let offset = 1u64 << 63;
        let of_block = |at: usize, words: &mut [u64]| {
            words.fill(offset);
            let (inner, column) = (at % inner_blocks, columns.start + at / inner_blocks);
            plan.plain(inner, column, |exponent, element| {
                words[exponent] = signed(params, matrix[element]) as u64 ^ offset;
            });
        };
        let mut parts: Vec<_> = work
            .plain
            .iter_mut()
            .map(|p| p.chunks_exact_mut(size))
            .collect();
        let blocks: Vec<Vec<&mut [u64]>> = (0..count)
            .map(|_| {
                parts
                    .iter_mut()
                    .map(|p| p.next().expect("a block"))
                    .collect()
            })
            .collect();
        blocks.into_par_iter().enumerate().for_each_init(
            || Buffer::zeros(size),
            |words, (at, outs)| {
                of_block(at, words);
                for (ntt, out) in params.chain.primes.iter().zip(outs) {
                    out.fill(0);
                    ntt.add_words(words, 1, ntt.prime - offset % ntt.prime, out);
                    if size == degree {
                        ntt.forward(out);
                    }
                }
            },
        );
    }
}

/// Memory of a group of answers.
struct Work {
    /// Polynomials of the plain matrix modulo each prime, `size` numbers each.
    plain: Vec<Zeroizing<Vec<u64>>>,
    size: usize,
    /// Answers as tasks leave them: (prime, part of the points, answer, half), `points` numbers each. Before an
    /// encryption of zero is added they tell the plain operand to whoever knows the request.
    values: Zeroizing<Vec<u64>>,
    points: usize,
    tasks: usize,
    answers: usize,
}

impl Work {
    fn new<P: Packing>(params: &Params, plan: &P, columns: usize) -> Work {
        let degree = params.chain.degree;
        let size = plain_size(plan, degree);
        let primes = params.chain.primes.len();
        let answers = columns * plan.counts()[0];
        let points = points_of(plan, degree);
        let plain = || Zeroizing::new(vec![0; columns * plan.counts()[1] * size]);
        Work {
            plain: (0..primes).map(|_| plain()).collect(),
            size,
            values: Zeroizing::new(vec![0; 2 * primes * degree * answers]),
            points,
            tasks: primes * degree / points,
            answers,
        }
    }

    fn answer(&self, at: usize) -> [Values; 2] {
        let parts = self
            .values
            .chunks_exact(2 * self.points * self.answers)
            .take(self.tasks);
        let half = |half: usize| {
            let mut out = Buffer::zeros(self.points * self.tasks);
            let start = (2 * at + half) * self.points;
            for (to, part) in out.chunks_exact_mut(self.points).zip(parts.clone()) {
                to.copy_from_slice(&part[start..start + self.points]);
            }
            out
        };
        [half(0), half(1)]
    }
}

/// Numbers of a plain polynomial: coefficients if short, else values.
fn plain_size<P: Packing>(plan: &P, degree: usize) -> usize {
    let size = plan.plain_length().next_multiple_of(8);
    if size <= SHORT {
        size
    } else {
        degree
    }
}

/// Columns of blocks at a time.
fn group_of<P: Packing>(params: &Params, plan: &P) -> usize {
    let degree = params.chain.degree;
    let answers = 2 * plan.counts()[0] * degree;
    let plain = plan.counts()[1] * plain_size(plan, degree);
    let column = plan.merged() * params.chain.primes.len() * (answers + plain);
    (GROUP / column).clamp(1, plan.counts()[2])
}

/// Points of a task: a power of two, whole tiles.
fn points_of<P: Packing>(plan: &P, degree: usize) -> usize {
    let numbers = plan.counts()[1] * (2 * plan.counts()[0] + 1);
    let most = (TASK / numbers).clamp(TILE, degree / 8);
    1 << most.ilog2()
}

/// The number of the ring as a signed one.
fn signed(params: &Params, x: u64) -> i64 {
    let unused = 64 - params.ring_bits;
    ((x << unused) as i64) >> unused
}

fn want_count(numbers: &[u64], want: usize) -> Result<(), Error> {
    match numbers.len() {
        got if got == want => Ok(()),
        got => Err(Error::Count { got, want }),
    }
}

/// Noise is bounded only for operands within their width; one bit over all of them is told, to their owner.
fn want_width(params: &Params, matrix: &[u64]) -> Result<(), Error> {
    let excess = params.operand_bits - 1;
    let beyond = matrix.iter().fold(0, |seen, &x| {
        let x = signed(params, x);
        // Zero where all bits from the operand's sign on are alike.
        seen | ((x >> excess) ^ (x >> 63))
    });
    match beyond {
        0 => Ok(()),
        _ => Err(Error::TooWide {
            most: params.operand_bits,
        }),
    }
}

/// The result whose blocks these are, row by row; what they have beyond its edge is dropped.
fn assemble<P: Packing>(plan: &P, blocks: &[Zeroizing<Vec<u64>>]) -> Vec<u64> {
    let columns = plan.counts()[2];
    let mut out = vec![0; plan.sizes()[2]];
    for (index, block) in blocks.iter().enumerate() {
        for (i, &x) in block.iter().enumerate() {
            if let Some(at) = plan.result(index / columns, index % columns, i) {
                out[at] = x;
            }
        }
    }
    out
}
