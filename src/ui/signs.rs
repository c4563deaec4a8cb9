//! Signs: shape first, then a word, then a colour (`screens.md` section 3). ASCII forms are in [`text::ascii`](super::text::ascii).

use ratatui::style::Style;
use ratatui::text::Span;

use super::theme::Theme;
use crate::domain::{Severity, Status, TransitionKind};

/// One judgement: its shape and its word. The style is asked of the theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sign {
    /// Down, critical.
    Crit,
    /// We cannot say.
    Unknown,
    /// Known once, too old.
    Stale,
    /// Degraded, a warning.
    Warn,
    /// Failed once, being retried.
    Pending,
    /// Worth knowing.
    Info,
    /// In a maintenance window.
    Maintenance,
    /// Not being checked.
    Paused,
    /// Somebody has it.
    Acknowledged,
    /// The first look is under way.
    Waiting,
    /// Looked at, in time, within limits.
    Ok,
}

impl Sign {
    /// Its shape.
    #[must_use]
    pub const fn glyph(self) -> char {
        match self {
            Self::Crit => '✖',
            Self::Unknown => '?',
            Self::Stale => '~',
            Self::Warn => '▲',
            Self::Pending => '△',
            Self::Info => 'i',
            Self::Maintenance => '◇',
            Self::Paused => '‖',
            Self::Acknowledged => 'z',
            Self::Waiting => '·',
            Self::Ok => '✔',
        }
    }

    /// Its word, at most five cells.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Crit => "CRIT",
            Self::Unknown => "UNKN",
            Self::Stale => "STALE",
            Self::Warn => "WARN",
            Self::Pending => "PEND",
            Self::Info => "INFO",
            Self::Maintenance => "MAINT",
            Self::Paused => "PAUSE",
            Self::Acknowledged => "ACK",
            Self::Waiting => "FIRST",
            Self::Ok => "OK",
        }
    }

    /// Its style; bold where it is critical.
    #[must_use]
    pub fn style(self, theme: &Theme) -> Style {
        match self {
            Self::Crit => theme.bold(theme.crit),
            Self::Unknown => theme.unknown,
            Self::Stale => theme.stale,
            Self::Warn | Self::Pending => theme.warn,
            Self::Info | Self::Maintenance => theme.info,
            Self::Paused | Self::Acknowledged | Self::Waiting => theme.dim,
            Self::Ok => theme.ok,
        }
    }

    /// The sign alone.
    #[must_use]
    pub fn span(self, theme: &Theme) -> Span<'static> {
        Span::styled(self.glyph().to_string(), self.style(theme))
    }

    /// Sign, blank and word.
    #[must_use]
    pub fn with_word(self, theme: &Theme) -> Span<'static> {
        Span::styled(format!("{} {}", self.glyph(), self.word()), self.style(theme))
    }

    /// Whether it is trouble enough for the map in the footer.
    #[must_use]
    pub const fn is_trouble(self) -> bool {
        matches!(self, Self::Crit | Self::Unknown | Self::Stale | Self::Warn)
    }
}

impl From<Severity> for Sign {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Self::Crit,
            Severity::Unknown => Self::Unknown,
            Severity::Warning => Self::Warn,
            Severity::Info => Self::Info,
        }
    }
}

impl From<Status> for Sign {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Self::Ok,
            Status::Degraded => Self::Warn,
            Status::Down => Self::Crit,
            Status::Pending => Self::Pending,
            Status::Unknown => Self::Unknown,
            Status::Stale => Self::Stale,
            Status::Paused => Self::Paused,
            Status::Maintenance => Self::Maintenance,
        }
    }
}

/// The mark of an event in lists, with its style.
#[must_use]
pub fn mark(kind: &TransitionKind, theme: &Theme) -> Span<'static> {
    match kind {
        TransitionKind::Status { to, .. } => Sign::from(*to).span(theme),
        TransitionKind::Opened { severity, .. } => Sign::from(*severity).span(theme),
        TransitionKind::Closed { .. } => Sign::Ok.span(theme),
        TransitionKind::Acknowledged { .. } => Span::styled("z", theme.accent),
        TransitionKind::Deploy { .. } => Span::styled("◆", theme.accent),
        TransitionKind::Action { ended: None, .. } => Span::styled("▸", theme.accent),
        TransitionKind::Action { ended: Some(end), .. } => if end.ok { Sign::Ok } else { Sign::Crit }.span(theme),
        TransitionKind::Drill(drill) => if drill.ok { Sign::Ok } else { Sign::Crit }.span(theme),
        TransitionKind::Checked(check) => if check.ok { Sign::Ok } else { Sign::Crit }.span(theme),
        TransitionKind::Note => Span::styled("i", theme.info),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::text::{ascii, width};

    const ALL: [Sign; 11] = [
        Sign::Crit,
        Sign::Unknown,
        Sign::Stale,
        Sign::Warn,
        Sign::Pending,
        Sign::Info,
        Sign::Maintenance,
        Sign::Paused,
        Sign::Acknowledged,
        Sign::Waiting,
        Sign::Ok,
    ];

    #[test]
    fn every_sign_has_a_shape_of_its_own_one_cell_wide() {
        for (at, sign) in ALL.iter().enumerate() {
            assert_eq!(width(&sign.glyph().to_string()), 1);
            assert!(width(sign.word()) <= 5);
            for other in &ALL[at + 1..] {
                assert_ne!(sign.glyph(), other.glyph());
                assert_ne!(ascii(sign.glyph()), ascii(other.glyph()));
                assert_ne!(sign.word(), other.word());
            }
        }
    }

    #[test]
    fn ascii_signs_are_those_of_the_design() {
        for (glyph, plain) in [('✔', '+'), ('▲', '!'), ('✖', 'X'), ('?', '?'), ('~', '~'), ('△', 'o'), ('◇', 'm'), ('‖', '='), ('z', 'z'), ('i', 'i')]
        {
            assert_eq!(ascii(glyph), plain);
        }
        for (glyph, plain) in [('◆', 'd'), ('↻', 'r'), ('§', 'c'), ('▫', 'b'), ('≡', '&'), ('●', '*'), ('↑', '^'), ('↺', 'r'), ('·', '.')] {
            assert_eq!(ascii(glyph), plain);
        }
    }
}
