//! What every page has around it: header, banner, footer, prompt, toast, stripe (`screens.md` sections 4 and 6).

use ratatui::style::Style;
use ratatui::text::Span;

use super::layout::SMALLEST;
use super::pen::{Pen, spans_width};
use super::scene::Scene;
use super::signs::Sign;
use super::text;
use crate::domain::{Capability, Status, Timestamp};
use crate::state::view::ZoneName;
use crate::state::{Command, NoticeKind, Page, PromptKind};

/// The banner to show, the most important first, and how many more there are.
struct Banner {
    sign: &'static str,
    /// Bold.
    text: String,
    /// At the right.
    aside: String,
    style: Style,
    /// Paints the edges of the page.
    stripe: bool,
}

fn banners(scene: &Scene<'_>) -> Vec<Banner> {
    let theme = scene.theme;
    let mut banners = Vec::new();
    let mut notices: Vec<_> = scene.state.world.notices.iter().collect();
    notices.sort_by_key(|notice| notice.kind);
    let why = scene.key(Command::Palette);
    for notice in &notices {
        if notice.kind == NoticeKind::Offline {
            let since = text::moment_short(notice.since, scene.clock, scene.view.zone);
            let reason = if notice.text.is_empty() { String::new() } else { format!(", {}", notice.text) };
            banners.push(Banner {
                sign: "?",
                text: format!("WE ARE OFFLINE for {}{reason}", scene.age_by_clock(notice.since)),
                aside: format!("judged as of {since}   {} tries", scene.key(Command::PollAll)),
                style: theme.unknown,
                stripe: true,
            });
        }
    }
    if let Some(paused) = &scene.view.paused {
        banners.push(Banner {
            sign: "‖",
            text: format!("PAUSED for {}: this picture stands still, checks go on", scene.age_by_clock(paused.at)),
            aside: format!("{} resumes", scene.key(Command::Pause)),
            style: theme.warn,
            stripe: true,
        });
    }
    for notice in notices {
        let aside = match notice.kind {
            NoticeKind::Offline => continue,
            NoticeKind::Configuration => "the file before it is in force",
            NoticeKind::Journal => "checks go on",
        };
        banners.push(Banner { sign: "▲", text: notice.text.clone(), aside: format!("{aside}   {why} why"), style: theme.warn, stripe: false });
    }
    banners
}

/// Whether there is a banner.
#[must_use]
pub fn has_banner(state: &crate::state::State) -> bool {
    state.view.paused.is_some() || !state.world.notices.is_empty()
}

/// The header, one row: page, sites, counts, age.
pub fn header(pen: &mut Pen<'_>, scene: &Scene<'_>) {
    let theme = scene.theme;
    let width = pen.area().width;
    let last = width - 2;
    let mut counts: Vec<Span<'static>> = Vec::new();
    for (sign, count) in scene.counts() {
        if count == 0 {
            continue;
        }
        if sign == Sign::Crit {
            counts.push(Span::styled(format!(" {} {count} ", sign.glyph()), theme.reversed(sign.style(theme))));
            counts.push(Span::raw("  "));
        } else {
            counts.push(Span::styled(format!("{} {count}", sign.glyph()), theme.bold(sign.style(theme))));
            counts.push(Span::raw("  "));
        }
    }
    if counts.is_empty() {
        let (sign, words) = calm(scene);
        counts.push(sign.span(theme));
        counts.push(Span::styled(format!(" {words}"), theme.dim));
        counts.push(Span::raw("  "));
    }
    if scene.view.read_only {
        counts.push(Span::styled(" READ-ONLY ", theme.bold(theme.reversed(theme.text))));
        counts.push(Span::raw("  "));
    }
    let (age, style) = age(scene);
    let title = scene.view.page.title();
    // What goes first when it is narrow: "as of" and "ago", then healthy sites, then the title.
    let ages = match &age {
        Age::Of(age) => vec![format!("as of {age} ago"), format!("{age} ago"), age.clone()],
        Age::Words(words) => vec![words.clone(); 3],
        Age::None => vec![String::new(); 3],
    };
    let levels = [(true, 0), (true, 1), (true, 2), (false, 2)];
    let first = match width {
        0..60 => 3,
        60..80 => 1,
        _ => 0,
    };
    let sites = scene.sites();
    let troubled = sites.iter().filter(|(sign, _)| sign.is_trouble()).count().max(1).min(sites.len());
    for (level, (titled, short)) in levels.into_iter().enumerate().skip(first) {
        let mut right = counts.clone();
        if ages[short].is_empty() {
            right.pop();
        } else {
            right.push(Span::styled(ages[short].clone(), style));
        }
        let begin = (last + 1).saturating_sub(spans_width(&right));
        let from = if titled { 1 + text::width(title) as u16 + 3 } else { 1 };
        let room = begin.saturating_sub(from + 2);
        let fits = begin > from + 1 && (level == 3 || sites.is_empty() || spans_width(&strip(scene, &sites, room, troubled)) > 0);
        if !fits && level < 3 {
            continue;
        }
        if titled {
            pen.put(1, 0, last, title, theme.bold(theme.text));
        }
        let begin = pen.spans_right(1, 0, last, &right);
        let strip = strip(scene, &sites, begin.saturating_sub(from + 1), 0);
        if begin > from + 1 {
            pen.spans(from, 0, begin - 2, &strip);
        }
        return;
    }
}

