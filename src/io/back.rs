//! What a log file was before: its older neighbours (`x.log.1`, `x.log.2.gz`, `x.log-20261120.gz`), and reading any of them in pieces
//! from their end. A packed file is unpacked as a stream; only a window of it is held.
//!
//! What does not belong here: what the bytes mean (`sources::log`), following (`tail`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::read::MultiGzDecoder;

/// Bytes of an unpacked file that are held.
pub const WINDOW: usize = 8 << 20;
/// Neighbours of one file that are looked at.
const NEIGHBOURS: usize = 1_000;

/// One file of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub path: PathBuf,
    /// Device and inode.
    pub id: (u64, u64),
    /// Its size as it lies on the disk.
    pub size: u64,
    /// Whether it is gzip.
    pub packed: bool,
    /// When it was last written.
    pub modified: Option<SystemTime>,
}

/// Whether a name is that of a packed archive, which is no text.
#[must_use]
pub fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|end| ["gz", "bz2", "xz", "zst", "lz4", "zip"].iter().any(|packed| end.eq_ignore_ascii_case(packed)))
}

/// Whether `path` has the name that a rotation gives to the old contents of `live`: `x.log.1`, `x.log-20261120.gz`, `x.log.old`,
/// `x-20261120.log`.
#[must_use]
pub fn is_archive(path: &Path, live: &Path) -> bool {
    mark(path, live).is_some()
}

/// What a rotation put into the name.
fn mark<'a>(path: &'a Path, live: &Path) -> Option<&'a str> {
    let (path, live) = (path.to_str()?, live.to_str()?);
    let separated = |rest: &'a str| rest.strip_prefix(['.', '-', '_', '~']);
    if let Some(rest) = path.strip_prefix(live) {
        let rest = separated(rest)?;
        return (matches!(rest, "old" | "bak" | "" | "old.gz" | "bak.gz") || rest.starts_with(|c: char| c.is_ascii_digit())).then_some(rest);
    }
    // A date before the ending, as logrotate's `extension` leaves it. A short number there is another log: `web-1.log`.
    let (stem, end) = live.rsplit_once('.').filter(|(_, end)| !end.contains('/'))?;
    let rest = separated(path.strip_prefix(stem)?)?;
    let date = rest.strip_suffix(".gz").unwrap_or(rest).strip_suffix(end)?.strip_suffix('.')?;
    (date.bytes().filter(u8::is_ascii_digit).count() >= 6 && date.bytes().all(|b| b.is_ascii_digit() || b == b'-')).then_some(date)
}

/// The file itself, if it is there, and what it was before, newest first; and names in a packing that is not read.
#[must_use]
pub fn chain(live: &Path) -> (Vec<Link>, Vec<PathBuf>) {
    let mut links: Vec<Link> = Vec::new();
    let mut unread = Vec::new();
    let mut old: Vec<(String, Link)> = Vec::new();
    for entry in live.parent().and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(mark) = mark(&path, live).map(str::to_owned) else { continue };
        if is_packed(&path) && path.extension().is_none_or(|end| end != "gz") {
            unread.push(path);
        } else if old.len() < NEIGHBOURS
            && let Some(link) = link(path)
        {
            old.push((mark, link));
        }
    }
    let number = |mark: &str| mark.split('.').next().filter(|n| n.len() <= 4).and_then(|n| n.parse::<u32>().ok());
    if old.iter().all(|(mark, _)| number(mark).is_some()) {
        old.sort_by_key(|(mark, _)| number(mark));
    } else if old.iter().all(|(mark, _)| number(mark).is_none() && mark.starts_with(|c: char| c.is_ascii_digit())) {
        old.sort_by(|(left, _), (right, _)| right.cmp(left));
    } else {
        old.sort_by_key(|(_, link)| std::cmp::Reverse(link.modified));
    }
    links.extend(link(live.to_owned()));
    // Between packing and deleting both are there: the plain one is enough.
    let plain: Vec<PathBuf> = old.iter().filter(|(_, link)| !link.packed).map(|(_, link)| link.path.clone()).collect();
    links.extend(old.into_iter().map(|(_, link)| link).filter(|link| !(link.packed && plain.contains(&link.path.with_extension("")))));
    (links, unread)
}

