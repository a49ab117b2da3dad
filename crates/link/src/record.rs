//! The TLS 1.3 record layer (RFC 8446 section 5) once rustls has finished the handshake.
//!
//! rustls keeps both directions in one object, so a reader and a writer thread would take turns on a lock and every
//! byte would be copied twice more than needed. The handshake, its signatures and key schedule stay with rustls;
//! the traffic keys come from it through its interface for kernel TLS, and each direction then is a key, a static IV and a
//! counter. Sealing a record is section 5.2-5.4: AAD = the record header, nonce = IV xor counter, inner type last.
//!
//! Keys are not updated in place (section 4.6.3): long before the limit of AES-GCM the connection is replaced by a new
//! one, with a new key exchange, through the same road as after a cut.

use aws_lc_rs::aead::{
    Aad, LessSafeKey, Nonce, UnboundKey, AES_128_GCM, AES_256_GCM, CHACHA20_POLY1305,
};
use rustls::ConnectionTrafficSecrets as Secrets;

use crate::buffer::Buffer;

/// Plaintext bytes of a full record.
pub const RECORD: usize = 16_384;
pub const HEADER: usize = 5;
const TAG: usize = 16;
/// The largest ciphertext that RFC 8446 allows.
pub const MAX_CIPHERTEXT: usize = RECORD + 256;

/// From here on data is encrypted straight from where it lies, in records of its own.
const DIRECT: usize = 8 * 1024;
const NOT_AUTHENTIC: &str =
    "a TLS record that does not authenticate (changed or truncated on the way)";

const APPLICATION_DATA: u8 = 23;
const ALERT: u8 = 21;

struct Half {
    key: LessSafeKey,
    iv: [u8; 12],
    counter: u64,
}

impl Half {
    fn new((counter, secrets): (u64, Secrets)) -> Result<Half, String> {
        let (algorithm, key, iv) = match &secrets {
            Secrets::Aes128Gcm { key, iv } => (&AES_128_GCM, key, iv),
            Secrets::Aes256Gcm { key, iv } => (&AES_256_GCM, key, iv),
            Secrets::Chacha20Poly1305 { key, iv } => (&CHACHA20_POLY1305, key, iv),
            _ => return Err("a cipher suite that was not offered".into()),
        };
        // An AeadKey is 32 bytes long whatever the algorithm; only the first key_len() are the key.
        let bytes = key
            .as_ref()
            .get(..algorithm.key_len())
            .ok_or("a key that is too short")?;
        let key = UnboundKey::new(algorithm, bytes).map_err(|_| "a key of the wrong length")?;
        let iv = iv
            .as_ref()
            .try_into()
            .map_err(|_| "an IV of the wrong length")?;
        Ok(Half {
            key: LessSafeKey::new(key),
            iv,
            counter,
        })
    }

    /// The nonce of the next record. Never repeats: 2^64 records would have to pass first, and the connection is
    /// replaced after 2^23.
    fn nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, count) in nonce[4..].iter_mut().zip(self.counter.to_be_bytes()) {
            *byte ^= count;
        }
        self.counter += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// The sending half: plaintext in, records appended to a buffer.
pub struct Sealer(Half);

impl Sealer {
    pub fn new(secrets: (u64, Secrets)) -> Result<Sealer, String> {
        Half::new(secrets).map(Sealer)
    }

    pub fn records(&self) -> u64 {
        self.0.counter
    }

    /// A stream of plaintext that is cut into records at the end of `out`.
    pub fn stream<'a>(&'a mut self, out: &'a mut Buffer) -> RecordStream<'a> {
        RecordStream {
            half: &mut self.0,
            out,
            start: None,
        }
    }
}

pub struct RecordStream<'a> {
    half: &'a mut Half,
    out: &'a mut Buffer,
    start: Option<usize>,
}

