//! Structural operations on bit planes: bits are moved from places of one strided view to those of another.

/// One axis of a move: its length, and how far a step goes in the source and in the result, in bits.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub length: usize,
    pub from: isize,
    pub to: isize,
}

/// Move bits between planes. `axes` is outermost first; the caller has checked that both views stay inside their
/// planes. Places of the result that receive nothing keep their value; those that do must be zero before.
pub fn strided(
    to: &mut [u64],
    to_words: usize,
    to_offset: isize,
    from: &[u64],
    from_words: usize,
    from_offset: isize,
    axes: &[Axis],
) {
    if axes.iter().any(|axis| axis.length == 0) || to_words == 0 {
        return;
    }
    let (outer, inner) = match axes.split_last() {
        Some((inner, outer)) => (outer, *inner),
        None => (
            axes,
            Axis {
                length: 1,
                from: 1,
                to: 1,
            },
        ),
    };
    for (to, from) in to.chunks_mut(to_words).zip(from.chunks(from_words.max(1))) {
        each_row(outer, to_offset, from_offset, &mut |t, f| {
            row(to, t, from, f, inner)
        });
    }
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
        (1, 0) => {
            if bit(from, f) == 1 {
                set_run(to, t as usize, axis.length);
            }
        }
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

fn set_run(to: &mut [u64], t: usize, n: usize) {
    let mut done = 0;
    while done < n {
        let at = t + done;
        let count = (64 - at % 64).min(n - done);
        let ones = if count == 64 { !0 } else { (1 << count) - 1 };
        to[at / 64] |= ones << (at % 64);
        done += count;
    }
}

/// Bit i of every plane of the result is bit `index[i]` of the source, or zero where the index is negative.
/// `to` is zero before; the caller has checked that every index is in range.
pub fn take(to: &mut [u64], from: &[u64], from_words: usize, index: &[i64]) {
    let to_words = index.len().div_ceil(64);
    if to_words == 0 || from_words == 0 {
        return;
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
