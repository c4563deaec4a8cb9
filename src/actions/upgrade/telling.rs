//! The lines of a command's output that tell why it failed: verdicts, exceptions, errors, and what a resolver gives as its reason.
//!
//! What does not belong here: running commands (`commands`), showing the lines (`cli`). Pure.

/// Beginnings of lines that tell nothing, whatever stands around them.
const NOISE: [&str; 15] = [
    "Destroying test database",
    "Creating test database",
    "Traceback (most recent call last)",
    "To fix this you could try",
    "1. loosen",
    "2. remove",
    "note:",
    "hint:",
    "Hint:",
    "[notice]",
    "[end of output]",
    "WARNING:",
    "See above",
    "Requirement already satisfied",
    "Use -v to get more diff",
];
/// Beginnings of lines in which a tool says what is wrong.
const ERRORS: [&str; 7] = ["ERROR: ", "Error: ", "error: ", "fatal: ", "FATAL: ", "CRITICAL: ", "INTERNALERROR> "];
/// Beginnings of the reasons of resolvers.
const REASONS: [&str; 8] = ["×", "cause:", "Because ", "And because ", "and because ", "So, because ", "Cannot install ", "ImportError while "];

/// How much a line tells: what comes first is shown first where there is no room for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Weight {
    Noise,
    Plain,
    /// Which test, which place.
    Head,
    /// What a resolver says.
    Reason,
    /// An exception, an error.
    Error,
    /// How it all ended.
    Verdict,
}

/// At most so many lines that tell the most, in the order in which they were printed; the last ones where none does.
#[must_use]
pub fn telling(lines: &[String], most: usize) -> Vec<String> {
    let weights = weights(lines);
    let mut order: Vec<usize> = (0..lines.len()).filter(|at| weights[*at] > Weight::Noise).collect();
    // The later of equals: it is nearer to the end.
    order.sort_by_key(|at| std::cmp::Reverse((weights[*at], *at)));
    let mut chosen: Vec<usize> = Vec::new();
    for at in order {
        if chosen.len() == most {
            break;
        }
        if !chosen.iter().any(|other| lines[*other] == lines[at]) {
            chosen.push(at);
        }
    }
    chosen.sort_unstable();
    chosen.into_iter().map(|at| lines[at].clone()).collect()
}

fn weights(lines: &[String]) -> Vec<Weight> {
    let mut all = Vec::with_capacity(lines.len());
    // The indent of a traceback that has not come to its exception yet.
    let mut traceback: Option<usize> = None;
    // Reasons go on until a blank line.
    let (mut reasons, mut shown, mut after_rule) = (false, false, false);
    for line in lines {
        let text = bare(line);
        let indent = line.len() - line.trim_start().len();
        let is_shown = text.strip_prefix('E').is_some_and(|rest| rest.is_empty() || rest.starts_with("  "));
        let weight = if text.starts_with("Traceback (most recent call last)") {
            traceback = Some(indent);
            Weight::Noise
        } else if text.is_empty() {
            reasons = false;
            Weight::Noise
        } else if let Some(of) = traceback {
            if indent > of {
                // Marks below a line, and places within the interpreter.
                let is_empty = text.chars().all(|c| "^~ ".contains(c)) || text.starts_with("File \"<frozen");
                if is_empty { Weight::Noise } else { Weight::Plain }
            } else {
                traceback = None;
                Weight::Error
            }
        } else if is_shown {
            // pytest's: the first says what, the others are the difference.
            if shown || text.len() < 2 { Weight::Plain } else { Weight::Error }
        } else if text.starts_with("The conflict is caused by") {
            reasons = true;
            Weight::Reason
        } else if reasons && indent > 0 {
            Weight::Reason
        } else {
            alone(line, text, after_rule)
        };
        shown = is_shown;
        after_rule = line.starts_with("=====");
        all.push(weight);
    }
    all
}

