//! Truncation of a number that is the sum of two addends, one known to one party, the other to two.
//!
//! Let z = r + c mod 2^k with |z| < 2^(k-2), r known to the *first* party, c to the two *others*. With T = 2^(k-2) and
//! r' = r + T the sum r' + c mod 2^k lies in [0, 2^(k-1)), so the integers r' + c wrap exactly if r' or c has its top
//! bit set: wrap = 1 - U V, with U and V the complements of the top bits. Hence
//!
//!   floor(z / 2^d) + e = (r' >> d) - (T >> d) - 2^(k-d) + 1  +  (c >> d)  +  2^(k-d) U V      (mod 2^k)
//!
//! with e = 1 if (z mod 2^d) >= (r mod 2^d), else 0. Only U V is not local, and only mod 2^d. `aby3.md` has the
//! protocol, what each message hides and the proof; `aby3.py` calls the three steps below.
//!
//! Numbers below 2^d travel packed, d bits each, little endian.

use crate::element::Ring;
use crate::multiversion;
use argot_prf::Stream;
use rayon::prelude::*;

/// Elements whose masks are made at a time: their buffers stay in the first cache.
const BLOCK: usize = 512;
/// Elements of one thread's part: a few hundred microseconds, as handing over costs tens where cores are busy. A multiple
/// of 64, so that packed parts are whole bytes.
const PART: usize = 1 << 17;

/// Bytes of `n` numbers of `bits` bits, packed.
pub fn packed_len(n: usize, bits: u32) -> usize {
    (n * bits as usize).div_ceil(8)
}

/// Elements first..first+out.len() of a stream read as ring elements.
#[inline]
pub fn words_at<W: Ring>(stream: &Stream, first: usize, out: &mut [W]) {
    let size = std::mem::size_of::<W>();
    // SAFETY: any bytes are a valid element, and the slice covers exactly the same memory.
    let bytes =
        unsafe { std::slice::from_raw_parts_mut(out.as_mut_ptr().cast::<u8>(), size_of_val(out)) };
    stream.fill_at((first * size) as u64, bytes);
}

/// Writes numbers of a fixed number of bits one after the other.
struct Packer<'a> {
    out: &'a mut [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl<'a> Packer<'a> {
    fn new(out: &'a mut [u8]) -> Self {
        Packer {
            out,
            at: 0,
            held: 0,
            count: 0,
        }
    }

    /// At most 32 bits, the others of `value` zero.
    #[inline(always)]
    fn put_short(&mut self, value: u64, bits: u32) {
        self.held |= value << self.count;
        self.count += bits;
        if self.count >= 32 {
            self.out[self.at..self.at + 4].copy_from_slice(&(self.held as u32).to_le_bytes());
            self.at += 4;
            self.held >>= 32;
            self.count -= 32;
        }
    }

    #[inline(always)]
    fn put<W: Ring>(&mut self, value: W, bits: u32) {
        if bits <= 32 {
            return self.put_short(value.to_u128() as u64 & ((1 << bits) - 1), bits);
        }
        let (mut wide, mut left) = (value.to_u128(), bits);
        while left > 0 {
            let now = left.min(32);
            self.put_short(wide as u64 & ((1 << now) - 1), now);
            wide >>= now;
            left -= now;
        }
    }

    fn finish(self) {
        let rest = self.count.div_ceil(8) as usize;
        self.out[self.at..self.at + rest].copy_from_slice(&self.held.to_le_bytes()[..rest]);
    }
}

/// Numbers first..first+out.len() of those that `Packer` wrote.
#[inline(always)]
fn read<W: Ring>(from: &[u8], bits: u32, first: usize, out: &mut [W]) {
    let start = first * bits as usize;
    // So many bytes hold a number at any place within the first of them; near the end bytes are taken one by one.
    let span = if bits <= 57 { 8 } else { 16 };
    let quick = if bits > 121 || from.len() < span {
        0
    } else {
        ((from.len() - span) * 8 / bits as usize + 1).saturating_sub(first)
    }
    .min(out.len());
    let (quick, slow) = out.split_at_mut(quick);
    if bits <= 57 {
        let mask = (1u64 << bits) - 1;
        for (i, v) in quick.iter_mut().enumerate() {
            let at = start + i * bits as usize;
            let mut word = [0; 8];
            word.copy_from_slice(&from[at / 8..at / 8 + 8]);
            *v = W::from_u64(u64::from_le_bytes(word) >> (at % 8) & mask);
        }
    } else {
        let mask = u128::MAX >> (128 - bits);
        for (i, v) in quick.iter_mut().enumerate() {
            let at = start + i * bits as usize;
            let mut word = [0; 16];
            word.copy_from_slice(&from[at / 8..at / 8 + 16]);
            *v = W::from_u128(u128::from_le_bytes(word) >> (at % 8) & mask);
        }
    }
    for (i, v) in slow.iter_mut().enumerate() {
        let (mut wide, mut have) = (0u128, 0);
        while have < bits {
            let at = start + (quick.len() + i) * bits as usize + have as usize;
            let now = (8 - at as u32 % 8).min(bits - have);
            let piece = from[at / 8] >> (at % 8) & ((1u16 << now) - 1) as u8;
            wide |= (piece as u128) << have;
            have += now;
        }
        *v = W::from_u128(wide);
    }
}

