//! What this machine tells of a repository that lies on it: free space, whether its disk is another machine's, whether the holder of a
//! lock is still there. Looks, never writes; a file system that does not answer holds nobody up.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

/// How long a file system may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What is known of the disk below a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Disk {
    /// What this user can still write there, in bytes.
    pub free_bytes: Option<u64>,
    /// Whether another machine has it.
    pub remote: Option<bool>,
}

/// Looks at the disk below a path.
pub async fn look(path: &Path) -> Disk {
    asked(path, at).await.unwrap_or_default()
}

/// Does something that a dead file system may hold up; `None` when it did, or the work broke off.
pub async fn asked<T: Send + 'static>(path: &Path, work: impl FnOnce(&Path) -> T + Send + 'static) -> Option<T> {
    let path: PathBuf = path.to_owned();
    tokio::time::timeout(PATIENCE, tokio::task::spawn_blocking(move || work(&path))).await.ok()?.ok()
}

fn at(path: &Path) -> Disk {
    let free_bytes = nix::sys::statvfs::statvfs(path).ok().map(|disk| {
        // The widths differ between systems.
        #[expect(clippy::useless_conversion, reason = "the counts are 32 bits wide on other systems")]
        let (blocks, size) = (u64::from(disk.blocks_available()), u64::from(disk.fragment_size()));
        blocks.saturating_mul(size)
    });
    Disk { free_bytes, remote: remote(path) }
}

/// File systems that come over a network, by the number that `statfs` gives.
#[cfg(target_os = "linux")]
fn remote(path: &Path) -> Option<bool> {
    const NETWORK: [u64; 7] = [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x00c3_6400, 0x5346_414f];
    /// FUSE: sshfs and rclone, but others too.
    const FUSE: u64 = 0x6573_5546;
    let kind = nix::sys::statfs::statfs(path).ok()?.filesystem_type().0 as u64 & 0xffff_ffff;
    if kind == FUSE { None } else { Some(NETWORK.contains(&kind)) }
}

#[cfg(not(target_os = "linux"))]
fn remote(_: &Path) -> Option<bool> {
    None
}

/// The name of this machine.
#[must_use]
pub fn host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

/// Whether two names are of one machine: with or without its domain.
#[must_use]
pub fn same_host(a: &str, b: &str) -> bool {
    let short = |name: &str| name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    !a.is_empty() && (a.eq_ignore_ascii_case(b) || ((!a.contains('.') || !b.contains('.')) && short(a) == short(b)))
}

/// Whether a process of this number runs on this machine.
#[must_use]
pub fn runs(pid: i32) -> bool {
    pid > 0 && !matches!(kill(Pid::from_raw(pid), None), Err(Errno::ESRCH)) && !is_over(pid)
}

/// Whether a process has ended and only waits for its parent to ask how.
fn is_over(pid: i32) -> bool {
    // Linux tells the state after the name, which stands in parentheses and may hold some itself.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn this_machine_is_known() {
        let dir = tempfile::tempdir().unwrap();
        assert!(look(dir.path()).await.free_bytes.is_some_and(|free| free > 0));
        assert_eq!(look(Path::new("/nowhere/at/all")).await.free_bytes, None);
        assert!(runs(i32::try_from(std::process::id()).unwrap()));
        assert!(!runs(0) && !runs(-1) && !runs(i32::MAX));
        for (a, b, same) in [("web1", "web1", true), ("web1.example", "WEB1", true), ("web1", "web2", false), ("web1.a", "web1.b", false), ("", "", false)] {
            assert_eq!(same_host(a, b), same, "{a} {b}");
        }
    }
}