impl RecordStream<'_> {
    pub fn put(&mut self, mut data: &[u8]) -> Result<(), String> {
        while data.len() >= DIRECT {
            self.finish()?;
            let (now, later) = data.split_at(RECORD.min(data.len()));
            self.seal_from(now)?;
            data = later;
        }
        while !data.is_empty() {
            let start = match self.start {
                Some(start) => start,
                None => {
                    let start = self.out.len();
                    self.out.push(&[0; HEADER]);
                    self.start = Some(start);
                    start
                }
            };
            let room = RECORD - (self.out.len() - start - HEADER);
            let (now, later) = data.split_at(room.min(data.len()));
            self.out.push(now);
            data = later;
            if now.len() == room {
                self.finish()?;
            }
        }
        Ok(())
    }

    /// Seal what was put since the last full record.
    pub fn finish(&mut self) -> Result<(), String> {
        let Some(start) = self.start.take() else {
            return Ok(());
        };
        self.out.push(&[APPLICATION_DATA]);
        let header = header(self.out.len() - start - HEADER + TAG);
        let nonce = self.half.nonce();
        let record = &mut self.out[start..];
        record[..HEADER].copy_from_slice(&header);
        let sealed = self.half.key.seal_in_place_separate_tag(
            nonce,
            Aad::from(header),
            &mut record[HEADER..],
        );
        let tag = sealed.map_err(|_| "encryption failed")?;
        self.out.push(tag.as_ref());
        Ok(())
    }

    /// One record of `data`, encrypted on its way into `out` instead of being copied first.
    fn seal_from(&mut self, data: &[u8]) -> Result<(), String> {
        let header = header(data.len() + 1 + TAG);
        let nonce = self.half.nonce();
        let size = HEADER + data.len() + 1 + TAG;
        let place = self.out.spare(size).ok_or("no memory to encrypt in")?;
        let (start, place) = place.split_at_mut(HEADER);
        let (body, end) = place.split_at_mut(data.len());
        start.copy_from_slice(&header);
        let kind = [APPLICATION_DATA];
        self.half
            .key
            .seal_out_of_place_scatter(nonce, Aad::from(header), data, body, &kind, end)
            .map_err(|_| "encryption failed")?;
        self.out.advance(size);
        Ok(())
    }
}

fn header(length: usize) -> [u8; HEADER] {
    [APPLICATION_DATA, 3, 3, (length >> 8) as u8, length as u8]
}

/// The receiving half.
pub struct Opener(Half);

impl Opener {
    pub fn new(secrets: (u64, Secrets)) -> Result<Opener, String> {
        Half::new(secrets).map(Opener)
    }

    pub fn records(&self) -> u64 {
        self.0.counter
    }

    /// Length of the record's body, from its header.
    pub fn length(header: &[u8; HEADER]) -> Result<usize, String> {
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if header[0] != APPLICATION_DATA || header[1] != 3 || header[2] != 3 {
            return Err(format!(
                "not a TLS 1.3 record (type {}, version {}.{})",
                header[0], header[1], header[2]
            ));
        }
        if length > MAX_CIPHERTEXT || length <= TAG {
            return Err(format!(
                "a TLS record of {length} bytes (at most {MAX_CIPHERTEXT})"
            ));
        }
        Ok(length)
    }

    /// Decrypt one record in place; its application data. Anything else ends the connection.
    pub fn open<'a>(
        &mut self,
        header: [u8; HEADER],
        body: &'a mut [u8],
    ) -> Result<&'a [u8], String> {
        let nonce = self.0.nonce();
        let opened = self.0.key.open_in_place(nonce, Aad::from(header), body);
        let plain = opened.map_err(|_| NOT_AUTHENTIC)?;
        application_data(plain)
    }

    /// Decrypt one record into `out`, which has the length that `plain_length` says; the number of bytes of application data
    /// at its start.
    pub fn open_into(
        &mut self,
        header: [u8; HEADER],
        body: &[u8],
        out: &mut [u8],
    ) -> Result<usize, String> {
        let nonce = self.0.nonce();
        let (ciphertext, tag) = body.split_at(body.len().saturating_sub(TAG));
        let aad = Aad::from(header);
        let opened = self
            .0
            .key
            .open_separate_gather(nonce, aad, ciphertext, tag, out);
        opened.map_err(|_| NOT_AUTHENTIC)?;
        application_data(out).map(<[u8]>::len)
    }

    /// Bytes that a record's body decrypts to: its data, its type and, from peers that pad, zeros.
    pub fn plain_length(body: &[u8]) -> usize {
        body.len().saturating_sub(TAG)
    }
}

/// The content of a decrypted record, without type and padding.
fn application_data(plain: &[u8]) -> Result<&[u8], String> {
    let end = plain.iter().rposition(|&b| b != 0);
    let end = end.ok_or("a TLS record without a type")?;
    let (data, kind) = (&plain[..end], plain[end]);
    match kind {
        APPLICATION_DATA if data.len() <= RECORD => Ok(data),
        APPLICATION_DATA => Err("a TLS record that is too long".into()),
        ALERT if data.len() == 2 => Err(format!(
            "the peer sent TLS alert {} ({})",
            data[1],
            alert_name(data[1])
        )),
        other => Err(format!("a TLS record of type {other} after the handshake")),
    }
}

fn alert_name(code: u8) -> &'static str {
    match code {
        0 => "close notify",
        20 => "bad record MAC",
        40 => "handshake failure",
        42 => "bad certificate",
        46 => "certificate unknown",
        48 => "unknown CA",
        49 => "access denied",
        116 => "certificate required",
        120 => "no application protocol",
        _ => "see RFC 8446 section 6",
    }
}