/// The low `bits` bits of every element, one after the other.
pub fn pack<W: Ring>(x: &[W], bits: u32, out: &mut [u8]) {
    assert_eq!(out.len(), packed_len(x.len(), bits));
    x.par_chunks(PART)
        .zip(out.par_chunks_mut(packed_len(PART, bits)))
        .for_each(|(x, out)| {
            let mut packer = Packer::new(out);
            x.iter().for_each(|v| packer.put(*v, bits));
            packer.finish();
        });
}

/// The elements that `pack` wrote.
pub fn unpack<W: Ring>(from: &[u8], bits: u32, out: &mut [W]) {
    assert_eq!(from.len(), packed_len(out.len(), bits));
    out.par_chunks_mut(PART)
        .zip(from.par_chunks(packed_len(PART, bits)))
        .for_each(|(out, from)| read(from, bits, 0, out));
}

multiversion! {
/// Some elements of step 1; `unit` comes in as the mask of U and leaves as its masked share.
fn first_block<W: Ring>(
    r: &[W],
    d: u32,
    masks: (&[W], &mut [W], &[W], &[W]),
    out: (&mut [W], &mut [W], &mut [W]),
) {
    let n = r.len();
    let (up, one) = (W::BITS - d, W::from_u64(1));
    let t = one.left(W::BITS - 2);
    let offset = one.minus(t.right(d)).minus(one.left(up));
    let (rho, unit, m1, m2) = (&masks.0[..n], &mut masks.1[..n], &masks.2[..n], &masks.3[..n]);
    let (rest, near, far) = (&mut out.0[..n], &mut out.1[..n], &mut out.2[..n]);
    for i in 0..n {
        let shifted = r[i].plus(t);
        let left = shifted.right(d).plus(offset).minus(rho[i]);
        rest[i] = left;
        near[i] = rho[i].plus(m1[i].left(up));
        far[i] = left.plus(m2[i].left(up));
        unit[i] = one.minus(shifted.right(W::BITS - 1)).minus(unit[i]);
    }
}

/// Some elements of step 2; `high` comes in as c, `mask` leaves as the masked product.
fn meet_block<W: Ring>(high: &mut [W], d: u32, shares: (&[W], &[W]), mask: &mut [W], side: &mut [W]) {
    let n = high.len();
    let up = W::BITS - d;
    let (rho, unit) = (&shares.0[..n], &shares.1[..n]);
    let (mask, side) = (&mut mask[..n], &mut side[..n]);
    for i in 0..n {
        let c = high[i];
        // All ones where V = 0: nothing of the share of U is left there.
        let wrapped = W::default().minus(c.right(W::BITS - 1));
        high[i] = c.right(d);
        side[i] = rho[i].plus(mask[i].left(up));
        mask[i] = unit[i].and(wrapped.inverted()).minus(mask[i]);
    }
}

/// Some elements of step 3.
fn last_block<W: Ring>(high: &mut [W], a: &[W], b: &[W], d: u32) {
    let n = high.len();
    let (a, b) = (&a[..n], &b[..n]);
    for i in 0..n {
        high[i] = high[i].plus(a[i].plus(b[i]).left(W::BITS - d));
    }
}
}

/// What the first party computes from r.
pub struct First<'a, W> {
    /// Its share with the second of the others, before the mask `other` is added: the message to that party.
    pub rest: &'a mut [W],
    /// The packed share of U for the same party.
    pub unit: &'a mut [u8],
    /// Its output shares: with the first of the others, and with the second.
    pub near: &'a mut [W],
    pub far: &'a mut [W],
}

