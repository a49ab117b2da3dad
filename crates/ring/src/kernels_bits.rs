//! A secret bit, or a word of bits, times a number, as sums of products U V with U known to the first party and V to
//! the two others: the local halves of `mul_bit` and `b2a` in `aby3.py`.
//!
//! A bit is u ^ v = v + u (1 - 2 v), a number a + c. Then bit * number = v (a + c) + (u a)(1 - 2 v) + u (1 - 2 v) c.

use crate::element::Ring;
use crate::kernels_trunc::{pack, packed_len, unpack, words_at};
use argot_prf::Stream;
use rayon::prelude::*;

const BLOCK: usize = 512;
/// Elements of one thread's part; a multiple of 64, so that parts begin with a plane word.
const PART: usize = 1 << 17;

#[inline(always)]
fn bit<W: Ring>(plane: &[u64], i: usize) -> W {
    W::from_u128((plane[i / 64] >> (i % 64) & 1) as u128)
}

/// The first party's messages for bit * number, u a and u, each less a mask from its stream.
pub fn select_split<W: Ring>(
    (u0, u1): (&[u64], &[u64]),
    (a0, a1): (&[W], &[W]),
    (product_key, bit_key): (&Stream, &Stream),
    (product, unit): (&mut [W], &mut [W]),
) {
    product
        .par_chunks_mut(PART)
        .zip(unit.par_chunks_mut(PART))
        .enumerate()
        .for_each(|(part, (product, unit))| {
            for start in (0..product.len()).step_by(BLOCK) {
                let n = BLOCK.min(product.len() - start);
                let at = part * PART + start;
                let (product, unit) = (&mut product[start..start + n], &mut unit[start..start + n]);
                words_at(product_key, at, product);
                words_at(bit_key, at, unit);
                for i in 0..n {
                    let u = bit::<W>(u0, at + i).minus(bit(u1, at + i));
                    let u = u.times(u); // 0 - 1 squared is 1: the exclusive or
                    product[i] = u.times(a0[at + i].plus(a1[at + i])).minus(product[i]);
                    unit[i] = u.minus(unit[i]);
                }
            }
        });
}

/// The shares of U that one of the others has: drawn with the first party, or received from it.
pub enum Given<'a, W> {
    Drawn(&'a Stream, &'a Stream),
    Received(&'a [W], &'a [W]),
}

/// One of the others' half of bit * number, less a mask: v * part + (1 - 2 v)(U1 + U2 c) - mask.
///
/// `part` is its part of the number (the first of them a1 + c, the second a0), `mask` becomes the mask.
pub fn select_join<W: Ring>(
    v: &[u64],
    (part_a, part_b, c): (&[W], &[W], &[W]),
    given: &Given<W>,
    mask_key: &Stream,
    (mask, out): (&mut [W], &mut [W]),
) {
    mask.par_chunks_mut(PART)
        .zip(out.par_chunks_mut(PART))
        .enumerate()
        .for_each(|(part, (mask, out))| {
            let mut buffers = [[W::default(); BLOCK]; 2];
            for start in (0..out.len()).step_by(BLOCK) {
                let n = BLOCK.min(out.len() - start);
                let at = part * PART + start;
                let [product, unit] = &mut buffers;
                match given {
                    Given::Drawn(p, u) => {
                        words_at(p, at, &mut product[..n]);
                        words_at(u, at, &mut unit[..n]);
                    }
                    Given::Received(p, u) => {
                        product[..n].copy_from_slice(&p[at..at + n]);
                        unit[..n].copy_from_slice(&u[at..at + n]);
                    }
                }
                let (mask, out) = (&mut mask[start..start + n], &mut out[start..start + n]);
                words_at(mask_key, at, mask);
                for i in 0..n {
                    let own = if part_b.is_empty() {
                        part_a[at + i]
                    } else {
                        part_a[at + i].plus(part_b[at + i])
                    };
                    let cross = product[i].plus(unit[i].times(c[at + i]));
                    let flip = W::from_u128(1).minus(bit::<W>(v, at + i).left(1));
                    out[i] = bit::<W>(v, at + i)
                        .times(own)
                        .plus(flip.times(cross))
                        .minus(mask[i]);
                }
            }
        });
}

/// Bytes of the first party's message for a word of `width` bits into k: bit i needs only k - i bits.
pub fn compose_len<W: Ring>(n: usize, width: usize) -> usize {
    (0..width).map(|i| packed_len(n, W::BITS - i as u32)).sum()
}

/// The first party's message for the number with the bits u ^ v: each u less a mask, packed.
pub fn compose_split<W: Ring>(u: &[u64], n: usize, width: usize, key: &Stream, out: &mut [u8]) {
    let words = n.div_ceil(64);
    let mut shares = vec![W::default(); n];
    let mut rest = out;
    for i in 0..width {
        let plane = &u[i * words..(i + 1) * words];
        words_at(key, i * n, &mut shares);
        shares
            .iter_mut()
            .enumerate()
            .for_each(|(e, s)| *s = bit::<W>(plane, e).minus(*s));
        let bits = W::BITS - i as u32;
        let (row, left) = rest.split_at_mut(packed_len(n, bits));
        pack(&shares, bits, row);
        rest = left;
    }
}

/// One of the others' half of that number: the sum over bits of 2^i U_i (1 - 2 v_i), and the v's at the one that leads.
pub fn compose_join<W: Ring>(
    v: &[u64],
    width: usize,
    given: Result<&Stream, &[u8]>,
    lead: bool,
    out: &mut [W],
) {
    let n = out.len();
    let words = n.div_ceil(64);
    let mut shares = vec![W::default(); n];
    let mut offset = 0;
    for i in 0..width {
        let plane = &v[i * words..(i + 1) * words];
        let bits = W::BITS - i as u32;
        match given {
            Ok(stream) => words_at(stream, i * n, &mut shares),
            Err(packed) => {
                let end = offset + packed_len(n, bits);
                unpack(&packed[offset..end], bits, &mut shares);
                offset = end;
            }
        }
        for (e, (sum, share)) in out.iter_mut().zip(&shares).enumerate() {
            let b = bit::<W>(plane, e);
            let flip = W::from_u128(1).minus(b.left(1));
            let own = if lead { b } else { W::default() };
            *sum = sum.plus(share.times(flip).plus(own).left(i as u32));
        }
    }
}
