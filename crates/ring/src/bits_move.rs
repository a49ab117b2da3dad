//! Structural operations on bit planes: elements are moved from places of one strided view to those of another.
//!
//! Long runs of neighbours are copied by words of a plane. Where there are none and elements have several bits, the
//! planes become words of memory, which are moved, and become planes again: that costs the same for any width.

use crate::bits;
use crate::elementwise::Word;

/// One axis of a move: its length, and how far a step goes in the source and in the result, in elements.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub length: usize,
    pub from: isize,
    pub to: isize,
}

/// The two views of a move: where they start, and their axes, outermost first.
#[derive(Clone, Copy)]
pub struct Views<'a> {
    pub from: isize,
    pub to: isize,
    pub axes: &'a [Axis],
}

/// Below this width bits are moved one by one; from it on, as words.
const NARROW: usize = 3;
/// Runs below this length are not worth copying plane by plane.
const SHORT: usize = 16;

/// Move elements between planes of `to_words` and `from_words` words. The caller has checked that both views stay
/// inside. Places of the result that receive an element must be zero before; the others keep theirs.
pub fn strided(to: &mut [u64], to_words: usize, from: &[u64], from_words: usize, views: Views<'_>) {
    if views.axes.iter().any(|axis| axis.length == 0) || to_words == 0 || from_words == 0 {
        return;
    }
    let one = Axis {
        length: 1,
        from: 1,
        to: 1,
    };
    let (inner, outer) = match views.axes.split_last() {
        Some((inner, outer)) => (*inner, outer),
        None => (one, views.axes),
    };
    let is_run = inner.to == 1 && (inner.from == 0 || inner.from == 1);
    let width = to.len() / to_words;
    let few = views.axes.iter().map(|axis| axis.length).product::<usize>() < 64;
    if width < NARROW || few || (is_run && inner.length >= SHORT) {
        for (to, from) in to.chunks_mut(to_words).zip(from.chunks(from_words)) {
            each_row(outer, views.to, views.from, &mut |t, f| {
                row(to, t, from, f, inner)
            });
        }
        return;
    }
    through_words(to, to_words, from, from_words, &Strided(views));
}

fn each_row(axes: &[Axis], to: isize, from: isize, work: &mut impl FnMut(isize, isize)) {
    match axes.split_first() {
        None => work(to, from),
        Some((axis, rest)) => {
            for i in 0..axis.length as isize {
                each_row(rest, to + i * axis.to, from + i * axis.from, work);
            }
        }
    }
}

#[inline(always)]
fn bit(plane: &[u64], at: isize) -> u64 {
    plane[at as usize / 64] >> (at as usize % 64) & 1
}

fn row(to: &mut [u64], t: isize, from: &[u64], f: isize, axis: Axis) {
    match (axis.to, axis.from) {
        (1, 1) => copy_run(to, t as usize, from, f as usize, axis.length),
        (1, 0) => repeat(to, t as usize, bit(from, f), axis.length),
        _ => {
            for i in 0..axis.length as isize {
                let at = (t + i * axis.to) as usize;
                to[at / 64] |= bit(from, f + i * axis.from) << (at % 64);
            }
        }
    }
}

/// OR `n` bits of `from`, from bit `f` on, onto those of `to` from bit `t` on.
fn copy_run(to: &mut [u64], t: usize, from: &[u64], f: usize, n: usize) {
    let mut done = 0;
    while done < n {
        let (at, source) = (t + done, f + done);
        let count = (64 - at % 64).min(n - done);
        let shift = source % 64;
        let mut word = from[source / 64] >> shift;
        if shift != 0 && source / 64 + 1 < from.len() {
            word |= from[source / 64 + 1] << (64 - shift);
        }
        if count < 64 {
            word &= (1 << count) - 1;
        }
        to[at / 64] |= word << (at % 64);
        done += count;
    }
}

/// OR one bit onto `n` of `to` from bit `t` on. Bits may be secret: no branch depends on one.
fn repeat(to: &mut [u64], t: usize, bit: u64, n: usize) {
    let all = bit.wrapping_neg();
    let mut done = 0;
    while done < n {
        let at = t + done;
        let count = (64 - at % 64).min(n - done);
        let ones = if count == 64 { !0 } else { (1 << count) - 1 };
        to[at / 64] |= (all & ones) << (at % 64);
        done += count;
    }
}

/// Bit i of every plane of the result is bit `index[i]` of the source, or zero where the index is negative.
/// `to` is zero before; the caller has checked that every index is in range.
pub fn take(to: &mut [u64], from: &[u64], from_words: usize, index: &[i64]) {
    let to_words = bits::words(index.len());
    if to_words == 0 || from_words == 0 {
        return;
    }
    // Making words of a whole large source for a few elements would not pay.
    if to.len() / to_words >= NARROW && index.len() >= from_words {
        return through_words(to, to_words, from, from_words, &Take(index));
    }
    for (to, from) in to.chunks_mut(to_words).zip(from.chunks(from_words)) {
        for (word, index) in to.iter_mut().zip(index.chunks(64)) {
            *word = index.iter().enumerate().fold(0, |word, (i, at)| {
                if *at < 0 {
                    word
                } else {
                    word | bit(from, *at as isize) << i
                }
            });
        }
    }
}

/// A move of elements that are words of memory.
trait Move {
    fn run<W: Word>(&self, to: &mut [W], from: &[W]);
}

struct Strided<'a>(Views<'a>);

impl Move for Strided<'_> {
    fn run<W: Word>(&self, to: &mut [W], from: &[W]) {
        let Some((inner, outer)) = self.0.axes.split_last() else {
            return;
        };
        each_row(outer, self.0.to, self.0.from, &mut |t, f| {
            for i in 0..inner.length as isize {
                to[(t + i * inner.to) as usize] = from[(f + i * inner.from) as usize];
            }
        });
    }
}

struct Take<'a>(&'a [i64]);

impl Move for Take<'_> {
    fn run<W: Word>(&self, to: &mut [W], from: &[W]) {
        for (to, at) in to.iter_mut().zip(self.0) {
            if *at >= 0 {
                *to = from[*at as usize];
            }
        }
    }
}

fn through_words(
    to: &mut [u64],
    to_words: usize,
    from: &[u64],
    from_words: usize,
    work: &impl Move,
) {
    for (to, from) in to
        .chunks_mut(64 * to_words)
        .zip(from.chunks(64 * from_words))
    {
        match to.len() / to_words {
            0..=8 => group::<u8>(to, to_words, from, from_words, work),
            9..=16 => group::<u16>(to, to_words, from, from_words, work),
            17..=32 => group::<u32>(to, to_words, from, from_words, work),
            _ => group::<u64>(to, to_words, from, from_words, work),
        }
    }
}

/// As many planes as `W` has bits, or fewer.
fn group<W: Word>(
    to: &mut [u64],
    to_words: usize,
    from: &[u64],
    from_words: usize,
    work: &impl Move,
) {
    let width = to.len() / to_words;
    let mut source = vec![W::truncated(0); 64 * from_words];
    bits::to_words(&mut source, from, width);
    let mut result = vec![W::truncated(0); 64 * to_words];
    work.run(&mut result, &source);
    drop(source);
    let mut planes = vec![0; to.len()];
    bits::from_words(&mut planes, &result, width);
    for (to, plane) in to.iter_mut().zip(planes) {
        *to |= plane;
    }
}