/// Streams of the first party: shared with the first of the others (`rho`, `unit`, `near`) and the second (`far`).
pub struct FirstKeys<'a> {
    pub rho: &'a Stream,
    pub unit: &'a Stream,
    pub near: &'a Stream,
    pub far: &'a Stream,
}

/// Step 1, at the party that knows r.
pub fn first<W: Ring>(r: &[W], d: u32, keys: &FirstKeys, out: First<W>) {
    let parts = r
        .par_chunks(PART)
        .zip(out.rest.par_chunks_mut(PART))
        .zip(out.unit.par_chunks_mut(packed_len(PART, d)))
        .zip(out.near.par_chunks_mut(PART))
        .zip(out.far.par_chunks_mut(PART));
    parts
        .enumerate()
        .for_each(|(part, ((((r, rest), unit), near), far))| {
            let mut buffers = [[W::default(); BLOCK]; 4];
            let mut packer = Packer::new(unit);
            for start in (0..r.len()).step_by(BLOCK) {
                let n = BLOCK.min(r.len() - start);
                let [rho, u1, m1, m2] = &mut buffers;
                let at = part * PART + start;
                words_at(keys.rho, at, &mut rho[..n]);
                words_at(keys.unit, at, &mut u1[..n]);
                words_at(keys.near, at, &mut m1[..n]);
                words_at(keys.far, at, &mut m2[..n]);
                let masks = (&rho[..n], &mut u1[..n], &m1[..n], &m2[..n]);
                let range = start..start + n;
                let out = (
                    &mut rest[range.clone()],
                    &mut near[range.clone()],
                    &mut far[range.clone()],
                );
                first_block(&r[range], d, masks, out);
                u1[..n].iter().for_each(|v| packer.put(*v, d));
            }
            packer.finish();
        });
}

/// Where one of the others has its share of `rho` and of U from.
pub enum Given<'a, W> {
    /// The first of them draws both with the first party.
    Drawn { rho: &'a Stream, unit: &'a Stream },
    /// The second received them from it.
    Received { rest: &'a [W], unit: &'a [u8] },
}

/// Step 2, at each of the others, which know c = c1 + c2 (`c2` empty: c = c1).
///
/// `high` becomes c >> d; `product`, for the other of the others, its share of U V less the mask; `side` the output
/// share that it has with the first party.
pub fn meet<W: Ring>(
    (c1, c2): (&[W], &[W]),
    d: u32,
    given: &Given<W>,
    mask: &Stream,
    (high, product, side): (&mut [W], &mut [u8], &mut [W]),
) {
    high.par_chunks_mut(PART)
        .zip(product.par_chunks_mut(packed_len(PART, d)))
        .zip(side.par_chunks_mut(PART))
        .enumerate()
        .for_each(|(part, ((high, product), side))| {
            let begin = part * PART;
            let mut packer = Packer::new(product);
            let mut buffers = [[W::default(); BLOCK]; 3];
            for start in (0..high.len()).step_by(BLOCK) {
                let n = BLOCK.min(high.len() - start);
                let at = begin + start;
                let [rho, u, m] = &mut buffers;
                match given {
                    Given::Drawn {
                        rho: stream,
                        unit: units,
                    } => {
                        words_at(stream, at, &mut rho[..n]);
                        words_at(units, at, &mut u[..n]);
                    }
                    Given::Received { rest, unit } => {
                        rho[..n].copy_from_slice(&rest[at..at + n]);
                        read(unit, d, at, &mut u[..n]);
                    }
                }
                words_at(mask, at, &mut m[..n]);
                let c = &mut high[start..start + n];
                c.copy_from_slice(&c1[at..at + n]);
                if !c2.is_empty() {
                    c.iter_mut()
                        .zip(&c2[at..at + n])
                        .for_each(|(c, also)| *c = c.plus(*also));
                }
                let side = &mut side[start..start + n];
                meet_block(c, d, (&rho[..n], &u[..n]), &mut m[..n], side);
                m[..n].iter().for_each(|v| packer.put(*v, d));
            }
            packer.finish();
        });
}

/// Step 3, at each of the others: `high` becomes their common output share.
pub fn last<W: Ring>(high: &mut [W], own: &[u8], peer: &[u8], d: u32) {
    let bytes = packed_len(PART, d);
    high.par_chunks_mut(PART)
        .zip(own.par_chunks(bytes).zip(peer.par_chunks(bytes)))
        .for_each(|(high, (own, peer))| {
            let mut buffers = [[W::default(); BLOCK]; 2];
            for start in (0..high.len()).step_by(BLOCK) {
                let n = BLOCK.min(high.len() - start);
                let [a, b] = &mut buffers;
                read(own, d, start, &mut a[..n]);
                read(peer, d, start, &mut b[..n]);
                last_block(&mut high[start..start + n], &a[..n], &b[..n], d);
            }
        });
}

