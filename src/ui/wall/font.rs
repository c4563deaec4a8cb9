//! The letters of the wall: one font of seven rows, drawn in three sizes. Letters are as wide as they need to be.
//!
//! What does not belong here: what is written, and how large.

use ratatui::style::Style;

use crate::ui::pen::Pen;

/// Rows of dots in a letter.
const ROWS: usize = 7;

/// How large a dot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// Half a cell high, one wide; in ASCII a whole cell.
    Middle,
    /// Two cells wide, one high.
    Large,
    /// Three cells wide, two high.
    Huge,
}

impl Size {
    /// Cells of a dot: across, down. The middle size is told by [`Size::height`].
    const fn dot(self) -> (u16, u16) {
        match self {
            Self::Middle => (1, 1),
            Self::Large => (2, 1),
            Self::Huge => (3, 2),
        }
    }

    /// Rows on the screen.
    #[must_use]
    pub const fn height(self, ascii: bool) -> u16 {
        match self {
            Self::Middle if !ascii => 4,
            Self::Middle | Self::Large => 7,
            Self::Huge => 14,
        }
    }
}

/// The dots by letter. Small letters are those of units.
#[rustfmt::skip]
const LETTERS: &[(char, [&str; ROWS])] = &[
    ('0', [".###.", "#...#", "#..##", "#.#.#", "##..#", "#...#", ".###."]),
    ('1', [".#.", "##.", ".#.", ".#.", ".#.", ".#.", "###"]),
    ('2', [".###.", "#...#", "....#", "..##.", ".#...", "#....", "#####"]),
    ('3', ["#####", "...#.", "..#..", "...#.", "....#", "#...#", ".###."]),
    ('4', ["...#.", "..##.", ".#.#.", "#..#.", "#####", "...#.", "...#."]),
    ('5', ["#####", "#....", "####.", "....#", "....#", "#...#", ".###."]),
    ('6', ["..##.", ".#...", "#....", "####.", "#...#", "#...#", ".###."]),
    ('7', ["#####", "....#", "...#.", "..#..", ".#...", ".#...", ".#..."]),
    ('8', [".###.", "#...#", "#...#", ".###.", "#...#", "#...#", ".###."]),
    ('9', [".###.", "#...#", "#...#", ".####", "....#", "...#.", ".##.."]),
    ('A', [".###.", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"]),
    ('B', ["####.", "#...#", "#...#", "####.", "#...#", "#...#", "####."]),
    ('C', [".###.", "#...#", "#....", "#....", "#....", "#...#", ".###."]),
    ('D', ["####.", "#...#", "#...#", "#...#", "#...#", "#...#", "####."]),
    ('E', ["#####", "#....", "#....", "####.", "#....", "#....", "#####"]),
    ('F', ["#####", "#....", "#....", "####.", "#....", "#....", "#...."]),
    ('G', [".###.", "#...#", "#....", "#.###", "#...#", "#...#", ".###."]),
    ('H', ["#...#", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"]),
    ('I', ["###", ".#.", ".#.", ".#.", ".#.", ".#.", "###"]),
    ('J', ["..###", "...#.", "...#.", "...#.", "...#.", "#..#.", ".##.."]),
    ('K', ["#...#", "#..#.", "#.#..", "##...", "#.#..", "#..#.", "#...#"]),
    ('L', ["#....", "#....", "#....", "#....", "#....", "#....", "#####"]),
    ('M', ["#...#", "##.##", "#.#.#", "#.#.#", "#...#", "#...#", "#...#"]),
    ('N', ["#...#", "##..#", "#.#.#", "#..##", "#...#", "#...#", "#...#"]),
    ('O', [".###.", "#...#", "#...#", "#...#", "#...#", "#...#", ".###."]),
    ('P', ["####.", "#...#", "#...#", "####.", "#....", "#....", "#...."]),
    ('Q', [".###.", "#...#", "#...#", "#...#", "#.#.#", "#..#.", ".##.#"]),
    ('R', ["####.", "#...#", "#...#", "####.", "#.#..", "#..#.", "#...#"]),
    ('S', [".####", "#....", "#....", ".###.", "....#", "....#", "####."]),
    ('T', ["#####", "..#..", "..#..", "..#..", "..#..", "..#..", "..#.."]),
    ('U', ["#...#", "#...#", "#...#", "#...#", "#...#", "#...#", ".###."]),
    ('V', ["#...#", "#...#", "#...#", "#...#", "#...#", ".#.#.", "..#.."]),
    ('W', ["#...#", "#...#", "#...#", "#.#.#", "#.#.#", "#.#.#", ".#.#."]),
    ('X', ["#...#", "#...#", ".#.#.", "..#..", ".#.#.", "#...#", "#...#"]),
    ('Y', ["#...#", "#...#", ".#.#.", "..#..", "..#..", "..#..", "..#.."]),
    ('Z', ["#####", "....#", "...#.", "..#..", ".#...", "#....", "#####"]),
    ('d', ["....#", "....#", ".##.#", "#..##", "#...#", "#..##", ".##.#"]),
    ('h', ["#....", "#....", "#.##.", "##..#", "#...#", "#...#", "#...#"]),
    ('i', [".#.", "...", "##.", ".#.", ".#.", ".#.", "###"]),
    ('m', [".....", ".....", "##.#.", "#.#.#", "#.#.#", "#.#.#", "#.#.#"]),
    ('n', [".....", ".....", "#.##.", "##..#", "#...#", "#...#", "#...#"]),
    ('s', [".....", ".....", ".####", "#....", ".###.", "....#", "####."]),
    ('.', ["..", "..", "..", "..", "..", "##", "##"]),
    (',', ["..", "..", "..", "..", "##", ".#", "#."]),
    (':', ["..", "##", "##", "..", "##", "##", ".."]),
    ('\'', ["#", "#", ".", ".", ".", ".", "."]),
    ('%', ["##..#", "##..#", "...#.", "..#..", ".#...", "#..##", "#..##"]),
    ('-', [".....", ".....", ".....", "#####", ".....", ".....", "....."]),
    ('_', [".....", ".....", ".....", ".....", ".....", ".....", "#####"]),
    ('/', ["....#", "....#", "...#.", "..#..", ".#...", "#....", "#...."]),
    ('+', [".....", "..#..", "..#..", "#####", "..#..", "..#..", "....."]),
    (' ', ["...", "...", "...", "...", "...", "...", "..."]),
];

/// The dots of a character; small letters that are no units are capitals, what has no letter is a blank.
fn dots(c: char) -> &'static [&'static str; ROWS] {
    static BLANK: [&str; ROWS] = ["..."; ROWS];
    let find = |c: char| LETTERS.iter().find(|(letter, _)| *letter == c).map(|(_, dots)| dots);
    find(c).or_else(|| find(c.to_ascii_uppercase())).unwrap_or(&BLANK)
}

/// Cells that a text takes in this size.
#[must_use]
pub fn width(text: &str, size: Size) -> u16 {
    let dots: usize = text.chars().map(|c| dots(c)[0].len() + 1).sum();
    u16::try_from(dots.saturating_sub(1)).unwrap_or(u16::MAX).saturating_mul(size.dot().0)
}

/// As much of a text as fits, whole letters.
#[must_use]
pub fn clip(text: &str, size: Size, room: u16) -> &str {
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    ends.rev().map(|end| text[..end].trim_end()).find(|text| width(text, size) <= room).unwrap_or("")
}

/// Draws a text with its upper left corner at `x`, `y`; letters that would pass `last` are left out. Returns the column after it.
pub fn draw(pen: &mut Pen<'_>, x: u16, y: u16, last: u16, text: &str, size: Size, style: Style) -> u16 {
    let ascii = pen.theme.ascii();
    let (across, down) = size.dot();
    let mut x = x;
    for c in text.chars() {
        let dots = dots(c);
        let cells = dots[0].len() as u16 * across;
        if x + cells > last + 1 {
            break;
        }
        let lit = |column: usize, row: usize| dots.get(row).is_some_and(|dots| dots.as_bytes().get(column) == Some(&b'#'));
        for column in 0..dots[0].len() {
            let at = x + column as u16 * across;
            if size == Size::Middle && !ascii {
                for row in 0..4 {
                    let glyph = match (lit(column, row * 2), lit(column, row * 2 + 1)) {
                        (true, true) => '█',
                        (true, false) => '▀',
                        (false, true) => '▄',
                        (false, false) => continue,
                    };
                    pen.glyph(at, y + row as u16, glyph, style);
                }
                continue;
            }
            for row in (0..ROWS).filter(|row| lit(column, *row)) {
                for line in 0..down {
                    pen.fill(at, y + row as u16 * down + line, at + across - 1, if ascii { '#' } else { '█' }, style);
                }
            }
        }
        x += cells + across;
    }
    x.saturating_sub(across)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_has_seven_rows_of_one_width_and_stands_once() {
        for (at, (letter, rows)) in LETTERS.iter().enumerate() {
            assert!(rows.iter().all(|row| row.len() == rows[0].len() && row.chars().all(|dot| "#.".contains(dot))), "{letter}");
            assert!(LETTERS[at + 1..].iter().all(|(other, dots)| other != letter && (*letter == ' ' || dots != rows)), "{letter}");
        }
        // Whatever a site can be called can be written.
        for c in "abcdefghijklmnopqrstuvwxyz0123456789._-".chars() {
            assert!(LETTERS.iter().any(|(letter, _)| *letter == c.to_ascii_uppercase()), "{c}");
        }
    }

    #[test]
    fn letters_are_cut_whole() {
        assert_eq!(width("SHOP CRIT", Size::Large), 98);
        assert_eq!(clip("SHOP CRIT", Size::Large, 98), "SHOP CRIT");
        assert_eq!(clip("SHOP CRIT", Size::Large, 60), "SHOP");
        assert_eq!(clip("SHOP", Size::Huge, 3), "");
    }
}
