//! Text for cells: cleaned, measured, cut, and numbers and times in the one way the screen writes them.
//!
//! Everything from outside passes [`sanitise`] before it reaches a cell; [`Pen`](super::pen::Pen) does that for all it draws.
//! What does not belong here: styles, places.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{Datelike, NaiveDate, NaiveDateTime, Offset, TimeZone};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::domain::Timestamp;
use crate::domain::time::{age_text, human, since, until_next_step};
use crate::state::view::ZoneName;

/// Code points of one cluster that are kept; more is somebody stacking marks.
const CLUSTER: usize = 6;

/// Takes out what a terminal would obey or what hides text: control characters (C0, C1, DEL), whole escape sequences (CSI,
/// OSC, DCS and kin), direction controls, characters without width, variation selectors. Line ends and tabs become a blank.
#[must_use]
pub fn sanitise(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\u{9b}' => skip_csi(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_string(&mut rest),
            '\r' if rest.as_str().starts_with('\n') => {}
            '\n' | '\r' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => clean.push(' '),
            c if c.is_control() || hidden(c) => {}
            c => clean.push(c),
        }
    }
    Cow::Owned(clean)
}

/// Whether a character hides or reorders text without being seen itself.
const fn hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn skip_escape(rest: &mut std::str::Chars<'_>) {
    match rest.clone().next() {
        Some('[') => {
            rest.next();
            skip_csi(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_string(rest);
        }
        // Two characters and, for charsets and the like, the intermediates between them.
        Some(' '..='~') => {
            while let Some(c) = rest.clone().next() {
                if !(' '..='~').contains(&c) {
                    break;
                }
                rest.next();
                if !(' '..='/').contains(&c) {
                    break;
                }
            }
        }
        _ => {}
    }
}

fn skip_csi(rest: &mut std::str::Chars<'_>) {
    while let Some(c) = rest.clone().next() {
        if !(' '..='~').contains(&c) {
            return;
        }
        rest.next();
        if ('@'..='~').contains(&c) {
            return;
        }
    }
}

/// A string sequence ends at BEL or ST. One that never ends is no sequence: its text stays, so that nothing is lost behind it.
fn skip_string(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    while let Some(c) = ahead.next() {
        match c {
            '\u{7}' | '\u{9c}' => {
                *rest = ahead;
                return;
            }
            '\u{1b}' if ahead.as_str().starts_with('\\') => {
                ahead.next();
                *rest = ahead;
                return;
            }
            _ => {}
        }
    }
}

/// The clusters of a cleaned text that take room, each with its cells.
pub(super) fn clusters(text: &str) -> impl Iterator<Item = (&str, usize)> {
    text.graphemes(true).filter_map(|cluster| {
        let end = cluster.char_indices().nth(CLUSTER).map_or(cluster.len(), |(at, _)| at);
        let cluster = &cluster[..end];
        let cells = cluster.width();
        (cells > 0).then_some((cluster, cells.min(2)))
    })
}

/// Cells that a cleaned text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { clusters(text).map(|(_, cells)| cells).sum() }
}

/// The text within so many cells; what is too long ends in `…`.
#[must_use]
pub fn clip(text: &str, cells: usize) -> Cow<'_, str> {
    let text = sanitise(text);
    if width(&text) <= cells {
        return text;
    }
    if cells == 0 {
        return Cow::Borrowed("");
    }
    let mut cut = head(&text, cells - 1).to_owned();
    cut.truncate(cut.trim_end().len());
    cut.push('…');
    Cow::Owned(cut)
}

/// As much of the beginning as fits.
fn head(text: &str, cells: usize) -> &str {
    let mut used = 0;
    for (cluster, wide) in clusters(text) {
        used += wide;
        if used > cells {
            let at = cluster.as_ptr() as usize - text.as_ptr() as usize;
            return &text[..at];
        }
    }
    text
}

/// As much of the end as fits.
fn tail(text: &str, cells: usize) -> &str {
    let all: Vec<(&str, usize)> = clusters(text).collect();
    let mut used = 0;
    for (cluster, wide) in all.iter().rev() {
        used += wide;
        if used > cells {
            let at = cluster.as_ptr() as usize - text.as_ptr() as usize + cluster.len();
            return &text[at..];
        }
    }
    text
}

