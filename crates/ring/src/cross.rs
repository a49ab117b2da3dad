//! Local products of a multiplication under replicated sharing, with the share of zero that hides them made in the
//! same pass: keystream is made in blocks that stay in the first cache and is never stored as a whole.

use crate::element::Ring;
use crate::multiversion;
use crate::parallel::{parts, HEAVY};
use argot_prf::Stream;

/// Bytes of keystream made at a time. Two such blocks and the operands' lines fit the first cache.
const BLOCK: usize = 4096;

/// A block of keystream as ring elements.
#[repr(C, align(64))]
struct Block([u64; BLOCK / 8]);

impl Block {
    /// Elements first..first+n of the stream; n elements fit one block.
    fn elements<T: Ring>(&mut self, stream: &Stream, first: usize, n: usize) -> &[T] {
        let bytes = n * T::BYTES;
        assert!(bytes <= BLOCK);
        // SAFETY: the block has that many bytes, aligned to 64; any bytes are valid elements (little endian).
        unsafe {
            let start = self.0.as_mut_ptr();
            let slice = std::slice::from_raw_parts_mut(start.cast::<u8>(), bytes);
            stream.fill_at((first * T::BYTES) as u64, slice);
            std::slice::from_raw_parts(start.cast::<T>(), n)
        }
    }
}

/// Call `work(first, part, plus, minus)` on blocks of `out` and the elements of both streams that belong to them.
fn with_zero<T: Ring>(
    out: &mut [T],
    plus: &Stream,
    minus: &Stream,
    work: impl Fn(usize, &mut [T], &[T], &[T]) + Sync,
) {
    let size = BLOCK / T::BYTES;
    parts(out, size, HEAVY, |start, out| {
        let mut blocks = [Block([0; BLOCK / 8]), Block([0; BLOCK / 8])];
        let [a, b] = &mut blocks;
        for (i, part) in out.chunks_mut(size).enumerate() {
            let (first, n) = (start + i * size, part.len());
            let (p, m) = (a.elements(plus, first, n), b.elements(minus, first, n));
            work(first, part, p, m);
        }
    });
}

multiversion! {
    fn cross_part<T: Ring>(out: &mut [T], x0: &[T], x1: &[T], y0: &[T], y1: &[T], p: &[T], m: &[T]) {
        let n = out.len();
        let (x0, x1, y0, y1) = (&x0[..n], &x1[..n], &y0[..n], &y1[..n]);
        let (p, m) = (&p[..n], &m[..n]);
        for i in 0..n {
            let z = x0[i].times(y0[i].plus(y1[i])).plus(x1[i].times(y0[i]));
            out[i] = z.plus(p[i].minus(m[i]));
        }
    }

    fn square_part<T: Ring>(out: &mut [T], x0: &[T], x1: &[T], p: &[T], m: &[T]) {
        let n = out.len();
        let (x0, x1, p, m) = (&x0[..n], &x1[..n], &p[..n], &m[..n]);
        for i in 0..n {
            let z = x0[i].times(x0[i].plus(x1[i].plus(x1[i])));
            out[i] = z.plus(p[i].minus(m[i]));
        }
    }

    fn beaver_part<T: Ring>(out: &mut [T], c: &[T], e: &[T], f: &[T], a: &[T], b: &[T]) {
        let n = out.len();
        let (c, e, f, a, b) = (&c[..n], &e[..n], &f[..n], &a[..n], &b[..n]);
        for i in 0..n {
            out[i] = c[i].plus(e[i].times(b[i])).plus(f[i].times(a[i]));
        }
    }

    fn beaver_first_part<T: Ring>(out: &mut [T], c: &[T], e: &[T], f: &[T], a: &[T], b: &[T]) {
        let n = out.len();
        let (c, e, f, a, b) = (&c[..n], &e[..n], &f[..n], &a[..n], &b[..n]);
        for i in 0..n {
            out[i] = c[i].plus(e[i].times(b[i].plus(f[i]))).plus(f[i].times(a[i]));
        }
    }

    fn minus_part<T: Ring>(out: &mut [T], x: &[T], y: &[T]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = x.minus(*y);
        }
    }

    fn plus_part<T: Ring>(out: &mut [T], x: &[T], y: &[T]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = x.plus(*y);
        }
    }
}

/// `x0 y0 + x0 y1 + x1 y0 + PRG(plus) - PRG(minus)`.
pub fn cross<T: Ring>(
    out: &mut [T],
    [x0, x1]: [&[T]; 2],
    [y0, y1]: [&[T]; 2],
    plus: &Stream,
    minus: &Stream,
) {
    with_zero(out, plus, minus, |i, out, p, m| {
        let range = i..i + out.len();
        cross_part(
            out,
            &x0[range.clone()],
            &x1[range.clone()],
            &y0[range.clone()],
            &y1[range],
            p,
            m,
        );
    });
}