/// As many sites as fit, then how many more; nothing when not even `least` fit.
fn strip(scene: &Scene<'_>, sites: &[(Sign, &str)], room: u16, least: usize) -> Vec<Span<'static>> {
    let room = usize::from(room);
    let cells = |shown: usize| -> usize {
        let names: usize = sites[..shown].iter().map(|(_, name)| text::width(name) + 2).sum::<usize>() + 2 * shown.saturating_sub(1);
        let more = sites.len() - shown;
        names + if more > 0 { format!("  +{more} ✔").chars().count() - if shown == 0 { 2 } else { 0 } } else { 0 }
    };
    let Some(shown) = (least..=sites.len()).rev().find(|shown| cells(*shown) <= room) else { return Vec::new() };
    let mut spans = Vec::new();
    for (sign, name) in &sites[..shown] {
        if !spans.is_empty() {
            spans.push(Span::raw("  "));
        }
        spans.push(sign.span(scene.theme));
        spans.push(Span::styled(format!(" {name}"), scene.theme.text));
    }
    if let Some((worst, _)) = sites.get(shown) {
        let gap = if spans.is_empty() { "" } else { "  " };
        spans.push(Span::styled(format!("{gap}+{} ", sites.len() - shown), scene.theme.dim));
        spans.push(worst.span(scene.theme));
    }
    spans
}

/// What stands in place of the counts when there are none. Never better than what was looked at.
pub(super) fn calm(scene: &Scene<'_>) -> (Sign, &'static str) {
    let mut all = true;
    let mut any = false;
    let mut waiting = false;
    for (_, source) in scene.sources() {
        match source.status {
            Status::Paused => continue,
            _ if source.checked_at.is_none() => waiting = true,
            Status::Ok | Status::Maintenance => {}
            _ => all = false,
        }
        any = true;
    }
    if !any {
        let paused = scene.sources().next().is_some();
        return if paused { (Sign::Paused, "all paused") } else { (Sign::Unknown, "nothing watched") };
    }
    if waiting {
        (Sign::Waiting, "first look")
    } else if all {
        (Sign::Ok, "all well")
    } else {
        (Sign::Pending, "being tried again")
    }
}

enum Age {
    Of(String),
    Words(String),
    None,
}

/// The oldest value on this page that is still in time.
fn age(scene: &Scene<'_>) -> (Age, Style) {
    let theme = scene.theme;
    if scene.view.page == Page::Logs && scene.view.paused.is_none() {
        return match scene.header_aside() {
            Some(words) => (Age::Words(words), theme.accent),
            None => (Age::Words("following".to_owned()), theme.dim),
        };
    }
    let oldest = oldest(scene, scene.view.page);
    let style = if scene.offline() {
        theme.bold(theme.stale)
    } else if scene.view.paused.is_some() {
        theme.bold(theme.warn)
    } else {
        theme.dim
    };
    let oldest = if scene.offline() {
        // Nothing is in time: the newest that was known is what the page is of.
        oldest.or_else(|| scene.sources().filter_map(|(_, source)| source.good_at).max())
    } else {
        oldest
    };
    (oldest.map_or(Age::None, |at| Age::Of(scene.step_by_clock(at))), style)
}

/// When the oldest value of a page that is still in time was looked at.
pub(super) fn oldest(scene: &Scene<'_>, page: Page) -> Option<Timestamp> {
    scene
        .sources()
        .filter(|(_, source)| on_page(page, source.spec.capability) && !source.spec.continuous)
        .filter(|(_, source)| matches!(source.status, Status::Ok | Status::Degraded | Status::Down | Status::Pending | Status::Maintenance))
        .filter_map(|(_, source)| source.checked_at)
        .min()
}

pub(super) const fn on_page(page: Page, capability: Capability) -> bool {
    match page {
        Page::Attention | Page::Activity => true,
        Page::Health => matches!(capability, Capability::Health),
        Page::Logs => matches!(capability, Capability::Log),
        Page::Errors => matches!(capability, Capability::Issues),
        Page::Dependencies => matches!(capability, Capability::Packages | Capability::Life),
        Page::Backups => matches!(capability, Capability::Backup),
        _ => false,
    }
}

/// The banner row and the stripe, where there is one.
pub fn banner(pen: &mut Pen<'_>, scene: &Scene<'_>) {
    let Some(y) = scene.rows.banner else { return };
    let banners = banners(scene);
    let Some(banner) = banners.first() else { return };
    let theme = scene.theme;
    let style = theme.reversed(banner.style);
    let last = pen.area().width - 2;
    pen.fill(0, y, last + 1, ' ', style);
    let more = if banners.len() > 1 { format!("   +{}", banners.len() - 1) } else { String::new() };
    let aside = format!("{}{more}", banner.aside);
    let main = format!("{} {}", banner.sign, banner.text);
    // The sentence matters more than what stands beside it.
    let room = last.saturating_sub(1 + text::width(&text::sanitise(&main)) as u16 + 2);
    let aside = [aside.as_str(), aside.rsplit("   ").next().unwrap_or_default()].into_iter().find(|aside| text::width(aside) <= usize::from(room));
    let end = aside.map_or(last + 1, |aside| pen.right(1, y, last, aside, style));
    pen.put(1, y, end.saturating_sub(if aside.is_some() { 3 } else { 1 }), &main, theme.bold(style));
    if banner.stripe {
        for row in y + 1..scene.rows.footer {
            pen.glyph(0, row, '▌', banner.style);
            pen.glyph(last + 1, row, '▐', banner.style);
        }
    }
}

/// The footer: the map of pages, the keys of this page, and the help.
pub fn footer(pen: &mut Pen<'_>, scene: &Scene<'_>) -> Vec<(u16, u16, Page)> {
    let theme = scene.theme;
    let y = scene.rows.footer;
    let width = pen.area().width;
    let last = width - 2;
    let named = width >= 190;
    let narrow = width < 60;
    let mut digits = Vec::new();
    let mut x = 1;
    if !narrow {
        for page in Page::ALL {
            let begin = x;
            let current = page == scene.view.page;
            let style = if current { theme.reversed(theme.bold(theme.accent)) } else { theme.text };
            pen.put(x, y, last, &page.digit().to_string(), style);
            if let Some(sign) = scene.page_sign(page).filter(|_| page != Page::Attention) {
                pen.glyph(x + 1, y, sign.glyph(), sign.style(theme));
            }
            if named {
                let name = if page == Page::Dependencies { "deps" } else { page.title() };
                let signed = page != Page::Attention && scene.page_sign(page).is_some();
                x = pen.put(x + if signed { 3 } else { 2 }, y, last, name, if current { theme.bold(theme.text) } else { theme.dim }) + 2;
                digits.push((begin, x - 3, page));
            } else {
                digits.push((begin, begin + 1, page));
                x += 3;
            }
        }
        x += 1;
    }
    let gap = if narrow { 1 } else { 2 };
    let help = scene.hint(Command::Help, "help");
    let mut end = last;
    if narrow {
        if let Some((shown, total)) = scene.counted.get() {
            end = pen.right(x, y, last, &format!("{shown} of {total}"), theme.dim).saturating_sub(2);
        }
    } else {
        end = pen.spans_right(x, y, last, &help).saturating_sub(3);
        let running = scene.state.world.runs.iter().filter(|run| run.ended.is_none()).count();
        if running > 0 {
            let words = [Span::styled("▸", theme.accent), Span::styled(format!(" {running} running"), theme.text)];
            end = pen.spans_right(x, y, end, &words).saturating_sub(3);
        }
    }
    let room_for_help = if narrow { spans_width(&help) + gap } else { 0 };
    for (commands, word) in keys_of(scene.view.page) {
        let mut keys = Vec::new();
        let mut known = true;
        for command in *commands {
            known &= crate::state::command::spec(*command).is_some_and(|spec| scene.view.offers(spec));
            keys.push(scene.key(*command));
        }
        keys.retain(|key| !key.is_empty());
        if !known || keys.is_empty() {
            continue;
        }
        let pair = [Span::styled(keys.join(" "), theme.accent), Span::styled(format!(" {word}"), theme.dim)];
        let cells = spans_width(&pair);
        if x + cells + room_for_help > end + 1 {
            break;
        }
        x = pen.spans(x, y, end, &pair) + gap;
    }
    if narrow {
        pen.spans(x, y, end, &help);
    }
    digits
}

/// Keys of a page in the footer, the most useful first.
fn keys_of(page: Page) -> &'static [(&'static [Command], &'static str)] {
    use Command as C;
    match page {
        Page::Attention | Page::Due => &[
            (&[C::Enter], "open"),
            (&[C::Acknowledge], "ack"),
            (&[C::Actions], "actions"),
            (&[C::Why], "why?"),
            (&[C::Snooze], "snooze"),
            (&[C::Filter], "filter"),
            (&[C::Open], "link"),
            (&[C::Poll], "poll"),
            (&[C::Palette], "command"),
            (&[C::Pause], "pause"),
        ],
        Page::Errors => &[
            (&[C::Enter], "open"),
            (&[C::Actions], "actions"),
            (&[C::Acknowledge], "ack"),
            (&[C::Why], "why?"),
            (&[C::Open], "link"),
            (&[C::Left, C::Right], "event"),
            (&[C::Sort], "sort"),
            (&[C::Filter], "filter"),
            (&[C::Copy], "copy"),
            (&[C::Poll], "poll"),
            (&[C::Palette], "command"),
        ],
        Page::Dependencies => &[
            (&[C::Enter], "open"),
            (&[C::Mark], "mark"),
            (&[C::Actions], "upgrade…"),
            (&[C::Why], "why?"),
            (&[C::Open], "notes"),
            (&[C::Sort], "sort"),
            (&[C::Filter], "filter"),
            (&[C::Copy], "copy"),
            (&[C::Poll], "look again"),
            (&[C::Acknowledge], "ack"),
            (&[C::Zoom], "zoom"),
            (&[C::Palette], "command"),
        ],
        Page::Backups => &[
            (&[C::Enter], "open"),
            (&[C::Actions], "actions"),
            (&[C::Poll], "look again"),
            (&[C::Why], "why?"),
            (&[C::Acknowledge], "ack"),
            (&[C::Filter], "filter"),
            (&[C::Copy], "copy"),
            (&[C::Zoom], "zoom"),
            (&[C::Palette], "command"),
        ],
        Page::Health => &[
            (&[C::Enter], "open"),
            (&[C::Why], "why?"),
            (&[C::Poll], "poll"),
            (&[C::Range], "range"),
            (&[C::Actions], "actions"),
            (&[C::Filter], "filter"),
            (&[C::Sort], "sort"),
            (&[C::Palette], "command"),
            (&[C::Pause], "pause"),
        ],
        Page::Logs => &[
            (&[C::NextError, C::PreviousError], "error"),
            (&[C::NextWarning, C::PreviousWarning], "warning"),
            (&[C::Enter], "fold"),
            (&[C::Pause], "pause"),
            (&[C::LogFilter], "filter"),
            (&[C::Filter], "search"),
            (&[C::Level], "level"),
            (&[C::GoToTime], "time"),
            (&[C::Follow], "follow"),
            (&[C::Context], "context"),
            (&[C::Bookmark], "mark"),
            (&[C::LogFiles], "files"),
            (&[C::Wrap], "wrap"),
            (&[C::Palette], "command"),
        ],
        Page::Activity => {
            &[(&[C::Enter], "go there"), (&[C::CommandLog], "commands"), (&[C::Filter], "filter"), (&[C::Copy], "copy"), (&[C::Palette], "command")]
        }
        _ => &[(&[C::Palette], "command"), (&[C::PollAll], "poll all")],
    }
}

