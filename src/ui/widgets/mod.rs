//! Measures: each a pure function from values to cells, with the theme's styles and glyphs and nothing else.

pub mod bar;
pub mod graph;
pub mod histogram;
pub mod sparkline;
pub mod stacked;