/// What a line tells by itself.
fn alone(line: &str, text: &str, after_rule: bool) -> Weight {
    let bar = text.trim_matches(['=', '!', '_', '-', ' ']);
    if bar.is_empty() || text.chars().all(|c| "=-_*~^.!?+│╰─> ".contains(c)) || NOISE.iter().any(|noise| text.starts_with(noise)) {
        return Weight::Noise;
    }
    let counted = bar.contains(" failed") || bar.contains(" error") || bar.starts_with("no tests ran");
    if text.starts_with("FAILED (") || bar.starts_with("Interrupted: ") || line.starts_with('=') && counted && bar.contains(" in ") {
        return Weight::Verdict;
    }
    if line.starts_with("=====") {
        return Weight::Noise;
    }
    if after_rule && (text.starts_with("ERROR: ") || text.starts_with("FAIL: ")) {
        return Weight::Head;
    }
    if text.starts_with("ERROR: ResolutionImpossible") {
        return Weight::Plain;
    }
    if text.starts_with("FAILED ")
        || text.starts_with("ERROR ")
        || ERRORS.iter().any(|error| text.starts_with(error))
        || is_exception(text)
        || has_check_id(text)
    {
        return Weight::Error;
    }
    if REASONS.iter().any(|reason| text.starts_with(reason)) || text.ends_with("version solving failed.") {
        return Weight::Reason;
    }
    // `tests.py:6: AssertionError`.
    let place =
        text.split_once(".py:").is_some_and(|(file, rest)| !file.contains(' ') && rest.starts_with(|c: char| c.is_ascii_digit()) && !rest.contains(": in "));
    if place { Weight::Head } else { Weight::Plain }
}

/// Without what tools draw before it.
fn bare(line: &str) -> &str {
    line.trim_matches(|c: char| c.is_whitespace() || "│╰─┃┏┗".contains(c)).trim_start_matches("> ")
}

/// `django.core.exceptions.ImproperlyConfigured: …`, without the traceback it may have come with.
fn is_exception(text: &str) -> bool {
    let name = text.split_once(": ").map_or(text, |(name, _)| name);
    let last = name.rsplit('.').next().unwrap_or_default();
    let is_path = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    let ends = ["Error", "Exception", "ImproperlyConfigured", "DoesNotExist", "NotReady", "NotFound", "Timeout", "Interrupt", "Exit"];
    is_path && last.starts_with(|c: char| c.is_ascii_uppercase()) && ends.iter().any(|end| last.ends_with(end))
}

