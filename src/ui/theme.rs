//! The fifteen styles that panes may use, and nothing else (`screens.md` section 2).

use ratatui::style::Style;

/// The fifteen names. What each is for stands in the table of the design; panes use these and no raw colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Theme {
    /// Content.
    pub text: Style,
    /// Labels, column heads, units, ages, stale or acknowledged content.
    pub dim: Style,
    /// Rules, axes, tracks; never words.
    pub faint: Style,
    /// The focused title, keys, event marks, the selection's bar.
    pub accent: Style,
    /// The selected row, whole width.
    pub selection: Style,
    /// Verified good.
    pub ok: Style,
    /// Over a warning limit.
    pub warn: Style,
    /// Over a critical limit; bold when it is a word or number.
    pub crit: Style,
    /// Not known.
    pub unknown: Style,
    /// Too old to be trusted.
    pub stale: Style,
    /// Worth knowing.
    pub info: Style,
    /// The main series.
    pub graph1: Style,
    /// Second series, p99.
    pub graph2: Style,
    /// Third series, p50.
    pub graph3: Style,
    /// Background series.
    pub graph4: Style,
    /// Which characters may be used.
    pub glyphs: Glyphs,
    /// No colour at all: reverse and bold carry what colour would.
    pub mono: bool,
}

/// Which characters may be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Signs, braille graphs.
    #[default]
    Braille,
    /// Signs, block graphs.
    Block,
    /// Nothing outside ASCII.
    Ascii,
}
