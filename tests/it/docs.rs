//! The documents say what the program does.

use std::fs;
use std::path::{Path, PathBuf};

use rounds::sources::kinds::KINDS;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn documents() -> Vec<PathBuf> {
    let mut all = vec![PathBuf::from("README.md"), "CONTRIBUTING.md".into(), "CHANGELOG.md".into()];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        all.push(Path::new("docs").join(entry.unwrap().file_name()));
    }
    all
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn every_kind_has_a_page_that_names_every_key() {
    for kind in KINDS {
        let page = read(format!("docs/{}.md", kind.name));
        let schema = (kind.schema)();
        let keys = schema["properties"].as_object().into_iter().flatten();
        let missing: Vec<&String> = keys.map(|(key, _)| key).filter(|key| !page.contains(&format!("`{key}`")) && !page.contains(&format!("`{key}."))).collect();
        assert!(missing.is_empty(), "docs/{}.md does not name {missing:?}", kind.name);
    }
}

#[test]
fn the_page_of_actions_names_every_key() {
    let page = read("docs/actions.md");
    let schema = schemars::schema_for!(rounds::actions::ActionTable).to_value();
    for key in schema["properties"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("| `{key}` |")), "docs/actions.md does not name {key}");
    }
}

#[test]
fn configurations_in_documents_parse() {
    for document in documents() {
        for block in blocks(&read(&document), "toml") {
            if let Err(error) = block.parse::<toml::Table>() {
                panic!("{}: {error}\n{block}", document.display());
            }
        }
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in documents() {
        let text = read(&document);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let full = root().join(&document).parent().unwrap().join(path);
            assert!(full.exists(), "{}: {target}", document.display());
        }
    }
}

#[test]
fn the_key_table_of_the_readme_is_current() {
    let text = read("README.md");
    let table = text.split("<!-- keys -->\n").nth(1).and_then(|rest| rest.split("<!-- /keys -->").next()).unwrap();
    let expected = format!("\n{}\n", rounds::ui::keymap::markdown_table().trim_end());
    assert!(table.trim() == expected.trim(), "put this between the key markers of README.md:\n{expected}");
}

#[test]
fn the_page_of_the_collector_names_every_key_and_every_metric() {
    let page = read("docs/watch.md");
    let schema = rounds::config::schema::whole();
    for key in schema["properties"]["watch"]["properties"].as_object().unwrap().keys() {
        assert!(page.contains(&format!("| `{key}` |")), "docs/watch.md does not name {key}");
    }
    let source = read("src/report/prometheus.rs");
    let names = source.split('"').filter(|text| text.starts_with("rounds_") && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
    for name in names {
        assert!(page.contains(&format!("`{name}`")), "docs/watch.md does not name {name}");
    }
}
