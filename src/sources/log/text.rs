//! Bytes as text for reading. What is UTF-8 is that; what is not is taken for windows-1252, byte by byte, as programs of two encodings write
//! into one line: a name in latin-1 within an otherwise well-written message.
//!
//! What does not belong here: UTF-16 (`digest`, by the mark at a file's front), control characters (whoever draws leaves them out).
//!
//! Facts: the Encoding Standard (encoding.spec.whatwg.org), windows-1252, which every label of latin-1 stands for.

use std::borrow::Cow;

use encoding_rs::WINDOWS_1252;

/// The text of these bytes.
#[must_use]
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_part_is_read_as_it_was_written() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            ("café €".as_bytes(), "café €"),
            (b"caf\xe9", "café"),
            (b"\x80 and \x93quotes\x94", "€ and “quotes”"),
            (b"utf-8 \xc3\xa9, latin-1 \xe9 in one line", "utf-8 é, latin-1 é in one line"),
            (b"M\xfcller f\xfcr Gr\xf6\xdfe", "Müller für Größe"),
            (b"", ""),
        ] {
            assert_eq!(decode(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_text_and_any_text_is_itself(bytes: Vec<u8>, text: String) {
            // Nothing is lost: the mark of what cannot be read stands only where it was written.
            let marked = memchr::memmem::find(&bytes, "\u{fffd}".as_bytes()).is_some();
            prop_assert_eq!(decode(&bytes).contains(char::REPLACEMENT_CHARACTER), marked);
            prop_assert!(decode(text.as_bytes()) == text);
        }
    }
}
