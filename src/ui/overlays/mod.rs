//! The one overlay in front of the page (`screens.md` section 6): a frame, a title, keys in the last row. The page behind it turns dim.

use super::pen::Pen;
use super::scene::Scene;

/// Draws the overlay, where there is one.
pub fn draw(_pen: &mut Pen<'_>, _scene: &Scene<'_>) {}
