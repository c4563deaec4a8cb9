//! The few strong widgets that carry all panes: the list, lines with columns, and the measures, each a pure function from values
//! to cells, with the theme's styles and glyphs and nothing else.

pub mod bar;
pub mod detail;
pub mod graph;
pub mod histogram;
pub mod list;
pub mod sparkline;
pub mod stacked;
