//! Sizes of Ferret's extensions.

use crate::estimate::Estimate;
use crate::words::WORD;
use crate::Error;

/// What every size must withstand: operations, as a base 2 logarithm.
pub const SECURITY: f64 = 128.0;

/// One extension: `k` correlations as the secret and `t` trees of `n / t` leaves become `n` correlations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    n: usize,
    k: usize,
    t: usize,
}

impl Params {
    /// Ten million at a time, in 0.39 bits each. Ferret's authors, after eprint 2022/712, have k = 452,000 and t = 1280, in 0.21
    /// bits, but 115 by [`Estimate::pooled`]; twice the noise allows a shorter secret, of 4.8 MB, which is faster, too. 152 bits by
    /// decoding, 146 by algebra, 136 by [`Estimate::pooled`].
    pub const LARGE: Params = Params {
        n: 10_485_760,
        k: 300_000,
        t: 2560,
    };
    /// Two million at a time, in 1.3 bits each: a secret of 1.3 MB, which a core's second cache holds, and so faster by 40% than
    /// [`Params::LARGE`]. 150 bits by decoding, 138 by algebra, 135 by [`Estimate::pooled`]: the one to take unless bytes are
    /// dear.
    pub const MEDIUM: Params = Params {
        n: 1 << 21,
        k: 80_000,
        t: 2048,
    };
    /// Some hundred thousand at a time: makes what [`Params::LARGE`] starts from, or serves small jobs. The authors
    /// have k = 32,768, which is 127.3 bits once regular noise is counted as the t equations it gives; here it is 143, 157 by
    /// algebra, and 131 by [`Estimate::pooled`].
    pub const SMALL: Params = Params {
        n: 470_016,
        k: 38_400,
        t: 918,
    };

    /// `n / t` must be a power of two, 64 at least. Sizes for which an attack of less than 2^128 operations is published, or
    /// conceivable ([`Estimate::pooled`]), are refused.
    pub fn new(n: usize, k: usize, t: usize) -> Result<Params, Error> {
        let params = Params { n, k, t };
        let fits = t > 0 && n.is_multiple_of(t) && (n / t).is_power_of_two() && n / t >= WORD;
        if !fits || n >= 1 << 31 {
            return Err(Error::Shape(format!(
                "n = {n}, t = {t}: n must be t times a power of two, 64 at least, and below 2^31"
            )));
        }
        if k <= t || k >= n || params.need() >= n {
            return Err(Error::Shape(format!(
                "n = {n}, k = {k}, t = {t}: an extension must give more than the k + t log2(n / t) it takes, and k exceed t"
            )));
        }
        let bits = params.estimate().bits();
        if bits < SECURITY {
            return Err(Error::WeakParameters {
                bits,
                want: SECURITY,
            });
        }
        Ok(params)
    }

    pub fn n(&self) -> usize {
        self.n
    }

    pub fn k(&self) -> usize {
        self.k
    }

    pub fn t(&self) -> usize {
        self.t
    }

    /// Leaves of a tree.
    pub fn leaves(&self) -> usize {
        self.n / self.t
    }

    /// Levels of a tree.
    pub fn depth(&self) -> usize {
        self.leaves().ilog2() as usize
    }

    /// Correlations that an extension takes.
    pub fn need(&self) -> usize {
        self.k + self.t * self.depth()
    }

    /// Correlations that it gives, beside those for the next.
    pub fn gain(&self) -> usize {
        self.n - self.need()
    }

    /// Whole trees that the next extension starts from, where the rest becomes products at once.
    pub(crate) fn kept_trees(&self) -> usize {
        self.need().div_ceil(self.leaves())
    }

    /// Blocks of 64 products that it gives where it makes products ([`crate::words`]).
    pub fn word_gain(&self) -> usize {
        (self.t - self.kept_trees()) * self.leaves() / WORD
    }

