//! Correlations made ahead of their use, in a file of each party, from which none comes twice.
//!
//! A page of header, then the blocks, little endian:
//!
//! | bytes | |
//! | --- | --- |
//! | 0..8 | [`MAGIC`], written last: a file without it was never finished |
//! | 8..40 | the session, and of which set-up ([`Session`]) |
//! | 40 | 0 at the sender, 1 at the receiver |
//! | 48..64 | `delta`, zero at the receiver |
//! | 64..72, 72..80 | numbers of the first block and of the one after the last |
//! | 80..88 | the cursor: every block below this number is used |
//! | 4096.. | blocks |
//!
//! The cursor is on the disk before a block leaves the file, and the two parties go on from the later of their two
//! cursors ([`SenderStock::meet`]), without which nothing is handed out of a file that was opened: a crash wastes blocks,
//! and repeats none. Never put back an old copy: the other party's cursor covers what it took itself, not what was sent
//! to it before it did. Blocks that are zero, as used ones are, are refused.
//!
//! Two set-ups of one session id, as after a crash before the first stock was used, give stocks that do not belong together:
//! the header's session is that of the set-up, of whose messages it is a digest. [`SenderStock::meet`] refuses another's.
//!
//! The blocks are secret, and stand in the file as they are, readable by its owner alone. Used ones, and those given up, are
//! overwritten.

use crate::cots::Run;
use crate::error::length;
use crate::memory::Blocks;
use crate::{Error, ReceiverCots, SenderCots, Session};
use std::fs::{File, OpenOptions, TryLockError};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// First bytes of a stock.
pub const MAGIC: [u8; 8] = *b"argotOT1";
/// Bytes of the greeting: session, cursor, end.
pub const HELLO: usize = 48;
/// Where the blocks begin.
const PAGE: u64 = 4096;
/// Blocks written at a time.
const PART: usize = 1 << 16;
const END: u64 = 72;
const CURSOR: u64 = 80;

/// The sender's.
pub struct SenderStock {
    delta: Zeroizing<u128>,
    store: Store,
}

/// The receiver's.
pub struct ReceiverStock {
    store: Store,
}

impl SenderStock {
    /// A new file with these correlations. There must be none yet.
    pub fn create(path: &Path, cots: SenderCots) -> Result<SenderStock, Error> {
        let delta = cots.delta.clone();
        let store = Store::create(path, 0, *delta, &cots.run)?;
        Ok(SenderStock { delta, store })
    }

    pub fn open(path: &Path) -> Result<SenderStock, Error> {
        let (store, delta) = Store::open(path, 0)?;
        Ok(SenderStock { delta, store })
    }

    /// Add the correlations that follow those inside.
    pub fn put(&mut self, cots: SenderCots) -> Result<(), Error> {
        if *cots.delta != *self.delta {
            return Err(Error::Shape(
                "correlations of another delta than the stock's".into(),
            ));
        }
        self.store.put(&cots.run)
    }

    /// What to send to the other party after opening.
    pub fn hello(&self) -> Vec<u8> {
        self.store.hello()
    }

    /// Go on from where both parties can. Call it with the other party's greeting before anything is taken.
    pub fn meet(&mut self, hello: &[u8]) -> Result<(), Error> {
        self.store.meet(hello)
    }

    /// The number of the next unused correlation.
    pub fn position(&self) -> u64 {
        self.store.cursor
    }

    pub fn len(&self) -> usize {
        self.store.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next `n`.
    pub fn take(&mut self, n: usize) -> Result<SenderCots, Error> {
        self.take_at(self.position(), n)
    }

    /// `n` from number `position` on; those before are given up.
    pub fn take_at(&mut self, position: u64, n: usize) -> Result<SenderCots, Error> {
        let blocks = self.store.take_at(position, n)?;
        Ok(SenderCots::new(
            &self.store.session,
            *self.delta,
            position,
            blocks,
        ))
    }
}

impl ReceiverStock {
    /// As [`SenderStock::create`].
    pub fn create(path: &Path, cots: ReceiverCots) -> Result<ReceiverStock, Error> {
        Ok(ReceiverStock {
            store: Store::create(path, 1, 0, &cots.run)?,
        })
    }

    pub fn open(path: &Path) -> Result<ReceiverStock, Error> {
        Ok(ReceiverStock {
            store: Store::open(path, 1)?.0,
        })
    }

    /// As [`SenderStock::put`].
    pub fn put(&mut self, cots: ReceiverCots) -> Result<(), Error> {
        self.store.put(&cots.run)
    }

