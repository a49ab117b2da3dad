//! The three backends against each other and against what the words of the documentation say, one element at a time.

use argot_prf::Stream;
use argot_ring::approx_fourier::{self as fourier, Half, Series};
use argot_ring::bits_move::{Axis, Views};
use argot_ring::elementwise::{self as ew, Add, Binary, Left, Mul, RightSigned, Sub};
use argot_ring::kernels_trunc::{self as trunc, First, FirstKeys, Given, Told};
use argot_ring::matmul::{matmul, Matrix, Sizes};
use argot_ring::tile::Tiled;
use argot_ring::{bits, bits_move, cross, fixed, reduce, Backend, Ring, Z128};
use std::sync::Mutex;

/// Which backend runs is one setting of the process.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

const SIZES: [usize; 14] = [
    0, 1, 2, 31, 63, 64, 65, 127, 511, 512, 513, 1025, 4096, 40_000,
];

fn on_every_backend(mut test: impl FnMut(Backend)) {
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(|e| e.into_inner());
    let before = Backend::current();
    for backend in Backend::ALL.into_iter().filter(|b| b.choose()) {
        test(backend);
    }
    assert!(before.choose());
}

fn stream(seed: u8) -> Stream {
    Stream::new(&std::array::from_fn(|i| {
        seed.wrapping_mul(31).wrapping_add(i as u8)
    }))
}

fn random<T: Ring>(n: usize, seed: u8) -> Vec<T> {
    let mut bytes = vec![0; n * T::BYTES];
    stream(seed).fill_at(0, &mut bytes);
    bytes
        .chunks(T::BYTES)
        .map(|c| {
            let mut word = [0; 16];
            word[..c.len()].copy_from_slice(c);
            T::from_u128(u128::from_le_bytes(word))
        })
        .collect()
}

fn binary<T: Ring, O: Binary>(want: fn(u128, u128) -> u128) {
    on_every_backend(|backend| {
        for n in SIZES {
            let (x, y) = (random::<T>(n, 1), random::<T>(n, 2));
            let mut out = vec![T::default(); n];
            ew::binary::<T, O>(&mut out, &x, &y);
            for i in 0..n {
                let wanted = T::from_u128(want(x[i].to_u128(), y[i].to_u128()));
                assert_eq!(out[i], wanted, "{backend:?} {n} {i}");
            }
            let mut assigned = x.clone();
            ew::assign::<T, O>(&mut assigned, &y);
            assert_eq!(assigned, out);
            if let Some(s) = y.first() {
                ew::binary_scalar::<T, O>(&mut out, &x, *s);
                ew::assign_scalar::<T, O>(&mut assigned[..0], *s);
                assert_eq!(out[n - 1], O::apply(x[n - 1], *s));
            }
        }
    });
}

#[test]
fn elementwise() {
    binary::<u32, Add>(u128::wrapping_add);
    binary::<u64, Sub>(u128::wrapping_sub);
    binary::<u64, Mul>(u128::wrapping_mul);
    binary::<Z128, Add>(u128::wrapping_add);
    binary::<Z128, Mul>(u128::wrapping_mul);
}

#[test]
fn shifts() {
    on_every_backend(|_| {
        let x = random::<Z128>(100, 3);
        let mut out = x.clone();
        ew::unary::<Z128, RightSigned>(&mut out, &x, 77);
        assert!(x
            .iter()
            .zip(&out)
            .all(|(x, o)| (x.value() as i128 >> 77) as u128 == o.value()));
        ew::unary::<Z128, Left>(&mut out, &x, 64);
        assert!(x.iter().zip(&out).all(|(x, o)| o.lo == 0 && o.hi == x.lo));
    });
}

fn products<T: Tiled>() {
    on_every_backend(|backend| {
        let small = (0..216).map(|i| (i % 6 + 1, i / 6 % 6 + 1, i / 36 + 1));
        let large = [
            (1, 70, 90),
            (90, 70, 1),
            (3, 5, 100),
            (100, 5, 3),
            (4, 600, 4),
            (8, 24, 48),
            (13, 129, 49),
            (97, 130, 25),
            (200, 60, 101),
        ];
        for (m, k, n) in small.chain(large) {
            let (x, y) = (random::<T>(m * k, 1), random::<T>(k * n, 2));
            let flip = |a: &[T], rows: usize, columns: usize| -> Vec<T> {
                (0..rows * columns)
                    .map(|i| a[i % rows * columns + i / rows])
                    .collect()
            };
            let (xt, yt) = (flip(&x, m, k), flip(&y, k, n));
            let mut want = vec![T::default(); m * n];
            for i in 0..m {
                for j in 0..n {
                    for p in 0..k {
                        want[i * n + j] = want[i * n + j].plus(x[i * k + p].times(y[p * n + j]));
                    }
                }
            }
            for (x_transposed, y_transposed) in
                [(false, false), (false, true), (true, false), (true, true)]
            {
                let x = Matrix {
                    data: if x_transposed { &xt } else { &x },
                    transposed: x_transposed,
                };
                let y = Matrix {
                    data: if y_transposed { &yt } else { &y },
                    transposed: y_transposed,
                };
                let mut out = random::<T>(m * n, 9);
                matmul(&mut out, x, y, Sizes { m, k, n });
                assert!(
                    out == want,
                    "{backend:?} {m} {k} {n} {x_transposed} {y_transposed}"
                );
            }
        }
    });
}

