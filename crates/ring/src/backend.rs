//! Which instructions the kernels of this crate use. The one place that asks the processor.

use std::sync::atomic::{AtomicU8, Ordering};

/// A set of instructions. All give the same results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Backend {
    /// AVX-512 F, BW, DQ, VL, VBMI, IFMA, and GFNI: Ice Lake, Zen 4 and later.
    Avx512 = 1,
    Avx2 = 2,
    /// Whatever the compiler may assume.
    Portable = 3,
}

/// What [`Backend::current`] gives; 0 until first asked.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl Backend {
    /// From fastest to slowest.
    pub const ALL: [Backend; 3] = [Backend::Avx512, Backend::Avx2, Backend::Portable];

    pub fn name(self) -> &'static str {
        match self {
            Backend::Avx512 => "avx512",
            Backend::Avx2 => "avx2",
            Backend::Portable => "portable",
        }
    }

    pub fn by_name(name: &str) -> Option<Backend> {
        Backend::ALL.into_iter().find(|b| b.name() == name)
    }

    /// Whether this processor (and its operating system) can run it.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            match self {
                Backend::Avx512 => {
                    is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                        && is_x86_feature_detected!("avx512dq")
                        && is_x86_feature_detected!("avx512vl")
                        && is_x86_feature_detected!("avx512vbmi")
                        && is_x86_feature_detected!("avx512ifma")
                        && is_x86_feature_detected!("gfni")
                }
                Backend::Avx2 => {
                    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")
                }
                Backend::Portable => true,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Backend::Portable
        }
    }

    /// The one in use: the fastest available, unless a test chose another.
    #[inline]
    pub fn current() -> Backend {
        match CURRENT.load(Ordering::Relaxed) {
            1 => Backend::Avx512,
            2 => Backend::Avx2,
            3 => Backend::Portable,
            _ => Backend::detect(),
        }
    }

    #[cold]
    fn detect() -> Backend {
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

/// A function whose body is compiled once for each [`Backend`]; the compiler vectorises it, the call chooses.
#[macro_export]
macro_rules! multiversion {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident $(<$($g:ident : $bound:path),+>)? ($($arg:ident : $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block
    )*) => {$(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
            #[allow(clippy::too_many_arguments)]
            #[inline(always)]
            fn body $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi2")]
            fn avx512 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                body $(::<$($g),+>)? ($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx2,bmi2")]
            fn avx2 $(<$($g: $bound),+>)? ($($arg: $ty),*) $(-> $ret)? {
                body $(::<$($g),+>)? ($($arg),*)
            }

            match $crate::backend::Backend::current() {
                // SAFETY: a backend is only ever current where the processor has its instructions.
                #[cfg(target_arch = "x86_64")]
                $crate::backend::Backend::Avx512 => unsafe { avx512 $(::<$($g),+>)? ($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                $crate::backend::Backend::Avx2 => unsafe { avx2 $(::<$($g),+>)? ($($arg),*) },
                _ => body $(::<$($g),+>)? ($($arg),*),
            }
        }
    )*};
}
