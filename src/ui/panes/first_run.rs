//! Page 1 without any configuration: that nothing is watched, what to write, and where it was looked for.

use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::text::wrap;

/// The least that is worth writing.
const EXAMPLE: [&str; 5] = ["[site.shop]", "url = \"https://shop.example.com\"", "", "[site.shop.http.home]", "url = \"https://shop.example.com/health/\""];
const LOOKED: &str = "./rounds.toml and its parents, ~/.config/rounds/config.toml, /etc/rounds/config.toml";

/// Draws it.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect) {
    let theme = scene.theme;
    let last = body.right() - 2;
    let mut y = body.y;
    let bottom = body.bottom();
    let mut line = |pen: &mut Pen<'_>, x: u16, text: &str, style| {
        if y < bottom {
            pen.put(x, y, last, text, style);
        }
        y += 1;
    };
    line(pen, 1, "Nothing is watched yet: no configuration was found.", theme.text);
    line(pen, 1, "", theme.text);
    line(pen, 1, "Write this as rounds.toml, with your own addresses:", theme.text);
    line(pen, 1, "", theme.text);
    for text in EXAMPLE {
        line(pen, 3, text, theme.accent);
    }
    line(pen, 1, "", theme.text);
    if y < bottom {
        pen.rule(1, y, last, &[Span::styled("what now", theme.bold(theme.accent))], &[]);
    }
    y += 1;
    for (words, verb) in
        [("check what you wrote", "rounds config check"), ("look around first: a demonstration site", "rounds demo"), ("all there is", "rounds --help")]
    {
        if y < bottom {
            let begin = pen.right(30, y, last, verb, theme.accent);
            pen.put(3, y, begin.saturating_sub(2), words, theme.text);
        }
        y += 1;
    }
    y += 1;
    let cells = usize::from(last);
    for text in std::iter::once("Looked for a configuration in".to_owned()).chain(wrap(LOOKED, cells)) {
        if y < bottom {
            pen.put(1, y, last, &text, theme.dim);
        }
        y += 1;
    }
}