#[test]
fn matrix_products() {
    products::<u32>();
    products::<u64>();
    products::<Z128>();
}

#[test]
fn products_with_a_share_of_zero() {
    on_every_backend(|backend| {
        for n in SIZES {
            let [x0, x1, y0, y1] = [1, 2, 3, 4].map(|seed| random::<u64>(n, seed));
            let (p, m) = (random::<u64>(n, 5), random::<u64>(n, 6));
            let mut out = vec![0; n];
            cross::cross(&mut out, [&x0, &x1], [&y0, &y1], &stream(5), &stream(6));
            for i in 0..n {
                let sum = y0[i].wrapping_add(y1[i]);
                let z = x0[i].times(sum).plus(x1[i].times(y0[i]));
                assert_eq!(out[i], z.plus(p[i]).minus(m[i]), "{backend:?} {n} {i}");
            }
        }
    });
}

fn planes<T: Ring + ew::Word>() {
    on_every_backend(|backend| {
        for n in SIZES {
            let x = random::<T>(n, 1);
            for width in [0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128] {
                if width > T::BITS as usize {
                    continue;
                }
                let words = bits::words(n);
                let mut planes = vec![!0u64; width * words];
                bits::from_words(&mut planes, &x, width);
                for b in 0..width {
                    for e in 0..64 * words {
                        let bit = planes[b * words + e / 64] >> (e % 64) & 1;
                        let want = x.get(e).map_or(0, |x| x.to_u128() >> b & 1) as u64;
                        assert_eq!(bit, want, "{backend:?} {n} {width} {b} {e}");
                    }
                }
                let mut back = random::<T>(n, 2);
                bits::to_words(&mut back, &planes, width);
                let mask = if width == 128 {
                    !0
                } else {
                    (1u128 << width) - 1
                };
                let same = |(x, y): (&T, &T)| x.to_u128() & mask == y.to_u128();
                assert!(x.iter().zip(&back).all(same), "{backend:?} {n} {width}");
            }
        }
    });
}

#[test]
fn words_and_planes() {
    planes::<u32>();
    planes::<u64>();
    planes::<Z128>();
}

#[test]
fn moves_of_any_width_agree() {
    let (rows, columns) = (37, 41);
    let words = bits::words(rows * columns);
    let source = |width: usize| {
        let mut planes = random::<u64>(width * words, 1);
        bits::clear_pad(&mut planes, rows * columns);
        planes
    };
    let axes = [
        Axis {
            length: columns,
            from: 1,
            to: rows as isize,
        },
        Axis {
            length: rows,
            from: columns as isize,
            to: 1,
        },
    ];
    let views = Views {
        from: 0,
        to: 0,
        axes: &axes,
    };
    on_every_backend(|_| {
        let from = source(100);
        let mut together = vec![0; from.len()];
        bits_move::strided(&mut together, words, &from, words, views);
        for (plane, from) in together.chunks(words).zip(from.chunks(words)) {
            let mut alone = vec![0; words];
            bits_move::strided(&mut alone, words, from, words, views);
            assert_eq!(plane, alone);
        }
    });
}

#[test]
fn sums_wrap() {
    on_every_backend(|_| {
        let x = random::<u64>(6 * 1000, 1);
        let mut rows = vec![0; 6];
        reduce::sum(&mut rows, &x, 1000, 1);
        for (sum, row) in rows.iter().zip(x.chunks(1000)) {
            assert_eq!(*sum, row.iter().fold(0u64, |s, x| s.wrapping_add(*x)));
        }
        let mut columns = vec![0; 1000];
        reduce::sum(&mut columns, &x, 6, 1000);
        assert_eq!(
            columns[999],
            (0..6).fold(0u64, |s, i| s.wrapping_add(x[i * 1000 + 999]))
        );
    });
}

