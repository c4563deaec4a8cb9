//! Python source as a stream of tokens, so that settings can be read without running them.
//!
//! Only what settings are made of is understood: names, texts, signs, where a statement ends. Whatever else stands there is a sign.

use std::collections::BTreeMap;

/// So deep values refer to other values.
const DEPTH: usize = 6;
/// So much text one value comes to.
const LONGEST: usize = 4_096;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A name, a keyword or a number.
    Word(String),
    /// A text, its escapes read. `true`: an f-string.
    Text(String, bool),
    /// One character of anything else.
    Sign(char),
    /// A statement ends.
    End,
}

/// Gives the value of a name, and the file it stands in.
pub type Names<'a> = &'a dyn Fn(&str) -> Option<(String, Vec<Token>)>;

/// One token and its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub line: usize,
}

impl Token {
    /// Whether it is this name.
    #[must_use]
    pub fn is_word(&self, name: &str) -> bool {
        matches!(&self.kind, Kind::Word(word) if word == name)
    }

    /// Whether it is this sign.
    #[must_use]
    pub fn is_sign(&self, sign: char) -> bool {
        self.kind == Kind::Sign(sign)
    }

    /// Its text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text, _) => Some(text),
            _ => None,
        }
    }

    /// Its name, if it is one.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// The tokens of a source text. Never fails: what is not Python gives tokens that mean nothing.
#[must_use]
pub fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let (mut all, mut at, mut line, mut depth) = (Vec::new(), 0, 1, 0_usize);
    while let Some(&c) = chars.get(at) {
        match c {
            '\n' => {
                if depth == 0 {
                    all.push(Token { kind: Kind::End, line });
                }
                line += 1;
                at += 1;
            }
            '\\' if matches!(chars.get(at + 1), Some('\n')) => {
                line += 1;
                at += 2;
            }
            '#' => {
                while chars.get(at).is_some_and(|c| *c != '\n') {
                    at += 1;
                }
            }
            '"' | '\'' => {
                let begun = line;
                let text = text(&chars, &mut at, &mut line, false);
                all.push(Token { kind: Kind::Text(text, false), line: begun });
            }
            c if c.is_alphanumeric() || c == '_' => {
                let from = at;
                while chars.get(at).is_some_and(|c| c.is_alphanumeric() || *c == '_') {
                    at += 1;
                }
                let word: String = chars[from..at].iter().collect();
                let prefix = word.len() <= 2 && word.chars().all(|c| "rbfuRBFU".contains(c));
                if prefix && matches!(chars.get(at), Some('"' | '\'')) {
                    let begun = line;
                    let raw = word.contains(['r', 'R']);
                    let text = text(&chars, &mut at, &mut line, raw);
                    all.push(Token { kind: Kind::Text(text, word.contains(['f', 'F'])), line: begun });
                } else {
                    all.push(Token { kind: Kind::Word(word), line });
                }
            }
            c if c.is_whitespace() => at += 1,
            c => {
                match c {
                    '(' | '[' | '{' => depth += 1,
                    ')' | ']' | '}' => depth = depth.saturating_sub(1),
                    _ => {}
                }
                all.push(Token { kind: Kind::Sign(c), line });
                at += 1;
            }
        }
    }
    all.push(Token { kind: Kind::End, line });
    all
}

/// A text from its first quote on.
fn text(chars: &[char], at: &mut usize, line: &mut usize, raw: bool) -> String {
    let quote = chars[*at];
    let long = chars.get(*at + 1) == Some(&quote) && chars.get(*at + 2) == Some(&quote);
    *at += if long { 3 } else { 1 };
    let mut text = String::new();
    while let Some(&c) = chars.get(*at) {
        if c == quote && (!long || (chars.get(*at + 1) == Some(&quote) && chars.get(*at + 2) == Some(&quote))) {
            *at += if long { 3 } else { 1 };
            return text;
        }
        match c {
            // A short text does not go on in the next line: this is broken source.
            '\n' if !long => return text,
            '\n' => {
                *line += 1;
                text.push(c);
            }
            '\\' if !raw => {
                *at += 1;
                match chars.get(*at) {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('\n') => *line += 1,
                    Some(other) => text.push(*other),
                    None => return text,
                }
            }
            c => text.push(c),
        }
        *at += 1;
    }
    text
}

/// The tokens of the last value given to `name` (`NAME = …`, `NAME: type = …`, `NAME += …` adds to it), and the line of the first.
#[must_use]
pub fn value<'t>(tokens: &'t [Token], name: &str) -> Option<(usize, &'t [Token])> {
    let mut found = None;
    for statement in statements(tokens) {
        let Some(first) = statement.first().filter(|first| first.is_word(name)) else { continue };
        let Some(sign) = statement.iter().position(|token| token.is_sign('=')) else { continue };
        // A comparison, or a subscript of something else.
        let annotated = sign == 1 || statement[1].is_sign(':');
        if annotated && !statement.get(sign + 1).is_some_and(|next| next.is_sign('=')) {
            found = Some((first.line, &statement[sign + 1..]));
        }
    }
    found
}

/// Statement by statement, without their ends.
pub fn statements(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    tokens.split(|token| token.kind == Kind::End).filter(|statement| !statement.is_empty())
}

/// What a path in settings comes to, as far as it can be told without running them: texts, joined by `/`, `+`, `os.path.join` and f-strings,
/// names given elsewhere, and places relative to `__file__`. `file` is the settings' own path inside the project.
#[must_use]
pub fn path(tokens: &[Token], file: &str, names: Names<'_>) -> Option<String> {
    evaluate(tokens, file, names, DEPTH)
}

