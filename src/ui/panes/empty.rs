//! Pages of which nothing is watched: they say so, and what to write (`screens.md` section 6).

use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::state::Page;
use crate::ui::chrome::on_page;
use crate::ui::pen::Pen;
use crate::ui::scene::Scene;
use crate::ui::signs::Sign;
use crate::ui::text::wrap;

/// What a page would show, and the table that would make it so.
struct Empty {
    /// Title on the rule.
    title: &'static str,
    /// What rounds cannot say.
    sentence: &'static str,
    /// What this version can do for it.
    advice: &'static [&'static str],
}

const NOT_YET: &str = "Nothing in the configuration can be shown here. `rounds config schema` names all that can be watched.";

const fn of(page: Page) -> Empty {
    match page {
        Page::Attention | Page::Activity => Empty { title: "", sentence: "", advice: &[] },
        Page::Health => Empty {
            title: "endpoints",
            sentence: "No endpoint is watched: rounds cannot say that anything answers",
            advice: &["[site.shop.http.NAME]", "url = \"https://shop.example.com/health/\""],
        },
        Page::Logs => Empty {
            title: "logs",
            sentence: "No log is watched: rounds cannot say what was logged",
            advice: &["[site.shop.log.NAME]", "path = \"/var/log/shop/*.log\""],
        },
        Page::Errors => Empty {
            title: "issues",
            sentence: "No error tracker is watched: rounds cannot say that there is no error",
            advice: &["[site.shop.sentry.NAME]", "organization = \"acme\"", "project = \"shop\"", "token = { env = \"SENTRY_AUTH_TOKEN\" }"],
        },
        Page::Metrics => {
            Empty { title: "metrics", sentence: "No metric is watched: rounds cannot draw any", advice: &[NOT_YET, "Latencies of endpoints stand on page 2."] }
        }
        Page::Dependencies => Empty {
            title: "packages",
            sentence: "No dependency is watched: rounds cannot say that they are up to date",
            advice: &["[site.shop.python.NAME]", "manifest = \"requirements.txt\"", "venv = \".venv\""],
        },
        Page::Backups => Empty {
            title: "backups",
            sentence: "No backup is watched: rounds cannot say that there is one",
            advice: &["[site.shop.files.NAME]", "path = \"/backups/*.sql.gz\"", "max_age = \"26h\""],
        },
        Page::Deploys => Empty { title: "deploys", sentence: "No deploy is watched: rounds cannot say what runs", advice: &[NOT_YET] },
        Page::Due => {
            Empty { title: "due", sentence: "No date is watched: rounds cannot say what is due", advice: &[NOT_YET, "Certificates that end stand on page 1."] }
        }
    }
}

/// Draws the empty state of a page.
pub fn draw(pen: &mut Pen<'_>, scene: &Scene<'_>, body: Rect, page: Page) {
    let theme = scene.theme;
    let empty = of(page);
    let last = body.right() - 2;
    // What is watched and not drawn is not "not watched".
    let watched = scene.sources().filter(|(_, source)| on_page(page, source.spec.capability)).count();
    if watched > 0 {
        pen.rule(1, body.y, last, &[Span::styled(empty.title, theme.bold(theme.accent))], &[]);
        let words = format!("{watched} watched; this page is not drawn yet, what needs a person stands on page 1");
        for (line, y) in wrap(&words, usize::from(last.saturating_sub(2))).into_iter().zip(body.y + 1..body.bottom()) {
            pen.put(3, y, last, &line, theme.text);
        }
        pen.spans(1, body.y + 1, last, &[Sign::Info.span(theme)]);
        return;
    }
    pen.rule(1, body.y, last, &[Span::styled(empty.title, theme.bold(theme.accent))], &[Span::styled("nothing configured", theme.dim)]);
    let mut y = body.y + 1;
    let cells = usize::from(last.saturating_sub(2));
    for (at, line) in wrap(empty.sentence, cells).into_iter().enumerate() {
        if y >= body.bottom() {
            return;
        }
        if at == 0 {
            pen.spans(1, y, last, &[Sign::Unknown.span(theme)]);
        }
        pen.put(3, y, last, &line, theme.text);
        y += 1;
    }
    y += 1;
    for advice in empty.advice {
        for line in wrap(advice, cells) {
            if y >= body.bottom() {
                return;
            }
            pen.put(3, y, last, &line, theme.dim);
            y += 1;
        }
    }
}
