//! A bar against a promise: how much of the time or space that was promised is used.

use ratatui::style::Style;
use ratatui::text::Span;

use crate::ui::theme::{Glyphs, Theme};

/// How many cells a bar may spill over its promise.
pub const SPILL: usize = 3;

/// The bar for `share` of the promise (1.0: all of it), `track` cells long before the promise; the width is always
/// `track + 1 + SPILL`, so that promises stand in one column. `known` is false where the value is not: the fill is then `unknown`.
#[must_use]
pub fn spans(share: f64, track: usize, known: bool, theme: &Theme) -> Vec<Span<'static>> {
    let (fill, rest, promise, crossed) = match theme.glyphs {
        Glyphs::Ascii => ('=', '-', '|', '+'),
        _ => ('━', '─', '│', '┿'),
    };
    let share = if share.is_nan() { 0.0 } else { share.max(0.0) };
    let style: Style = match share {
        _ if !known => theme.unknown,
        share if share < 0.8 => theme.ok,
        share if share <= 1.0 => theme.warn,
        _ => theme.crit,
    };
    let over = share > 1.0;
    let cells = if over { track } else { ((share * track as f64).round() as usize).min(track) };
    // What is over by anything at all spills one cell at least.
    let spill = if over { (((share - 1.0) * track as f64).ceil().clamp(1.0, SPILL as f64)) as usize } else { 0 };
    let mut spans = vec![Span::styled(fill.to_string().repeat(cells), style), Span::styled(rest.to_string().repeat(track - cells), theme.faint)];
    spans.push(if over { Span::styled(crossed.to_string(), style) } else { Span::styled(promise.to_string(), theme.faint) });
    spans.push(Span::styled(fill.to_string().repeat(spill), style));
    spans.push(Span::raw(" ".repeat(SPILL - spill)));
    spans.retain(|span| !span.content.is_empty());
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(share: f64, track: usize, glyphs: Glyphs) -> String {
        spans(share, track, true, &Theme { glyphs, ..Theme::default() }).iter().map(|span| span.content.as_ref()).collect()
    }

    #[test]
    fn a_bar_says_how_much_of_the_promise_is_used() {
        assert_eq!(text(9.0 / 26.0, 16, Glyphs::Braille), "━━━━━━──────────│   ");
        assert_eq!(text(22.0 / 26.0, 16, Glyphs::Braille), "━━━━━━━━━━━━━━──│   ");
        assert_eq!(text(33.0 / 26.0, 16, Glyphs::Braille), "━━━━━━━━━━━━━━━━┿━━━");
        assert_eq!(text(1.01, 4, Glyphs::Ascii), "====+=  ");
    }

    proptest! {
        #[test]
        fn any_share_has_the_same_width(share in any::<f64>(), track in 0usize..100) {
            prop_assert_eq!(text(share, track, Glyphs::Braille).chars().count(), track + 1 + SPILL);
        }
    }
}
