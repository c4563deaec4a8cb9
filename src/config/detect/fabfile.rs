//! fabfile: its tasks by name. They become actions only when a person takes them out of their comments.

use super::python::{self, Token};
use super::{Place, Project};

/// The file and its tasks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fabfile {
    /// From the project's folder.
    pub file: String,
    /// Names of tasks, as they are called.
    pub tasks: Vec<(String, Place)>,
}

/// Looks for it.
#[must_use]
pub fn look(project: &Project) -> Option<Fabfile> {
    let file = ["fabfile.py", "fabfile/__init__.py"].into_iter().find(|path| project.has(path))?;
    let tokens = python::tokens(&project.read(file)?);
    let statements: Vec<&[Token]> = python::statements(&tokens).collect();
    let decorated = |at: usize| {
        let before = statements[..at].iter().rev().take_while(|statement| statement[0].is_sign('@'));
        before.into_iter().any(|statement| statement[1..].iter().any(|token| token.is_word("task")))
    };
    let uses_decorator = statements.iter().any(|statement| statement[0].is_sign('@') && statement.iter().any(|token| token.is_word("task")));
    let tasks = statements.iter().enumerate().filter(|(_, statement)| statement[0].is_word("def")).filter_map(|(at, statement)| {
        let name = statement.get(1)?.word()?;
        // Before decorators every public function was a task.
        let task = if uses_decorator { decorated(at) } else { !name.starts_with('_') };
        task.then(|| (name.to_owned(), Place::new(file, statement[0].line)))
    });
    let tasks = tasks.take(50).collect();
    Some(Fabfile { file: file.to_owned(), tasks })
}
