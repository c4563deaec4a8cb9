//! What a JSON schema tells about a table of the file: which keys it knows, which it needs, where secrets stand, what may be merged.
//!
//! The schemas are those of our own types, so only what `schemars` writes is understood: `$ref`, `properties`,
//! `additionalProperties`, `items`, `anyOf`, `oneOf`, `allOf`. Types are not judged here: deserialising does that with better words.

use std::ops::Range;

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, is_secret_key};
use super::suggest;

/// References and alternatives inside each other are followed so far; ours are far from it.
const DEPTH: usize = 24;

/// The value of a table's entry, with its place.
pub(super) type Spot<'i> = toml::Spanned<DeValue<'i>>;

/// A schema that knows where its references point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schema<'s> {
    root: &'s Json,
    node: &'s Json,
}

impl<'s> Schema<'s> {
    pub(super) fn new(root: &'s Json) -> Self {
        Self { root, node: root }
    }

    fn at(self, node: &'s Json) -> Self {
        Self { node, ..self }
    }

    fn followed(self) -> Self {
        let mut here = self;
        for _ in 0..DEPTH {
            let Some(target) = here.node.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix('#')) else { break };
            let Some(node) = here.root.pointer(target) else { break };
            here = here.at(node);
        }
        here
    }

    /// The schema itself, or all alternatives it allows.
    fn alternatives(self, depth: usize, into: &mut Vec<Self>) {
        let here = self.followed();
        let mut forks = false;
        if depth > 0 {
            for word in ["anyOf", "oneOf", "allOf"] {
                for one in here.node.get(word).and_then(Json::as_array).into_iter().flatten() {
                    forks = true;
                    here.at(one).alternatives(depth - 1, into);
                }
            }
        }
        if !forks || here.node.get("properties").is_some() {
            into.push(here);
        }
    }

    fn all(self) -> Vec<Self> {
        let mut all = Vec::new();
        self.alternatives(DEPTH, &mut all);
        all
    }

    fn property(self, key: &str) -> Option<Self> {
        self.node.get("properties").and_then(|keys| keys.get(key)).map(|node| self.at(node))
    }

    /// The names of its keys, whichever alternative they belong to.
    pub(super) fn keys(self) -> Vec<&'s str> {
        let mut keys: Vec<&str> = Vec::new();
        for one in self.all() {
            keys.extend(one.node.get("properties").and_then(Json::as_object).into_iter().flat_map(|keys| keys.keys().map(String::as_str)));
        }
        keys
    }

    /// The schema of one key, where it is known.
    pub(super) fn key(self, key: &str) -> Option<Self> {
        self.all().into_iter().find_map(|one| one.property(key))
    }

    /// The default it states.
    pub(super) fn default(self) -> Option<&'s Json> {
        self.node.get("default").or_else(|| self.followed().node.get("default"))
    }

    fn format(self) -> Option<&'s str> {
        let own = |node: &'s Json| node.get("format").and_then(Json::as_str);
        own(self.node).or_else(|| own(self.followed().node)).or_else(|| self.nullable().and_then(|one| own(one.followed().node)))
    }

    /// The one alternative beside `null`, where it is such a pair.
    fn nullable(self) -> Option<Self> {
        let here = self.followed();
        let mut others = here.node.get("anyOf")?.as_array()?.iter().filter(|one| one.get("type").and_then(Json::as_str) != Some("null"));
        let first = others.next()?;
        others.next().is_none().then(|| here.at(first))
    }

    /// Whether it is a reference to a secret.
    pub(super) fn is_secret(self) -> bool {
        self.format() == Some("rounds-secret")
    }

    /// Whether it is a table of keys (not of one alternative among several), so that a default's keys may stand beside one's own.
    fn merges(self) -> bool {
        let here = self.nullable().unwrap_or(self).followed();
        here.node.get("oneOf").is_none() && here.node.get("anyOf").is_none()
    }

    /// Keys that the table must have.
    fn required(self) -> Vec<&'s str> {
        let here = self.nullable().unwrap_or(self).followed();
        here.node.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect()
    }

    /// What a key may be that is not among the properties.
    fn others(self) -> Others<'s> {
        if self.node.get("patternProperties").is_some() {
            return Others::Any;
        }
        match self.node.get("additionalProperties") {
            Some(node @ Json::Object(_)) => Others::Of(self.at(node)),
            Some(Json::Bool(true)) => Others::Any,
            // Nothing is said about keys at all, so all are free; a struct of ours always says which it has.
            None if self.node.get("properties").is_none() && self.may_be_table() => Others::Any,
            _ => Others::None,
        }
    }

    fn may_be_table(self) -> bool {
        match self.node.get("type") {
            None => true,
            Some(Json::String(word)) => word == "object",
            Some(Json::Array(words)) => words.iter().any(|word| word == "object"),
            Some(_) => false,
        }
    }
}