/// `x0^2 + 2 x0 x1 + PRG(plus) - PRG(minus)`.
pub fn square_cross<T: Ring>(out: &mut [T], [x0, x1]: [&[T]; 2], plus: &Stream, minus: &Stream) {
    with_zero(out, plus, minus, |i, out, p, m| {
        let range = i..i + out.len();
        square_part(out, &x0[range.clone()], &x1[range], p, m);
    });
}

/// `c + e b + f a` for a = PRG(a) and b = PRG(b), and `e f` more at the `first` party: Beaver's product.
pub fn beaver<T: Ring>(
    out: &mut [T],
    c: &[T],
    [e, f]: [&[T]; 2],
    [a, b]: [&Stream; 2],
    first: bool,
) {
    let part = if first {
        beaver_first_part
    } else {
        beaver_part
    };
    with_zero(out, a, b, |i, out, a, b| {
        let range = i..i + out.len();
        part(out, &c[range.clone()], &e[range.clone()], &f[range], a, b);
    });
}

/// `PRG(plus) - PRG(minus)`.
pub fn zero<T: Ring>(out: &mut [T], plus: &Stream, minus: &Stream) {
    with_zero(out, plus, minus, |_, out, p, m| minus_part(out, p, m));
}

/// `x + PRG(stream)`.
pub fn add_stream<T: Ring>(out: &mut [T], x: &[T], stream: &Stream) {
    with_stream(out, stream, |i, out, p| {
        plus_part(out, &x[i..i + out.len()], p)
    });
}

/// `x - PRG(stream)`.
pub fn sub_stream<T: Ring>(out: &mut [T], x: &[T], stream: &Stream) {
    with_stream(out, stream, |i, out, p| {
        minus_part(out, &x[i..i + out.len()], p)
    });
}

fn with_stream<T: Ring>(
    out: &mut [T],
    stream: &Stream,
    work: impl Fn(usize, &mut [T], &[T]) + Sync,
) {
    let size = BLOCK / T::BYTES;
    parts(out, size, HEAVY, |start, out| {
        let mut block = Block([0; BLOCK / 8]);
        for (i, part) in out.chunks_mut(size).enumerate() {
            let (first, n) = (start + i * size, part.len());
            work(first, part, block.elements(stream, first, n));
        }
    });
}

multiversion! {
    fn bits_cross_part(out: &mut [u64], x0: &[u64], x1: &[u64], y0: &[u64], y1: &[u64], p: &[u64], m: &[u64]) {
        let n = out.len();
        let (x0, x1, y0, y1) = (&x0[..n], &x1[..n], &y0[..n], &y1[..n]);
        let (p, m) = (&p[..n], &m[..n]);
        for i in 0..n {
            out[i] = (x0[i] & (y0[i] ^ y1[i])) ^ (x1[i] & y0[i]) ^ p[i] ^ m[i];
        }
    }

    fn xor_part(out: &mut [u64], x: &[u64], y: &[u64]) {
        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
            *out = x ^ y;
        }
    }
}

/// `x0 & y0 ^ x0 & y1 ^ x1 & y0 ^ PRG(plus) ^ PRG(minus)` on planes of `n` bits, pad bits zero.
pub fn bits_cross(
    out: &mut [u64],
    [x0, x1]: [&[u64]; 2],
    [y0, y1]: [&[u64]; 2],
    plus: &Stream,
    minus: &Stream,
    n: usize,
) {
    with_zero(out, plus, minus, |i, out, p, m| {
        let range = i..i + out.len();
        bits_cross_part(
            out,
            &x0[range.clone()],
            &x1[range.clone()],
            &y0[range.clone()],
            &y1[range],
            p,
            m,
        );
    });
    crate::bits::clear_pad(out, n);
}

/// `PRG(plus) ^ PRG(minus)` on planes of `n` bits, pad bits zero.
pub fn bits_zero(out: &mut [u64], plus: &Stream, minus: &Stream, n: usize) {
    with_zero(out, plus, minus, |_, out, p, m| xor_part(out, p, m));
    crate::bits::clear_pad(out, n);
}

/// `PRG(stream)` on planes of `n` bits, pad bits zero.
pub fn bits_stream(out: &mut [u64], stream: &Stream, n: usize) {
    with_stream(out, stream, |_, out, p| out.copy_from_slice(p));
    crate::bits::clear_pad(out, n);
}
