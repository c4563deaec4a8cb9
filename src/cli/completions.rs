//! `rounds completions SHELL`.

use super::{Context, Exit, Failure};

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// For which shell
    pub shell: clap_complete::Shell,
}

/// Prints them.
///
/// # Errors
/// When standard output cannot be written to.
pub fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    // Into memory first: the generator panics when it cannot write, and a closed pipe is no error.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "rounds", &mut script);
    context.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::OK)
}
