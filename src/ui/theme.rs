//! The fifteen styles that panes may use, and nothing else (`screens.md` section 2).
//!
//! A theme is made from plain settings, and the settings from plain strings: what the environment says is read elsewhere.
//! What does not belong here: which style a thing has (`signs`, the panes).

use ratatui::style::{Color, Modifier, Style};

mod detect;
mod sequence;
mod table;

pub use detect::{EnvFacts, detect};
pub use sequence::sequence;

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

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    /// None: bold and reverse only.
    None,
    /// The sixteen of the palette; designed first.
    #[default]
    Sixteen,
    /// The 256 of xterm.
    TwoFiftySix,
    /// Red, green and blue of eight bits each.
    True,
}

/// What stands behind the text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Background {
    /// Light text on dark.
    #[default]
    Dark,
    /// Dark text on light.
    Light,
}

/// The themes that can be named in the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Name {
    /// The terminal's own palette entries at every depth.
    #[default]
    Terminal,
    /// All fifteen set, for a dark background.
    Dark,
    /// All fifteen set, for a light background.
    Light,
    /// As far from the background as colours go.
    Contrast,
    /// For eyes that take green for red.
    Deutan,
    /// For eyes that take blue for green.
    Tritan,
    /// No colour.
    Mono,
}

impl Name {
    /// All themes with the words of the configuration.
    pub const ALL: [(&'static str, Self); 7] = [
        ("terminal", Self::Terminal),
        ("dark", Self::Dark),
        ("light", Self::Light),
        ("contrast", Self::Contrast),
        ("deutan", Self::Deutan),
        ("tritan", Self::Tritan),
        ("mono", Self::Mono),
    ];

    /// The theme of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(word, _)| *word == text).map(|(_, name)| name)
    }
}

/// All that a theme is made from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThemeSettings {
    /// Which theme.
    pub name: Name,
    /// How many colours.
    pub depth: Depth,
    /// What stands behind the text.
    pub background: Background,
    /// Which characters.
    pub glyphs: Glyphs,
    /// Colour 8 equals the background: `dim` and `faint` are made with the dim attribute instead.
    pub dim_attribute: bool,
}

impl Theme {
    /// The styles of these settings.
    #[must_use]
    pub fn new(settings: ThemeSettings) -> Self {
        if settings.depth == Depth::None || settings.name == Name::Mono {
            return Self::mono(settings.glyphs);
        }
        let background = match settings.name {
            Name::Dark => Background::Dark,
            Name::Light => Background::Light,
            _ => settings.background,
        };
        let mut theme = table::styles(settings.name, settings.depth, background);
        theme.glyphs = settings.glyphs;
        if settings.dim_attribute && settings.depth == Depth::Sixteen {
            theme.dim = Style::new().add_modifier(Modifier::DIM);
            theme.faint = theme.dim;
        }
        theme
    }

    /// Bold and reverse, no colour, no dim attribute.
    fn mono(glyphs: Glyphs) -> Self {
        Self { selection: Style::new().add_modifier(Modifier::REVERSED), glyphs, mono: true, ..Self::default() }
    }

    /// Whether only ASCII may be used.
    #[must_use]
    pub fn ascii(&self) -> bool {
        self.glyphs == Glyphs::Ascii
    }

    /// The style as a filled block: banners, badges, the current digit.
    #[must_use]
    pub fn reversed(&self, style: Style) -> Style {
        style.add_modifier(Modifier::REVERSED)
    }

    /// The style of a word or number that matters.
    #[must_use]
    pub fn bold(&self, style: Style) -> Style {
        style.add_modifier(Modifier::BOLD)
    }

    /// The style of letters that a filter matched.
    #[must_use]
    pub fn matched(&self, style: Style) -> Style {
        style.add_modifier(Modifier::UNDERLINED)
    }

    /// The fifteen, for the swatch of `doctor` and for tests.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Style); 15] {
        [
            ("text", self.text),
            ("dim", self.dim),
            ("faint", self.faint),
            ("accent", self.accent),
            ("selection", self.selection),
            ("ok", self.ok),
            ("warn", self.warn),
            ("crit", self.crit),
            ("unknown", self.unknown),
            ("stale", self.stale),
            ("info", self.info),
            ("graph1", self.graph1),
            ("graph2", self.graph2),
            ("graph3", self.graph3),
            ("graph4", self.graph4),
        ]
    }
}

