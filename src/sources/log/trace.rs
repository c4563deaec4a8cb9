//! Tracebacks: which lines belong to one. Shapes of Python as `traceback.TracebackException.format` of CPython 3.11 to 3.14 writes them:
//! plain, chained, exception groups, syntax errors, notes. What Java, Node, Ruby, Go and PHP print of an uncaught exception is one event too.
//!
//! What does not belong here: what the lines of other languages say (`stack`), telling two tracebacks apart (`group`).

/// Where a reader stands within the lines of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trace {
    /// No traceback yet.
    #[default]
    None,
    /// Within the frames: the exception is still to come.
    Frames,
    /// Within an exception group, whose lines are all indented.
    Group,
    /// The exception was named.
    Closed,
    /// A sentence announced the next of a chain.
    Chain,
    /// Within the calls of PHP, which are not indented.
    Php,
    /// Within the calls of goroutines, which are not indented.
    Go,
}

/// The first line of a traceback.
pub const START: &[u8] = b"Traceback (most recent call last):";
const GROUP_START: &[u8] = b"+ Exception Group Traceback (most recent call last):";
const DURING: &[u8] = b"During handling of the above exception, another exception occurred:";
const CAUSE: &[u8] = b"The above exception was the direct cause of the following exception:";

impl Trace {
    /// Whether `line` belongs to the same event, and where the reader stands after it. `None`: it begins something else,
    /// unless the family of the event says otherwise.
    pub fn next(self, line: &[u8]) -> Option<Self> {
        match line.first() {
            None => return Some(self),
            Some(b' ' | b'\t') => {
                let group = matches!(self, Self::None | Self::Chain | Self::Closed) && line.trim_ascii_start().starts_with(GROUP_START);
                return Some(if group { Self::Group } else { self });
            }
            Some(_) => {}
        }
        if line.starts_with(START) {
            return (self == Self::Chain).then_some(Self::Frames);
        }
        // A cause of Java's, PHP's calls, Go's: each under whatever told of the exception.
        if matches!(self, Self::None | Self::Closed) {
            if line.starts_with(b"Caused by: ") {
                return Some(self);
            }
            if line.starts_with(b"Stack trace:") {
                return Some(Self::Php);
            }
            if line.starts_with(b"goroutine ") && line.ends_with(b"]:") || line.starts_with(b"[signal ") {
                return Some(Self::Go);
            }
        }
        match self {
            Self::Php => (line[0] == b'#' && line.get(1).is_some_and(u8::is_ascii_digit) || line.starts_with(b"Next ")).then_some(self),
            Self::Go => {
                let call = line.ends_with(b")") && memchr::memrchr(b'(', line).is_some_and(|end| !line[..end].contains(&b' '));
                let other =
                    [b"goroutine ".as_slice(), b"created by ", b"exit status ", b"main.", b"runtime.", b"panic: "].iter().any(|begin| line.starts_with(begin));
                (call || other).then_some(self)
            }
            Self::Frames => Some(Self::Closed),
            Self::Group | Self::Closed if line.starts_with(DURING) || line.starts_with(CAUSE) => Some(Self::Chain),
            // PostgreSQL's errors go on under the exception.
            Self::Closed if [b"LINE ".as_slice(), b"DETAIL:", b"HINT:", b"CONTEXT:", b"QUERY:"].iter().any(|word| line.starts_with(word)) => Some(self),
            _ => None,
        }
    }

    /// Whether more is surely to come.
    pub const fn open(self) -> bool {
        matches!(self, Self::Frames | Self::Chain)
    }

    /// Whether the lines are those of an exception that nothing caught, whatever level the line before them names.
    pub const fn is_crash(self) -> bool {
        matches!(self, Self::Php | Self::Go)
    }
}

