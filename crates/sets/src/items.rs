//! Keys of rows as uniform bytes: a typed, injective encoding, then BLAKE3.

use crate::group::Uniform;
use rayon::prelude::*;

/// What a key column holds. Equal keys need equal kinds: the integer 1 and the text "1" differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Two's complement, little endian, as short as it goes: the same at every width.
    Integer = 1,
    /// UTF-8, code points as they are.
    Text = 2,
    Bytes = 3,
}

/// A column: value `i` is `data[ends[i - 1]..ends[i]]`.
pub struct Column {
    pub kind: Kind,
    pub data: Vec<u8>,
    pub ends: Vec<usize>,
}

impl Column {
    pub fn new(kind: Kind, rows: usize) -> Column {
        Column {
            kind,
            data: Vec::new(),
            ends: Vec::with_capacity(rows),
        }
    }

    pub fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.ends.push(self.data.len());
    }

    pub fn push_integer(&mut self, value: i128) {
        let bytes = value.to_le_bytes();
        self.push(&bytes[..shortest(&bytes)]);
    }

    fn value(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.data[start..self.ends[row]]
    }
}

/// How many bytes of a little-endian two's complement number must stay for its value to stay; 0 needs none.
pub fn shortest(bytes: &[u8]) -> usize {
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let mut n = bytes.len();
    while n > 0 && bytes[n - 1] == fill {
        let sign_stays = n == 1 || (bytes[n - 2] & 0x80 != 0) == negative;
        // -1 keeps its one byte: nothing at all is 0.
        if !sign_stays || (n == 1 && negative) {
            break;
        }
        n -= 1;
    }
    n
}

/// For every row the 64 bytes that stand for its key: BLAKE3, in the mode that extends output, under a key made
/// from `domain`, of kind, length and bytes of each column in turn. Lengths make it injective.
pub fn uniform(columns: &[Column], rows: usize, domain: &str) -> Vec<Uniform> {
    assert!(columns.iter().all(|c| c.ends.len() == rows));
    let key = blake3::derive_key(
        "argot 2026 sets: key of a row to uniform bytes",
        domain.as_bytes(),
    );
    let mut out = vec![[0; 64]; rows];
    out.par_iter_mut()
        .enumerate()
        .with_min_len(1024)
        .for_each(|(row, out)| {
            let mut hasher = blake3::Hasher::new_keyed(&key);
            for column in columns {
                let value = column.value(row);
                let mut head = [0; 9];
                head[0] = column.kind as u8;
                head[1..].copy_from_slice(&(value.len() as u64).to_le_bytes());
                hasher.update(&head);
                hasher.update(value);
            }
            hasher.finalize_xof().fill(out);
        });
    out
}

/// Rows whose key an earlier row has: how many, and the first few as (earlier row, row).
pub fn duplicates(items: &[Uniform], limit: usize) -> (usize, Vec<(usize, usize)>) {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.par_sort_unstable_by(|a, b| items[*a].cmp(&items[*b]).then(a.cmp(b)));
    let mut repeats = Vec::new();
    let mut first = 0;
    for i in 1..order.len() {
        if items[order[i]] == items[order[first]] {
            repeats.push((order[first], order[i]));
        } else {
            first = i;
        }
    }
    let count = repeats.len();
    repeats.sort_unstable_by_key(|(_, row)| *row);
    repeats.truncate(limit);
    (count, repeats)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(kind: Kind, values: &[&[u8]]) -> Column {
        let mut column = Column::new(kind, values.len());
        values.iter().for_each(|v| column.push(v));
        column
    }

    #[test]
    fn shortest_keeps_value_and_sign() {
        for (value, length) in [
            (0i128, 0),
            (1, 1),
            (-1, 1),
            (127, 1),
            (128, 2),
            (-128, 1),
            (-129, 2),
            (255, 2),
            (1 << 63, 9),
        ] {
            let bytes = value.to_le_bytes();
            assert_eq!(shortest(&bytes), length, "{value}");
            assert_eq!(shortest(&bytes[..12]), length, "{value} from 96 bits");
        }
        assert_eq!(shortest(&i128::MIN.to_le_bytes()), 16);
    }

    #[test]
    fn columns_do_not_run_into_each_other() {
        let pairs: [(&[u8], &[u8]); 4] =
            [(b"ab", b"c"), (b"a", b"bc"), (b"", b"abc"), (b"abc", b"")];
        let left: Vec<_> = pairs.iter().map(|p| p.0).collect();
        let right: Vec<_> = pairs.iter().map(|p| p.1).collect();
        let items = uniform(
            &[column(Kind::Text, &left), column(Kind::Text, &right)],
            4,
            "",
        );
        assert_eq!(duplicates(&items, 9), (0, vec![]));
        let joined = uniform(&[column(Kind::Text, &[b"abc"])], 1, "");
        assert!(!items.contains(&joined[0]));
    }

    #[test]
    fn kind_and_domain_count() {
        let text = uniform(&[column(Kind::Text, &[b"1"])], 1, "x");
        assert_ne!(text, uniform(&[column(Kind::Bytes, &[b"1"])], 1, "x"));
        assert_ne!(text, uniform(&[column(Kind::Text, &[b"1"])], 1, "y"));
        assert_eq!(text, uniform(&[column(Kind::Text, &[b"1"])], 1, "x"));
    }

    #[test]
    fn duplicates_are_counted_and_named_in_row_order() {
        let items = uniform(
            &[column(Kind::Text, &[b"a", b"b", b"a", b"c", b"b", b"a"])],
            6,
            "",
        );
        assert_eq!(duplicates(&items, 2), (3, vec![(0, 2), (1, 4)]));
        assert_eq!(duplicates(&items[..0], 2), (0, vec![]));
    }
}