// ---- the form with fewer bytes: r at the first party, c at the second alone; the third deals, and receives nothing.
//
// U ^ rho and V ^ s are told, with rho and s bits that the third party has in common with the first and the second, and
// shares t0 + t1 = rho s that it deals. Then U V = (c' ^ rho)(d' ^ s) is a sum of local terms.

/// The complements of the top bits of x (+ 2^(k-2) if `lifted`) + also, as a plane.
pub fn units<W: Ring>((x, also): (&[W], &[W]), lifted: bool, plane: &mut [u64]) {
    let t = if lifted {
        W::from_u64(1).left(W::BITS - 2)
    } else {
        W::default()
    };
    plane
        .par_iter_mut()
        .with_min_len(PART / 64)
        .enumerate()
        .for_each(|(word, out)| {
            let range = word * 64..(word * 64 + 64).min(x.len());
            *out = 0;
            for (i, e) in range.enumerate() {
                let also = if also.is_empty() { t } else { also[e].plus(t) };
                let top = x[e].plus(also).right(W::BITS - 1).to_u64();
                *out |= (top ^ 1) << i;
            }
        });
}

/// The third party's message to the second: rho s less its draw in common with the first, packed.
pub fn deal<W: Ring>(rho: &[u64], s: &[u64], n: usize, d: u32, key: &Stream, out: &mut [u8]) {
    out.par_chunks_mut(packed_len(PART, d))
        .enumerate()
        .for_each(|(part, out)| {
            let mut packer = Packer::new(out);
            let mut t = [W::default(); BLOCK];
            let end = (part * PART + PART).min(n);
            for at in (part * PART..end).step_by(BLOCK) {
                let t = &mut t[..BLOCK.min(end - at)];
                words_at(key, at, t);
                for (i, t) in t.iter_mut().enumerate() {
                    let both = rho[(at + i) / 64] & s[(at + i) / 64];
                    *t = W::from_u64(both >> ((at + i) % 64) & 1).minus(*t);
                    packer.put(*t, d);
                }
            }
            packer.finish();
        });
}

/// What one of the two has for its half of the result: planes of its own bit (rho or s), of c' and of d'; and its
/// share of rho s, drawn (the first party) or received (the second).
pub struct Told<'a> {
    pub own: &'a [u64],
    pub c: &'a [u64],
    pub d: &'a [u64],
    pub share: Result<&'a Stream, &'a [u8]>,
}

/// Its half of the shifted sum less a mask: `mask` becomes the mask, `out` the rest.
pub fn half<W: Ring>(
    (x, also): (&[W], &[W]),
    d: u32,
    told: &Told,
    key: &Stream,
    (mask, out): (&mut [W], &mut [W]),
) {
    let first = told.share.is_ok();
    mask.par_chunks_mut(PART)
        .zip(out.par_chunks_mut(PART))
        .enumerate()
        .for_each(|(part, (mask, out))| {
            let mut buffer = [W::default(); BLOCK];
            let mut bits = [[W::default(); BLOCK]; 3];
            for start in (0..out.len()).step_by(BLOCK) {
                let n = BLOCK.min(out.len() - start);
                let at = part * PART + start;
                let (mask, out) = (&mut mask[start..start + n], &mut out[start..start + n]);
                words_at(key, at, mask);
                match told.share {
                    Ok(stream) => words_at(stream, at, &mut buffer[..n]),
                    Err(packed) => read(packed, d, at, &mut buffer[..n]),
                }
                for (bits, plane) in bits.iter_mut().zip([told.own, told.c, told.d]) {
                    spread(&plane[at / 64..], &mut bits[..n]);
                }
                out.copy_from_slice(&x[at..at + n]);
                if !also.is_empty() {
                    out.iter_mut()
                        .zip(&also[at..at + n])
                        .for_each(|(c, also)| *c = c.plus(*also));
                }
                half_block(out, d, first, &bits, &buffer[..n], mask);
            }
        });
}

/// The bits of a plane as elements 0 or 1.
#[inline(always)]
fn spread<W: Ring>(plane: &[u64], out: &mut [W]) {
    for (word, out) in plane.iter().zip(out.chunks_mut(64)) {
        for (i, v) in out.iter_mut().enumerate() {
            *v = W::from_u64(word >> i & 1);
        }
    }
}