/// A style of one foreground colour.
fn fg(color: Color) -> Style {
    Style::new().fg(color)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_theme_keeps_the_palette_at_every_depth() {
        let sixteen = Theme::new(ThemeSettings::default());
        for depth in [Depth::TwoFiftySix, Depth::True] {
            let theme = Theme::new(ThemeSettings { depth, ..ThemeSettings::default() });
            for (refined, plain) in [
                (theme.ok, sixteen.ok),
                (theme.warn, sixteen.warn),
                (theme.crit, sixteen.crit),
                (theme.unknown, sixteen.unknown),
                (theme.accent, sixteen.accent),
            ] {
                assert_eq!(refined, plain);
            }
            assert_ne!(theme.dim, sixteen.dim);
            assert!(theme.selection.bg.is_some());
        }
        assert_eq!(sixteen.crit.fg, Some(Color::Red));
        assert_eq!(sixteen.selection, Style::new());
    }

    #[test]
    fn a_light_background_changes_what_would_not_be_read() {
        let light = Theme::new(ThemeSettings { background: Background::Light, ..ThemeSettings::default() });
        assert_eq!(light.accent.fg, Some(Color::Blue));
        assert!(light.warn.add_modifier.contains(Modifier::BOLD));
        assert_eq!(
            Theme::new(ThemeSettings { name: Name::Light, depth: Depth::True, ..ThemeSettings::default() }).text,
            Theme::new(ThemeSettings { name: Name::Light, background: Background::Dark, depth: Depth::True, ..ThemeSettings::default() }).text
        );
    }

    #[test]
    fn without_colour_nothing_is_coloured_or_dimmed() {
        for settings in [ThemeSettings { name: Name::Mono, ..ThemeSettings::default() }, ThemeSettings { depth: Depth::None, ..ThemeSettings::default() }] {
            let theme = Theme::new(settings);
            assert!(theme.mono);
            for (name, style) in theme.named() {
                assert!(style.fg.is_none() && style.bg.is_none() && !style.add_modifier.contains(Modifier::DIM), "{name}");
            }
            assert!(theme.selection.add_modifier.contains(Modifier::REVERSED));
        }
    }

    #[test]
    fn a_palette_whose_grey_is_the_background_is_dimmed_instead() {
        let theme = Theme::new(ThemeSettings { dim_attribute: true, ..ThemeSettings::default() });
        assert_eq!(theme.dim, Style::new().add_modifier(Modifier::DIM));
    }

    #[test]
    fn named_themes_have_named_colours_at_every_depth() {
        for (word, name) in Name::ALL {
            assert_eq!(Name::parse(word), Some(name));
            for depth in [Depth::Sixteen, Depth::TwoFiftySix, Depth::True] {
                for background in [Background::Dark, Background::Light] {
                    let theme = Theme::new(ThemeSettings { name, depth, background, ..ThemeSettings::default() });
                    if name != Name::Mono {
                        assert!(theme.crit.fg.is_some() && theme.crit != theme.warn && theme.warn != theme.ok, "{word} {depth:?}");
                    }
                }
            }
        }
        assert_eq!(Name::parse("neon"), None);
    }

    /// CIE lightness of a colour.
    fn lightness(style: Style) -> f64 {
        let Some(Color::Rgb(r, g, b)) = style.fg else { panic!("no colour") };
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let y = 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        116.0 * y.cbrt() - 16.0
    }

    #[test]
    fn deutan_tells_warnings_by_brightness() {
        let theme = Theme::new(ThemeSettings { name: Name::Deutan, depth: Depth::True, ..ThemeSettings::default() });
        assert!(lightness(theme.warn) >= lightness(theme.ok) + 15.0);
        assert!(lightness(theme.warn) >= lightness(theme.crit) + 15.0);
        assert!(theme.crit.add_modifier.contains(Modifier::BOLD));
    }
}
