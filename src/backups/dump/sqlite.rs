//! Lets SQLite look at its own file: read-only, as if nobody could change it, so that no lock is taken and nothing is written beside it.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

/// A larger file is judged by its length alone.
pub(super) const LARGEST: u64 = 512 << 20;
/// How often a running check looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// The address of a file that does not change: SQLite's own form, "URI filenames".
fn address(path: &Path) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let path: String =
        path.as_os_str().as_bytes().iter().map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") }).collect();
    format!("file:{path}?mode=ro&immutable=1")
}

/// What SQLite finds wrong, in words; `Ok(None)`: nothing; `Err`: it could not look, or was stopped.
pub(super) fn problem(path: &Path, stop: &AtomicBool) -> Result<Option<String>, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(address(path), flags)?;
    let handle = connection.get_interrupt_handle();
    let over = AtomicBool::new(false);
    let said = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                if stop.load(Ordering::Relaxed) {
                    handle.interrupt();
                }
                std::thread::park_timeout(LOOK);
            }
        });
        // A schema from outside runs no functions.
        let said = connection
            .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;")
            .and_then(|()| connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)));
        over.store(true, Ordering::Relaxed);
        said
    });
    let clipped = |text: &str| text.lines().last().unwrap_or_default().chars().filter(|c| !c.is_control()).take(120).collect::<String>();
    match said {
        Ok(said) if said == "ok" => Ok(None),
        Ok(said) => Ok(Some(format!("is damaged: {}", clipped(&said)))),
        Err(error) if matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) => {
            Ok(Some("is damaged: SQLite cannot read it".to_owned()))
        }
        Err(error) => Err(error),
    }
}