fn link(path: PathBuf) -> Option<Link> {
    let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let packed = is_packed(&path);
    Some(Link { id: (metadata.dev(), metadata.ino()), size: metadata.len(), packed, modified: metadata.modified().ok(), path })
}

/// What is known of a file beside its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Its size.
    pub size: u64,
    /// When it was last written.
    pub modified: Option<SystemTime>,
    /// When it was made, where the file system knows.
    pub made: Option<SystemTime>,
    /// Free bytes of its file system, for users.
    pub free: Option<u64>,
    /// All bytes of its file system.
    pub total: Option<u64>,
    /// Whether something rotated stands beside it.
    pub neighbours: bool,
}

/// What is known of a file; `None`: it is not there.
#[must_use]
pub fn facts(path: &Path) -> Option<Facts> {
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_file)?;
    let space = nix::sys::statvfs::statvfs(path).ok();
    let bytes = |blocks: u64, space: &nix::sys::statvfs::Statvfs| blocks.saturating_mul(space.fragment_size());
    let mut beside = path.parent().and_then(|parent| fs::read_dir(parent).ok()).into_iter().flatten().flatten();
    Some(Facts {
        size: metadata.len(),
        modified: metadata.modified().ok(),
        made: metadata.created().ok(),
        free: space.as_ref().map(|space| bytes(space.blocks_available(), space)),
        total: space.as_ref().map(|space| bytes(space.blocks(), space)),
        neighbours: beside.any(|entry| mark(&entry.path(), path).is_some()),
    })
}

/// A file that is read in pieces.
#[derive(Debug)]
pub struct Pieces {
    link: Link,
    file: File,
    /// Of a packed file: where the window begins, the window, and the unpacked size once it is known.
    start: u64,
    window: Vec<u8>,
    size: Option<u64>,
    unpacked: u64,
}

impl Pieces {
    /// Opens it.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(link: &Link) -> io::Result<Self> {
        let flags = nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOCTTY;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits()).open(&link.path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("not a file"));
        }
        Ok(Self { link: link.clone(), file, start: 0, window: Vec::new(), size: None, unpacked: 0 })
    }

    /// Which file.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Bytes that were unpacked so far, for a bound on work.
    #[must_use]
    pub fn unpacked(&self) -> u64 {
        self.unpacked
    }

    /// Its size, unpacked.
    ///
    /// # Errors
    /// What the system says; a damaged packing; `stop` said so.
    pub fn size(&mut self, stop: &dyn Fn() -> bool) -> io::Result<u64> {
        if !self.link.packed {
            return Ok(self.file.metadata()?.len());
        }
        match self.size {
            Some(size) => Ok(size),
            None => self.unpack(u64::MAX, stop),
        }
    }

    /// The bytes from `start` to `end`, fewer where the file ends before.
    ///
    /// # Errors
    /// What the system says; a damaged packing; `stop` said so.
    pub fn read(&mut self, start: u64, end: u64, stop: &dyn Fn() -> bool) -> io::Result<Vec<u8>> {
        if !self.link.packed {
            let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(WINDOW).min(WINDOW * 2)];
            let mut len = 0;
            while len < bytes.len() {
                match self.file.read_at(&mut bytes[len..], start + len as u64) {
                    Ok(0) => break,
                    Ok(read) => len += read,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            bytes.truncate(len);
            return Ok(bytes);
        }
        let held = self.start..self.start + self.window.len() as u64;
        if !(held.contains(&start) && end <= held.end) {
            self.unpack(end, stop)?;
        }
        let at = |place: u64| usize::try_from(place.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.window.len());
        Ok(self.window[at(start)..at(end)].to_vec())
    }

    /// Unpacks from the front to `end`, keeping the last bytes; gives how far it came.
    fn unpack(&mut self, end: u64, stop: &dyn Fn() -> bool) -> io::Result<u64> {
        let mut decoder = MultiGzDecoder::new(Positioned { file: &self.file, at: 0 });
        let mut piece = vec![0; 256 << 10];
        let mut total = 0u64;
        self.window.clear();
        while total < end {
            if stop() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes too long to unpack"));
            }
            let want = usize::try_from(end - total).unwrap_or(piece.len()).min(piece.len());
            let read = match decoder.read(&mut piece[..want]) {
                Ok(0) => {
                    self.size = Some(total);
                    break;
                }
                Ok(read) => read,
                // A file that is still being packed ends in the middle: what there is of it counts.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && total > 0 => {
                    self.size = Some(total);
                    break;
                }
                Err(error) => return Err(error),
            };
            total += read as u64;
            self.window.extend_from_slice(&piece[..read]);
            if self.window.len() >= 2 * WINDOW {
                self.window.drain(..self.window.len() - WINDOW);
            }
        }
        self.unpacked += total;
        self.start = total - self.window.len() as u64;
        Ok(total)
    }
}

