//! What the terminal answers when it is asked for its colours (OSC 11 and OSC 4 of xterm's control sequences).
//!
//! Nobody waits for an answer. It comes, if it comes, as input: the reader of keys sees `ESC ]` as Alt-] and the rest as letters, so those
//! are held back as long as they can be an answer, and given on as keys when they are none.

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::ui::theme::EnvFacts;

/// How an answer begins, without `ESC ]`: the background, and colour 8.
const HEADS: [(&str, Asked); 4] = [("11;rgb:", Asked::Background), ("11;rgba:", Asked::Background), ("4;8;rgb:", Asked::Grey), ("4;8;rgba:", Asked::Grey)];
/// The longest colour: four fields of four digits and what is between them.
const LONGEST: usize = 19;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The background.
    Background,
    /// Entry 8 of the palette.
    Grey,
}

/// Red, green, blue.
pub type Rgb = (u8, u8, u8);

/// What became of an input.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// These are for the reader; none while an answer may be coming.
    Inputs(Vec<Input>),
    /// The terminal said so: red, green, blue.
    Answer(Asked, Rgb),
}

/// Listens for answers among the inputs.
#[derive(Debug, Default)]
pub struct Answers {
    awaited: usize,
    held: Vec<Input>,
    text: String,
    escaped: bool,
}

/// The questions that these facts leave open, as bytes for the terminal. The answers end as the questions do, by one byte, so that no
/// half of an end is taken for Esc.
#[must_use]
pub fn questions(facts: &EnvFacts) -> &'static [u8] {
    match (facts.asks_for_background(), facts.asks_for_grey()) {
        (true, true) => b"\x1b]11;?\x07\x1b]4;8;?\x07",
        (true, false) => b"\x1b]11;?\x07",
        _ => b"",
    }
}

impl Answers {
    /// Listens for the answers to these questions.
    #[must_use]
    pub fn to(questions: &[u8]) -> Self {
        Self { awaited: memchr::memchr_iter(b'?', questions).count(), ..Self::default() }
    }

    /// Takes an input in.
    pub fn hear(&mut self, input: Input) -> Heard {
        let key = match &input {
            Input::Key(key) if self.awaited > 0 && key.kind != KeyEventKind::Release => *key,
            // A new size, a click, a paste may come in between.
            _ => return Heard::Inputs(vec![input]),
        };
        if self.held.is_empty() {
            if key.code == KeyCode::Char(']') && key.modifiers == KeyModifiers::ALT {
                self.held.push(input);
                return Heard::Inputs(Vec::new());
            }
            return Heard::Inputs(vec![input]);
        }
        self.held.push(input);
        if self.is_end(&key) {
            let answer = colour(&self.text);
            let held = std::mem::take(&mut self.held);
            self.text.clear();
            self.escaped = false;
            return match answer {
                Some((asked, colour)) => {
                    self.awaited -= 1;
                    Heard::Answer(asked, colour)
                }
                None => Heard::Inputs(held),
            };
        }
        if let KeyCode::Char(c) = key.code
            && (key.modifiers - KeyModifiers::SHIFT).is_empty()
            && !self.escaped
        {
            self.text.push(c);
            if may_become(&self.text) {
                return Heard::Inputs(Vec::new());
            }
        } else if key.code == KeyCode::Esc && !self.escaped && colour(&self.text).is_some() {
            // The end was cut between its two bytes.
            self.escaped = true;
            return Heard::Inputs(Vec::new());
        }
        self.text.clear();
        self.escaped = false;
        Heard::Inputs(std::mem::take(&mut self.held))
    }

    /// BEL is Ctrl-g to the reader of keys, `ESC \` is Alt-\.
    fn is_end(&self, key: &KeyEvent) -> bool {
        match key.code {
            KeyCode::Char('g') => key.modifiers == KeyModifiers::CONTROL,
            KeyCode::Char('\\') => key.modifiers == KeyModifiers::ALT || (self.escaped && key.modifiers.is_empty()),
            _ => false,
        }
    }
}

fn may_become(text: &str) -> bool {
    HEADS.iter().any(|(head, _)| {
        head.starts_with(text) || text.strip_prefix(head).is_some_and(|rest| rest.len() <= LONGEST && rest.chars().all(|c| c.is_ascii_hexdigit() || c == '/'))
    })
}