multiversion! {
/// Some elements of `half`; `out` comes in as the addend.
fn half_block<W: Ring>(
    out: &mut [W],
    d: u32,
    first: bool,
    bits: &[[W; BLOCK]; 3],
    share: &[W],
    mask: &[W],
) {
    let n = out.len();
    let (up, one) = (W::BITS - d, W::from_u64(1));
    let t = one.left(W::BITS - 2);
    let offset = one.minus(t.right(d)).minus(one.left(up));
    let (own, told, also) = (&bits[0][..n], &bits[1][..n], &bits[2][..n]);
    let (share, mask) = (&share[..n], &mask[..n]);
    for i in 0..n {
        // c' is `told` and d' is `also`; each party has the product of its own bit with what the other told.
        let (c, d_) = (told[i], also[i]);
        let (c_none, d_none) = (W::default().minus(c), W::default().minus(d_));
        // 0 - b is all ones or nothing; x (1 - 2b) = (x ^ (0 - b)) + b.
        let flip = c_none.xor(d_none);
        let dealt = share[i].xor(flip).minus(flip);
        let product = if first {
            let own = own[i].and(d_none);
            dealt.plus(own.xor(c_none).minus(c_none))
        } else {
            let own = own[i].and(c_none);
            dealt.plus(own.xor(d_none).minus(d_none)).plus(c.and(d_))
        };
        let shifted = if first {
            out[i].plus(t).right(d).plus(offset)
        } else {
            out[i].right(d)
        };
        out[i] = shifted.plus(product.left(up)).minus(mask[i]);
    }
}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element::Z128;

    fn stream(n: u8) -> Stream {
        Stream::new(&[n; 16])
    }

    fn draw<W: Ring>(n: u8, len: usize) -> Vec<W> {
        let mut out = vec![W::default(); len];
        words_at(&stream(n), 0, &mut out);
        out
    }

    #[test]
    fn what_is_packed_comes_back() {
        for bits in [1, 7, 8, 18, 31, 32, 33, 57, 58, 64, 100, 121, 122, 128] {
            for n in [0, 1, 7, 8, 9, 1000, 140_000] {
                let x: Vec<Z128> = draw(1, n);
                let mut packed = vec![0; packed_len(n, bits)];
                pack(&x, bits, &mut packed);
                let mut back = vec![Z128::default(); n];
                unpack(&packed, bits, &mut back);
                let mask = if bits == 128 {
                    u128::MAX
                } else {
                    (1 << bits) - 1
                };
                assert!(x
                    .iter()
                    .zip(&back)
                    .all(|(a, b)| a.to_u128() & mask == b.to_u128()));
            }
        }
    }

    /// All three parties, on values at the ends of the range and at random in it.
    fn truncates<W: Ring>(d: u32, n: usize) {
        let limit = 1u128 << (W::BITS - 2);
        let z: Vec<i128> = draw::<Z128>(2, n)
            .iter()
            .enumerate()
            .map(|(i, v)| match i % 8 {
                0 => limit as i128 - 1,
                1 => -(limit as i128),
                2 => 0,
                3 => -1,
                _ => (v.to_u128() % (2 * limit)) as i128 - limit as i128,
            })
            .collect();
        let r: Vec<W> = draw(3, n);
        let c2: Vec<W> = draw(4, n);
        let c1: Vec<W> = (0..n)
            .map(|i| W::from_u128(z[i] as u128).minus(r[i]).minus(c2[i]))
            .collect();

        let [s5, s6, s7, s8] = [5, 6, 7, 8].map(stream);
        let (mut rest, mut near, mut far) = (
            vec![W::default(); n],
            vec![W::default(); n],
            vec![W::default(); n],
        );
        let mut unit = vec![0; packed_len(n, d)];
        first(
            &r,
            d,
            &FirstKeys {
                rho: &s5,
                unit: &s6,
                near: &s7,
                far: &s8,
            },
            First {
                rest: &mut rest,
                unit: &mut unit,
                near: &mut near,
                far: &mut far,
            },
        );
        let mut sides = Vec::new();
        let mut highs = Vec::new();
        let mut products = Vec::new();
        for (given, mask) in [
            (
                Given::Drawn {
                    rho: &s5,
                    unit: &s6,
                },
                &s7,
            ),
            (
                Given::Received {
                    rest: &rest,
                    unit: &unit,
                },
                &s8,
            ),
        ] {
            let (mut high, mut product, mut side) = (
                vec![W::default(); n],
                vec![0; packed_len(n, d)],
                vec![W::default(); n],
            );
            meet(
                (&c1, &c2),
                d,
                &given,
                mask,
                (&mut high, &mut product, &mut side),
            );
            highs.push(high);
            products.push(product);
            sides.push(side);
        }
        assert!(sides[0]
            .iter()
            .zip(&near)
            .all(|(a, b)| a.to_u128() == b.to_u128()));
        assert!(sides[1]
            .iter()
            .zip(&far)
            .all(|(a, b)| a.to_u128() == b.to_u128()));
        last(&mut highs[0], &products[0], &products[1], d);
        last(&mut highs[1], &products[1], &products[0], d);
        let low = (1u128 << d) - 1;
        for i in 0..n {
            assert_eq!(highs[0][i].to_u128(), highs[1][i].to_u128());
            let got = near[i].plus(far[i]).plus(highs[0][i]);
            let up = (z[i] as u128 & low) >= (r[i].to_u128() & low);
            let want = W::from_u128(((z[i] >> d) + up as i128) as u128);
            assert_eq!(got.to_u128(), want.to_u128(), "z = {}, d = {d}", z[i]);
        }
    }

    #[test]
    fn truncation_is_exact_up_to_the_stated_bit() {
        for d in [1, 8, 18, 26] {
            truncates::<u32>(d, 5_000);
        }
        for d in [1, 18, 32, 33, 61] {
            truncates::<u64>(d, 140_000);
        }
        for d in [1, 26, 40, 64, 100, 125] {
            truncates::<Z128>(d, 3_000);
        }
        truncates::<u64>(18, 1);
        truncates::<u64>(18, 0);
    }

    /// The other form, all three parties.
    fn truncates_dealt<W: Ring>(d: u32, n: usize) {
        let limit = 1u128 << (W::BITS - 2);
        let z: Vec<i128> = draw::<Z128>(2, n)
            .iter()
            .enumerate()
            .map(|(i, v)| match i % 4 {
                0 => limit as i128 - 1,
                1 => -(limit as i128),
                _ => (v.to_u128() % (2 * limit)) as i128 - limit as i128,
            })
            .collect();
        let r: Vec<W> = draw(3, n);
        let c2: Vec<W> = draw(4, n);
        let c1: Vec<W> = (0..n)
            .map(|i| W::from_u128(z[i] as u128).minus(r[i]).minus(c2[i]))
            .collect();
        let words = n.div_ceil(64);
        let (rho, s) = (draw::<u64>(5, words), draw::<u64>(6, words));
        let t = stream(7);
        let mut dealt = vec![0; packed_len(n, d)];
        deal::<W>(&rho, &s, n, d, &t, &mut dealt);
        let (mut c, mut told) = (vec![0; words], vec![0; words]);
        units((&r, &[]), true, &mut c);
        units((&c1, &c2), false, &mut told);
        for i in 0..words {
            c[i] ^= rho[i];
            told[i] ^= s[i];
        }
        let mut halves = Vec::new();
        let mut masks = Vec::new();
        for (x, own, share, key) in [
            ((&r[..], &[][..]), &rho, Ok(&t), stream(8)),
            ((&c1[..], &c2[..]), &s, Err(&dealt[..]), stream(9)),
        ] {
            let told = Told {
                own,
                c: &c,
                d: &told,
                share,
            };
            let (mut mask, mut out) = (vec![W::default(); n], vec![W::default(); n]);
            half(x, d, &told, &key, (&mut mask, &mut out));
            halves.push(out);
            masks.push(mask);
        }
        let low = (1u128 << d) - 1;
        for i in 0..n {
            let got = halves[0][i]
                .plus(halves[1][i])
                .plus(masks[0][i])
                .plus(masks[1][i]);
            let up = (z[i] as u128 & low) >= (r[i].to_u128() & low);
            assert_eq!(
                got.to_u128(),
                W::from_u128(((z[i] >> d) + up as i128) as u128).to_u128()
            );
        }
    }

    #[test]
    fn the_form_with_a_dealer_gives_the_same() {
        for d in [1, 8, 30] {
            truncates_dealt::<u32>(d, 5_000);
        }
        for d in [1, 18, 33, 62] {
            truncates_dealt::<u64>(d, 140_100);
        }
        for d in [40, 126] {
            truncates_dealt::<Z128>(d, 3_000);
        }
    }
}