/// What the keys of a table may be that the schema does not name.
enum Others<'s> {
    /// There are none.
    None,
    /// Anything.
    Any,
    /// What this schema says.
    Of(Schema<'s>),
}

/// Takes the unknown keys out of a table, with all tables inside it, and tells each. `common` are keys that are known beside the
/// schema's.
pub(super) fn take_unknown(table: &mut DeTable<'_>, schema: Schema<'_>, common: &[&str], told: &mut Vec<Diagnostic>) {
    let tables: Vec<Schema<'_>> = schema.all().into_iter().filter(|one| one.may_be_table()).collect();
    if tables.is_empty() {
        return;
    }
    let mut unknown = Vec::new();
    for (key, value) in table.iter_mut() {
        let name = key.get_ref();
        if common.contains(&name.as_ref()) {
            continue;
        }
        let known = tables.iter().find_map(|one| one.property(name)).map(Others::Of);
        let known = known.or_else(|| tables.iter().map(|one| one.others()).find(|others| !matches!(others, Others::None)));
        match known.unwrap_or(Others::None) {
            Others::Of(inner) => take_unknown_in(value.get_mut(), inner, told),
            Others::Any => {}
            Others::None => {
                told.push(Diagnostic::error(key.span(), format!("unknown key `{name}`"), help(name, schema, common)));
                unknown.push(name.to_string());
            }
        }
    }
    for name in unknown {
        table.remove(name.as_str());
    }
}

fn take_unknown_in(value: &mut DeValue<'_>, schema: Schema<'_>, told: &mut Vec<Diagnostic>) {
    match value {
        DeValue::Table(table) => take_unknown(table, schema, &[], told),
        DeValue::Array(array) => {
            for one in schema.all() {
                if let Some(items) = one.node.get("items") {
                    for element in array.iter_mut() {
                        take_unknown_in(element.get_mut(), one.at(items), told);
                    }
                    break;
                }
            }
        }
        _ => {}
    }
}

/// What was meant by an unknown key: a near one, one that stands a table deeper, or what people know from elsewhere.
fn help(name: &str, schema: Schema<'_>, common: &[&str]) -> String {
    let keys = schema.keys();
    let near = suggest::nearest(name, keys.iter().copied().chain(common.iter().copied()));
    if let Some(near) = near {
        return format!("did you mean `{near}`?");
    }
    for key in &keys {
        if let Some(inner) = schema.key(key)
            && !inner.is_secret()
            && inner.keys().contains(&name)
        {
            return format!("did you mean `{key}.{name}`?");
        }
    }
    let elsewhere = [
        ("interval", "every"),
        ("frequency", "every"),
        ("period", "every"),
        ("disabled", "enabled"),
        ("label", "title"),
        ("depends_on", "needs"),
        ("endpoint", "url"),
    ];
    if let Some((_, ours)) = elsewhere.iter().find(|(theirs, ours)| *theirs == name && (common.contains(ours) || keys.contains(ours))) {
        return format!("rounds calls it `{ours}`");
    }
    suggest::help("", keys.into_iter().chain(common.iter().copied()).collect::<Vec<_>>())
}

