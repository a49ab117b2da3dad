//! AES-128 on any processor, bit-sliced: plane `8 * i + b` holds bit `b` of byte `i` of 64 blocks, one block a lane.
//!
//! No table and no branch depends on data, so it takes the same time for every key. SubBytes is the circuit of
//! Boyar and Peralta, "A depth-16 circuit for the AES S-box" (eprint 2011/332), as 64 lanes at once.

use crate::cipher::spread;
use crate::stream::RoundKeys;

type Planes = [u64; 128];

/// Whole blocks of the counter stream, the first of them number `first`.
pub(crate) fn blocks(keys: &RoundKeys, first: u64, out: &mut [u8]) {
    for (i, chunk) in out.chunks_mut(1024).enumerate() {
        let mut lanes = [[0; 2]; 64];
        for (j, lane) in lanes.iter_mut().enumerate() {
            lane[0] = first.wrapping_add(64 * i as u64 + j as u64);
        }
        encrypt(keys, &mut lanes);
        for (bytes, lane) in chunk.chunks_exact_mut(16).zip(&lanes) {
            bytes[..8].copy_from_slice(&lane[0].to_le_bytes());
            bytes[8..].copy_from_slice(&lane[1].to_le_bytes());
        }
    }
}

/// Blocks through the permutation, or `HASH`ed ([`crate::Cipher`]).
pub(crate) fn permute<const HASH: bool>(keys: &RoundKeys, blocks: &mut [u128]) {
    for part in blocks.chunks_mut(64) {
        through::<HASH>(part, |lanes| encrypt(keys, lanes));
    }
}

/// Block `i` of each column hashed under `keys[i]`.
pub(crate) fn hash_each<const COLUMNS: usize>(keys: &[u128], columns: [&mut [u128]; COLUMNS]) {
    for column in columns {
        for (keys, part) in keys.chunks(64).zip(column.chunks_mut(64)) {
            let mut key_lanes = [[0; 2]; 64];
            for (lane, key) in key_lanes.iter_mut().zip(keys) {
                *lane = [*key as u64, (*key >> 64) as u64];
            }
            through::<true>(part, |lanes| encrypt_each(&key_lanes, lanes));
        }
    }
}

/// At most 64 blocks into lanes, through `cipher`, and back.
fn through<const HASH: bool>(blocks: &mut [u128], cipher: impl FnOnce(&mut [[u64; 2]; 64])) {
    let mut lanes = [[0; 2]; 64];
    for (lane, x) in lanes.iter_mut().zip(blocks.iter_mut()) {
        if HASH {
            *x = spread(*x);
        }
        *lane = [*x as u64, (*x >> 64) as u64];
    }
    cipher(&mut lanes);
    for (x, lane) in blocks.iter_mut().zip(lanes) {
        let y = u128::from(lane[1]) << 64 | u128::from(lane[0]);
        *x = if HASH { *x ^ y } else { y };
    }
}

/// 64 blocks in place, each as two little-endian words, each under a key of its own: the key schedule is bit-sliced
/// too.
fn encrypt_each(keys: &[[u64; 2]; 64], lanes: &mut [[u64; 2]; 64]) {
    let (mut planes, mut key) = (to_planes(lanes), to_planes(keys));
    let mut constant = 1u8;
    for round in 0..10 {
        xor(&mut planes, &key);
        sub_bytes(&mut planes);
        shift_rows(&mut planes);
        if round < 9 {
            mix_columns(&mut planes);
        }
        next_round_key(&mut key, constant);
        constant = double(constant);
    }
    xor(&mut planes, &key);
    from_planes(&planes, lanes);
}

/// Each word of the next round key is the word before it plus the same word of this one (FIPS 197 section 5.2).
fn next_round_key(key: &mut Planes, constant: u8) {
    let mut word = [0u64; 32];
    for (i, byte) in word.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let from = 8 * (12 + (i + 1) % 4);
        byte.copy_from_slice(&key[from..from + 8]);
        sub_byte(byte);
    }
    for (b, plane) in word[..8].iter_mut().enumerate() {
        *plane ^= 0u64.wrapping_sub(u64::from(constant >> b & 1));
    }
    for column in key.as_chunks_mut::<32>().0 {
        for (plane, before) in column.iter_mut().zip(&mut word) {
            *plane ^= *before;
            *before = *plane;
        }
    }
}

fn xor(planes: &mut Planes, key: &Planes) {
    for (plane, key) in planes.iter_mut().zip(key) {
        *plane ^= key;
    }
}

fn to_planes(lanes: &[[u64; 2]; 64]) -> Planes {
    let mut planes = [0; 128];
    for half in 0..2 {
        let mut words = std::array::from_fn(|lane| lanes[lane][half]);
        transpose(&mut words);
        planes[64 * half..64 * (half + 1)].copy_from_slice(&words);
    }
    planes
}

fn from_planes(planes: &Planes, lanes: &mut [[u64; 2]; 64]) {
    for half in 0..2 {
        let mut words: [u64; 64] = std::array::from_fn(|i| planes[64 * half + i]);
        transpose(&mut words);
        for (lane, word) in lanes.iter_mut().zip(words) {
            lane[half] = word;
        }
    }
}

