//! Where a drill works: the lock that lets one run at a time, the mark of what was made, the scratch place, and nothing of it left behind.
//!
//! What does not belong here: what is done there (`run`).

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Broken;
use crate::domain::{SourceId, Transition};

/// What every scratch place is called, before its random part.
pub(super) const PREFIX: &str = "rounds-drill-";
/// In each of them: whose it is. What has none is not ours to take away.
const STAMP: &str = ".rounds-drill";
/// Beside the lock.
const MARK: &str = "begun.json";

/// What a run has made, kept until it is taken away.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Mark {
    /// The record of the run's beginning.
    pub record: Option<Transition>,
    /// Scratch places.
    pub places: Vec<PathBuf>,
    /// A scratch database on a person's own server.
    pub database: Option<String>,
}

/// One data set's place, held by this process.
#[derive(Debug)]
pub(super) struct Hold {
    dir: PathBuf,
    /// Held until this is dropped, and by the system no longer than this process lives.
    lock: File,
}

impl Hold {
    /// Takes it. Blocks.
    pub(super) fn take(work: &Path, source: &SourceId) -> Result<Self, Broken> {
        let digest = Sha256::digest(source.as_str());
        let name = digest.iter().take(8).fold(String::new(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        });
        let dir = work.join("drills").join(name);
        let refused = |error: &io::Error| {
            Broken::Refused(format!("{} cannot be written: {}", dir.display(), error.kind()), "name another folder with --state-dir".to_owned())
        };
        DirBuilder::new().recursive(true).mode(0o700).create(&dir).map_err(|error| refused(&error))?;
        let path = dir.join("lock");
        let mut lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(|error| refused(&error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&mut lock).take(64).read_to_string(&mut holder);
                let holder = holder.trim();
                let by = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                return Err(Broken::Refused(format!("a drill or a check of {source} runs already{by}"), "wait for its end".to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(refused(&error)),
        }
        let written = lock.set_len(0).and_then(|()| lock.seek(SeekFrom::Start(0))).and_then(|_| write!(lock, "{}", std::process::id()));
        written.map_err(|error| refused(&error))?;
        Ok(Self { dir, lock })
    }

    /// What a run that never told its end had made.
    pub(super) fn mark(&self) -> Option<Mark> {
        serde_json::from_slice(&fs::read(self.dir.join(MARK)).ok()?).ok()
    }

    /// Remembers what is about to be made. Written whole or not at all.
    pub(super) fn remember(&self, mark: &Mark) -> io::Result<()> {
        let (part, whole) = (self.dir.join(format!("{MARK}.part")), self.dir.join(MARK));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&serde_json::to_vec(mark)?)?;
        // A mark that is empty after a power cut would leave people's data lying about.
        file.sync_all()?;
        fs::rename(part, whole)
    }

    /// Nothing is left.
    pub(super) fn forget(&self) {
        let _ = fs::remove_file(self.dir.join(MARK));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // The file stays: taken away, two could hold a lock of the same name.
        let _ = self.lock.set_len(0);
        let _ = self.lock.unlock();
    }
}

/// A name that nobody else has.
pub(super) fn random_name() -> String {
    // The keys of the standard library's hash tables are random numbers of the system's.
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("{random:016x}")
}

/// A scratch place that is not made yet.
#[derive(Debug)]
pub(super) struct Plan {
    /// Where it will be; the folder above is there, and links in its path are resolved.
    pub root: PathBuf,
    /// The configured folder, where it was made by us and goes again.
    made: Option<PathBuf>,
}

/// A folder of one run.
#[derive(Debug)]
pub(super) struct Scratch {
    /// It, without links in its path.
    pub root: PathBuf,
    made: Option<PathBuf>,
}

fn refused(what: String, remedy: &str) -> Broken {
    Broken::Refused(what, remedy.to_owned())
}

/// The path with links resolved, also when its last parts are not there yet.
fn resolved(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for there in absolute.ancestors() {
        if let Ok(real) = there.canonicalize() {
            let rest = absolute.strip_prefix(there).unwrap_or(Path::new(""));
            return if rest.as_os_str().is_empty() { real } else { real.join(rest) };
        }
    }
    absolute
}

/// How a place and something that is protected lie to each other; `None`: apart.
fn touches(place: &Path, protected: &Path) -> Option<&'static str> {
    if place == protected {
        Some("is")
    } else if protected.starts_with(place) {
        Some("holds")
    } else if place.starts_with(protected) && protected != Path::new("/") {
        // Of a backup of the whole machine every place is a part.
        Some("is inside")
    } else {
        None
    }
}

fn apart(place: &Path, protects: &[PathBuf]) -> Result<(), Broken> {
    for protected in protects {
        if let Some(how) = touches(place, &resolved(protected)) {
            let what = format!("{} {how} {}, which a drill must not touch", place.display(), protected.display());
            return Err(refused(what, "let `drill.scratch` name an empty directory elsewhere"));
        }
    }
    Ok(())
}

