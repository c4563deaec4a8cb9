//! Colours of each theme at each depth: the table of `screens.md` section 2.

use ratatui::style::{Color, Modifier, Style};

use super::{Background, Depth, Name, Theme, fg};

/// The styles of a coloured theme.
pub(super) fn styles(name: Name, depth: Depth, background: Background) -> Theme {
    let dark = background == Background::Dark;
    match (name, depth) {
        (Name::Terminal | Name::Mono, Depth::Sixteen | Depth::None) | (Name::Dark | Name::Light, Depth::Sixteen) => sixteen(dark),
        (Name::Terminal | Name::Mono, _) => refined(depth, dark),
        (Name::Dark | Name::Light, _) => full(depth, dark),
        (Name::Contrast, _) => contrast(depth, dark),
        (Name::Deutan, _) => {
            judged(depth, dark, [0x3b_82c4, 0xf0_c050, 0xe0_503c], [0x1a_5a9c, 0x8a_6200, 0xb0_2818], [Color::Blue, Color::Yellow, Color::Red])
        }
        (Name::Tritan, _) => {
            judged(depth, dark, [0x3f_b5b0, 0xf2_b8c6, 0xe0_403c], [0x0a_7070, 0x9a_4a68, 0xb0_2020], [Color::Cyan, Color::Magenta, Color::Red])
        }
    }
}

fn sixteen(dark: bool) -> Theme {
    let pick = |on_dark, on_light| fg(if dark { on_dark } else { on_light });
    let warn = fg(Color::Yellow);
    Theme {
        dim: fg(Color::DarkGray),
        faint: fg(Color::DarkGray),
        accent: pick(Color::Cyan, Color::Blue),
        ok: fg(Color::Green),
        warn: if dark { warn } else { warn.add_modifier(Modifier::BOLD) },
        crit: fg(Color::Red),
        unknown: fg(Color::Magenta),
        stale: fg(Color::Magenta),
        info: pick(Color::LightBlue, Color::Blue),
        graph1: fg(Color::Cyan),
        graph2: pick(Color::LightBlue, Color::Blue),
        graph4: fg(Color::DarkGray),
        ..Theme::default()
    }
}

/// The terminal's palette for what is judged; only the furniture and the series are refined.
fn refined(depth: Depth, dark: bool) -> Theme {
    let full = full(depth, dark);
    Theme {
        dim: full.dim,
        faint: full.faint,
        selection: full.selection,
        graph1: full.graph1,
        graph2: full.graph2,
        graph3: full.graph3,
        graph4: full.graph4,
        ..sixteen(dark)
    }
}

/// A colour by the 256 index or by its red, green and blue, on dark and on light.
fn colour(depth: Depth, dark: bool, index: (u8, u8), rgb: (u32, u32)) -> Color {
    let (index, rgb) = if dark { (index.0, rgb.0) } else { (index.1, rgb.1) };
    if depth == Depth::True { rgb_of(rgb) } else { Color::Indexed(index) }
}

fn rgb_of(rgb: u32) -> Color {
    Color::Rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

fn full(depth: Depth, dark: bool) -> Theme {
    let of = |index, rgb| fg(colour(depth, dark, index, rgb));
    Theme {
        dim: of((245, 241), (0x8a_9099, 0x62_686f)),
        faint: of((238, 252), (0x3d_434c, 0xc4_c9cf)),
        accent: of((73, 25), (0x56_b6c2, 0x10_50b8)),
        selection: Style::new().bg(colour(depth, dark, (236, 254), (0x26_2b33, 0xe6_ecf4))),
        ok: of((114, 28), (0x8c_c570, 0x22_722a)),
        warn: of((179, 94), (0xd8_b45f, 0x8a_6200)),
        crit: of((203, 160), (0xe0_6c75, 0xc0_2030)),
        unknown: of((176, 91), (0xc6_78dd, 0x8a_2aa0)),
        stale: of((176, 91), (0xc6_78dd, 0x8a_2aa0)),
        info: of((111, 26), (0x8c_c0ff, 0x20_68d8)),
        graph1: of((73, 30), (0x56_b6c2, 0x0a_7080)),
        graph2: of((75, 26), (0x6d_9df0, 0x10_50b8)),
        graph3: of((146, 244), (0xa9_b4c4, 0x7a_8290)),
        graph4: of((60, 248), (0x5d_6673, 0x9a_a3ad)),
        ..Theme::default()
    }
}

/// The furniture comes nearer to the text, judgements are as bright (or as dark) as their hue allows.
fn contrast(depth: Depth, dark: bool) -> Theme {
    if depth == Depth::Sixteen {
        let bright = |on_dark, on_light| fg(if dark { on_dark } else { on_light });
        return Theme {
            dim: Style::new(),
            faint: fg(Color::DarkGray),
            accent: bright(Color::LightCyan, Color::Blue),
            ok: bright(Color::LightGreen, Color::Green),
            warn: bright(Color::LightYellow, Color::Yellow).add_modifier(Modifier::BOLD),
            crit: bright(Color::LightRed, Color::Red).add_modifier(Modifier::BOLD),
            unknown: bright(Color::LightMagenta, Color::Magenta),
            stale: bright(Color::LightMagenta, Color::Magenta),
            ..sixteen(dark)
        };
    }
    let of = |index, rgb| fg(colour(depth, dark, index, rgb));
    Theme {
        dim: of((252, 236), (0xd0_d4da, 0x30_3438)),
        faint: of((244, 244), (0x80_8890, 0x78_7f88)),
        accent: of((87, 18), (0x5f_ffff, 0x00_2f8f)),
        selection: Style::new().bg(colour(depth, dark, (238, 252), (0x40_4754, 0xd0_dae8))),
        ok: of((119, 22), (0x80_ff70, 0x00_5000)),
        warn: of((227, 58), (0xff_f060, 0x5a_4000)).add_modifier(Modifier::BOLD),
        crit: of((210, 124), (0xff_8080, 0xa0_0010)).add_modifier(Modifier::BOLD),
        unknown: of((219, 54), (0xff_b0ff, 0x60_0078)),
        stale: of((219, 54), (0xff_b0ff, 0x60_0078)),
        info: of((117, 18), (0x90_d0ff, 0x00_3890)),
        ..full(depth, dark)
    }
}

/// Other hues for ok, warn and crit, so that they differ in brightness and in blue instead of red and green.
fn judged(depth: Depth, dark: bool, on_dark: [u32; 3], on_light: [u32; 3], palette: [Color; 3]) -> Theme {
    let rgb = if dark { on_dark } else { on_light };
    let of = |at: usize| {
        fg(match depth {
            Depth::Sixteen | Depth::None => palette[at],
            Depth::TwoFiftySix => Color::Indexed(cube(rgb[at])),
            Depth::True => rgb_of(rgb[at]),
        })
    };
    let rest = if depth == Depth::Sixteen { sixteen(dark) } else { full(depth, dark) };
    // A blue "ok" would be taken for a blue "info": information keeps the neutral colour of the text here.
    Theme { ok: of(0), warn: of(1), crit: of(2).add_modifier(Modifier::BOLD), info: rest.text, ..rest }
}

/// The nearest of the 6x6x6 colours of the 256, whose levels are 0, 95, 135, 175, 215 and 255.
fn cube(rgb: u32) -> u8 {
    let level = |shift: u32| {
        let value = (rgb >> shift) & 0xff;
        if value < 48 {
            0
        } else if value < 115 {
            1
        } else {
            (value - 35) / 40
        }
    };
    (16 + 36 * level(16) + 6 * level(8) + level(0)) as u8
}
