//! Which implementation of AES runs.

use std::sync::atomic::{AtomicU8, Ordering};

/// An implementation of AES-128-CTR. All give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Backend {
    /// AVX-512 with VAES: four blocks an instruction.
    Vaes512 = 1,
    /// AVX2 with VAES: two.
    Vaes256 = 2,
    /// AES-NI: one.
    AesNi = 3,
    /// Bit-sliced on 64-bit words: any processor.
    Portable = 4,
}

/// What [`Backend::current`] gives; 0 until first asked.
static CURRENT: AtomicU8 = AtomicU8::new(0);

impl Backend {
    /// From fastest to slowest.
    pub const ALL: [Backend; 4] = [
        Backend::Vaes512,
        Backend::Vaes256,
        Backend::AesNi,
        Backend::Portable,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Backend::Vaes512 => "vaes512",
            Backend::Vaes256 => "vaes256",
            Backend::AesNi => "aesni",
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
            let aes = is_x86_feature_detected!("aes") && is_x86_feature_detected!("ssse3");
            let vaes = aes && is_x86_feature_detected!("vaes");
            match self {
                Backend::Vaes512 => {
                    vaes && is_x86_feature_detected!("avx512f")
                        && is_x86_feature_detected!("avx512bw")
                }
                Backend::Vaes256 => vaes && is_x86_feature_detected!("avx2"),
                Backend::AesNi => aes,
                Backend::Portable => true,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            self == Backend::Portable
        }
    }

    /// This one, or the portable one where the processor cannot run it.
    pub(crate) fn or_portable(self) -> Backend {
        if self.is_available() {
            self
        } else {
            Backend::Portable
        }
    }

    /// The one that new streams use: the fastest available, unless a test chose another.
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

    /// Make new streams use this one; `false`, and no change, where the processor cannot.
    pub fn choose(self) -> bool {
        let can = self.is_available();
        if can {
            CURRENT.store(self as u8, Ordering::Relaxed);
        }
        can
    }
}