/// The prompt in place of the footer. The palette and the help have theirs in the overlay.
pub fn prompt(pen: &mut Pen<'_>, scene: &Scene<'_>) -> bool {
    let Some(prompt) = &scene.view.prompt else { return false };
    let theme = scene.theme;
    let counted = |noun: &str| scene.counted.get().map_or(String::new(), |(shown, total)| format!("{shown} of {total}{noun}"));
    let enter = scene.key(Command::Enter);
    let (label, aside) = match prompt.kind {
        PromptKind::Filter => ("/", format!("{} · ! inverts · {enter} keep · Esc clear", counted(""))),
        PromptKind::Search => ("/", format!("{enter} find · {} {} next · Esc clear", scene.key(Command::NextMatch), scene.key(Command::PreviousMatch))),
        PromptKind::LogFilter => ("&", format!("{} · ! hides · & joins · {enter} keep · Esc leave it", counted(""))),
        PromptKind::LogTime => ("go to ", format!("03:12  -15m  yesterday 18:00  2026-11-20 · {enter} go · Esc leave it")),
        PromptKind::Acknowledge => ("acknowledge, because ", format!("{enter} take it · Esc leave it")),
        PromptKind::Snooze => ("snooze for ", format!("30m 2h 3d · {enter} sleep · Esc leave it")),
        PromptKind::Palette | PromptKind::Help | PromptKind::Answer | PromptKind::SiteName => return false,
    };
    let y = scene.rows.footer;
    let last = pen.area().width - 2;
    let x = pen.put(1, y, last, label, theme.accent);
    let typed = text::width(&text::sanitise(prompt.input.value())) as u16;
    let aside = aside.trim_start_matches(" · ");
    let room = last.saturating_sub(x + typed + 2);
    let short = aside.split(" · ").last().unwrap_or_default();
    let mut end = last;
    if let Some(aside) = [aside, short].into_iter().find(|aside| text::width(aside) as u16 <= room) {
        end = pen.right(x, y, last, aside, theme.dim).saturating_sub(2);
    }
    input(pen, x, y, end, prompt.input.value(), prompt.input.cursor(), theme.bold(theme.text));
    true
}