/// A path or id within so many cells; it loses its middle, at slashes where they are: `shop/…/pricing.py`.
#[must_use]
pub fn clip_middle(text: &str, cells: usize) -> Cow<'_, str> {
    let text = sanitise(text);
    if width(&text) <= cells {
        return text;
    }
    if cells < 5 {
        return Cow::Owned(clip(&text, cells).into_owned());
    }
    if let (Some((first, _)), Some((_, last))) = (text.trim_start_matches('/').split_once('/'), text.rsplit_once('/')) {
        let root = if text.starts_with('/') { "/" } else { "" };
        let short = format!("{root}{first}/…/{last}");
        if width(&short) <= cells {
            return Cow::Owned(short);
        }
    }
    let before = (cells - 1) / 3;
    Cow::Owned(format!("{}…{}", head(&text, before), tail(&text, cells - 1 - before)))
}

/// Lines of at most so many cells, broken at blanks where there are any. Never empty.
#[must_use]
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let text = sanitise(text);
    let cells = cells.max(1);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let before = if line.is_empty() { 0 } else { width(&line) + 1 };
        if before + width(word) <= cells {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        let mut word = word;
        while width(word) > cells {
            let part = head(word, cells);
            // A cluster wider than the line is not drawn at all.
            if part.is_empty() {
                word = "";
                break;
            }
            lines.push(part.to_owned());
            word = &word[part.len()..];
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// What stands for a character where only ASCII may be used: signs and marks by the third column of `screens.md` section 3.
#[must_use]
pub const fn ascii(c: char) -> char {
    match c {
        ' '..='~' => c,
        '✔' => '+',
        '▲' => '!',
        '✖' => 'X',
        '△' | '○' => 'o',
        '◇' => 'm',
        '‖' | '▅' | '▆' | '▇' | '━' => '=',
        '●' => '*',
        '↑' => '^',
        '↺' | '↻' => 'r',
        '·' => '.',
        '◆' => 'd',
        '§' => 'c',
        '▫' => 'b',
        '≡' => '&',
        '▸' | '→' | '▌' => '>',
        '▾' | '▼' | '↓' => 'v',
        '┃' | '│' | '┊' | '┥' | '▐' => '|',
        '─' | '┈' | '–' | '—' | '▃' | '▄' | '‐' | '‑' => '-',
        '┿' | '┌' | '┐' | '└' | '┘' => '+',
        '▁' | '▂' => '_',
        '█' | '▓' | '▪' => '#',
        '…' => '~',
        '×' => 'x',
        '←' | '«' => '<',
        '»' => '>',
        '’' | '‘' => '\'',
        '“' | '”' => '"',
        _ => '?',
    }
}

/// A number with its thousands set apart by a blank: `18 443`.
#[must_use]
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Three significant digits at most: `0.25`, `3.1`, `12.4`, `312`, `18 443`.
#[must_use]
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    let digits = if size >= 99.95 {
        0
    } else if size >= 9.995 {
        1
    } else {
        2
    };
    if size >= 999.5 {
        let whole = thousands(size.round() as u64);
        return if value < 0.0 { format!("-{whole}") } else { whole };
    }
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A size in bytes: `940 B`, `254 MiB`, `1.84 GiB`.
#[must_use]
pub fn bytes(size: u64) -> String {
    let mut value = size as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 999.5 || unit == "TiB" {
            return format!("{} {unit}", number(value));
        }
        value /= 1024.0;
    }
    String::new()
}

/// An age for lists and how long it stays true: under a minute in steps, then `14 m`, `2 h 32 m`, `24 d`.
#[must_use]
pub fn age(then: Timestamp, now: Timestamp) -> (String, Duration) {
    let age = since(then, now);
    let s = age.as_secs();
    let unit = match s {
        0..60 => return (age_text(age), until_next_step(age)),
        60..36_000 => 60,
        36_000..172_800 => 3_600,
        _ => 86_400,
    };
    let next = Duration::from_secs((s / unit + 1) * unit);
    (human(age), next.saturating_sub(age) + Duration::from_millis(1))
}

/// How a due date reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// `in 12 d`, `today`, `2 d late`.
    pub text: String,
    /// It has passed.
    pub late: bool,
}