/// A reader with a place of its own, so that the file can be read again from its front.
struct Positioned<'a> {
    file: &'a File,
    at: u64,
}

impl Read for Positioned<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn archives_are_told_by_their_names() {
        let live = Path::new("/var/log/x.log");
        for name in ["x.log.1", "x.log-20261120", "x.log.2026-11-20", "x.log.old", "x.log~", "x.log.3.gz", "x-20261120.log", "x-2026-11-20.log.gz"] {
            assert!(is_archive(&Path::new("/var/log").join(name), live), "{name}");
        }
        for name in ["x.log", "x.log.error", "y.log.1", "x.logs", "x-1.log", "x-20261120.txt"] {
            assert!(!is_archive(&Path::new("/var/log").join(name), live), "{name}");
        }
        assert!(is_packed(Path::new("x.log.3.gz")));
    }

    fn write_gz(path: &Path, bytes: &[u8]) {
        let mut packer = flate2::write::GzEncoder::new(File::create(path).unwrap(), flate2::Compression::fast());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap();
    }

    #[test]
    fn a_chain_goes_back_in_time() {
        let folder = tempfile::tempdir().unwrap();
        let live = folder.path().join("x.log");
        for name in ["x.log", "x.log.1", "x.log.10.gz", "x.log.2.gz", "x.log.3.zst", "y.log"] {
            fs::write(folder.path().join(name), b"a").unwrap();
        }
        let (links, unread) = chain(&live);
        let names: Vec<String> = links.iter().map(|link| link.path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["x.log", "x.log.1", "x.log.2.gz", "x.log.10.gz"]);
        assert_eq!(unread.len(), 1);
        for name in ["d.log", "d.log-20261118.gz", "d.log-20261120", "d.log-20261119.gz", "d.log-20261119"] {
            fs::write(folder.path().join(name), b"a").unwrap();
        }
        let names: Vec<String> =
            chain(&folder.path().join("d.log")).0.iter().map(|link| link.path.file_name().unwrap().to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["d.log", "d.log-20261120", "d.log-20261119", "d.log-20261118.gz"]);
    }

    #[test]
    fn a_packed_file_is_read_in_pieces_from_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log.1.gz");
        let text: Vec<u8> = (0..3 * WINDOW).map(|n| (n / 7 % 251) as u8).collect();
        write_gz(&path, &text);
        let mut pieces = Pieces::open(&link(path).unwrap()).unwrap();
        let never = || false;
        let size = pieces.size(&never).unwrap();
        assert_eq!(size, text.len() as u64);
        for (start, end) in [(size - 10, size), (size - 3_000_000, size - 2_000_000), (0, 100), (WINDOW as u64, WINDOW as u64 + 5)] {
            assert_eq!(pieces.read(start, end, &never).unwrap(), text[start as usize..end as usize]);
        }
        assert!(pieces.read(0, 10, &|| true).is_ok(), "what is held needs no unpacking");
        assert!(pieces.read(size - 10, size, &|| true).is_err());
    }
}