/// Doubling in GF(2^8); only of round constants, which are public.
fn double(x: u8) -> u8 {
    (x << 1) ^ if x & 0x80 != 0 { 0x1b } else { 0 }
}

/// 64 blocks in place, each as two little-endian words.
pub(crate) fn encrypt(keys: &RoundKeys, lanes: &mut [[u64; 2]; 64]) {
    let mut planes = to_planes(lanes);
    add_round_key(&mut planes, &keys.0[0]);
    for key in &keys.0[1..10] {
        sub_bytes(&mut planes);
        shift_rows(&mut planes);
        mix_columns(&mut planes);
        add_round_key(&mut planes, key);
    }
    sub_bytes(&mut planes);
    shift_rows(&mut planes);
    add_round_key(&mut planes, &keys.0[10]);
    from_planes(&planes, lanes);
}

/// The key schedule of FIPS 197, its S-box as the same circuit.
pub(crate) fn expand(key: &[u8; 16]) -> RoundKeys {
    let mut keys = RoundKeys([[0; 16]; 11]);
    keys.0[0] = *key;
    let mut constant = 1u8;
    for round in 1..11 {
        let before = keys.0[round - 1];
        let mut word = sub_word([before[13], before[14], before[15], before[12]]);
        word[0] ^= constant;
        for i in 0..16 {
            word[i % 4] ^= before[i];
            keys.0[round][i] = word[i % 4];
        }
        constant = double(constant);
    }
    keys
}

fn sub_word(word: [u8; 4]) -> [u8; 4] {
    let mut planes = [0; 8];
    for (b, plane) in planes.iter_mut().enumerate() {
        for (i, byte) in word.iter().enumerate() {
            *plane |= u64::from(byte >> b & 1) << i;
        }
    }
    sub_byte(&mut planes);
    std::array::from_fn(|i| (0..8).fold(0, |byte, b| byte | ((planes[b] >> i & 1) as u8) << b))
}

/// Bit `j` of word `i` becomes bit `i` of word `j`; its own inverse.
pub fn transpose(words: &mut [u64; 64]) {
    let mut width = 32;
    let mut mask = 0x0000_0000_ffff_ffffu64;
    while width != 0 {
        let mut i = 0;
        while i < 64 {
            for k in i..i + width {
                let swap = (words[k] >> width ^ words[k + width]) & mask;
                words[k] ^= swap << width;
                words[k + width] ^= swap;
            }
            i += 2 * width;
        }
        width /= 2;
        mask ^= mask << width;
    }
}

fn add_round_key(planes: &mut Planes, key: &[u8; 16]) {
    for (i, byte) in key.iter().enumerate() {
        for b in 0..8 {
            planes[8 * i + b] ^= 0u64.wrapping_sub(u64::from(byte >> b & 1));
        }
    }
}

fn sub_bytes(planes: &mut Planes) {
    for byte in planes.as_chunks_mut::<8>().0 {
        sub_byte(byte);
    }
}

/// Byte `r` of column `c` comes from column `c + r`.
fn shift_rows(planes: &mut Planes) {
    let before = *planes;
    for column in 0..4 {
        for row in 0..4 {
            let (to, from) = (4 * column + row, 4 * ((column + row) % 4) + row);
            planes[8 * to..8 * to + 8].copy_from_slice(&before[8 * from..8 * from + 8]);
        }
    }
}

/// Byte `i` of a column becomes 2 (a_i + a_i+1) + a_i+1 + a_i+2 + a_i+3 in GF(2^8).
fn mix_columns(planes: &mut Planes) {
    for column in planes.as_chunks_mut::<32>().0 {
        let a = *column;
        for i in 0..4 {
            let (own, next) = (8 * i, 8 * ((i + 1) % 4));
            let (third, fourth) = (8 * ((i + 2) % 4), 8 * ((i + 3) % 4));
            let sum: [u64; 8] = std::array::from_fn(|b| a[own + b] ^ a[next + b]);
            let top = sum[7];
            let double = [
                top,
                sum[0] ^ top,
                sum[1],
                sum[2] ^ top,
                sum[3] ^ top,
                sum[4],
                sum[5],
                sum[6],
            ];
            for b in 0..8 {
                column[own + b] = double[b] ^ a[next + b] ^ a[third + b] ^ a[fourth + b];
            }
        }
    }
}

