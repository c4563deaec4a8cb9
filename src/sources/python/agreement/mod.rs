//! Agreement with the tools that people use: versions, specifiers and markers with `packaging`, the table of outdated packages with
//! `pip list --outdated` and `uv pip list --outdated`, advisories with `pip-audit`, package by package, on real old packages and the same answers to all.
//! What differs on purpose is named in docs/python.md.
//!
//! | file | what lives there |
//! | --- | --- |
//! | `cases` | versions, specifiers and markers, beside `packaging` |
//! | `environment` | a hundred old packages, beside `pip`, `uv` and `pip-audit` |

mod cases;
mod environment;

use std::time::Duration;

use crate::io::exec::{self, Limits, Program};

/// The Python that tests may use; `None` where a test is skipped, with the reason printed.
fn python() -> Option<String> {
    let python = std::env::var("ROUNDS_TEST_PYTHON").ok();
    if python.is_none() {
        assert!(std::env::var_os("ROUNDS_REQUIRE_TOOLS").is_none(), "name a Python with packaging, pip, uv and pip-audit in ROUNDS_TEST_PYTHON");
        eprintln!("skipped: ROUNDS_TEST_PYTHON names no Python");
    }
    python
}

/// What a program prints, where it ends well.
async fn run(argv: &[&str], limit_s: u64) -> Result<String, String> {
    said(argv, limit_s, &[]).await
}

/// What a program prints, where it ends well or with one of these codes.
async fn said(argv: &[&str], limit_s: u64, well: &[i32]) -> Result<String, String> {
    // What this machine is told of other places must not come between.
    let names = ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_CONFIG_FILE", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_FIND_LINKS"];
    let program = names.into_iter().fold(Program::new(argv.iter().map(|&word| word.to_owned()).collect()), Program::without);
    let limits = Limits { timeout: Duration::from_secs(limit_s), stdout_bytes: 16 << 20, stderr_bytes: 1 << 20 };
    let output = exec::run(&program, limits).await.map_err(|error| error.to_string())?;
    let good = output.ending.success() || output.ending.code().is_some_and(|code| well.contains(&code));
    if good { Ok(output.stdout_text()) } else { Err(format!("{argv:?}: {} {}", output.ending, String::from_utf8_lossy(&output.stderr))) }
}