fn evaluate(tokens: &[Token], file: &str, names: Names<'_>, depth: usize) -> Option<String> {
    const PLUMBING: &[&str] = &["os", "path", "join", "str", "Path", "pathlib", "resolve", "absolute", "abspath", "realpath", "normpath", "as_posix"];
    if depth == 0 {
        return None;
    }
    if tokens.iter().any(|token| token.is_word("__file__")) {
        let ups = tokens.iter().filter(|token| token.is_word("parent") || token.is_word("dirname")).count();
        let parents =
            tokens.windows(3).find(|three| three[0].is_word("parents") && three[1].is_sign('[')).and_then(|three| three[2].word()?.parse::<usize>().ok());
        let mut parts: Vec<&str> = file.split('/').collect();
        for _ in 0..ups + parents.map_or(0, |number| number + 1) {
            // Above the project: where that is cannot be said.
            parts.pop()?;
        }
        parts.extend(tokens.iter().filter_map(Token::text));
        let parts: Vec<&str> = parts.into_iter().flat_map(|part| part.split('/')).collect();
        return folded(&parts);
    }
    let mut whole = String::new();
    let joins_by_slash = !tokens.iter().any(|token| token.is_sign('+'));
    for (at, token) in tokens.iter().enumerate() {
        let piece = match &token.kind {
            Kind::Text(text, true) => formatted(text, file, names, depth)?,
            Kind::Text(text, false) => text.clone(),
            Kind::Word(word) if PLUMBING.contains(&word.as_str()) => continue,
            Kind::Word(word) => {
                let (of, value) = names(word)?;
                evaluate(&value, &of, names, depth - 1)?
            }
            Kind::Sign('/' | ',' | '(' | ')' | '.' | '+') => continue,
            _ => return None,
        };
        // Two texts beside each other are one.
        let beside = at > 0 && tokens[at - 1].text().is_some();
        if !whole.is_empty() && joins_by_slash && !beside && !whole.ends_with('/') && !piece.starts_with('/') {
            whole.push('/');
        }
        whole.push_str(&piece);
        if whole.len() > LONGEST {
            return None;
        }
    }
    let whole = whole.strip_prefix("./").unwrap_or(&whole).to_owned();
    (!whole.is_empty()).then_some(whole)
}

/// Folds `..` away; nothing is left of a path above the project.
fn folded(parts: &[&str]) -> Option<String> {
    let mut whole: Vec<&str> = Vec::new();
    for part in parts {
        match *part {
            "" | "." => {}
            ".." => drop(whole.pop()?),
            part => whole.push(part),
        }
    }
    // The project's own folder: what is joined to it is relative.
    Some(if whole.is_empty() { ".".to_owned() } else { whole.join("/") })
}

fn formatted(text: &str, file: &str, names: Names<'_>, depth: usize) -> Option<String> {
    let mut known: BTreeMap<&str, String> = BTreeMap::new();
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}')?;
        whole.push_str(before);
        if !known.contains_key(name) {
            let (of, value) = names(name)?;
            known.insert(name, evaluate(&value, if of.is_empty() { file } else { &of }, names, depth - 1)?);
        }
        whole.push_str(known.get(name)?);
        if whole.len() > LONGEST {
            return None;
        }
        rest = after;
    }
    whole.push_str(rest);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of(source: &str, name: &str) -> Option<String> {
        let tokens = tokens(source);
        let names = |name: &str| value(&tokens, name).map(|(_, value)| ("shop/settings/base.py".to_owned(), value.to_vec()));
        let (_, own) = value(&tokens, name)?;
        path(own, "shop/settings/base.py", &names)
    }

    #[test]
    fn paths_are_told_without_running_anything() {
        let base = "BASE_DIR = Path(__file__).resolve().parent.parent.parent\nLOG_DIR = BASE_DIR / 'logs'\n";
        for (source, path) in [
            ("X = '/var/log/x.log'", Some("/var/log/x.log")),
            ("X = BASE_DIR / 'logs' / \"x.log\"", Some("logs/x.log")),
            ("X = os.path.join(BASE_DIR, 'logs', 'x.log')  # 'no'", Some("logs/x.log")),
            ("X = str(LOG_DIR / 'x.log')", Some("logs/x.log")),
            ("X = f'{LOG_DIR}/x.log'", Some("logs/x.log")),
            ("X = LOG_DIR + '/x.log'", Some("logs/x.log")),
            ("X: str = (\n 'a'\n 'b.log')", Some("ab.log")),
            ("X = os.path.join(os.path.dirname(os.path.dirname(__file__)), 'x.log')", Some("shop/x.log")),
            ("X = os.environ['LOG']", None),
            ("X = UNKNOWN / 'x.log'", None),
            ("X = X / 'x.log'", None),
            ("X = Path(__file__).parents[9] / 'x'", None),
            ("X == 'a'", None),
        ] {
            assert_eq!(path_of(&format!("{base}{source}\n"), "X").map(|path| path.replace("./", "")), path.map(str::to_owned), "{source}");
        }
    }

    #[test]
    fn broken_source_gives_tokens_and_no_panic() {
        for source in ["'", "\"\"\"", "x = (", "\\", "f'{", "a = 'b\nc = 1", "\u{0}\u{1b}", "'\\"] {
            let tokens = tokens(source);
            assert!(tokens.last().is_some_and(|token| token.kind == Kind::End));
            let _ = path_of(source, "x");
        }
        assert_eq!(value(&tokens("a = '\nLINE = 2\n"), "LINE").unwrap().0, 2);
    }
}
