//! The elementary functions in the clear, on fixed point: the reference that protocols approximate.
//!
//! Computed in f64 by `libm`, not by the platform's library, so that every machine gives the same bits; then rounded to
//! the grid. What is outside of a function's range or domain follows the table of `docs/reference/accuracy.md`: nothing
//! is infinite, nothing is NaN.

/// The functions of one argument.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Function {
    Exp,
    Log,
    Sigmoid,
    Tanh,
    Erf,
    Sin,
    Cos,
    Reciprocal,
    Sqrt,
    Rsqrt,
}

impl Function {
    /// The function of this name.
    pub fn by_name(name: &str) -> Option<Function> {
        Some(match name {
            "exp" => Function::Exp,
            "log" => Function::Log,
            "sigmoid" => Function::Sigmoid,
            "tanh" => Function::Tanh,
            "erf" => Function::Erf,
            "sin" => Function::Sin,
            "cos" => Function::Cos,
            "reciprocal" => Function::Reciprocal,
            "sqrt" => Function::Sqrt,
            "rsqrt" => Function::Rsqrt,
            _ => return None,
        })
    }
}

/// Fixed point: `bits` in a ring element, `fraction` of them after the point.
#[derive(Clone, Copy)]
pub struct Grid {
    pub bits: u32,
    pub fraction: u32,
}

impl Grid {
    fn one(self) -> f64 {
        libm::ldexp(1.0, self.fraction as i32)
    }

    /// The largest number that can be encoded, as a ring integer: 2^(k - f - 2) - 1 grid steps.
    pub fn largest(self) -> i128 {
        (1 << (self.bits - self.fraction - 2)) - 1
    }

    /// The nearest grid integer within the ring, ties away from zero.
    fn round(self, real: f64) -> i128 {
        let limit = libm::ldexp(1.0, self.bits as i32 - 1);
        let steps = libm::round(real * self.one());
        if steps >= limit {
            (1u128 << (self.bits - 1)).wrapping_sub(1) as i128
        } else {
            steps as i128
        }
    }

    /// f(x) for a signed ring integer.
    pub fn apply(self, function: Function, x: i128) -> i128 {
        let real = x as f64 / self.one();
        let step = 1.0 / self.one();
        match function {
            Function::Exp => self.round(libm::exp(real)).min(self.largest()),
            Function::Sigmoid => self.round(1.0 / (1.0 + libm::exp(-real))),
            Function::Tanh => self.round(libm::tanh(real)),
            Function::Erf => self.round(libm::erf(real)),
            Function::Sin => self.round(libm::sin(real)),
            Function::Cos => self.round(libm::cos(real)),
            Function::Reciprocal => self.round(1.0 / if x == 0 { step } else { real }),
            Function::Log => self.round(libm::log(real.max(step))),
            Function::Sqrt => self.round(libm::sqrt(real.max(0.0))),
            Function::Rsqrt => self.round(1.0 / libm::sqrt(real.max(step))),
        }
    }

    /// x / y to the nearest grid step, ties away from zero; y = 0 is read as one step; limited to +-2^(k-2) steps.
    pub fn divide(self, x: i128, y: i128) -> i128 {
        let limit = 1i128 << (self.bits - 2);
        let y = if y == 0 { 1 } else { y };
        let size = y.unsigned_abs();
        let quotient = match x.unsigned_abs().checked_mul(2 << self.fraction) {
            Some(doubled) if doubled < u128::MAX - size => (doubled + size) / (2 * size),
            _ => (x.unsigned_abs() as f64 / size as f64 * self.one()) as u128,
        };
        let quotient = quotient.min(limit as u128) as i128;
        if (x < 0) != (y < 0) {
            -quotient
        } else {
            quotient
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: Grid = Grid {
        bits: 64,
        fraction: 18,
    };

    #[test]
    fn edges_saturate() {
        let one = 1i128 << 18;
        let largest = (1i128 << 44) - 1;
        assert_eq!(GRID.largest(), largest);
        for (function, x, want) in [
            (Function::Exp, 20 * one, largest),
            (Function::Exp, (1 << 62) - 1, largest),
            (Function::Exp, -600 * one, 0),
            (Function::Exp, 0, one),
            (Function::Sigmoid, 1000 * one, one),
            (Function::Sigmoid, -1000 * one, 0),
            (Function::Sigmoid, 0, one / 2),
            (Function::Tanh, -1000 * one, -one),
            (Function::Erf, -1000 * one, -one),
            (Function::Sin, 0, 0),
            (Function::Cos, 0, one),
            (Function::Reciprocal, 0, 1 << 36),
            (Function::Reciprocal, -1, -(1 << 36)),
            (Function::Sqrt, -one, 0),
            (Function::Sqrt, 1 << 62, 1 << 40),
            (Function::Rsqrt, 0, 1 << 27),
            (Function::Rsqrt, 1, 1 << 27),
        ] {
            assert_eq!(GRID.apply(function, x), want, "{function:?} of {x}");
        }
        assert_eq!(GRID.apply(Function::Log, 0), GRID.apply(Function::Log, 1));
        assert_eq!(
            GRID.apply(Function::Log, -5 * one),
            GRID.apply(Function::Log, 1)
        );
    }

    #[test]
    fn division_rounds_and_is_limited() {
        let one = 1i128 << 18;
        assert_eq!(GRID.divide(one, 3 * one), 87381);
        assert_eq!(GRID.divide(-one, 3 * one), -87381);
        assert_eq!(GRID.divide(one, -3 * one), -87381);
        assert_eq!(GRID.divide(0, 0), 0);
        assert_eq!(GRID.divide(one, 0), 1 << 36);
        assert_eq!(GRID.divide(-(1 << 62), 1), -(1 << 62));
        assert_eq!(
            Grid {
                bits: 128,
                fraction: 26
            }
            .divide(1 << 120, 1 << 110),
            1 << 36
        );
    }
}