    /// Bytes of the sender's message, the only one.
    pub fn message_len(&self) -> usize {
        self.t * self.depth() * crate::tree::SUM
    }

    pub fn estimate(&self) -> Estimate {
        Estimate::new(self.n, self.k, self.t)
    }
}

/// The extensions that lead from SoftSpoken to the one that is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan(Vec<Params>);

impl Plan {
    /// Ten million correlations an extension.
    pub fn large() -> Plan {
        Plan(vec![Params::SMALL, Params::LARGE])
    }

    /// Two million.
    pub fn medium() -> Plan {
        Plan(vec![Params::MEDIUM])
    }

    /// 420 thousand.
    pub fn small() -> Plan {
        Plan(vec![Params::SMALL])
    }

    /// Each stage must give what the next one needs.
    pub fn new(stages: Vec<Params>) -> Result<Plan, Error> {
        if stages.is_empty() {
            return Err(Error::Shape("a plan needs a stage".into()));
        }
        for pair in stages.windows(2) {
            if pair[0].n() < pair[1].need() {
                return Err(Error::TooFew {
                    got: pair[0].n(),
                    want: pair[1].need(),
                });
            }
        }
        Ok(Plan(stages))
    }

    pub fn stages(&self) -> &[Params] {
        &self.0
    }

    /// The stage that is repeated.
    pub fn last(&self) -> &Params {
        self.0.last().expect("a plan has a stage")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_given_are_accepted() {
        for plan in [Plan::large(), Plan::medium(), Plan::small()] {
            for p in plan.stages() {
                assert_eq!(
                    Params::new(p.n(), p.k(), p.t()).unwrap(),
                    *p,
                    "{:?}",
                    p.estimate()
                );
            }
            assert_eq!(Plan::new(plan.stages().to_vec()).unwrap(), plan);
        }
        for (params, decoding, algebraic, pooled) in [
            (Params::LARGE, 152.9, 146.4, 136.2),
            (Params::MEDIUM, 150.7, 138.7, 135.7),
            (Params::SMALL, 143.6, 157.0, 130.9),
        ] {
            let e = params.estimate();
            for (got, want) in [
                (e.decoding, decoding),
                (e.algebraic, algebraic),
                (e.pooled, pooled),
            ] {
                assert!((got - want).abs() < 1.0, "{e:?}");
            }
        }
        assert_eq!(Params::MEDIUM.gain(), 1_996_672);
        assert_eq!(Params::LARGE.gain(), 10_155_040);
        assert_eq!(Params::LARGE.message_len(), 491_520);
    }

    #[test]
    fn weak_or_odd_sizes_are_refused() {
        for (n, k, t) in [
            (470_016, 32_768, 918),
            (1 << 20, 32_768, 1024),
            (10_180_608, 124_000, 4971),
            // By `Estimate::pooled` alone.
            (10_485_760, 452_000, 1280),
        ] {
            let refused = Params::new(n, k, t);
            assert!(
                matches!(refused, Err(Error::WeakParameters { bits, .. }) if bits < 128.0),
                "{refused:?}"
            );
        }
        for (n, k, t) in [
            (1000, 100, 10),
            (0, 0, 0),
            (1 << 20, 1 << 20, 1024),
            (1 << 10, 100, 64),
            (1 << 20, 100, 1024),
            (1 << 31, 1 << 20, 1024),
        ] {
            assert!(
                matches!(Params::new(n, k, t), Err(Error::Shape(_))),
                "{n} {k} {t}"
            );
        }
        assert!(matches!(Plan::new(vec![]), Err(Error::Shape(_))));
        assert!(Plan::new(vec![Params::LARGE, Params::MEDIUM]).is_ok());
        let large = Params::new(470_016 * 4, 500_000, 918).unwrap();
        assert!(matches!(
            Plan::new(vec![Params::SMALL, large]),
            Err(Error::TooFew { .. })
        ));
    }
}
