//! The screens as a user meets them: snapshots, and what must hold for every page at every size.

use std::fmt::Write as _;

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier};

use super::fixture::*;
use super::theme::Theme;

/// With `ROUNDS_SCREENS=DIR` the screens are also written as ANSI text, to look at them with one's own eyes: `cat DIR/NAME.ansi`.
pub(crate) fn look(name: &str, buffer: &Buffer) {
    let Ok(dir) = std::env::var("ROUNDS_SCREENS") else { return };
    let mut out = String::new();
    for y in 0..buffer.area.height {
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            out.push_str("\u{1b}[0");
            for (modifier, code) in [(Modifier::BOLD, ";1"), (Modifier::DIM, ";2"), (Modifier::UNDERLINED, ";4"), (Modifier::REVERSED, ";7")] {
                if cell.modifier.contains(modifier) {
                    out.push_str(code);
                }
            }
            for (color, base) in [(cell.fg, 30), (cell.bg, 40)] {
                let plain = |n: u8| if n < 8 { base + n } else { base + 52 + n };
                let known = [
                    Color::Black,
                    Color::Red,
                    Color::Green,
                    Color::Yellow,
                    Color::Blue,
                    Color::Magenta,
                    Color::Cyan,
                    Color::Gray,
                    Color::DarkGray,
                    Color::LightRed,
                    Color::LightGreen,
                    Color::LightYellow,
                    Color::LightBlue,
                    Color::LightMagenta,
                    Color::LightCyan,
                    Color::White,
                ];
                match color {
                    Color::Rgb(r, g, b) => write!(out, ";{};2;{r};{g};{b}", base + 8).unwrap(),
                    Color::Indexed(n) => write!(out, ";{};5;{n}", base + 8).unwrap(),
                    color => {
                        if let Some(n) = known.iter().position(|known| *known == color) {
                            write!(out, ";{}", plain(n as u8)).unwrap();
                        }
                    }
                }
            }
            out.push('m');
            out.push_str(cell.symbol());
        }
        out.push_str("\u{1b}[0m");
        if y + 1 < buffer.area.height {
            out.push_str("\r\n");
        }
    }
    std::fs::write(std::path::Path::new(&dir).join(format!("{name}.ansi")), out).unwrap();
}

/// The screen of a state as text, kept.
pub(crate) fn snapshot(name: &str, state: &crate::state::State, theme: &Theme, width: u16, height: u16) {
    let (buffer, _) = screen(state, theme, width, height);
    look(&format!("{name}-{width}x{height}"), &buffer);
    insta::assert_snapshot!(format!("{name}-{width}x{height}"), text(&buffer));
}

pub(crate) const SIZES: [(u16, u16); 5] = [(40, 10), (60, 15), (80, 24), (120, 40), (200, 60)];

#[test]
fn attention_at_every_size() {
    let state = story();
    for (width, height) in SIZES {
        snapshot("attention", &state, &rich(), width, height);
    }
    snapshot("attention-mono", &state, &mono(), 80, 24);
    snapshot("attention-ascii", &state, &plain(), 80, 24);
    snapshot("attention-16", &state, &Theme::new(super::theme::ThemeSettings::default()), 80, 24);
}