/// Whether a line without a head is the first of a traceback: Python's, or what Java, Node, Ruby, Go and PHP print of an exception that
/// nothing caught. Answers where the reader stands after it.
pub fn begins(line: &[u8]) -> Option<Trace> {
    if line.starts_with(START) {
        return Some(Trace::Frames);
    }
    let crash = line.starts_with(b"Exception in thread \"")
        || line.starts_with(b"panic: ")
        || line.starts_with(b"fatal error: ")
        || line.starts_with(b"PHP Fatal error:  Uncaught ")
        || line.starts_with(b"Fatal error: Uncaught ")
        || line.starts_with(b"Uncaught ") && line.contains(&b':');
    // `java.lang.IllegalStateException: closed`, `TypeError: x is not a function`; `app.rb:3:in 'm': closed (IOError)`.
    let named = || {
        let end = memchr::memchr2(b':', b' ', line).unwrap_or(line.len());
        let name = &line[..end];
        let whole = !name.is_empty() && name.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$'));
        whole
            && [b"Exception".as_slice(), b"Error", b"Throwable"].iter().any(|last| name.ends_with(last) && name.len() > last.len())
            && (end == line.len() || line[end] == b':')
    };
    let ruby = || {
        let place = memchr::memmem::find(line, b".rb:");
        place.is_some_and(|at| memchr::memmem::find(&line[at..], b":in ").is_some()) && line.ends_with(b")")
    };
    (crash || named() || ruby()).then_some(Trace::None)
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// As it was written.
    pub path: String,
    /// Line number.
    pub line: u32,
    /// Function; empty for the place of a syntax error.
    pub function: String,
}

/// What a traceback says: of a chain the last exception, the one that was not caught.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// Exception type, with its module where it was written.
    pub kind: String,
    /// Exception type and value, as they were written.
    pub title: String,
    /// Outermost first.
    pub frames: Vec<Frame>,
    /// Types within an exception group.
    pub inner: Vec<String>,
}

/// The exception type of `Type: value`, or of a bare `Type`.
pub fn kind(line: &str) -> Option<&str> {
    let end = line.find(": ").or_else(|| line.strip_suffix(':').map(str::len)).unwrap_or(line.len());
    let name = &line[..end];
    let whole = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '<' | '>'));
    (whole && name.starts_with(|c: char| c.is_alphabetic() || c == '_')).then_some(name)
}

/// The frame of a line of Python.
pub(super) fn frame(line: &str) -> Option<Frame> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (path, rest) = rest.rsplit_once("\", line ").filter(|_| rest.contains("\", line "))?;
    let (number, function) = rest.split_once(", in ").unwrap_or((rest, ""));
    Some(Frame { path: path.to_owned(), line: number.trim().parse().ok()?, function: function.trim().to_owned() })
}

