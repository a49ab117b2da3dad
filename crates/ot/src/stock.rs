//! Products made ahead of their use ([`crate::words`]), on the disk of each party: they outlast the process, and none
//! comes twice.
//!
//! Every extension is a file, named by a digest of the message that made it, which is the same at both parties, and by the
//! side. A file appears in one step, when all of it is on the disk, and is gone from the directory, on the disk, before the
//! first product of it is handed out: a crash loses products, and repeats none. What one party has used or lost the other
//! one gives up when they meet ([`Stock::keep`]), so that an old copy put back at one of them comes to nothing; never put
//! back old copies at both.
//!
//! Products are secret, and stand in the files as they are, readable by their owner alone. Used ones are overwritten, as far
//! as the file system writes in place.

use crate::memory::Blocks;
use crate::Error;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// First bytes of a file.
const MAGIC: [u8; 16] = *b"argot products 1";
/// Of files that are not finished.
const PARTIAL: &str = "partial";

/// What names an extension.
pub type Id = [u8; 16];

/// Of the message that makes an extension.
pub fn id(message: &[u8]) -> Id {
    argot_prf::hash(message).as_chunks::<16>().0[0]
}

/// Which end of the direction this party is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Sender,
    Receiver,
}

impl Side {
    fn suffix(self) -> &'static str {
        match self {
            Side::Sender => "sent",
            Side::Receiver => "received",
        }
    }
}

/// A directory of one pair of parties, which is locked until it is closed.
pub struct Stock {
    directory: PathBuf,
    /// Bytes of a file.
    length: u64,
    lock: File,
}

impl Stock {
    /// The stock in this directory, which is made if there is none, of extensions of so many blocks.
    ///
    /// # Errors
    ///
    /// [`Error::StockInUse`] if it is open; [`Error::NotAStock`] if others may read it.
    pub fn open(directory: &Path, blocks: usize) -> Result<Stock, Error> {
        let fails = failure(directory);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(&fails)?;
        let about = std::fs::metadata(directory).map_err(&fails)?;
        if about.permissions().mode() & 0o077 != 0 {
            return Err(Error::NotAStock(format!(
                "{}: others may read or write it: it is not secret any more",
                directory.display()
            )));
        }
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false).mode(0o600);
        let lock = options.open(directory.join("lock")).map_err(&fails)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => Error::StockInUse(directory.display().to_string()),
            TryLockError::Error(error) => fails(error),
        })?;
        let stock = Stock {
            directory: directory.into(),
            length: (MAGIC.len() + 16 * blocks) as u64,
            lock,
        };
        for path in stock.paths(PARTIAL)? {
            std::fs::remove_file(&path).map_err(failure(&path))?;
        }
        Ok(stock)
    }

    /// Lets others open it: also where somebody still holds this, or a child process its file.
    pub fn close(&self) {
        let _ = self.lock.unlock();
    }

    /// The extensions of a side, in an order of their names. Files of another length, as of another release, do not count.
    pub fn ids(&self, side: Side) -> Result<Vec<Id>, Error> {
        let mut ids: Vec<Id> = self
            .paths(side.suffix())?
            .iter()
            .filter(|path| {
                path.metadata()
                    .is_ok_and(|about| about.len() == self.length)
            })
            .filter_map(|path| unhex(path.file_stem()?.to_str()?))
            .collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// Remember the products of an extension.
    pub fn put(&self, side: Side, id: &Id, blocks: &[u128]) -> Result<(), Error> {
        let path = self.path(side, id);
        if path.exists() {
            return Err(Error::AlreadyUsed(hex(id)));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(16 + 16 * blocks.len()));
        bytes.extend(MAGIC);
        bytes.extend(blocks.iter().flat_map(|block| block.to_le_bytes()));
        let partial = path.with_extension(PARTIAL);
        let written = write_new(&partial, &bytes).and_then(|()| std::fs::rename(&partial, &path));
        if let Err(error) = written {
            let _ = std::fs::remove_file(&partial);
            return Err(failure(&partial)(error));
        }
        self.sync()
    }

    /// The products of an extension, which is then no longer here.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyUsed`] if it is not here; [`Error::NotAStock`] if its file is no such one, or was cut.
    pub fn take(&self, side: Side, id: &Id) -> Result<Blocks, Error> {
        let path = self.path(side, id);
        let fails = failure(&path);
        let mut file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::AlreadyUsed(hex(id)));
            }
            Err(error) => return Err(fails(error)),
        };
        std::fs::remove_file(&path).map_err(&fails)?;
        self.sync()?;
        let mut bytes = Zeroizing::new(Vec::new());
        if let Ok(about) = file.metadata() {
            bytes.reserve_exact(about.len() as usize + 1); // a vector that grows leaves what it held behind
        }
        file.read_to_end(&mut bytes).map_err(&fails)?;
        wipe(&file, bytes.len());
        match bytes.strip_prefix(&MAGIC) {
            Some(body) if bytes.len() as u64 == self.length => {
                let blocks = body.as_chunks::<16>().0;
                Ok(blocks.iter().map(|b| u128::from_le_bytes(*b)).collect())
            }
            _ => Err(Error::NotAStock(format!(
                "{}: it was cut, or is another kind of file",
                path.display()
            ))),
        }
    }

    /// Give up all extensions of a side but these.
    pub fn keep(&self, side: Side, ids: &[Id]) -> Result<(), Error> {
        let kept: Vec<PathBuf> = ids.iter().map(|id| self.path(side, id)).collect();
        let mut given_up = Vec::new();
        for path in self.paths(side.suffix())? {
            if !kept.contains(&path) {
                let fails = failure(&path);
                given_up.push(OpenOptions::new().write(true).open(&path).map_err(&fails)?);
                std::fs::remove_file(&path).map_err(&fails)?;
            }
        }
        self.sync()?;
        for file in given_up {
            wipe(&file, self.length as usize);
        }
        Ok(())
    }

    fn path(&self, side: Side, id: &Id) -> PathBuf {
        self.directory
            .join(format!("{}.{}", hex(id), side.suffix()))
    }

    /// Files with this suffix.
    fn paths(&self, suffix: &str) -> Result<Vec<PathBuf>, Error> {
        let fails = failure(&self.directory);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(&fails)? {
            let path = entry.map_err(&fails)?.path();
            if path.extension().is_some_and(|s| s == suffix) {
                found.push(path);
            }
        }
        Ok(found)
    }

    /// Names are on the disk when this returns.
    fn sync(&self) -> Result<(), Error> {
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(failure(&self.directory))
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Overwrite a file that has no name any more, on the disk: else the system would forget what was written with the file.
/// That it has no name is what guards it; so a failure is none of the caller's.
fn wipe(file: &File, length: usize) {
    use std::os::unix::fs::FileExt;
    let _ = file
        .write_all_at(&vec![0; length], 0)
        .and_then(|()| file.sync_data());
}

fn failure(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    |error| Error::File(path.display().to_string(), error)
}

fn hex(id: &Id) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Id> {
    let mut id = Id::default();
    if text.len() != 2 * id.len() || !text.is_ascii() {
        return None;
    }
    for (i, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    (hex(&id) == text).then_some(id)
}
