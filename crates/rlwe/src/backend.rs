//! Which implementation of the transforms runs.

use std::sync::atomic::{AtomicU8, Ordering};

/// An implementation of the transforms and of the products of polynomials. All give the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Backend {
    /// AVX-512 with its 52-bit multipliers (IFMA): eight coefficients an instruction.
    Ifma = 1,
    /// 64-bit multiplications: any processor. AVX2 has no wide multiplier that would beat the scalar one, so a
    /// processor without IFMA runs this too.
    Portable = 2,
}

/// What [`Backend::current`] gives; 0 until first asked.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl Backend {
    /// From fastest to slowest.
    pub const ALL: [Backend; 2] = [Backend::Ifma, Backend::Portable];

    pub fn name(self) -> &'static str {
        match self {
            Backend::Ifma => "ifma",
            Backend::Portable => "portable",
        }
    }

    pub fn by_name(name: &str) -> Option<Backend> {
        Backend::ALL.into_iter().find(|b| b.name() == name)
    }

    /// Whether this processor (and its operating system) can run it.
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Backend::Ifma => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512ifma")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Backend::Ifma => false,
            Backend::Portable => true,
        }
    }

    /// The one in use: the fastest available, unless a test chose another.
    pub fn current() -> Backend {
        let stored = CURRENT.load(Ordering::Relaxed);
        if let Some(found) = Backend::ALL.into_iter().find(|b| *b as u8 == stored) {
            return found;
        }
        let best = Backend::ALL
            .into_iter()
            .find(|b| b.is_available())
            .unwrap_or(Backend::Portable);
        CURRENT.store(best as u8, Ordering::Relaxed);
        best
    }

    /// Use this one from now on; `false`, and no change, where the processor cannot.
    pub fn choose(self) -> bool {
        let can = self.is_available();
        if can {
            CURRENT.store(self as u8, Ordering::Relaxed);
        }
        can
    }
}

/// Calls `f` under each backend there is; tests that name a backend take turns.
#[cfg(test)]
pub(crate) fn each(f: impl Fn(Backend)) {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    for backend in Backend::ALL.into_iter().rev().filter(|b| b.choose()) {
        f(backend);
    }
}