    /// As [`SenderStock::hello`].
    pub fn hello(&self) -> Vec<u8> {
        self.store.hello()
    }

    /// As [`SenderStock::meet`].
    pub fn meet(&mut self, hello: &[u8]) -> Result<(), Error> {
        self.store.meet(hello)
    }

    /// As [`SenderStock::position`].
    pub fn position(&self) -> u64 {
        self.store.cursor
    }

    pub fn len(&self) -> usize {
        self.store.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As [`SenderStock::take`].
    pub fn take(&mut self, n: usize) -> Result<ReceiverCots, Error> {
        self.take_at(self.position(), n)
    }

    /// As [`SenderStock::take_at`].
    pub fn take_at(&mut self, position: u64, n: usize) -> Result<ReceiverCots, Error> {
        let blocks = self.store.take_at(position, n)?;
        Ok(ReceiverCots::new(&self.store.session, position, blocks))
    }
}

/// The file, locked while it is open.
struct Store {
    file: File,
    path: PathBuf,
    session: Session,
    first: u64,
    cursor: u64,
    end: u64,
    /// The end that both parties have, once they met.
    shared: u64,
    /// Whether the cursors of both parties are known: not after opening a file.
    met: bool,
}

impl Store {
    fn create(path: &Path, side: u8, delta: u128, run: &Run) -> Result<Store, Error> {
        run.random_bits()?;
        let (session, first, blocks) = (run.session, run.first(), run.blocks());
        let fails = failure(path);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let file = options.open(path).map_err(&fails)?;
        lock(&file, path)?;
        let end = first + blocks.len() as u64;
        let mut store = Store {
            file,
            path: path.into(),
            session,
            first,
            cursor: first,
            end: first,
            shared: end,
            met: true,
        };
        let mut header = Zeroizing::new([0; PAGE as usize]);
        header[8..40].copy_from_slice(session.bytes());
        header[40] = side;
        header[48..64].copy_from_slice(&delta.to_le_bytes());
        for (at, number) in [(64, first), (END as usize, end), (CURSOR as usize, first)] {
            header[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        store.write(&header[..], 0)?;
        store.write_blocks(first, blocks)?;
        store.end = end;
        store.file.sync_all().map_err(&fails)?;
        store.write(&MAGIC, 0)?;
        store.file.sync_all().map_err(&fails)?;
        // The name itself is part of the directory.
        let directory = path
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        File::open(directory)
            .and_then(|d| d.sync_all())
            .map_err(&fails)?;
        Ok(store)
    }

    fn open(path: &Path, side: u8) -> Result<(Store, Zeroizing<u128>), Error> {
        let fails = failure(path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(&fails)?;
        lock(&file, path)?;
        let bad = |why: &str| Error::NotAStock(format!("{}: {why}", path.display()));
        let about = file.metadata().map_err(&fails)?;
        if about.permissions().mode() & 0o077 != 0 {
            return Err(bad(
                "others may read or write it: it is not secret any more",
            ));
        }
        if about.len() < PAGE {
            return Err(bad("its header was cut"));
        }
        let mut header = Zeroizing::new([0; PAGE as usize]);
        file.read_exact_at(&mut header[..], 0).map_err(&fails)?;
        let number = |at: u64| u64::from_le_bytes(std::array::from_fn(|i| header[at as usize + i]));
        let (first, end, cursor) = (number(64), number(END), number(CURSOR));
        if header[..8] != MAGIC {
            return Err(bad("it was never finished, or is another kind of file"));
        }
        if header[40] != side {
            return Err(bad("it is the other side's: sender and receiver differ"));
        }
        if first > end
            || end > crate::cots::MOST
            || cursor < first
            || about.len() < PAGE + 16 * (end - first)
        {
            return Err(bad("its numbers do not fit its size"));
        }
        let session = Session::from_bytes(std::array::from_fn(|i| header[8 + i]));
        let delta = Zeroizing::new(u128::from_le_bytes(std::array::from_fn(|i| header[48 + i])));
        Ok((
            Store {
                file,
                path: path.into(),
                session,
                first,
                cursor,
                end,
                shared: cursor,
                met: false,
            },
            delta,
        ))
    }

    fn len(&self) -> usize {
        self.shared.saturating_sub(self.cursor) as usize
    }

    /// The blocks are on the disk before the number that says so.
    fn put(&mut self, run: &Run) -> Result<(), Error> {
        run.random_bits()?;
        let (first, blocks) = (run.first(), run.blocks());
        if run.session != self.session {
            return Err(Error::OtherStock {
                ours: hex(self.session.bytes()),
                theirs: hex(run.session.bytes()),
            });
        }
        if first != self.end {
            return Err(Error::Shape(format!(
                "correlations from number {first} on: want those from {} on",
                self.end
            )));
        }
        self.write_blocks(first, blocks)?;
        self.sync()?;
        let end = first + blocks.len() as u64;
        self.write(&end.to_le_bytes(), END)?;
        self.sync()?;
        self.end = end;
        if self.met {
            self.shared = end;
        }
        Ok(())
    }

    fn hello(&self) -> Vec<u8> {
        [
            &self.session.bytes()[..],
            &self.cursor.to_le_bytes(),
            &self.end.to_le_bytes(),
        ]
        .concat()
    }

    fn meet(&mut self, hello: &[u8]) -> Result<(), Error> {
        length("greeting of a stock", hello.len(), HELLO)?;
        let (session, numbers) = hello.split_at(32);
        if session != self.session.bytes() {
            return Err(Error::OtherStock {
                ours: hex(self.session.bytes()),
                theirs: hex(session),
            });
        }
        let [cursor, end] =
            [0, 8].map(|at| u64::from_le_bytes(std::array::from_fn(|i| numbers[at + i])));
        // A cursor beyond what we have leaves us nothing; it need not go further than that.
        let skipped = self.cursor..cursor.clamp(self.cursor, self.end.max(self.cursor));
        self.advance(skipped.end)?;
        self.wipe(skipped)?;
        self.shared = self.end.min(end);
        self.met = true;
        Ok(())
    }

    fn take_at(&mut self, position: u64, n: usize) -> Result<Blocks, Error> {
        if position < self.cursor {
            return Err(Error::AlreadyUsed {
                position,
                cursor: self.cursor,
            });
        }
        let left = self.shared.saturating_sub(position);
        if n as u64 > left {
            return Err(Error::TooFew {
                got: left as usize,
                want: n,
            });
        }
        let skipped = self.cursor..position;
        self.advance(position + n as u64)?;
        self.wipe(skipped)?;
        let mut bytes = Zeroizing::new(vec![0; 16 * n]);
        self.file
            .read_exact_at(&mut bytes, self.at(position))
            .map_err(failure(&self.path))?;
        let blocks: Blocks = bytes
            .as_chunks::<16>()
            .0
            .iter()
            .map(|b| u128::from_le_bytes(*b))
            .collect();
        // Overwritten by another process that shares this file, or never written: chance makes none in 2^100.
        if blocks.contains(&0) {
            return Err(Error::AlreadyUsed {
                position,
                cursor: self.cursor,
            });
        }
        self.wipe(position..position + n as u64)?;
        Ok(blocks)
    }

    /// The cursor, on the disk when this returns.
    fn advance(&mut self, cursor: u64) -> Result<(), Error> {
        if cursor != self.cursor {
            self.write(&cursor.to_le_bytes(), CURSOR)?;
            self.sync()?;
            self.cursor = cursor;
        }
        Ok(())
    }

    /// Overwrite blocks that are used or given up. Not waited for: the cursor is what guards them.
    fn wipe(&self, numbers: Range<u64>) -> Result<(), Error> {
        let zeros = vec![0; 16 * (numbers.end - numbers.start).min(PART as u64) as usize];
        for number in numbers.clone().step_by(PART) {
            let n = (numbers.end - number).min(PART as u64) as usize;
            self.write(&zeros[..16 * n], self.at(number))?;
        }
        Ok(())
    }

    fn at(&self, number: u64) -> u64 {
        PAGE + 16 * (number - self.first)
    }

    fn write_blocks(&self, first: u64, blocks: &[u128]) -> Result<(), Error> {
        let mut bytes = Zeroizing::new(vec![0; 16 * blocks.len().min(PART)]);
        for (part, number) in blocks.chunks(PART).zip((first..).step_by(PART)) {
            for (bytes, block) in bytes.as_chunks_mut::<16>().0.iter_mut().zip(part) {
                *bytes = block.to_le_bytes();
            }
            self.write(&bytes[..16 * part.len()], self.at(number))?;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        self.file
            .write_all_at(bytes, at)
            .map_err(failure(&self.path))
    }

    fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(failure(&self.path))
    }
}

fn failure(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    |error| Error::File(path.display().to_string(), error)
}

fn lock(file: &File, path: &Path) -> Result<(), Error> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Error::StockInUse(path.display().to_string()),
        TryLockError::Error(error) => failure(path)(error),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes[..8].iter().map(|b| format!("{b:02x}")).collect()
}