/// `11;rgb:ffff/ffff/ffff`: fields of one to four hexadecimal digits, of which the first eight bits count.
fn colour(text: &str) -> Option<(Asked, Rgb)> {
    let (asked, rest) = HEADS.iter().find_map(|(head, asked)| text.strip_prefix(head).map(|rest| (*asked, rest)))?;
    let fields: Vec<u8> = rest.split('/').map(field).collect::<Option<_>>()?;
    match fields.as_slice() {
        // Alpha is the last one.
        [r, g, b] | [r, g, b, _] => Some((asked, (*r, *g, *b))),
        _ => None,
    }
}

fn field(digits: &str) -> Option<u8> {
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    let value = u32::from_str_radix(digits, 16).ok()?;
    let most = (1_u32 << (4 * digits.len())) - 1;
    u8::try_from(value * 255 / most).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Input {
        Input::Key(KeyEvent::new(code, modifiers))
    }

    /// The keys that the reader of keys makes of bytes.
    fn typed(bytes: &str) -> Vec<Input> {
        let mut all = Vec::new();
        let mut chars = bytes.chars().peekable();
        while let Some(c) = chars.next() {
            all.push(match c {
                '\u{1b}' => match chars.next() {
                    Some(next) => key(KeyCode::Char(next), KeyModifiers::ALT),
                    None => key(KeyCode::Esc, KeyModifiers::NONE),
                },
                '\u{7}' => key(KeyCode::Char('g'), KeyModifiers::CONTROL),
                c => key(KeyCode::Char(c), if c.is_ascii_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE }),
            });
        }
        all
    }

    fn hear(answers: &mut Answers, inputs: Vec<Input>) -> (Vec<Input>, Vec<(Asked, Rgb)>) {
        let (mut through, mut heard) = (Vec::new(), Vec::new());
        for input in inputs {
            match answers.hear(input) {
                Heard::Inputs(mut inputs) => through.append(&mut inputs),
                Heard::Answer(asked, colour) => heard.push((asked, colour)),
            }
        }
        (through, heard)
    }

    #[test]
    fn an_answer_is_heard_and_none_of_it_is_a_key() {
        for (bytes, asked, colour) in [
            ("\u{1b}]11;rgb:fdfd/fdfd/fbfb\u{7}", Asked::Background, (0xfd, 0xfd, 0xfb)),
            ("\u{1b}]11;rgb:FFFF/0/80\u{1b}\\", Asked::Background, (255, 0, 128)),
            ("\u{1b}]11;rgba:1010/1212/1616/ffff\u{7}", Asked::Background, (16, 18, 22)),
            ("\u{1b}]4;8;rgb:00/2b/36\u{7}", Asked::Grey, (0, 43, 54)),
        ] {
            let mut answers = Answers::to(b"?");
            let mut inputs = typed("j");
            inputs.extend(typed(bytes));
            inputs.extend(typed("k"));
            let (through, heard) = hear(&mut answers, inputs);
            assert_eq!((through, heard), (typed("jk"), vec![(asked, colour)]), "{bytes:?}");
        }
        // An end that came in two reads.
        let mut inputs = typed("\u{1b}]11;rgb:ff/ff/ff");
        inputs.extend([key(KeyCode::Esc, KeyModifiers::NONE), key(KeyCode::Char('\\'), KeyModifiers::NONE)]);
        assert_eq!(hear(&mut Answers::to(b"?"), inputs), (vec![], vec![(Asked::Background, (255, 255, 255))]));
    }

    #[test]
    fn what_is_no_answer_reaches_the_reader_in_its_order() {
        for bytes in ["\u{1b}]q", "\u{1b}]11;x", "\u{1b}]\u{7}", "\u{1b}]11;rgb:ff\u{7}", "\u{1b}]12", "jk\u{1b}x", "\u{1b}]11;rgb:fffffffffffffffffffffff"] {
            let (through, heard) = hear(&mut Answers::to(b"?"), typed(bytes));
            assert_eq!((through, heard.len()), (typed(bytes), 0), "{bytes:?}");
        }
        // Not asked, or answered: nothing is held back.
        let mut answers = Answers::to(b"");
        assert_eq!(hear(&mut answers, typed("\u{1b}]")).0, typed("\u{1b}]"));
        let mut answers = Answers::to(b"?");
        hear(&mut answers, typed("\u{1b}]11;rgb:f/f/f\u{7}"));
        assert_eq!(hear(&mut answers, typed("\u{1b}]")).0, typed("\u{1b}]"));
    }
}
