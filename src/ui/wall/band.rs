//! The band over the whole width: one word about one site, readable from across the room.

use ratatui::style::Style;

use super::Frame;
use super::font::{self, Size};
use crate::ui::pen::Pen;

/// Rows of the band by the size of its letters, with two above them.
fn rows(size: Size, ascii: bool) -> u16 {
    match size {
        Size::Middle => size.height(ascii) + 2,
        Size::Large | Size::Huge => size.height(ascii) + 4,
    }
}

/// The letters that a screen has room for.
fn sizes(frame: &Frame) -> &'static [Size] {
    match (frame.area.width, frame.area.height) {
        (190.., 50..) => &[Size::Huge, Size::Large, Size::Middle],
        (100.., 30..) => &[Size::Large, Size::Middle],
        (60.., 20..) => &[Size::Middle],
        _ => &[],
    }
}

/// Draws the band at the top: `name` and `word` in the background's colour, `aside` in its last row. Gives how many rows it took.
pub fn draw(pen: &mut Pen<'_>, frame: &Frame, name: &str, word: &str, aside: &str, style: Style) -> u16 {
    let ascii = pen.theme.ascii();
    let room = frame.right + 1 - frame.left;
    let (name, word) = (name.to_uppercase(), word.to_uppercase());
    let text = [name.as_str(), word.as_str()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let largest = sizes(frame).first().copied();
    let fits = sizes(frame).iter().copied().find(|size| font::width(&text, *size) <= room);
    let Some(largest) = largest else { return line(pen, frame, &text, aside, style) };
    // The height does not depend on the name, so that nothing jumps from one site to the next.
    let height = rows(largest, ascii);
    fill(pen, height, style);
    let reversed = pen.theme.reversed(style);
    let size = fits.unwrap_or(Size::Middle);
    // The word is never cut: the name is.
    let text = if fits.is_some() {
        text
    } else {
        let left = room.saturating_sub(font::width(&word, size) + 4);
        format!("{} {word}", font::clip(&name, size, left))
    };
    let free = height - size.height(ascii) - u16::from(!aside.is_empty() && height > 7);
    let y = if size == largest { (free / 2).min(2) } else { free / 2 };
    font::draw(pen, frame.left, y, frame.right, text.trim(), size, reversed);
    if !aside.is_empty() {
        let style = pen.theme.bold(reversed);
        pen.put(frame.left, height - 1 - u16::from(height > 7), frame.right, aside, style);
    }
    height
}

/// The band as one row of text: where somebody has it, and where there is no room for letters.
pub fn line(pen: &mut Pen<'_>, frame: &Frame, text: &str, aside: &str, style: Style) -> u16 {
    fill(pen, 1, style);
    let style = pen.theme.bold(pen.theme.reversed(style));
    let begin = if aside.is_empty() { frame.right + 3 } else { pen.right(frame.left, 0, frame.right, aside, style) };
    pen.put(frame.left, 0, begin.saturating_sub(3), text, style);
    1
}

fn fill(pen: &mut Pen<'_>, height: u16, style: Style) {
    let last = pen.area().right().saturating_sub(1);
    let style = pen.theme.reversed(style);
    for y in 0..height {
        pen.fill(0, y, last, ' ', style);
    }
}
