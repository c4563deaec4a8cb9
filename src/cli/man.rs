//! `rounds man`: the manual page as roff for a file or `man -l -`, as plain text for a person at a terminal.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::{Context, Exit, Failure};

/// Columns of the manual on the screen.
const READING: usize = 78;

/// Its flags.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints it.
///
/// # Errors
/// When standard output cannot be written to.
pub fn run(_: &Args, context: &Context) -> Result<Exit, Failure> {
    let text = if super::is_read_by_a_person() { plain() } else { roff().context("the manual page cannot be made")? };
    context.print(&text)?;
    Ok(Exit::OK)
}

fn roff() -> anyhow::Result<String> {
    let mut page = Vec::new();
    let mut command = super::command();
    // Gives the verbs their whole names.
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    let mut text = String::from_utf8(page)?;
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let mut page = Vec::new();
        let title = format!("rounds {}", verb.get_name());
        let man = clap_mangen::Man::new(own(verb.clone()));
        man.render_synopsis_section(&mut page)?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        // The sections of a verb become parts of one page.
        let page = String::from_utf8(page)?.replace(".SH ", ".SS ");
        writeln!(text, ".SH {}\n{page}", title.to_uppercase())?;
    }
    Ok(text)
}

/// A verb without the flags that every verb has: they stand once, above.
fn own(verb: clap::Command) -> clap::Command {
    verb.mut_args(|argument| if argument.is_global_set() { argument.hide(true) } else { argument })
}

/// The manual for a screen of eighty columns, line by line.
#[must_use]
pub(super) fn lines() -> Vec<String> {
    page(super::command().term_width(READING)).lines().map(str::to_owned).collect()
}

fn plain() -> String {
    page(super::command())
}

fn page(mut command: clap::Command) -> String {
    command.build();
    let mut text = command.render_long_help().to_string();
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let name = verb.get_name().to_owned();
        text.push_str(&format!("\nrounds {name}\n\n{}", own(verb.clone()).render_long_help()));
    }
    text
}
