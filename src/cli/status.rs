//! `rounds status`: what was last known, from the journal alone. It looks at nothing, so that a prompt may call it at every line.

use super::{Context, Exit, Failure, load};
use crate::io::clock;
use crate::report::{line, text};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// One short line, for a status bar or a prompt
    #[arg(long)]
    pub line: bool,
    /// At most this many columns
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub width: usize,
    /// With the colour marks of tmux
    #[arg(long)]
    pub tmux: bool,
}

/// Prints it. Without a configuration or journal it says that rounds is not running, which is no failure of a prompt.
///
/// # Errors
/// A configuration that was found and is wrong.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let state = load::last_known(context)?;
    let now = clock::now();
    let said = if args.line {
        let ascii = context.signs() == text::Signs::Ascii;
        line::text(state.as_ref().map(|state| &state.world), now, line::Style { width: args.width, tmux: args.tmux, ascii }) + "\n"
    } else {
        match &state {
            Some(state) => text::summary(&state.world, now, context.signs()),
            None => "? rounds is not running: nothing is known\n".to_owned(),
        }
    };
    context.print(&said)?;
    Ok(Exit::OK)
}