/// The S-box on 64 bytes, plane `b` holding their bits `b`.
fn sub_byte(q: &mut [u64; 8]) {
    let [x7, x6, x5, x4, x3, x2, x1, x0] = *q;

    let y14 = x3 ^ x5;
    let y13 = x0 ^ x6;
    let y9 = x0 ^ x3;
    let y8 = x0 ^ x5;
    let t0 = x1 ^ x2;
    let y1 = t0 ^ x7;
    let y4 = y1 ^ x3;
    let y12 = y13 ^ y14;
    let y2 = y1 ^ x0;
    let y5 = y1 ^ x6;
    let y3 = y5 ^ y8;
    let t1 = x4 ^ y12;
    let y15 = t1 ^ x5;
    let y20 = t1 ^ x1;
    let y6 = y15 ^ x7;
    let y10 = y15 ^ t0;
    let y11 = y20 ^ y9;
    let y7 = x7 ^ y11;
    let y17 = y10 ^ y11;
    let y19 = y10 ^ y8;
    let y16 = t0 ^ y11;
    let y21 = y13 ^ y16;
    let y18 = x0 ^ y16;

    let t2 = y12 & y15;
    let t4 = (y3 & y6) ^ t2;
    let t6 = (y4 & x7) ^ t2;
    let t7 = y13 & y16;
    let t9 = (y5 & y1) ^ t7;
    let t11 = (y2 & y7) ^ t7;
    let t12 = y9 & y11;
    let t14 = (y14 & y17) ^ t12;
    let t16 = (y8 & y10) ^ t12;
    let t21 = t4 ^ t14 ^ y20;
    let t22 = t6 ^ t16 ^ y19;
    let t23 = t9 ^ t14 ^ y21;
    let t24 = t11 ^ t16 ^ y18;

    let t25 = t21 ^ t22;
    let t26 = t21 & t23;
    let t27 = t24 ^ t26;
    let t29 = (t25 & t27) ^ t22;
    let t30 = t23 ^ t24;
    let t31 = t22 ^ t26;
    let t33 = (t31 & t30) ^ t24;
    let t36 = t24 & (t27 ^ t33);
    let t37 = t36 ^ t23 ^ t33;
    let t38 = t27 ^ t36;
    let t40 = t25 ^ (t29 & t38);

    let t41 = t40 ^ t37;
    let t42 = t29 ^ t33;
    let t43 = t29 ^ t40;
    let t44 = t33 ^ t37;
    let t45 = t42 ^ t41;
    let z0 = t44 & y15;
    let z1 = t37 & y6;
    let z2 = t33 & x7;
    let z3 = t43 & y16;
    let z4 = t40 & y1;
    let z5 = t29 & y7;
    let z6 = t42 & y11;
    let z7 = t45 & y17;
    let z8 = t41 & y10;
    let z9 = t44 & y12;
    let z10 = t37 & y3;
    let z11 = t33 & y4;
    let z12 = t43 & y13;
    let z13 = t40 & y5;
    let z14 = t29 & y2;
    let z15 = t42 & y9;
    let z16 = t45 & y14;
    let z17 = t41 & y8;

    let t46 = z15 ^ z16;
    let t47 = z10 ^ z11;
    let t48 = z5 ^ z13;
    let t49 = z9 ^ z10;
    let t50 = z2 ^ z12;
    let t51 = z2 ^ z5;
    let t52 = z7 ^ z8;
    let t53 = z0 ^ z3;
    let t54 = z6 ^ z7;
    let t55 = z16 ^ z17;
    let t56 = z12 ^ t48;
    let t57 = t50 ^ t53;
    let t58 = z4 ^ t46;
    let t59 = z3 ^ t54;
    let t60 = t46 ^ t57;
    let t61 = z14 ^ t57;
    let t62 = t52 ^ t58;
    let t63 = t49 ^ t58;
    let t64 = z4 ^ t59;
    let t65 = t61 ^ t62;
    let t66 = z1 ^ t63;
    let s0 = t59 ^ t63;
    let s6 = t56 ^ !t62;
    let s7 = t48 ^ !t60;
    let t67 = t64 ^ t65;
    let s3 = t53 ^ t66;
    let s4 = t51 ^ t66;
    let s5 = t47 ^ t65;
    let s1 = t64 ^ !s3;
    let s2 = t55 ^ !t67;
    *q = [s7, s6, s5, s4, s3, s2, s1, s0];
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The S-box by its definition: inverse in GF(2^8), then the affine map of FIPS 197 section 5.1.1.
    fn sbox_by_definition(x: u8) -> u8 {
        fn times(mut a: u8, mut b: u8) -> u8 {
            let mut product = 0;
            while b != 0 {
                if b & 1 != 0 {
                    product ^= a;
                }
                a = (a << 1) ^ if a & 0x80 != 0 { 0x1b } else { 0 };
                b >>= 1;
            }
            product
        }
        let inverse = (0..=255).find(|y| times(x, *y) == 1).unwrap_or(0);
        (0..5).fold(0x63, |sum, i| sum ^ inverse.rotate_left(i))
    }

    #[test]
    fn the_circuit_is_the_s_box() {
        for x in 0..=255u8 {
            assert_eq!(sub_word([x, !x, 0, x])[0], sbox_by_definition(x), "{x}");
            assert_eq!(sub_word([0, !x, 0, x])[1], sbox_by_definition(!x), "{x}");
        }
    }

    #[test]
    fn transpose_moves_every_bit() {
        let mut words: [u64; 64] =
            std::array::from_fn(|i| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let before = words;
        transpose(&mut words);
        for (i, row) in before.iter().enumerate() {
            for (j, column) in words.iter().enumerate() {
                assert_eq!(column >> i & 1, row >> j & 1);
            }
        }
    }
}