/// A due date by calendar days of the zone.
#[must_use]
pub fn due(due: Timestamp, now: Timestamp, zone: ZoneName) -> Due {
    let days = (local(due, zone).date() - local(now, zone).date()).num_days();
    match days {
        0 => Due { text: "today".to_owned(), late: false },
        1.. => Due { text: format!("in {days} d"), late: false },
        _ => Due { text: format!("{} d late", -days), late: true },
    }
}

/// The same moment on the clocks of the zone.
#[must_use]
pub fn local(at: Timestamp, zone: ZoneName) -> NaiveDateTime {
    let offset = match zone {
        ZoneName::Utc => return at.naive_utc(),
        ZoneName::Fixed(offset) => offset,
        ZoneName::Named(zone) => zone.offset_from_utc_datetime(&at.naive_utc()).fix(),
    };
    at.naive_utc().checked_add_offset(offset).unwrap_or_else(|| at.naive_utc())
}

/// The beginning of the next day of the zone: when a date by days changes.
#[must_use]
pub fn next_midnight(now: Timestamp, zone: ZoneName) -> Timestamp {
    let here = local(now, zone);
    let passed = here - here.date().and_time(chrono::NaiveTime::MIN);
    now + chrono::Duration::days(1) - passed
}

/// `03:12`.
#[must_use]
pub fn minute(at: Timestamp, zone: ZoneName) -> String {
    local(at, zone).format("%H:%M").to_string()
}

/// `03:12:04`.
#[must_use]
pub fn second(at: Timestamp, zone: ZoneName) -> String {
    local(at, zone).format("%H:%M:%S").to_string()
}

/// A date: `Wed`, within a week; `13 Nov`; another year `30 Apr 2028`.
fn date(day: NaiveDate, today: NaiveDate) -> String {
    let away = (day - today).num_days().abs();
    if away < 7 {
        day.format("%a").to_string()
    } else if day.year() == today.year() {
        day.format("%-d %b").to_string()
    } else {
        day.format("%-d %b %Y").to_string()
    }
}

/// A moment for lists: `03:12:04` today, `Wed 14:20` within a week, else `13 Nov`.
#[must_use]
pub fn moment(at: Timestamp, now: Timestamp, zone: ZoneName) -> String {
    let (day, today) = (local(at, zone).date(), local(now, zone).date());
    match (day - today).num_days().abs() {
        0 => second(at, zone),
        1..7 => format!("{} {}", date(day, today), minute(at, zone)),
        _ => date(day, today),
    }
}

/// A moment to the minute: `03:12` today, `Wed 14:20` within a week, else `13 Nov`.
#[must_use]
pub fn moment_short(at: Timestamp, now: Timestamp, zone: ZoneName) -> String {
    if local(at, zone).date() == local(now, zone).date() { minute(at, zone) } else { moment(at, now, zone) }
}

/// A day: `today`, `Mon` within a week, else `13 Nov`.
#[must_use]
pub fn day(at: Timestamp, now: Timestamp, zone: ZoneName) -> String {
    let (day, today) = (local(at, zone).date(), local(now, zone).date());
    if day == today { "today".to_owned() } else { date(day, today) }
}

