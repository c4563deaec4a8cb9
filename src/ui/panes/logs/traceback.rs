//! What stands under a log line, read for folding: a Python traceback's frames, the application's own ones, its exception.

/// Places that are not the application's own code.
const FOREIGN: [&str; 5] = ["site-packages", "dist-packages", "/lib/python", "/usr/lib", "<frozen"];

/// One frame: where, and the line of source, where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// `File "/srv/shop/basket/views.py", line 41, in get`.
    pub head: &'a str,
    /// Its source line; may be empty.
    pub code: &'a str,
    /// Path and line, `/srv/shop/basket/views.py` and `41`.
    pub place: (&'a str, &'a str),
}

/// The lines under an event, understood as far as they can be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded<'a> {
    /// How many frames there are; none: it is no traceback.
    pub frames: usize,
    /// The application's own ones, oldest first; where there is none, the last one.
    pub own: Vec<Frame<'a>>,
    /// The packages that the other frames are of, each once, as far as their paths tell.
    pub foreign: Vec<&'a str>,
    /// The last line: type and value of the exception.
    pub last: &'a str,
}

/// The package of a path outside the application: what stands after `site-packages`.
fn package(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("site-packages/").or_else(|| path.split_once("dist-packages/"))?;
    rest.split('/').next().map(|name| name.strip_suffix(".py").unwrap_or(name)).filter(|name| !name.is_empty())
}

impl<'a> Frame<'a> {
    /// Path and line as a person says them: `basket/pricing.py:88`.
    #[must_use]
    pub fn short(&self) -> String {
        let (path, line) = self.place;
        let mut parts = path.rsplit('/').take(2).collect::<Vec<_>>();
        parts.reverse();
        format!("{}:{line}", parts.join("/"))
    }

    /// Whether it is not the application's own code.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        FOREIGN.iter().any(|foreign| self.place.0.contains(foreign))
    }

    /// The function, where it was written.
    #[must_use]
    pub fn function(&self) -> Option<&'a str> {
        self.head.split_once(", in ").map(|(_, name)| name.trim()).filter(|name| !name.is_empty())
    }
}

fn frame<'a>(head: &'a str, code: Option<&'a str>) -> Option<Frame<'a>> {
    let (path, rest) = head.strip_prefix("File \"")?.split_once('"')?;
    let line = rest.strip_prefix(", line ")?.split([',', ' ']).next()?;
    Some(Frame { head, code: code.map_or("", str::trim), place: (path, line) })
}

impl<'a> Folded<'a> {
    /// Reads the lines.
    #[must_use]
    pub fn new(lines: &'a [String]) -> Self {
        let mut all = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let head = line.trim();
            if head.starts_with("File \"") {
                let code = lines.get(at + 1).map(|next| next.trim()).filter(|next| !next.starts_with("File \"") && lines[at + 1].starts_with(' '));
                all.extend(frame(head, code));
            }
        }
        let last = lines.iter().rev().map(|line| line.trim()).find(|line| !line.is_empty()).unwrap_or_default();
        let frames = all.len();
        let mut foreign: Vec<&str> = Vec::new();
        for name in all.iter().filter_map(|frame| package(frame.place.0)) {
            if !foreign.contains(&name) {
                foreign.push(name);
            }
        }
        let mut own: Vec<Frame<'_>> = all.iter().copied().filter(|frame| !frame.is_foreign()).collect();
        if own.is_empty() {
            own.extend(all.pop());
        }
        Self { frames, own, foreign, last }
    }

    /// Where it happened, for the folded row: `basket/pricing.py:88`.
    #[must_use]
    pub fn place(&self) -> String {
        self.own.last().map_or_else(String::new, Frame::short)
    }

    /// The row that stands for all of it when folded, without its last line.
    #[must_use]
    pub fn summary(&self, lines: usize) -> String {
        match (self.frames, lines) {
            (0, 1) => "1 line".to_owned(),
            (0, lines) => format!("{lines} lines"),
            (1, _) => "Traceback, 1 frame".to_owned(),
            (frames, _) => format!("Traceback, {frames} frames"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_traceback_keeps_the_own_frames_and_its_exception() {
        let lines = lines(
            "Traceback (most recent call last):\n  File \"/srv/shop/.venv/lib/python3.12/site-packages/django/core/handlers/exception.py\", line 55, in inner\n    response = get_response(request)\n               ^^^^^^^^^^^^^\n  File \"/srv/shop/basket/views.py\", line 41, in get\n    return Response(Basket(request.session).total)\n  File \"/srv/shop/basket/pricing.py\", line 88, in total\n    currency = self.session[\"basket\"][\"currency\"]\nKeyError: 'currency'\n",
        );
        let folded = Folded::new(&lines);
        assert_eq!((folded.frames, folded.own.len(), folded.last), (3, 2, "KeyError: 'currency'"));
        assert_eq!(folded.place(), "basket/pricing.py:88");
        assert_eq!(folded.own[0].code, "return Response(Basket(request.session).total)");
        assert_eq!(folded.summary(lines.len()), "Traceback, 3 frames");
    }

    #[test]
    fn other_lines_are_counted() {
        for (text, frames, summary) in [("one\ntwo", 0, "2 lines"), ("", 0, "0 lines"), ("  File \"", 0, "1 line"), ("File \"x\", line", 0, "1 line")] {
            let lines = lines(text);
            let folded = Folded::new(&lines);
            assert_eq!((folded.frames, folded.summary(lines.len()).as_str()), (frames, summary), "{text}");
        }
    }

    #[test]
    fn a_traceback_of_foreign_code_keeps_its_last_frame() {
        let lines = lines("  File \"/usr/lib/python3/site.py\", line 1\n  File \"/usr/lib/python3/json.py\", line 2, in load\nValueError: x");
        assert_eq!(Folded::new(&lines).place(), "python3/json.py:2");
    }
}
