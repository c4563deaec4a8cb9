//! Wheels as small as can be: a module that knows its version, and what installers read. For the demonstration, where an upgrade
//! installs them, and for tests.
//!
//! What does not belong here: which there are (`packages`), serving them (`index`).

use std::fmt::Write as _;

/// One wheel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wheel {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its `METADATA`.
    pub metadata: String,
}

/// The name of the file.
#[must_use]
pub fn file(name: &str, version: &str) -> String {
    format!("{}-{version}-py3-none-any.whl", module(name))
}

fn module(name: &str) -> String {
    name.to_lowercase().replace('-', "_")
}

/// Makes one. `requires`: what it asks of others; `python`: of the interpreter.
#[must_use]
pub fn make(name: &str, version: &str, requires: &[&str], python: &str) -> Wheel {
    let module = module(name);
    let info = format!("{module}-{version}.dist-info");
    let mut metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
    if !python.is_empty() {
        let _ = writeln!(metadata, "Requires-Python: {python}");
    }
    for one in requires {
        let _ = writeln!(metadata, "Requires-Dist: {one}");
    }
    let mut files = vec![
        (format!("{module}.py"), format!("__version__ = \"{version}\"\n")),
        (format!("{info}/METADATA"), metadata.clone()),
        (format!("{info}/WHEEL"), "Wheel-Version: 1.0\nGenerator: rounds\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned()),
    ];
    let mut record = String::new();
    for (name, _) in &files {
        let _ = writeln!(record, "{name},,");
    }
    let _ = writeln!(record, "{info}/RECORD,,");
    files.push((format!("{info}/RECORD"), record));
    Wheel { bytes: zip(&files), metadata }
}

/// An archive of files that are not compressed, all of the first day that the format knows, so that the same wheel is the same bytes.
fn zip(files: &[(String, String)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let mut sum = flate2::Crc::new();
        sum.update(text.as_bytes());
        let offset = size(out.len());
        let mut head = Vec::new();
        // Needs version 2.0; no flags, not compressed, 1980-01-01 00:00.
        head.extend([20_u16, 0, 0, 0, 0x21].into_iter().flat_map(u16::to_le_bytes));
        head.extend([sum.sum(), size(text.len()), size(text.len())].into_iter().flat_map(u32::to_le_bytes));
        // The length of the name, and of what is extra.
        head.extend([u16::try_from(name.len()).unwrap_or(u16::MAX), 0].into_iter().flat_map(u16::to_le_bytes));
        out.extend(0x0403_4b50_u32.to_le_bytes());
        out.extend(&head);
        out.extend(name.as_bytes());
        out.extend(text.as_bytes());
        directory.extend(0x0201_4b50_u32.to_le_bytes());
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&head);
        // The length of a comment, the disk, attributes within and without, and where it begins.
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (begin, count) = (size(out.len()), u16::try_from(files.len()).unwrap_or(u16::MAX));
    out.extend(&directory);
    out.extend(0x0605_4b50_u32.to_le_bytes());
    out.extend([0, 0, count, count].into_iter().flat_map(u16::to_le_bytes));
    out.extend(size(directory.len()).to_le_bytes());
    out.extend(begin.to_le_bytes());
    out.extend([0; 2]);
    out
}

/// These files are some hundred bytes.
fn size(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_is_the_same_bytes_each_time_and_says_what_it_needs() {
        let one = make("tea-weights", "0.3b1", &["asgiref>=3"], ">=3.9");
        assert_eq!(one, make("tea-weights", "0.3b1", &["asgiref>=3"], ">=3.9"));
        assert_eq!(one.metadata, "Metadata-Version: 2.1\nName: tea-weights\nVersion: 0.3b1\nRequires-Python: >=3.9\nRequires-Dist: asgiref>=3\n");
        assert_eq!(file("tea-weights", "0.3b1"), "tea_weights-0.3b1-py3-none-any.whl");
        let count = one.bytes.windows(4).filter(|four| **four == 0x0201_4b50_u32.to_le_bytes()).count();
        assert!(one.bytes.starts_with(b"PK\x03\x04") && count == 4 && one.bytes.len() < 2_000, "{count} {}", one.bytes.len());
    }
}