/// `shop.Item.name: (fields.E120) …`, as Django's checks write it.
fn has_check_id(text: &str) -> bool {
    text.split_once('(').and_then(|(_, rest)| rest.split_once(')')).is_some_and(|(id, _)| {
        let (app, code) = id.rsplit_once('.').unwrap_or_default();
        let number = code.strip_prefix(['E', 'C']).unwrap_or_default();
        !app.is_empty()
            && app.chars().all(|c| c.is_ascii_alphanumeric() || "_.".contains(c))
            && !number.is_empty()
            && number.chars().all(|c| c.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, most: usize) -> String {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        telling(&lines, most).iter().map(|line| line.trim()).collect::<Vec<_>>().join("\n")
    }

    /// Each of these was printed by the tool itself; `DIR` stands for a path.
    #[test]
    fn the_lines_that_tell_are_chosen_from_what_real_tools_print() {
        let cases: [(&str, &str, &str); 10] = [
            (
                "pytest",
                include_str!("telling/pytest.txt"),
                "E       AssertionError: assert {'drawer': [1...'open': True}} == {'drawer': [1...open': False}}\nE       ValueError: no such drawer\n\
                 FAILED test_shop.py::test_light - AssertionError: it is dark\nFAILED test_shop.py::test_many - AssertionError: assert {'drawer': [1...'open...\n\
                 FAILED test_shop.py::test_raises - ValueError: no such drawer\n============================== 3 failed in 0.08s ===============================",
            ),
            (
                "pytest that finds no module",
                include_str!("telling/pytest-collect.txt"),
                "ImportError while importing test module 'DIR/test_c.py'.\nimport nothing_here\nE   ModuleNotFoundError: No module named 'nothing_here'\nERROR c/test_c.py\n!!!!!!!!!!!!!!!!!!!! Interrupted: 1 error during collection !!!!!!!!!!!!!!!!!!!!\n=============================== 1 error in 0.47s ===============================",
            ),
            (
                "pytest's conftest",
                include_str!("telling/pytest-conftest.txt"),
                "ImportError while loading conftest 'DIR/conftest.py'.\nd/conftest.py:1: in <module>\nimport nothing_here\nE   ModuleNotFoundError: No module named 'nothing_here'",
            ),
            (
                "unittest",
                include_str!("telling/unittest.txt"),
                "ERROR: test_items (test_unit.Shop.test_items)\nRuntimeError: the till is stuck\nFAIL: test_sound (test_unit.Shop.test_sound)\n\
                 AssertionError: 'dong' != 'ding'\nRan 2 tests in 0.001s\nFAILED (failures=1, errors=1)",
            ),
            (
                "manage.py test",
                include_str!("telling/django.txt"),
                "shop.models.Item.DoesNotExist: Item matching query does not exist.\nFAIL: test_page (shop.tests.Shop.test_page)\nAssertionError: 404 != 200\n\
                 FAIL: test_sound (shop.tests.Shop.test_sound)\nAssertionError: 'dong' != 'ding'\nFAILED (failures=2, errors=1)",
            ),
            (
                "manage.py test whose models are wrong",
                include_str!("telling/django-check.txt"),
                "Found 3 test(s).\nSystemCheckError: System check identified some issues:\nERRORS:\nshop.Item.name: (fields.E004) 'choices' must be a mapping (e.g. a dictionary) or an iterable (e.g. a list or tuple).\nSystem check identified 1 issue (0 silenced).",
            ),
            (
                "manage.py test that does not begin",
                include_str!("telling/django-app.txt"),
                "app_config = AppConfig.create(entry)\nFile \"DIR/site-packages/django/apps/config.py\", line 193, in create\nimport_module(entry)\nFile \"DIR/python3.11/importlib/__init__.py\", line 126, in import_module\nreturn _bootstrap._gcd_import(name[level:], package, level)\nModuleNotFoundError: No module named 'gone'",
            ),
            (
                "pip that finds no solution",
                include_str!("telling/pip-conflict.txt"),
                "INFO: pip is looking at multiple versions of till to determine which version is compatible with other requirements. This could take a while.\nERROR: Cannot install -r r.txt (line 1) and lamp==1.0 because these package versions have conflicting dependencies.\nThe conflict is caused by:\nThe user requested lamp==1.0\ntill 1.0 depends on lamp>=2\nERROR: ResolutionImpossible: for help visit https://pip.example/topics/dependency-resolution/#dealing-with-dependency-conflicts",
            ),
            (
                "pip that cannot build",
                include_str!("telling/pip-build.txt"),
                "error: subprocess-exited-with-error\n× Preparing metadata (pyproject.toml) did not run successfully.\nFile \"<string>\", line 1, in <module>\nModuleNotFoundError: No module named 'distutils2'\nerror: metadata-generation-failed\n× Encountered error while generating package metadata.",
            ),
            (
                "uv",
                include_str!("telling/uv-conflict.txt"),
                "Using CPython 3.11.7 interpreter at: DIR/bin/python\nerror: No solution found when resolving dependencies\ncause: Because all versions of till depend on lamp>=2 and you require till==1.0, we can conclude that you require lamp>=2.\nAnd because you require lamp==1.0, we can conclude that your requirements are unsatisfiable.",
            ),
        ];
        for (tool, text, expected) in cases {
            assert_eq!(told(text, 6), expected, "{tool}");
        }
    }

    #[test]
    fn where_nothing_tells_the_last_lines_do_and_nothing_is_told_twice() {
        assert_eq!(told("a\nb\n\n=====\nc\n", 2), "b\nc");
        assert_eq!(told("E   boom\nE   boom\nx\nE   boom\n", 3), "x\nE   boom");
        assert_eq!(told("", 6), "");
    }
}
