//! What the tests of several rooms share. For tests only.
//!
//! Real servers and tools stand in a test where they are installed: [`tool`] gives the program, or says why the test is
//! skipped. `ROUNDS_REQUIRE_TOOLS=1`, as `.ci/run` sets it, makes a skip a failure.

pub mod backups;
pub mod postgres;
pub mod sshd;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::TcpStream;

use crate::io::exec::{self, Limits, Program};

/// The program of this name, from `PATH` or where the system keeps its daemons. `None`: skip the test; the reason is printed.
pub fn tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let daemons = ["/usr/sbin", "/usr/local/sbin", "/sbin", "/lib/systemd"].map(PathBuf::from);
    let found = std::env::split_paths(&path).chain(daemons).map(|directory| directory.join(name)).find(|file| file.is_file());
    if found.is_none() {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none_or(|value| value != "1"), "{name} is not installed, and no test may be skipped");
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// A Python with this module: that of the tests, which `ROUNDS_TEST_PYTHON` names. `None`: skip the test; the reason is printed.
pub async fn python(module: &str) -> Option<String> {
    let python = std::env::var("ROUNDS_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let probe = Program::new(vec![python.clone(), "-c".into(), format!("import {module}")]);
    if exec::run(&probe, Limits::within(Duration::from_secs(60))).await.is_ok_and(|output| output.ending.success()) {
        return Some(python);
    }
    assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "{module} is not installed for {python}: name a Python in ROUNDS_TEST_PYTHON");
    eprintln!("skipped: {module} is not installed for {python}");
    None
}

/// A loopback port that was free a moment ago.
pub fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Starts a server, killed with its group when the task is aborted; waits until it listens.
pub async fn serve(argv: Vec<String>, base: &Path, port: u16) -> tokio::task::JoinHandle<()> {
    let program = Program::new(argv).directory(base);
    let running = tokio::spawn(async move {
        let output = exec::run(&program, Limits::within(Duration::from_secs(180))).await;
        eprintln!("the server ended: {output:?}");
    });
    for _ in 0..600 {
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            break;
        }
        assert!(!running.is_finished(), "the server ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    running
}