/// The end of something: the time today, `Mon` within a week, else `13 Nov`.
#[must_use]
pub fn until(at: Timestamp, now: Timestamp, zone: ZoneName) -> String {
    let (day, today) = (local(at, zone).date(), local(now, zone).date());
    if day == today { minute(at, zone) } else { date(day, today) }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        for (dirty, clean) in [
            ("plain", "plain"),
            ("a\nb\r\nc\td", "a b c d"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]52;c;cm0gLXJm\u{7}after", "after"),
            ("\u{1b}]0;title\u{1b}\\after", "after"),
            ("\u{1b}]52;c;never ends", "52;c;never ends"),
            ("\u{9b}2Jx\u{9d}52;c;aa\u{9c}y", "xy"),
            ("\u{1b}Pq#0\u{1b}\\z", "z"),
            ("\u{1b}(Bx\u{1b}cy", "xy"),
            ("\u{202e}evil\u{2066}\u{200b}\u{feff}\u{fe0f}", "evil"),
            ("\u{7}\u{8}\u{0}\u{7f}\u{80}x", "x"),
            ("naïve 日本", "naïve 日本"),
        ] {
            assert_eq!(sanitise(dirty), clean, "{dirty:?}");
        }
    }

    #[test]
    fn cutting_keeps_to_the_cells() {
        for (text, cells, cut) in [
            ("Deploy v214 is worse", 20, "Deploy v214 is worse"),
            ("Deploy v214 is worse", 12, "Deploy v214…"),
            ("Deploy v214 is worse", 13, "Deploy v214…"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
            ("", 0, ""),
        ] {
            assert_eq!(clip(text, cells), cut);
            assert!(width(&clip(text, cells)) <= cells);
        }
        for (text, cells, cut) in [
            ("shop/basket/api/pricing.py", 17, "shop/…/pricing.py"),
            ("/srv/shop/basket/pricing.py", 17, "/srv/…/pricing.py"),
            ("8f3c1d2aa07cafebabe", 10, "8f3…febabe"),
            ("short", 10, "short"),
        ] {
            assert_eq!(clip_middle(text, cells), cut);
        }
    }

    #[test]
    fn long_texts_are_broken_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn numbers_have_three_digits_and_blanks() {
        for (value, text) in
            [(0.2, "0.2"), (7.25931, "7.26"), (12.34, "12.3"), (312.4, "312"), (18_443.0, "18 443"), (100.0, "100"), (0.0, "0"), (-4211.0, "-4 211")]
        {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(f64::NAN), "–");
        assert_eq!(thousands(1_000_000), "1 000 000");
        assert_eq!(thousands(999), "999");
        for (size, text) in [(940, "940 B"), (266_338_304, "254 MiB"), (1_975_684_956, "1.84 GiB"), (1_000, "0.98 KiB")] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn dates_read_as_people_say_them() {
        let now = at("2026-11-20T03:12:10Z");
        let utc = ZoneName::Utc;
        for (when, text) in [
            ("2026-11-20T03:12:04Z", "03:12:04"),
            ("2026-11-18T14:20:00Z", "Wed 14:20"),
            ("2026-11-13T14:20:00Z", "13 Nov"),
            ("2028-04-30T00:00:00Z", "30 Apr 2028"),
        ] {
            assert_eq!(moment(at(when), now, utc), text);
        }
        for (when, text, late) in [
            ("2026-12-02T00:00:00Z", "in 12 d", false),
            ("2026-11-20T23:00:00Z", "today", false),
            ("2026-11-20T00:00:00Z", "today", false),
            ("2026-11-18T23:59:00Z", "2 d late", true),
        ] {
            assert_eq!(due(at(when), now, utc), Due { text: text.to_owned(), late });
        }
        let zone = ZoneName::Named(chrono_tz::Europe::Berlin);
        assert_eq!(minute(now, zone), "04:12");
        assert_eq!(next_midnight(now, zone), at("2026-11-20T23:00:00Z"));
        assert_eq!(day(at("2026-11-23T09:00:00Z"), now, utc), "Mon");
    }

    #[test]
    fn ages_say_when_they_change() {
        let now = at("2026-11-20T03:12:10Z");
        for (s, text) in [(3, "5 s"), (50, "1 m"), (840, "14 m"), (9_120, "2 h 32 m"), (32_400, "9 h"), (2_073_600, "24 d")] {
            let then = now - chrono::Duration::seconds(s);
            let (shown, stays) = age(then, now);
            assert_eq!(shown, text);
            let before = now + chrono::Duration::from_std(stays).unwrap() - chrono::Duration::milliseconds(1_100);
            assert_eq!(age(then, before).0, text, "{s}");
            let after = now + chrono::Duration::from_std(stays).unwrap();
            assert!(age(then, after).0 != text || s < 60, "{s}");
        }
    }

    proptest! {
        #[test]
        fn cleaned_text_is_clean_and_measured(text in "\\PC*|[\\x00-\\x7f\\u{80}-\\u{a0}\\u{200b}-\\u{206f}]*", cells in 0usize..40) {
            let clean = sanitise(&text);
            prop_assert!(!clean.chars().any(|c| c.is_control() || hidden(c)));
            prop_assert!(width(&clip(&text, cells)) <= cells);
            prop_assert!(width(&clip_middle(&text, cells)) <= cells.max(1));
            for line in wrap(&text, cells) {
                prop_assert!(width(&line) <= cells.max(1));
            }
        }
    }
}
