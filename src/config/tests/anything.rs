//! Whatever stands in a file, reading it ends with an answer.

use super::*;

static PIECES: &[&str] = &[
    "[site.shop]\n",
    "[site.shop.http.home]\n",
    "[site.shop.http]\n",
    "[[site.shop.http]]\n",
    "[site]\n",
    "[defaults.http]\n",
    "[defaults]\n",
    "[keys]\n",
    "[ui]\n",
    "[journal]\n",
    "[wall]\n",
    "url = \"https://x.example\"\n",
    "url = 5\n",
    "expect.latency = ",
    "{ warning = \"1s\" }\n",
    "{ warn = [1] }\n",
    "expect = 5\n",
    "expect.status = [200]\n",
    "password = ",
    "{ env = \"X\" }\n",
    "\"hush\"\n",
    "{}\n",
    "[1, {a = 1}]\n",
    "needs = [\"http/home\"]\n",
    "every = \"1s\"\n",
    "every = \"",
    "\n",
    "'''",
    "\"\"\"",
    "[",
    "]",
    "{",
    "}",
    "=",
    ".",
    "\u{feff}",
    "\r",
    "\0",
    "日本",
    "\t",
    "#",
    "up = \"k\"\n",
    "site = 5\n",
    "a.b.c.d = 1\n",
    "http.home.url = \"x\"\n",
    "1979-05-27\n",
    "x = 1e999\n",
];

proptest::proptest! {
    #[test]
    fn the_walk_never_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        if let Err(error) = parse_with(PROBES, &bytes, None, Standing::Never, &|_| None) {
            let _ = error.render(false, 80);
        }
    }

    /// Pieces of real files in any order reach deeper than bytes do.
    #[test]
    fn the_walk_never_panics_on_pieces(pieces in proptest::collection::vec(0usize..PIECES.len(), 0..24)) {
        let text: String = pieces.into_iter().map(|at| PIECES[at]).collect();
        match parse_with(PROBES, text.as_bytes(), Some(Path::new("a/rounds.toml")), Standing::Never, &|_| None) {
            Err(error) => drop(error.render(false, 80)),
            Ok(loaded) => drop(loaded.warnings.render(false, 80)),
        }
    }
}
