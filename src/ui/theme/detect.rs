//! From what the environment and the configuration say, as plain strings, to the settings of a theme.

use super::{Background, Depth, Glyphs, Name, ThemeSettings};

/// What the environment, the command line, the configuration and the terminal's own answer say. All as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvFacts {
    /// `NO_COLOR`; counts when it is not empty (no-color.org).
    pub no_color: Option<String>,
    /// `TERM`.
    pub term: Option<String>,
    /// `COLORTERM`; `truecolor` and `24bit` mean true colour.
    pub colorterm: Option<String>,
    /// `COLORFGBG`: foreground and background as palette numbers, `15;0`.
    pub colorfgbg: Option<String>,
    /// The locale of characters: the first set of `LC_ALL`, `LC_CTYPE`, `LANG`.
    pub locale: Option<String>,
    /// `--color`: `auto`, `always`, `never`.
    pub color: Option<String>,
    /// `ui.theme`.
    pub theme: Option<String>,
    /// `ui.glyphs`.
    pub glyphs: Option<String>,
    /// `ui.colors`: `auto`, `none`, `16`, `256`, `true`.
    pub colors: Option<String>,
    /// The configured background, where there is one.
    pub background: Option<String>,
    /// The configured way to dim, where there is one: `colour`, `attribute`.
    pub dim: Option<String>,
    /// Entry 8 of the palette as the terminal answered to OSC 4.
    pub grey: Option<(u8, u8, u8)>,
    /// The background the terminal answered to OSC 11, red, green and blue.
    pub answered: Option<(u8, u8, u8)>,
    /// The terminal draws ambiguous characters two cells wide.
    pub wide_ambiguous: bool,
}

/// The settings of a theme from these facts. Unknown words count as not said: the configuration room complains about them.
#[must_use]
pub fn detect(facts: &EnvFacts) -> ThemeSettings {
    let name = facts.theme.as_deref().and_then(Name::parse).unwrap_or_default();
    ThemeSettings { name, depth: depth(facts), background: background(facts), glyphs: glyphs(facts), dim_attribute: dims_by_attribute(facts) }
}

impl EnvFacts {
    /// Whether the terminal is to be asked for its background: it makes a difference, nobody said it, and the terminal is none of those
    /// that print what they do not understand.
    #[must_use]
    pub fn asks_for_background(&self) -> bool {
        let settings = detect(self);
        let term = self.term.as_deref().unwrap_or_default();
        let understands = !(term.is_empty() || term == "dumb" || term == "linux" || term.starts_with("vt"));
        let matters = settings.depth != Depth::None && !matches!(settings.name, Name::Mono | Name::Dark | Name::Light);
        understands && matters && !matches!(self.background.as_deref(), Some("dark" | "light"))
    }

    /// Whether it is also to be asked for the grey that dims: only sixteen colours depend on the palette's.
    #[must_use]
    pub fn asks_for_grey(&self) -> bool {
        self.asks_for_background() && self.dim.is_none() && detect(self).depth == Depth::Sixteen
    }
}

/// Colour 8 that is as good as the background dims nothing (Solarized).
fn dims_by_attribute(facts: &EnvFacts) -> bool {
    match (facts.dim.as_deref(), facts.grey, facts.answered) {
        (Some("attribute"), ..) => true,
        (None, Some(grey), Some(background)) => {
            let apart = |one: u8, other: u8| u32::from(one.abs_diff(other));
            apart(grey.0, background.0) + apart(grey.1, background.1) + apart(grey.2, background.2) < 60
        }
        _ => false,
    }
}

fn depth(facts: &EnvFacts) -> Depth {
    if facts.color.as_deref() == Some("never") {
        return Depth::None;
    }
    match facts.colors.as_deref() {
        Some("none") => return Depth::None,
        Some("16") => return Depth::Sixteen,
        Some("256") => return Depth::TwoFiftySix,
        Some("true") => return Depth::True,
        _ => {}
    }
    let always = facts.color.as_deref() == Some("always");
    let term = facts.term.as_deref().unwrap_or_default();
    if !always && (facts.no_color.as_deref().is_some_and(|value| !value.is_empty()) || term == "dumb" || term.starts_with("vt")) {
        return Depth::None;
    }
    if matches!(facts.colorterm.as_deref(), Some("truecolor" | "24bit")) || term.ends_with("-direct") {
        return Depth::True;
    }
    if term.contains("256color") { Depth::TwoFiftySix } else { Depth::Sixteen }
}

fn background(facts: &EnvFacts) -> Background {
    match facts.background.as_deref() {
        Some("dark") => return Background::Dark,
        Some("light") => return Background::Light,
        _ => {}
    }
    if let Some((r, g, b)) = facts.answered {
        let luma = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
        return if luma > 127.5 { Background::Light } else { Background::Dark };
    }
    // The last field is the background; 7 and 9 to 15 are light ones, 8 is dark grey.
    match facts.colorfgbg.as_deref().and_then(|text| text.rsplit(';').next()).and_then(|last| last.parse::<u8>().ok()) {
        Some(7 | 9..=15) => Background::Light,
        _ => Background::Dark,
    }
}