/// Tells every key that must be there and is not, in the table and in those inside it. `here` is the table's place.
pub(super) fn tell_missing(table: &DeTable<'_>, here: Range<usize>, name: &str, schema: Schema<'_>, told: &mut Vec<Diagnostic>) {
    for key in schema.required() {
        if !table.contains_key(key) {
            told.push(Diagnostic::error(here.clone(), format!("`{name}` needs the key `{key}`"), format!("add `{key} = …`")));
        }
    }
    for (key, value) in table {
        if let (Some(inner), DeValue::Table(table)) = (schema.key(key.get_ref()), value.get_ref())
            && !inner.is_secret()
        {
            tell_missing(table, value.span(), key.get_ref(), inner, told);
        }
    }
}

/// The table with what `below` has and it has not. A secret, or another value of several forms, is taken whole from one of them.
pub(super) fn merged<'i>(own: &DeTable<'i>, below: &DeTable<'i>, schema: Schema<'_>) -> DeTable<'i> {
    let mut table = own.clone();
    for (key, value) in below {
        let inner = schema.key(key.get_ref());
        match table.get_mut(key.get_ref().as_ref()) {
            None => {
                table.insert(key.clone(), value.clone());
            }
            Some(mine) => {
                if let (DeValue::Table(mine), DeValue::Table(value), Some(inner)) = (mine.get_mut(), value.get_ref(), inner)
                    && inner.merges()
                {
                    *mine = merged(mine, value, inner);
                }
            }
        }
    }
    table
}

/// The places of values that are never shown: literal secrets, and what stands under a key that sounds like one.
pub(super) fn secret_places(table: &DeTable<'_>, schema: Option<Schema<'_>>, into: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let inner = schema.and_then(|schema| schema.key(key.get_ref()));
        let secret = inner.map_or_else(|| is_secret_key(key.get_ref()), Schema::is_secret);
        match value.get_ref() {
            DeValue::Table(table) => secret_places(table, inner, into),
            _ if secret => into.push(value.span()),
            DeValue::Array(array) => {
                for element in array {
                    if let DeValue::Table(table) = element.get_ref() {
                        secret_places(table, None, into);
                    }
                }
            }
            _ => {}
        }
    }
}

/// The place a path below a table leads to: the value's, or that of the deepest table on the way.
pub(super) fn place_of(table: &DeTable<'_>, here: Range<usize>, path: &[String]) -> Range<usize> {
    let Some((first, rest)) = path.split_first() else { return here };
    let Some(value) = table.get(first.as_str()) else { return here };
    place_in(value, rest)
}

fn place_in(value: &Spot<'_>, path: &[String]) -> Range<usize> {
    match (value.get_ref(), path.split_first()) {
        (DeValue::Table(table), Some(_)) => place_of(table, value.span(), path),
        (DeValue::Array(array), Some((first, rest))) => {
            first.parse::<usize>().ok().and_then(|at| array.get(at)).map_or_else(|| value.span(), |element| place_in(element, rest))
        }
        _ => value.span(),
    }
}

/// The first byte of the file that belongs to a value or to anything inside it: its place in the order of the file.
pub(super) fn first_byte(value: &Spot<'_>) -> usize {
    let own = value.span().start;
    match value.get_ref() {
        DeValue::Table(table) => table.iter().map(|(key, value)| key.span().start.min(first_byte(value))).min().unwrap_or(own).min(own),
        _ => own,
    }
}

/// The entries of a table in the order of the file.
pub(super) fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<(&'t toml::Spanned<std::borrow::Cow<'i, str>>, &'t Spot<'i>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, value)| key.span().start.min(first_byte(value)));
    entries
}

/// The entries whose key is wanted.
pub(super) fn only<'i>(table: &DeTable<'i>, wanted: impl Fn(&str) -> bool) -> DeTable<'i> {
    let mut some = DeTable::new();
    for (key, value) in table {
        if wanted(key.get_ref()) {
            some.insert(key.clone(), value.clone());
        }
    }
    some
}