/// Where the scratch place will be: below `scratch`, or the system's folder for temporary files. Makes nothing. Blocks.
pub(super) fn plan(scratch: Option<&Path>, protects: &[PathBuf]) -> Result<Plan, Broken> {
    let name = format!("{PREFIX}{}", random_name());
    let Some(scratch) = scratch else {
        let root = resolved(&std::env::temp_dir()).join(name);
        apart(&root, protects)?;
        return Ok(Plan { root, made: None });
    };
    let folder = resolved(scratch);
    apart(&folder, protects)?;
    let made = match fs::read_dir(&folder) {
        Ok(entries) => {
            for entry in entries {
                let entry = entry.map_err(|error| refused(format!("{} cannot be read: {}", folder.display(), error.kind()), "give this user the right"))?;
                if !is_ours(&entry.path()) {
                    let what = format!("{} is not empty: it holds {}, so it is no scratch place", folder.display(), entry.file_name().display());
                    return Err(refused(what, "let `drill.scratch` name an empty directory, or one that is not there yet"));
                }
            }
            None
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(folder.clone()),
        Err(error) => return Err(refused(format!("{} is no directory that can be read: {}", folder.display(), error.kind()), "mend `drill.scratch`")),
    };
    let root = folder.join(name);
    apart(&root, protects)?;
    Ok(Plan { root, made })
}

/// Whether a folder was made by a drill: its name and what is in it say so.
fn is_ours(path: &Path) -> bool {
    let named = path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(PREFIX));
    named && path.symlink_metadata().is_ok_and(|about| about.is_dir()) && path.join(STAMP).symlink_metadata().is_ok_and(|about| about.is_file())
}

impl Plan {
    /// Makes it: this person's alone, but for going through it where a server of another user works in it. Blocks.
    pub(super) fn make(self, source: &SourceId, protects: &[PathBuf]) -> Result<Scratch, Broken> {
        let Self { root, made } = self;
        let failed = |error: &io::Error| refused(format!("{} cannot be made: {}", root.display(), error.kind()), "let `drill.scratch` name another place");
        if let Some(folder) = &made {
            DirBuilder::new().recursive(true).mode(0o711).create(folder).map_err(|error| failed(&error))?;
            // Also where our own mask lets nobody in.
            fs::set_permissions(folder, Permissions::from_mode(0o711)).map_err(|error| failed(&error))?;
        }
        let scratch = Scratch { root: root.clone(), made };
        // Fails where something of that name is there, be it a link.
        DirBuilder::new().mode(0o700).create(&root).map_err(|error| failed(&error))?;
        let stamped =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(root.join(STAMP)).and_then(|mut file| file.write_all(source.as_str().as_bytes()));
        // Who put a link above it meanwhile is found out now.
        let made = stamped.map_err(|error| failed(&error)).and_then(|()| {
            if resolved(&root) == root { apart(&root, protects) } else { Err(refused(format!("{} was moved while it was made", root.display()), "try again")) }
        });
        let made = made.and_then(|()| {
            let copy = DirBuilder::new().mode(0o700).create(scratch.copy());
            copy.and_then(|()| fs::set_permissions(&root, Permissions::from_mode(0o711))).map_err(|error| failed(&error))
        });
        if let Err(broken) = made {
            let _ = scratch.remove();
            return Err(broken);
        }
        Ok(scratch)
    }
}

impl Scratch {
    /// Where the copy is restored.
    pub(super) fn copy(&self) -> PathBuf {
        self.root.join("copy")
    }

    /// Gives the place of the copy to whom the tool writes as. Blocks.
    pub(super) fn give(&self, user: &User) -> io::Result<()> {
        std::os::unix::fs::chown(self.copy(), Some(user.uid.as_raw()), Some(user.gid.as_raw()))
    }

    /// Takes it away. Blocks.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove(&self.root)?;
        if let Some(folder) = &self.made {
            // Another drill may be in it.
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    }
}

/// Takes away what a mark tells of, as far as it is ours, and ends what still runs there. Blocks.
pub(super) fn remove_leftovers(places: &[PathBuf]) -> io::Result<()> {
    for place in places {
        let empty = || fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
        let named = place.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(PREFIX));
        if is_ours(place) || named && empty() {
            end_programs(place);
            remove(place)?;
        }
    }
    Ok(())
}

/// Takes a folder away, also where parts of it are read-only. Links are taken away, not followed.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            fs::remove_dir_all(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn open_up(path: &Path) {
    let mut waiting = vec![path.to_owned()];
    while let Some(dir) = waiting.pop() {
        // What cannot be changed is told by the removal.
        let _ = fs::set_permissions(&dir, Permissions::from_mode(0o700));
        for entry in fs::read_dir(&dir).into_iter().flatten().filter_map(Result::ok) {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
    }
}

/// Ends programs that an interrupted run left: those whose working directory lies in its place, and those that were told to write there. The
/// name of the place is random: nobody else is told of it.
fn end_programs(dir: &Path) {
    let Ok(dir) = dir.canonicalize() else { return };
    let Some(named) = dir.to_str().filter(|_| is_ours(&dir)) else { return };
    let mut ended = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let works_there = fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(&dir));
        let there = works_there || fs::read(entry.path().join("cmdline")).is_ok_and(|argv| memchr::memmem::find(&argv, named.as_bytes()).is_some());
        if there && pid > 1 && u32::try_from(pid) != Ok(std::process::id()) {
            // It may have ended by itself in between.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            ended += 1;
        }
    }
    if ended > 0 {
        // Children of a server that is gone end by themselves, and write until they have.
        std::thread::sleep(std::time::Duration::from_millis(300));
    }
}