/// Reads the lines of an event; `None`: there is no traceback in them.
pub fn parse<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Parsed> {
    let mut parsed: Option<Parsed> = None;
    let mut within = false;
    for line in lines {
        // The outer level of a group is written behind "  + " and "  | ".
        let (line, deeper) = match (line.strip_prefix("  | ").or_else(|| line.strip_prefix("  + ")), line.trim_start()) {
            (Some(outer), _) => (outer, false),
            (None, inner) if line.starts_with("    ") && (inner.starts_with("| ") || inner.starts_with("+-")) && parsed.is_some() => {
                (inner.strip_prefix("| ").unwrap_or_default(), true)
            }
            _ => (line, false),
        };
        if deeper {
            if let (Some(parsed), Some(kind)) = (&mut parsed, kind(line).filter(|_| !line.starts_with(' ')))
                && parsed.inner.len() < 16
                && line.contains(':')
            {
                parsed.inner.push(kind.to_owned());
            }
            continue;
        }
        if line.starts_with("Traceback (most recent call last):") || line.starts_with("Exception Group Traceback (most recent call last):") {
            parsed = Some(Parsed::default());
            within = true;
            continue;
        }
        let Some(parsed) = parsed.as_mut().filter(|_| within) else { continue };
        if line.starts_with([' ', '\t']) {
            if let Some(frame) = frame(line) {
                // A runaway recursion is one frame, however often it is written.
                let repeated = parsed.frames.last().is_some_and(|last| last.path == frame.path && last.function == frame.function && last.line == frame.line);
                if !repeated && parsed.frames.len() < 200 {
                    parsed.frames.push(frame);
                }
            }
        } else if !line.is_empty() {
            line.clone_into(&mut parsed.title);
            kind(line).unwrap_or(line).clone_into(&mut parsed.kind);
            within = false;
        }
    }
    parsed.filter(|parsed| !parsed.kind.is_empty() || !parsed.frames.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAINED: &str = "Traceback (most recent call last):
  File \"/srv/shop/basket/pricing.py\", line 88, in total
    currency = self.session[\"basket\"][\"currency\"]
KeyError: 'currency'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File \"/srv/shop/basket/views.py\", line 41, in get
    return Response(Basket(request.session).total)
ValueError: bad basket 17";

    const GROUP: &str = "  + Exception Group Traceback (most recent call last):
  |   File \"/srv/shop/jobs.py\", line 23, in run
  |     raise ExceptionGroup('two', [ValueError('a'), TypeError('b')])
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File \"/srv/shop/jobs.py\", line 20, in one
    | ValueError: a
    +---------------- 2 ----------------
    | TypeError: b
    +------------------------------------";

    const SYNTAX: &str = "Traceback (most recent call last):
  File \"/srv/shop/views.py\", line 26, in syn
    compile('def f(:', 'x.py', 'exec')
  File \"x.py\", line 1
    def f(:
          ^
SyntaxError: invalid syntax";

    fn follows(text: &str) -> bool {
        let mut state = Trace::None;
        for (number, line) in text.lines().enumerate() {
            state = match state.next(line.as_bytes()) {
                Some(next) => next,
                None if number == 0 && line.as_bytes().starts_with(START) => Trace::Frames,
                None => return false,
            };
        }
        matches!(state, Trace::Closed | Trace::Group)
    }

    #[test]
    fn all_lines_of_a_traceback_belong_together() {
        for text in [CHAINED, GROUP, SYNTAX] {
            assert!(follows(text), "{text}");
        }
        assert_eq!(Trace::Closed.next(b"another line"), None);
        assert_eq!(Trace::Closed.next(START), None);
        assert_eq!(Trace::Closed.next(b"LINE 1: SELECT"), Some(Trace::Closed));
        assert!(Trace::Frames.open());
    }

    #[test]
    fn the_last_of_a_chain_is_the_one_that_counts() {
        let parsed = parse(CHAINED.lines()).unwrap();
        assert_eq!((parsed.kind.as_str(), parsed.title.as_str()), ("ValueError", "ValueError: bad basket 17"));
        assert_eq!(parsed.frames.len(), 1);
        assert_eq!(parsed.frames[0], Frame { path: "/srv/shop/basket/views.py".into(), line: 41, function: "get".into() });
    }

    #[test]
    fn a_group_names_what_is_in_it() {
        let parsed = parse(GROUP.lines()).unwrap();
        assert_eq!((parsed.kind.as_str(), parsed.frames.len()), ("ExceptionGroup", 1));
        assert_eq!(parsed.inner, ["ValueError", "TypeError"]);
    }

    #[test]
    fn a_syntax_error_has_a_place_without_a_function() {
        let parsed = parse(SYNTAX.lines()).unwrap();
        assert_eq!(parsed.kind, "SyntaxError");
        assert_eq!(parsed.frames.last().unwrap().function, "");
    }

    #[test]
    fn odd_tracebacks() {
        assert_eq!(parse("KeyError: 'x'".lines()), None);
        let cut = parse("Traceback (most recent call last):\n  File \"a.py\", line 1, in f".lines()).unwrap();
        assert_eq!((cut.kind.as_str(), cut.frames.len()), ("", 1));
        assert_eq!(kind("django.db.utils.OperationalError: gone"), Some("django.db.utils.OperationalError"));
        assert_eq!(kind("KeyboardInterrupt"), Some("KeyboardInterrupt"));
        assert_eq!(kind("two words: x"), None);
    }
}
