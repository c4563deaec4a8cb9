//! A copy taken out of its packing, into a directory: for trying a restore. Writes there and nowhere else.
//!
//! What does not belong here: loading it into a database (`actions::drill`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flate2::read::MultiGzDecoder;

use super::form::{self, Form, HEAD};
use super::{tar, zstd};
use crate::backups::{Restored, tool};
use crate::domain::SourceError;

/// What was put there.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Placed {
    /// A dump, no longer packed.
    Dump(PathBuf),
    /// A tar archive, whose members are wanted.
    Archive(PathBuf),
    /// A file of no known form.
    Other,
}

/// Ends the work when the future that wanted it is dropped.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes a copy of this machine out of its packing, into this empty directory. Dropping the future ends the work.
///
/// # Errors
/// When it is encrypted, damaged, or cannot be written there.
pub async fn restore(path: &Path, into: &Path, timeout: Duration) -> Result<Restored, SourceError> {
    let stop = Arc::new(AtomicBool::new(false));
    let guard = StopOnDrop(Arc::clone(&stop));
    let (from, to) = (path.to_owned(), into.to_owned());
    let placed = tokio::task::spawn_blocking(move || place(&from, &to, &stop)).await;
    drop(guard);
    match placed.map_err(|_| SourceError::protocol("unpacking the copy broke off"))?.map_err(|error| told(path, &error))? {
        Placed::Dump(dump) => Ok(Restored::Dump(dump)),
        Placed::Other => Ok(Restored::Files),
        Placed::Archive(archive) => {
            extract(&archive, into, timeout).await?;
            // Its members are there now.
            let _ = fs::remove_file(&archive);
            Ok(Restored::Files)
        }
    }
}

/// What somebody else put into the directory, taken out of its packing where it is one file.
///
/// # Errors
/// When nothing is there; as [`restore`].
pub async fn settle(into: &Path, timeout: Duration) -> Result<Restored, SourceError> {
    let folder = into.to_owned();
    let read = move || {
        let mut all: Vec<PathBuf> = fs::read_dir(&folder)?.take(2).map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<_>>()?;
        Ok::<_, io::Error>((all.pop(), all.is_empty()))
    };
    let found = tokio::task::spawn_blocking(read).await.map_err(|_| SourceError::protocol("the look at what was fetched broke off"))?;
    match found.map_err(|error| told(into, &error))? {
        (None, _) => Err(SourceError::missing("nothing was fetched: the directory is empty", "let `fetch` write the copy into {into}")),
        (Some(only), true) if only.is_file() => {
            let aside = into.join(".packed");
            fs::create_dir(&aside).map_err(|error| told(&aside, &error))?;
            let packed = aside.join(only.file_name().unwrap_or_default());
            fs::rename(&only, &packed).map_err(|error| told(&only, &error))?;
            let restored = restore(&packed, into, timeout).await;
            let _ = fs::remove_dir_all(&aside);
            restored
        }
        _ => Ok(Restored::Files),
    }
}

fn told(path: &Path, error: &io::Error) -> SourceError {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let message = match error.kind() {
        ErrorKind::UnexpectedEof => format!("{name} is cut: it ends too early"),
        ErrorKind::InvalidData | ErrorKind::InvalidInput => format!("{name} is damaged: it does not unpack"),
        ErrorKind::PermissionDenied => {
            return SourceError::config(format!("{name} is encrypted, or may not be read"), "give `fetch` a command that decrypts it");
        }
        _ => format!("{name} cannot be restored: {error}"),
    };
    SourceError::protocol(message)
}

/// Extracts with the system's own tar: names that lead out of the directory are refused by it.
async fn extract(archive: &Path, into: &Path, timeout: Duration) -> Result<(), SourceError> {
    let words = ["tar", "-x", "--no-same-owner", "--no-same-permissions", "-f"].map(str::to_owned);
    let paths = [archive.to_string_lossy().into_owned(), "-C".to_owned(), into.to_string_lossy().into_owned()];
    let output = tool::run(&tool::program(words.into_iter().chain(paths).collect(), &[]), timeout).await?;
    if output.ending.success() { Ok(()) } else { Err(SourceError::protocol(format!("tar: {}: {}", output.ending, output.last_error_line()))) }
}

/// The name without what its packing added.
fn unpacked_name(path: &Path) -> PathBuf {
    let name = PathBuf::from(path.file_name().unwrap_or_default());
    let is = |end: &str| name.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(end));
    if ["gz", "zst", "zstd"].into_iter().any(is) {
        name.with_extension("")
    } else if is("tgz") || is("tzst") {
        name.with_extension("tar")
    } else {
        name
    }
}

fn place(path: &Path, into: &Path, stop: &AtomicBool) -> io::Result<Placed> {
    if fs::metadata(path)?.is_dir() {
        let to = into.join(path.file_name().unwrap_or_default());
        folder(path, &to, stop)?;
        return Ok(Placed::Dump(to));
    }
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(HEAD as u64).read_to_end(&mut head)?;
    let packing = form::detect(&head);
    if packing == Form::Encrypted || form::is_encrypted(path) {
        return Err(ErrorKind::PermissionDenied.into());
    }
    let reader = BufReader::with_capacity(1 << 16, File::open(path)?);
    let to = into.join(unpacked_name(path));
    match packing {
        Form::Gz => copy(&mut MultiGzDecoder::new(reader), &to, stop)?,
        Form::Zst => copy(&mut zstd::Unpacked::new(reader), &to, stop)?,
        _ => copy(&mut { reader }, &to, stop)?,
    }
    let mut head = Vec::new();
    File::open(&to)?.take(HEAD as u64).read_to_end(&mut head)?;
    Ok(match form::detect(&head) {
        // pg_dump's own tar format is one dump.
        Form::Tar if head.starts_with(b"toc.dat\0") => Placed::Dump(to),
        Form::Tar => Placed::Archive(to),
        Form::Unknown if tar::walk(&mut tar::Plain::new(File::open(&to)?)?, |_| {})?.is_ok() => Placed::Archive(to),
        Form::Unknown | Form::Gz | Form::Zst | Form::Encrypted => Placed::Other,
        Form::Sql(_) | Form::Custom | Form::Directory | Form::Sqlite => Placed::Dump(to),
    })
}

fn copy(reader: &mut impl Read, to: &Path, stop: &AtomicBool) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(to)?;
    let mut buffer = vec![0; 1 << 17];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("stopped"));
        }
        match reader.read(&mut buffer) {
            Ok(0) => return file.flush(),
            Ok(count) => file.write_all(&buffer[..count])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The files of a dump in directory format; it has no folders of its own.
fn folder(from: &Path, to: &Path, stop: &AtomicBool) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            copy(&mut File::open(entry.path())?, &to.join(entry.file_name()), stop)?;
        }
    }
    Ok(())
}
