//! What the tests of several rooms share. For tests only.
//!
//! Real servers and tools stand in a test where they are installed: [`tool`] gives the program, or says why the test is
//! skipped. `ROUNDS_REQUIRE_TOOLS=1`, as `.ci/run` sets it, makes a skip a failure.

use std::path::PathBuf;

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