/// Typed text with its cursor (reversed); it scrolls so that the cursor is always there.
pub fn input(pen: &mut Pen<'_>, x: u16, y: u16, last: u16, value: &str, cursor: usize, style: Style) {
    if x > last {
        return;
    }
    let room = usize::from(last - x);
    let chars: Vec<char> = value.chars().collect();
    let cursor = cursor.min(chars.len());
    let clean = |chars: &[char]| text::sanitise(&chars.iter().collect::<String>()).into_owned();
    let mut from = 0;
    while from < cursor && text::width(&clean(&chars[from..cursor])) > room {
        from += 1;
    }
    let at = pen.put(x, y, last, &clean(&chars[from..cursor]), style);
    let under: String = chars.get(cursor).map_or_else(|| " ".to_owned(), ToString::to_string);
    let under = if text::width(&text::sanitise(&under)) == 1 { under } else { " ".to_owned() };
    let next = pen.put(at, y, last, &under, pen.theme.reversed(pen.theme.text));
    if cursor + 1 < chars.len() {
        pen.put(next, y, last, &clean(&chars[cursor + 1..]), style);
    }
}

/// One sentence above the footer.
pub fn toast(pen: &mut Pen<'_>, scene: &Scene<'_>) {
    let Some(toast) = scene.view.toast.as_ref().filter(|toast| toast.until > scene.clock) else { return };
    scene.changes_at(toast.until);
    let theme = scene.theme;
    let y = scene.rows.toast;
    let last = pen.area().width - 2;
    pen.fill(1, y, last, ' ', Style::reset());
    let mut spans = vec![if toast.trouble { Sign::Crit } else { Sign::Ok }.span(theme), Span::styled(format!(" {}", toast.text), theme.text)];
    let undo = (toast.undoable && !(scene.view.undo.is_empty() && scene.view.undo_errands.is_empty())).then(|| scene.hint(Command::Undo, "undo"));
    let room = undo.as_ref().map_or(0, |undo| spans_width(undo) + 6);
    if spans_width(&spans) + room <= last
        && let Some(undo) = undo
    {
        spans.push(Span::raw("      "));
        spans.extend(undo);
    }
    pen.spans(1, y, last, &spans);
}

