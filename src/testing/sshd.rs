//! A real sshd on a loopback port with keys of its own, `sftp` included; killed with its connections when dropped. For tests only.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{port, serve, tool};
use crate::io::exec::{self, Limits, Program};

/// The server, and what a client needs to reach it.
pub struct Sshd {
    /// Its keys and its configuration.
    pub directory: tempfile::TempDir,
    server: PathBuf,
    client: PathBuf,
    /// Where it listens.
    pub port: u16,
    running: Option<tokio::task::JoinHandle<()>>,
}

impl Sshd {
    /// Starts one. `None`: skip the test; the reason is printed.
    pub async fn start() -> Option<Self> {
        let (server, client) = (tool("sshd")?, tool("ssh")?);
        if nix::unistd::geteuid().is_root() && !Path::new("/run/sshd").is_dir() {
            assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "sshd wants /run/sshd, which its service makes");
            eprintln!("skipped: sshd wants /run/sshd, which its service makes");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let (d, port) = (directory.path().display().to_string(), port());
        for name in ["host", "key", "stranger"] {
            let words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", name].map(str::to_owned);
            let made = exec::run(&Program::new(words.to_vec()).directory(directory.path()), Limits::within(Duration::from_secs(60))).await.unwrap();
            assert!(made.ending.success(), "{made:?}");
        }
        fs::copy(directory.path().join("key.pub"), directory.path().join("authorized")).unwrap();
        let host = fs::read_to_string(directory.path().join("host.pub")).unwrap();
        fs::write(directory.path().join("known"), format!("[127.0.0.1]:{port} {host}")).unwrap();
        let text = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {d}/host\nAuthorizedKeysFile {d}/authorized\nPidFile {d}/pid\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nLogLevel ERROR\nSubsystem sftp internal-sftp\n"
        );
        fs::write(directory.path().join("conf"), text).unwrap();
        let mut this = Self { directory, server, client, port, running: None };
        this.serve().await;
        Some(this)
    }

    /// Starts it again.
    pub async fn serve(&mut self) {
        // It wants its own whole name, and stays in the foreground.
        let argv = [self.server.display().to_string(), "-D".into(), "-e".into(), "-f".into(), self.directory.path().join("conf").display().to_string()];
        self.running = Some(serve(argv.to_vec(), self.directory.path(), self.port).await);
    }

    /// Ends it.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
            let _ = running.await;
        }
    }

    /// The client with the key of this name: `key` is known to the server, `stranger` is not.
    pub fn client(&self, key: &str) -> Vec<String> {
        let (d, port) = (self.directory.path().display(), self.port.to_string());
        let (key, known) = (format!("{d}/{key}"), format!("UserKnownHostsFile={d}/known"));
        let options =
            ["-F", "none", "-p", &port, "-i", &key, "-o", "IdentitiesOnly=yes", "-o", &known, "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes"];
        std::iter::once(self.client.display().to_string()).chain(options.map(str::to_owned)).collect()
    }
}