/// Room for this person on the disk of a folder, or of the nearest above it that is there.
pub(super) fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|path| path.is_dir())?;
    let about = nix::sys::statvfs::statvfs(there).ok()?;
    Some((about.blocks_available() as u64).saturating_mul(about.fragment_size() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> SourceId {
        SourceId::parse("shop/files/db").unwrap()
    }

    fn said(broken: &Broken) -> String {
        broken.to_string()
    }

    #[test]
    fn one_run_at_a_time_holds_a_data_set() {
        let dir = tempfile::tempdir().unwrap();
        let first = Hold::take(dir.path(), &source()).unwrap();
        let refused = said(&Hold::take(dir.path(), &source()).unwrap_err());
        assert!(refused.contains("runs already") && refused.contains(&std::process::id().to_string()), "{refused}");
        assert!(Hold::take(dir.path(), &SourceId::parse("blog/files/db").unwrap()).is_ok());
        assert_eq!(first.mark(), None);
        let mark = Mark { places: vec!["/x".into()], ..Mark::default() };
        first.remember(&mark).unwrap();
        drop(first);
        let second = Hold::take(dir.path(), &source()).unwrap();
        assert_eq!(second.mark(), Some(mark));
        second.forget();
        assert_eq!(second.mark(), None);
    }

    #[test]
    fn what_is_no_scratch_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().canonicalize().unwrap();
        let (data, repository, link) = (top.join("srv/data"), top.join("backups"), top.join("link"));
        fs::create_dir_all(&data).unwrap();
        fs::create_dir_all(repository.join("full")).unwrap();
        fs::write(repository.join("full/x"), "x").unwrap();
        std::os::unix::fs::symlink(&data, &link).unwrap();
        let protects = [data.clone(), repository.clone()];
        let refuses = |scratch: &Path| said(&plan(Some(scratch), &protects).unwrap_err());
        for (scratch, why) in [
            (data.clone(), "is "),
            (data.join("below/not/yet"), "is inside"),
            (top.join("srv"), "holds"),
            (link.clone(), "is "),
            (link.join("new"), "is inside"),
            (repository.join("full/../new"), "is inside"),
        ] {
            let said = refuses(&scratch);
            assert!(said.contains(&format!(" {why}")) && said.contains("which a drill must not touch"), "{}: {said}", scratch.display());
        }
        assert!(said(&plan(Some(&repository.join("full")), &[]).unwrap_err()).contains("is not empty: it holds x"));
        assert!(said(&plan(Some(&repository.join("full/x")), &[]).unwrap_err()).contains("is no directory"));
        // The whole machine is protected: below it is where everything is.
        assert!(plan(Some(&top.join("new")), &[PathBuf::from("/")]).is_ok());
        assert!(said(&plan(Some(Path::new("/")), &[PathBuf::from("/")]).unwrap_err()).contains("/ is /"));
        assert!(!top.join("new").exists(), "looking makes nothing");
    }

    #[test]
    fn a_place_is_made_and_taken_away_whole() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = dir.path().join("a/b");
        let place = plan(Some(&scratch), &[]).unwrap().make(&source(), &[]).unwrap();
        assert!(place.copy().is_dir() && place.root.starts_with(scratch.canonicalize().unwrap()));
        // Another one beside it is no stranger.
        let other = plan(Some(&scratch), &[]).unwrap().make(&source(), &[]).unwrap();
        let outside = dir.path().join("precious");
        fs::write(&outside, "x").unwrap();
        std::os::unix::fs::symlink(&outside, place.copy().join("link")).unwrap();
        fs::create_dir(place.copy().join("closed")).unwrap();
        fs::write(place.copy().join("closed/file"), "x").unwrap();
        fs::set_permissions(place.copy().join("closed"), Permissions::from_mode(0o500)).unwrap();
        place.remove().unwrap();
        assert!(!place.root.exists() && outside.exists() && scratch.exists());
        other.remove().unwrap();
        fs::remove_dir(&scratch).unwrap();
        plan(Some(&scratch), &[]).unwrap().make(&source(), &[]).unwrap().remove().unwrap();
        assert!(!scratch.exists(), "what was made for it goes with it");
    }

    #[test]
    fn only_what_is_ours_is_taken_away_later() {
        let dir = tempfile::tempdir().unwrap();
        let ours = plan(Some(&dir.path().join("s")), &[]).unwrap().make(&source(), &[]).unwrap();
        let precious = dir.path().join("precious");
        let named = dir.path().join(format!("{PREFIX}x"));
        for folder in [&precious, &named] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("data"), "x").unwrap();
        }
        remove_leftovers(&[ours.root.clone(), precious.clone(), named.clone(), dir.path().join("gone")]).unwrap();
        assert!(!ours.root.exists() && precious.join("data").exists() && named.join("data").exists());
    }
}
