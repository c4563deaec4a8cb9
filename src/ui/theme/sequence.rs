//! The escape sequence of a style, for what is coloured outside the screen.

use ratatui::style::{Color, Modifier, Style};

/// The control sequence of a style (ECMA-48 SGR).
#[must_use]
pub fn sequence(style: Style) -> String {
    let mut codes = vec!["0".to_owned()];
    for (modifier, code) in [(Modifier::BOLD, "1"), (Modifier::DIM, "2"), (Modifier::UNDERLINED, "4"), (Modifier::REVERSED, "7")] {
        if style.add_modifier.contains(modifier) {
            codes.push(code.to_owned());
        }
    }
    codes.extend(style.fg.and_then(|color| colour(color, 30)));
    codes.extend(style.bg.and_then(|color| colour(color, 40)));
    format!("\u{1b}[{}m", codes.join(";"))
}

/// The code of a colour; `base` is 30 for the text and 40 for what is behind it.
fn colour(color: Color, base: u8) -> Option<String> {
    const PALETTE: [Color; 16] = [
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
        Color::Rgb(r, g, b) => Some(format!("{};2;{r};{g};{b}", base + 8)),
        Color::Indexed(index) => Some(format!("{};5;{index}", base + 8)),
        color => {
            let at = PALETTE.iter().position(|known| *known == color)?;
            let at = u8::try_from(at).ok()?;
            // The bright eight stand 60 higher.
            Some((if at < 8 { base + at } else { base + 52 + at }).to_string())
        }
    }
}