/// The whole screen where it is too small: what is needed, and the counts.
pub fn too_small(pen: &mut Pen<'_>, state: &crate::state::State, theme: &super::theme::Theme) {
    let area = pen.area();
    if area.width == 0 || area.height == 0 {
        return;
    }
    let needs = format!("rounds needs {}x{}, this is {}x{}", SMALLEST.0, SMALLEST.1, area.width, area.height);
    let short = format!("needs {}x{}, is {}x{}", SMALLEST.0, SMALLEST.1, area.width, area.height);
    // A size that is cut reads as another size.
    let needs = if text::width(&needs) < usize::from(area.width) { needs } else { short };
    let mut counts: [(Sign, usize); 3] = [(Sign::Crit, 0), (Sign::Unknown, 0), (Sign::Warn, 0)];
    for finding in state.world.findings.iter().filter(|finding| finding.acknowledged.is_none()) {
        if let Some(count) = counts.iter_mut().find(|(sign, _)| *sign == Sign::from(finding.severity)) {
            count.1 += 1;
        }
    }
    let mut spans = Vec::new();
    for (sign, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        spans.push(Span::styled(format!("{}{} {count}", if spans.is_empty() { "" } else { "  " }, sign.glyph()), sign.style(theme)));
    }
    let y = (area.height.saturating_sub(2)) / 2;
    let centred = |cells: u16| area.width.saturating_sub(cells) / 2;
    pen.put(centred(text::width(&needs) as u16), y, area.width - 1, &needs, theme.text);
    if y + 1 < area.height {
        pen.spans(centred(spans_width(&spans)), y + 1, area.width - 1, &spans);
    }
}

/// The zone's name, where it is not plainly UTC and has one: else how far from UTC it is.
#[must_use]
pub fn zone_name(zone: ZoneName) -> Option<String> {
    match zone {
        ZoneName::Fixed(offset) => Some(format!("UTC{offset}")),
        ZoneName::Utc => Some("UTC".to_owned()),
        ZoneName::Named(zone) => Some(zone.name().to_owned()),
    }
}

/// Offline: content turns dim, signs keep their last colour.
pub fn pale(pen: &mut Pen<'_>, scene: &Scene<'_>) {
    let theme = *scene.theme;
    let area = scene.rows.body;
    let buffer = pen.buffer();
    for position in area.positions() {
        if let Some(cell) = buffer.cell_mut(position)
            && !matches!(cell.symbol(), "✖" | "▲" | "?" | "~" | "△" | "◇" | "‖" | "✔" | "i" | "z")
            && cell.fg == theme.text.fg.unwrap_or_default()
        {
            cell.set_style(theme.dim);
        }
    }
}
