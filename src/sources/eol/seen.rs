//! Which version of a product is in use, as a command tells: the program's own `--version`, `/etc/os-release`, the banner of a server.
//!
//! What does not belong here: until when a version is supported (`packages::life`).

use std::time::Duration;

use crate::backups::tool;
use crate::domain::SourceError;
use crate::io::exec::{self, Limits};

/// Bytes read of an answer: a version stands in its first lines.
const MOST: usize = 64 << 10;
/// Characters between the name of a product and its version: `PostgreSQL) 15.8`, `Redis server v=7.0.15`, `nginx/1.22.1`.
const BETWEEN: usize = 12;

/// Runs the command and reads the version.
///
/// # Errors
/// When it cannot be run, fails, or names no version.
pub(super) async fn ask(product: &str, argv: &[String], timeout: Duration) -> Result<String, SourceError> {
    let program = tool::program(argv.to_vec(), &[]);
    let output = exec::run(&program, Limits { stdout_bytes: MOST, ..Limits::within(timeout) }).await?;
    if !output.ending.success() {
        let message = format!("{}: {}: {}", program.tool(), output.ending, output.last_error_line());
        let message = message.trim_end_matches([':', ' ']);
        return Err(SourceError::missing(message, "run the command by hand as this user and look what it says"));
    }
    // nginx tells its version among its errors.
    version(product, &output.stdout_text()).or_else(|| version(product, &String::from_utf8_lossy(&output.stderr))).ok_or_else(|| {
        SourceError::nothing(format!("{} names no version of {product}", program.tool()), "let it print what `--version` or /etc/os-release says")
    })
}

/// The version in what was printed: `VERSION_ID` of an os-release file, else the figures behind the product's name, else the first with a point.
fn version(product: &str, text: &str) -> Option<String> {
    let known = |value: &str| value.starts_with(|c: char| c.is_ascii_digit()).then(|| value.to_owned());
    if let Some(value) = text.lines().find_map(|line| line.trim().strip_prefix("VERSION_ID=")) {
        return known(figures(value.trim_matches(['"', '\''])));
    }
    let (low, name) = (text.to_ascii_lowercase(), product.to_ascii_lowercase());
    let named = low.match_indices(&name).find_map(|(at, _)| {
        let rest = low[at + name.len()..].lines().next()?;
        let (place, _) = rest.char_indices().take(BETWEEN + 1).find(|(_, c)| c.is_ascii_digit())?;
        known(figures(&rest[place..]))
    });
    // A word such as `v20.1.0` or `3.20.1`; without a point it may be anything.
    let words = || text.split_whitespace().map(|word| figures(word.trim_start_matches('v'))).find(|word| word.contains('.') && known(word).is_some());
    named.or_else(|| words().map(str::to_owned))
}

/// The figures and points that a text begins with.
fn figures(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let end = end.min(40);
    text[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_programs_and_servers_tell_them() {
        for (product, text, seen) in [
            ("postgresql", "psql (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)\n", Some("15.8")),
            ("postgresql", "PostgreSQL 15.8 on x86_64-pc-linux-gnu, compiled by gcc", Some("15.8")),
            ("redis", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64\n", Some("7.0.15")),
            ("nginx", "nginx version: nginx/1.22.1\n", Some("1.22.1")),
            ("nginx", "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Length: 0\r\n", Some("1.22.1")),
            ("python", "Python 3.11.2\n", Some("3.11.2")),
            ("nodejs", "v20.19.2\n", Some("20.19.2")),
            ("mysql", "mysql  Ver 8.0.43 for Linux on x86_64 (MySQL Community Server - GPL)\n", Some("8.0.43")),
            ("debian", "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n", Some("12")),
            ("ubuntu", "NAME='Ubuntu'\nVERSION_ID='24.04'\n", Some("24.04")),
            ("alpine-linux", "3.20.1\n", Some("3.20.1")),
            ("debian", "NAME=\"Debian\"\nVERSION_ID=\"sid\"\n", None),
            ("nginx", "Server: gunicorn\r\n", None),
            ("redis", "", None),
            ("redis", "redis\u{e9}\u{e9}\u{e9} 7", Some("7")),
        ] {
            assert_eq!(version(product, text).as_deref(), seen, "{product}: {text}");
        }
    }
}
