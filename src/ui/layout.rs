//! Size classes and where the rows go (`screens.md` section 4).

use ratatui::layout::Rect;

/// Smallest screen that is drawn.
pub const SMALLEST: (u16, u16) = (40, 10);
/// From this height on there is a blank row around rules.
const AIRY: u16 = 30;
/// A body of fewer rows has no detail beside its list.
const WITH_DETAIL: u16 = 16;
/// Columns of the left part of a double screen.
const LEFT: u16 = 118;

/// How many columns there are to use; widths between two classes use the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// From 40: one column of rows.
    Narrow,
    /// From 60: lists without words beside signs.
    List,
    /// From 80: every column that decides something.
    Standard,
    /// From 120: more columns.
    Wide,
    /// From 200: lists at the left, detail at the right.
    Double,
}

impl Class {
    /// By width alone.
    #[must_use]
    pub const fn of(width: u16) -> Self {
        match width {
            0..60 => Self::Narrow,
            60..80 => Self::List,
            80..120 => Self::Standard,
            120..200 => Self::Wide,
            _ => Self::Double,
        }
    }
}

/// The rows of one screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rows {
    /// Class of the width.
    pub class: Class,
    /// The banner's row, where there is one.
    pub banner: Option<u16>,
    /// What belongs to the page, full width.
    pub body: Rect,
    /// The row of a toast.
    pub toast: u16,
    /// The footer's row.
    pub footer: u16,
    /// Blank rows around rules.
    pub airy: bool,
}

/// The rows of a screen of this size; `None`: it is too small.
#[must_use]
pub fn rows(size: Rect, banner: bool) -> Option<Rows> {
    let (w, h) = (size.width, size.height);
    if w < SMALLEST.0 || h < SMALLEST.1 {
        return None;
    }
    let class = Class::of(w);
    let airy = h >= AIRY;
    let top = 1 + u16::from(banner) + u16::from(airy);
    // The row above the footer stays free for toasts where nothing has to give way for it.
    let spare = u16::from(airy || class < Class::Standard);
    Some(Rows { class, banner: banner.then_some(1), body: Rect { x: 0, y: top, width: w, height: h - 1 - top - spare }, toast: h - 2, footer: h - 1, airy })
}

/// Where list and detail of a page go. A list begins with its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// The list with its rule; `None` when the detail has the page.
    pub list: Option<Rect>,
    /// The detail with its rule.
    pub detail: Option<Rect>,
    /// Column of the line between list and detail on a double screen.
    pub divider: Option<u16>,
    /// What is free under the list on a double screen.
    pub below: Option<Rect>,
}

/// What the reader asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// The list alone.
    pub only_list: bool,
    /// The detail alone.
    pub only_detail: bool,
}

/// Splits the body: the list gets the rows it needs (`needed`, without its rule), at most half, at least five; the detail the rest.
#[must_use]
pub fn split(rows: &Rows, body: Rect, needed: u16, wish: Wish) -> Split {
    let none = Split { list: None, detail: None, divider: None, below: None };
    if wish.only_detail {
        return Split { detail: Some(body), ..none };
    }
    // The class of the whole screen decides, not what a site strip left of it.
    if wish.only_list || rows.body.height < WITH_DETAIL || rows.class < Class::List || body.height < 8 {
        return Split { list: Some(body), ..none };
    }
    let gap = u16::from(rows.airy);
    if rows.class == Class::Double && rows.airy {
        let left = Rect { width: LEFT, ..body };
        let height = needed.clamp(5, left.height.saturating_sub(1).max(5)) + 1;
        let list = Rect { height: height.min(left.height), ..left };
        let used = list.height + gap;
        let below = (left.height > used + 3).then(|| Rect { y: left.y + used, height: left.height - used, ..left });
        let list = if below.is_some() { list } else { left };
        let detail = Rect { x: LEFT + 2, width: body.width - LEFT - 2, ..body };
        return Split { list: Some(list), detail: Some(detail), divider: Some(LEFT + 1), below };
    }
    let height = needed.min(body.height / 2).max(5) + 1;
    let list = Rect { height, ..body };
    let used = height + gap;
    Split { list: Some(list), detail: Some(Rect { y: body.y + used, height: body.height - used, ..body }), ..none }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(w: u16, h: u16) -> Rect {
        Rect::new(0, 0, w, h)
    }

    #[test]
    fn classes_begin_where_the_design_says() {
        for (width, class) in [
            (40, Class::Narrow),
            (59, Class::Narrow),
            (60, Class::List),
            (79, Class::List),
            (80, Class::Standard),
            (119, Class::Standard),
            (199, Class::Wide),
            (200, Class::Double),
        ] {
            assert_eq!(Class::of(width), class);
        }
    }

    #[test]
    fn the_standard_screen_is_split_as_drawn() {
        let rows = rows(screen(80, 24), false).unwrap();
        assert_eq!(rows.body, Rect::new(0, 1, 80, 22));
        let split = split(&rows, rows.body, 15, Wish::default());
        assert_eq!(split.list, Some(Rect::new(0, 1, 80, 12)));
        assert_eq!(split.detail, Some(Rect::new(0, 13, 80, 10)));
    }

    #[test]
    fn a_high_screen_has_blank_rows_around_rules() {
        let rows = rows(screen(120, 40), false).unwrap();
        assert_eq!((rows.body.y, rows.body.bottom()), (2, 38));
        let body = Rect { y: 5, height: 33, ..rows.body };
        let split = split(&rows, body, 15, Wish::default());
        assert_eq!(split.list, Some(Rect::new(0, 5, 120, 16)));
        assert_eq!(split.detail.unwrap().y, 22);
    }

    #[test]
    fn small_screens_have_the_list_alone_and_smaller_ones_nothing() {
        let small = rows(screen(60, 15), false).unwrap();
        assert_eq!(split(&small, small.body, 15, Wish::default()).detail, None);
        assert_eq!(rows(screen(39, 10), false), None);
        assert_eq!(rows(screen(40, 9), true), None);
    }

    #[test]
    fn no_size_leaves_the_screen() {
        for w in 40..=220 {
            for h in 10..=70 {
                for banner in [false, true] {
                    let rows = rows(screen(w, h), banner).unwrap();
                    for needed in [0, 1, 5, 40, 500] {
                        let split = split(&rows, rows.body, needed, Wish::default());
                        for part in [split.list, split.detail, split.below].into_iter().flatten() {
                            assert!(part.y >= rows.body.y && part.bottom() <= rows.body.bottom() && part.right() <= w && part.height > 0, "{w}x{h} {needed}");
                        }
                    }
                }
            }
        }
    }
}