#[test]
fn fixed_point_rounds_ties_to_even_and_refuses() {
    on_every_backend(|_| {
        let x = [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999999999999994].map(|v| v / 256.0);
        let want = [0, 2, 2, 0, -2, -2, 0];
        let mut small = [0u32; 7];
        fixed::encode(&mut small, &x, 8).expect("in range");
        assert_eq!(small.map(|v| v as i32), want);
        let mut large = [Z128::default(); 7];
        fixed::encode(&mut large, &x, 8).expect("in range");
        assert_eq!(large.map(|v| v.value() as i128), want.map(i128::from));
        let mut out = vec![0u64; 600];
        let mut x = vec![0.0; 600];
        x[599] = f64::NAN;
        assert_eq!(fixed::encode(&mut out, &x, 18), Err((599, fixed::Bad::Nan)));
        x[77] = -(2f64.powi(26));
        assert_eq!(
            fixed::encode(&mut out, &x, 18),
            Err((77, fixed::Bad::Range))
        );
    });
}

/// What the documentation of `kernels_trunc` says, with whole numbers: k bits in a u128, bits as 0 or 1.
struct Truncation {
    k: u32,
    d: u32,
}

impl Truncation {
    fn t(&self) -> u128 {
        1 << (self.k - 2)
    }

    fn top(&self, x: u128) -> u128 {
        x >> (self.k - 1) & 1
    }

    /// The part of the result that follows from r alone, and U.
    fn known(&self, r: u128) -> (u128, u128) {
        let lifted = r.wrapping_add(self.t()) & (!0 >> (128 - self.k));
        let less = (self.t() >> self.d) + self.up(1) - 1;
        ((lifted >> self.d).wrapping_sub(less), 1 - self.top(lifted))
    }

    fn up(&self, x: u128) -> u128 {
        x << (self.k - self.d)
    }
}

fn truncation<T: Ring>(digits: &[u32]) {
    on_every_backend(|backend| {
        for (n, &d) in SIZES
            .into_iter()
            .flat_map(|n| digits.iter().map(move |d| (n, d)))
        {
            let wide = |seed| random::<T>(n, seed).iter().map(|v| v.to_u128()).collect();
            let [r, rho, u, m1, m2, c]: [Vec<u128>; 6] = [1, 2, 3, 4, 5, 6].map(wide);
            let say = Truncation { k: T::BITS, d };
            let low = T::from_u128((1 << d) - 1);
            let check = |what: &str, got: &[T], want: &dyn Fn(usize) -> u128| {
                for (i, got) in got.iter().enumerate() {
                    let want = T::from_u128(want(i));
                    assert_eq!(*got, want, "{backend:?} {what} {n} {d} {i}");
                }
            };
            let packed = |what: &str, got: &[u8], want: &dyn Fn(usize) -> u128| {
                let mut numbers = vec![T::default(); n];
                trunc::unpack(got, d, &mut numbers);
                check(what, &numbers, &|i| {
                    T::from_u128(want(i)).and(low).to_u128()
                });
            };
            let [mut rest, mut near, mut far] = [0; 3].map(|_| vec![T::default(); n]);
            let mut unit = vec![0; trunc::packed_len(n, d)];
            let keys = FirstKeys {
                rho: &stream(2),
                unit: &stream(3),
                near: &stream(4),
                far: &stream(5),
            };
            let out = First {
                rest: &mut rest,
                unit: &mut unit,
                near: &mut near,
                far: &mut far,
            };
            trunc::first(&random::<T>(n, 1), d, &keys, out);
            let left = |i: usize| say.known(r[i]).0.wrapping_sub(rho[i]);
            check("rest", &rest, &left);
            check("near", &near, &|i| rho[i].wrapping_add(say.up(m1[i])));
            check("far", &far, &|i| left(i).wrapping_add(say.up(m2[i])));
            packed("unit", &unit, &|i| say.known(r[i]).1.wrapping_sub(u[i]));

            let given = Given::Drawn {
                rho: &stream(2),
                unit: &stream(3),
            };
            let [mut high, mut side] = [0; 2].map(|_| vec![T::default(); n]);
            let mut product = vec![0; trunc::packed_len(n, d)];
            let out = (&mut high[..], &mut product[..], &mut side[..]);
            trunc::meet((&random::<T>(n, 6), &[]), d, &given, &stream(4), out);
            let share = |i: usize| (u[i] * (1 - say.top(c[i]))).wrapping_sub(m1[i]);
            check("high", &high, &|i| c[i] >> d);
            check("side", &side, &|i| rho[i].wrapping_add(say.up(m1[i])));
            packed("product", &product, &share);
            trunc::last(&mut high, &product, &unit, d);
            check("last", &high, &|i| {
                let both = share(i).wrapping_add(say.known(r[i]).1.wrapping_sub(u[i]));
                (c[i] >> d).wrapping_add(say.up(both))
            });
        }
    });
}

#[test]
fn truncation_in_three_steps() {
    truncation::<u32>(&[1, 8, 26]);
    truncation::<u64>(&[1, 18, 33, 61]);
    truncation::<Z128>(&[40, 125]);
}

