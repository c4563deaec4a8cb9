//! Hashes by which the counting knows a text again without reading it a second time.
//!
//! What does not belong here: fingerprints, which people see and the book keeps (`group`).

/// Mixes bytes into a hash, sixteen at a time. Only for telling texts apart within one run.
pub fn mix(mut hash: u64, bytes: &[u8]) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    // Both halves of the product go on.
    let fold = |hash: u64, left: u64, right: u64| {
        let product = u128::from(left ^ hash ^ K) * u128::from(right ^ hash.rotate_left(32));
        (product as u64) ^ ((product >> 64) as u64)
    };
    let halves = |block: &[u8; 16]| {
        let both = u128::from_le_bytes(*block);
        (both as u64, (both >> 64) as u64)
    };
    let (blocks, rest) = bytes.as_chunks::<16>();
    for block in blocks {
        let (left, right) = halves(block);
        hash = fold(hash, left, right).wrapping_add(K);
    }
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    let (left, right) = halves(&last);
    fold(fold(hash, left, right).wrapping_add(K), bytes.len() as u64, K)
}

/// The longest message that is known by its shape.
const SHAPED: usize = 240;

/// Mixes a message into a hash as if all of its figures were the same, so that one that differs in figures alone is known by what was told
/// of the first: fingerprints know figures as figures, whichever they are. A figure behind a colon (`::1` is an address) or before an `x`
/// (`0x1f`) is kept as it is, since there it matters. An id in hexadecimal counts as figures too, where it cannot be the end of a date.
/// `None`: too long.
pub fn shape(hash: u64, text: &[u8]) -> Option<u64> {
    let mut flat = [0; SHAPED];
    let flat = flat.get_mut(..text.len())?;
    flat.copy_from_slice(text);
    let word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b >= 0x80);
    // Where a run of hexadecimal began that may be an id, and whether it has a figure.
    let mut run = None;
    for at in 0..=text.len() {
        let before = at.checked_sub(1).map_or(0, |before| text[before]);
        let byte = text.get(at).copied().unwrap_or(0);
        if byte.is_ascii_hexdigit() {
            if matches!(before, b'=' | b'(' | b'[' | b'{' | b'<' | b'|' | b'/') {
                run = Some((at, false));
            }
            if byte.is_ascii_digit() {
                run = run.map(|(from, _)| (from, true));
                if before != b':' && !matches!(text.get(at + 1), Some(b'x' | b'X')) {
                    flat[at] = b'0';
                }
            }
        } else if let Some((from, true)) = run.take()
            && at - from >= 8
            && !word(text.get(at))
        {
            flat[from..at].fill(b'0');
        }
    }
    Some(mix(hash, flat))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sources::log::group;

    /// The message with each of its figures replaced by the next of these.
    fn with_figures(text: &str, figures: &[u8]) -> String {
        let mut figures = figures.iter().cycle();
        let mut other = || figures.next().map_or('0', |figure| char::from(b'0' + figure % 10));
        text.chars().map(|c| if c.is_ascii_digit() { other() } else { c }).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn messages_of_one_shape_are_one_group(
            text in "(order|::|:|0x|0X|x|[a-f]{1,9}|[=/(\\[<{|][0-9a-f]{8,12}|[0-9]{1,9}|[0-9]{4}-[0-9]{2}-[0-9]{2}|Nov 3 | |/|\\.|-|'|\"|@|%|é){0,24}",
            figures in proptest::collection::vec(any::<u8>(), 1..12),
        ) {
            let other = with_figures(&text, &figures);
            if shape(7, text.as_bytes()) == shape(7, other.as_bytes()) {
                let (one, two) = (group::identify(&text, None, &[]), group::identify(&other, None, &[]));
                prop_assert_eq!((one.fingerprint, one.former), (two.fingerprint, two.former), "{} / {}", text, other);
            }
        }

        #[test]
        fn messages_that_differ_in_an_id_are_one_group(
            before in "(Nov 3 |20 Nov 2026|[a-z]{1,5}|[0-9]{1,4}|[:. +-]|'|\"|/|\\?|@){0,8}[=/(\\[<{|]",
            ids in "[0-9a-f]{8,12}",
            other in "[0-9a-f]{8,12}",
            behind in "(Nov 3 | |[:. +@/-]|[0-9]{1,4}|[a-z]{1,5}|\\]|'|\"){0,8}",
        ) {
            let (left, right) = (format!("{before}{ids}{behind}"), format!("{before}{other}{behind}"));
            if shape(7, left.as_bytes()) == shape(7, right.as_bytes()) {
                let (one, two) = (group::identify(&left, None, &[]), group::identify(&right, None, &[]));
                prop_assert_eq!((one.fingerprint, one.former), (two.fingerprint, two.former), "{} / {}", left, right);
            }
        }
    }

    #[test]
    fn figures_alone_do_not_change_a_shape() {
        let of = |text: &str| shape(7, text.as_bytes());
        assert_eq!(of("Internal Server Error: /order/17/"), of("Internal Server Error: /order/93/"));
        assert_ne!(of("Internal Server Error: /order/17/"), of("Internal Server Error: /order/170/"));
        assert_ne!(of("refused by ::1"), of("refused by ::2"));
        assert_ne!(of("at 0x1f"), of("at 1x1f"));
        assert_eq!(of("[req=1a2b3c4d] lost"), of("[req=deadbee7] lost"));
        assert_ne!(of("[req=deadbeef] lost"), of("[req=1a2b3c4d] lost"));
        assert_ne!(of("on Nov 3 1a2b3c4d"), of("on Nov 3 1234abcd"));
        assert_eq!(shape(7, &[b'a'; SHAPED + 1]), None);
    }

    #[test]
    fn a_hash_tells_texts_of_nearly_the_same_bytes_apart() {
        let mut seen = std::collections::HashSet::new();
        for len in 0..70 {
            for mark in [0, 1, b'a', 0xff] {
                // The mark at the end, so that each text differs from all others in length or in one byte.
                let mut text = vec![0; len];
                text.push(mark);
                assert!(seen.insert(mix(1, &text)), "{text:?}");
            }
        }
    }
}