fn glyphs(facts: &EnvFacts) -> Glyphs {
    match facts.glyphs.as_deref() {
        Some("ascii") => return Glyphs::Ascii,
        Some("block") => return Glyphs::Block,
        Some("braille") => return Glyphs::Braille,
        _ => {}
    }
    let locale = facts.locale.as_deref().unwrap_or_default().to_ascii_lowercase();
    let utf8 = locale.contains("utf-8") || locale.contains("utf8");
    // The Linux console has a font of 256 or 512 characters, without the signs.
    if !utf8 || facts.term.as_deref() == Some("linux") || facts.wide_ambiguous { Glyphs::Ascii } else { Glyphs::Braille }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str) -> String {
        text.to_owned()
    }

    fn utf8() -> EnvFacts {
        EnvFacts { term: Some(set("xterm-256color")), locale: Some(set("en_GB.UTF-8")), ..EnvFacts::default() }
    }

    #[test]
    fn colours_follow_what_is_said_first() {
        for (facts, depth) in [
            (utf8(), Depth::TwoFiftySix),
            (EnvFacts { term: Some(set("xterm")), ..utf8() }, Depth::Sixteen),
            (EnvFacts { colorterm: Some(set("truecolor")), ..utf8() }, Depth::True),
            (EnvFacts { no_color: Some(set("1")), colorterm: Some(set("truecolor")), ..utf8() }, Depth::None),
            (EnvFacts { no_color: Some(set("")), ..utf8() }, Depth::TwoFiftySix),
            (EnvFacts { no_color: Some(set("1")), color: Some(set("always")), ..utf8() }, Depth::TwoFiftySix),
            (EnvFacts { color: Some(set("never")), colors: Some(set("true")), ..utf8() }, Depth::None),
            (EnvFacts { colors: Some(set("16")), colorterm: Some(set("truecolor")), ..utf8() }, Depth::Sixteen),
            (EnvFacts { term: Some(set("dumb")), ..utf8() }, Depth::None),
            (EnvFacts { term: Some(set("vt220")), ..utf8() }, Depth::None),
            (EnvFacts::default(), Depth::Sixteen),
        ] {
            assert_eq!(detect(&facts).depth, depth, "{facts:?}");
        }
    }

    #[test]
    fn the_background_is_asked_for_and_guessed_last() {
        for (facts, background) in [
            (utf8(), Background::Dark),
            (EnvFacts { colorfgbg: Some(set("0;15")), ..utf8() }, Background::Light),
            (EnvFacts { colorfgbg: Some(set("15;default;0")), ..utf8() }, Background::Dark),
            (EnvFacts { colorfgbg: Some(set("0;15")), answered: Some((16, 16, 20)), ..utf8() }, Background::Dark),
            (EnvFacts { background: Some(set("light")), answered: Some((16, 16, 20)), ..utf8() }, Background::Light),
        ] {
            assert_eq!(detect(&facts).background, background, "{facts:?}");
        }
    }

    #[test]
    fn the_terminal_is_asked_only_where_it_matters_and_understands() {
        let sixteen = EnvFacts { term: Some(set("xterm")), ..utf8() };
        assert!(utf8().asks_for_background() && !utf8().asks_for_grey());
        assert!(sixteen.asks_for_background() && sixteen.asks_for_grey());
        for facts in [
            EnvFacts { term: Some(set("linux")), ..utf8() },
            EnvFacts { term: Some(set("vt220")), ..utf8() },
            EnvFacts { term: None, ..utf8() },
            EnvFacts { no_color: Some(set("1")), ..utf8() },
            EnvFacts { theme: Some(set("dark")), ..utf8() },
            EnvFacts { theme: Some(set("mono")), ..utf8() },
            EnvFacts { background: Some(set("light")), ..utf8() },
        ] {
            assert!(!facts.asks_for_background(), "{facts:?}");
        }
        assert!(!EnvFacts { dim: Some(set("colour")), ..sixteen }.asks_for_grey());
    }

    #[test]
    fn a_grey_that_is_the_background_is_not_used_to_dim() {
        let solarized = EnvFacts { grey: Some((0, 43, 54)), answered: Some((0, 43, 54)), ..utf8() };
        assert!(detect(&solarized).dim_attribute);
        assert!(!detect(&EnvFacts { dim: Some(set("colour")), ..solarized.clone() }).dim_attribute);
        assert!(!detect(&EnvFacts { grey: Some((107, 114, 128)), ..solarized }).dim_attribute);
        assert!(detect(&EnvFacts { dim: Some(set("attribute")), ..utf8() }).dim_attribute);
    }

    #[test]
    fn signs_need_a_locale_and_a_font() {
        for (facts, glyphs) in [
            (utf8(), Glyphs::Braille),
            (EnvFacts { locale: Some(set("C.utf8")), ..utf8() }, Glyphs::Braille),
            (EnvFacts { locale: Some(set("C")), ..utf8() }, Glyphs::Ascii),
            (EnvFacts { locale: None, ..utf8() }, Glyphs::Ascii),
            (EnvFacts { term: Some(set("linux")), ..utf8() }, Glyphs::Ascii),
            (EnvFacts { wide_ambiguous: true, ..utf8() }, Glyphs::Ascii),
            (EnvFacts { term: Some(set("linux")), glyphs: Some(set("block")), ..utf8() }, Glyphs::Block),
        ] {
            assert_eq!(detect(&facts).glyphs, glyphs, "{facts:?}");
        }
    }
}