/// U V = (c ^ rho)(d ^ s) with 1 - 2b for the sign of a bit: c d + c s sign(d) + d rho sign(c) + rho s sign(c) sign(d).
fn halves<T: Ring>(digits: &[u32]) {
    on_every_backend(|backend| {
        for (n, &d) in SIZES
            .into_iter()
            .flat_map(|n| digits.iter().map(move |d| (n, d)))
        {
            let (x, say) = (random::<T>(n, 1), Truncation { k: T::BITS, d });
            let [own, c, also] = [2, 3, 4].map(|seed| random::<u64>(bits::words(n), seed));
            let mut packed = vec![0; trunc::packed_len(n, d)];
            trunc::pack(&random::<T>(n, 5), d, &mut packed);
            let drawn = stream(5);
            for share in [Ok(&drawn), Err(&packed[..])] {
                let told = Told {
                    own: &own,
                    c: &c,
                    d: &also,
                    share,
                };
                let [mut mask, mut out] = [0; 2].map(|_| vec![T::default(); n]);
                trunc::half((&x, &[]), d, &told, &stream(6), (&mut mask, &mut out));
                assert_eq!(mask, random::<T>(n, 6));
                for (i, dealt) in random::<T>(n, 5).iter().map(|v| v.to_u128()).enumerate() {
                    let bit = |plane: &[u64]| (plane[i / 64] >> (i % 64) & 1) as i128;
                    let (own, c, also, x) = (bit(&own), bit(&c), bit(&also), x[i].to_u128());
                    let (minus_c, minus_d) = (1 - 2 * c, 1 - 2 * also);
                    let product = (dealt as i128).wrapping_mul(minus_c * minus_d)
                        + match share {
                            Ok(_) => own * also * minus_c,
                            Err(_) => own * c * minus_d + c * also,
                        };
                    let known = if share.is_ok() {
                        say.known(x).0
                    } else {
                        x >> d
                    };
                    let want = known.wrapping_add(say.up(product as u128));
                    let want = T::from_u128(want).minus(mask[i]);
                    assert_eq!(out[i], want, "{backend:?} {n} {d} {i} {}", share.is_ok());
                }
            }
        }
    });
}

#[test]
fn truncation_with_a_dealer() {
    halves::<u32>(&[1, 8, 30]);
    halves::<u64>(&[1, 18, 33, 62]);
    halves::<Z128>(&[40, 126]);
}

#[test]
fn trigonometric_sums_are_the_same_to_the_bit() {
    let (cos, sin, gains) = ([3e4, -1e4, 2e3], [6e4, 500.0, -1e3], [1e4, 2e4, 1e4]);
    let mut seen: Option<Vec<(Vec<u8>, Vec<u64>)>> = None;
    on_every_backend(|backend| {
        let mut results = Vec::new();
        for (n, bytes) in SIZES
            .into_iter()
            .flat_map(|n| [4, 5, 6, 7, 8].map(|b| (n, b)))
        {
            let (phase, row) = (random::<u64>(n, 1), random::<u64>(n, 2));
            let mut sent = vec![0; n * 7 * bytes];
            fourier::left(&phase, &gains, &[&row], bytes, &[[7; 16]], &mut sent);
            let mut masks = vec![0; sent.len()];
            Stream::new(&[7; 16]).fill_at(0, &mut masks);
            for at in (0..n).step_by(64) {
                let here = 64.min(n - at);
                for (factor, e) in (0..7).flat_map(|f| (0..here).map(move |e| (f, e))) {
                    let place = (at * 7 + factor * here + e) * bytes;
                    let number = |from: &[u8]| {
                        let mut word = [0; 8];
                        word[..bytes].copy_from_slice(&from[place..place + bytes]);
                        u64::from_le_bytes(word)
                    };
                    let shift = 64 - 8 * bytes as u32;
                    let got = number(&sent).wrapping_add(number(&masks)) << shift;
                    if factor == 6 {
                        assert_eq!(got >> shift, row[at + e] << shift >> shift);
                        continue;
                    }
                    let k = factor / 2;
                    let t = phase[at + e] as f64 / 2f64.powi(64) * std::f64::consts::TAU;
                    let t = t * (k + 1) as f64;
                    let want = gains[k] * if factor % 2 == 0 { t.cos() } else { t.sin() };
                    let error = (got as i64 >> shift) as f64 - want;
                    assert!(
                        error.abs() < 0.51,
                        "{backend:?} {n} {bytes} {factor} {error}"
                    );
                }
            }
            let series = Series {
                cos: &cos,
                sin: &sin,
                factors: &[&row],
            };
            let mut sum = vec![0; n];
            fourier::right(&phase, &series, bytes, Half::Sent(&sent), 5, &mut sum);
            results.push((sent, sum));
        }
        let first = seen.get_or_insert_with(|| results.clone());
        assert!(*first == results, "{backend:?} gives other bits");
    });
}
