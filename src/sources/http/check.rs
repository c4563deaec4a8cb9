//! Values of the configuration that types cannot check: addresses, expressions, limits, names, contradictions.
//!
//! What does not belong here: looking at anything outside. A missing file is told when it is needed.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Method, Uri};
use regex::bytes::{Regex, RegexBuilder};
use url::Url;

use super::super::Complaint;
use super::{Config, Limits};
use crate::config::value::Dur;
use crate::io::http::configured_proxy;
use crate::io::secret::SecretRef;

/// Headers that the client itself writes.
const OWN_HEADERS: [&str; 4] = ["connection", "content-length", "transfer-encoding", "upgrade"];

/// Compiles an expression of the configuration, bounded in memory.
pub(super) fn expression(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).size_limit(1 << 20).dfa_size_limit(1 << 20).build()
}

/// An endpoint's address.
pub(super) fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("\"{}\" is not an address: {error}", without_user(text)))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("\"{}:\" is not served: write http:// or https://", url.scheme()));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("an address without a host".to_owned());
    }
    Ok(url)
}

/// `192.0.2.7`, `2001:db8::1`, or either with a port; the port of the address is kept when none is given.
pub(super) fn pinned(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    SocketAddr::from_str(text).ok().or_else(|| IpAddr::from_str(bare).ok().map(|ip| SocketAddr::new(ip, port)))
}

/// Whether a header of this name carries a credential.
pub(super) fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["authorization", "cookie", "token", "secret", "api-key", "apikey", "password"].iter().any(|word| name.contains(word))
}

/// An address for a message: a password in it is not repeated.
fn without_user(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}***{}", &text[..scheme + 3], &text[at..]),
        _ => text.to_owned(),
    }
}

/// Collects complaints with their place.
struct Complaints(Vec<Complaint>);

impl Complaints {
    fn add(&mut self, path: &[&str], message: impl Into<String>, help: &str) {
        let path = path.iter().map(|&part| part.to_owned()).collect();
        self.0.push(Complaint { path, message: message.into(), help: help.to_owned(), warning: false });
    }
}

/// All that is wrong with these keys.
pub(super) fn check(config: &Config) -> Vec<Complaint> {
    let mut all = Complaints(Vec::new());
    let url = check_url(config, &mut all);
    check_request(config, &mut all);
    check_connection(config, url.as_ref(), &mut all);
    check_counts(config, &mut all);
    check_expectations(config, url.as_ref(), &mut all);
    all.0
}

fn check_url(config: &Config, all: &mut Complaints) -> Option<Url> {
    match address(&config.url) {
        Ok(url) => {
            if !url.username().is_empty() || url.password().is_some() {
                all.add(&["url"], "the address holds a user or a password", "write them as `user` and `password`");
            }
            Some(url)
        }
        Err(message) => {
            all.add(&["url"], message, "write it whole: \"https://shop.example.com/health/\"");
            None
        }
    }
}

fn check_request(config: &Config, all: &mut Complaints) {
    if let Some(method) = &config.method {
        if Method::from_str(method).is_err() {
            all.add(&["method"], format!("\"{method}\" is no HTTP method"), "write \"GET\", \"HEAD\" or \"POST\"");
        } else if method.chars().any(|c| c.is_ascii_lowercase()) {
            all.add(&["method"], format!("\"{method}\" is not in capitals; methods are compared exactly"), "write \"GET\", \"HEAD\" or \"POST\"");
        } else if method == "CONNECT" {
            all.add(&["method"], "CONNECT asks a proxy, not an endpoint", "name the proxy by `proxy`");
        }
    }
    for (name, value) in &config.headers {
        let path = ["headers", name.as_str()];
        if HeaderName::from_str(name).is_err() {
            all.add(&path, format!("\"{name}\" is no name of a header"), "use letters, digits and '-'");
        } else if OWN_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
            all.add(&path, format!("the header {name} is written by rounds itself"), "leave it away; `keep_alive` keeps the connection");
        }
        if let SecretRef::Literal(text) = value
            && HeaderValue::from_str(text.expose()).is_err()
        {
            all.add(&path, "the value has characters that a header cannot carry", "use printable characters on one line");
        }
    }
    let authorization = config.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
    if config.bearer.is_some() && config.user.is_some() {
        all.add(&["bearer"], "`bearer` and `user` both set the Authorization header", "keep one of them");
    } else if authorization && (config.bearer.is_some() || config.user.is_some()) {
        all.add(&["headers"], "the Authorization header is set twice", "keep `bearer`, or `user` and `password`, or the header");
    }
    if config.password.is_some() && config.user.is_none() {
        all.add(&["password"], "a password without a user", "add `user`, or use `bearer` for a token");
    }
    if config.user.as_deref().is_some_and(|user| user.contains(':')) {
        all.add(&["user"], "a user of basic authentication has no ':'", "write the password as `password`");
    }
}

fn check_connection(config: &Config, url: Option<&Url>, all: &mut Complaints) {
    if config.insecure && config.ca.is_some() {
        all.add(&["insecure"], "`insecure` accepts any certificate, so `ca` would mean nothing", "keep one of them");
    }
    if config.client_key.is_some() && config.client_certificate.is_none() {
        all.add(&["client_key"], "a key without a certificate", "add `client_certificate`");
    }
    if url.is_some_and(|url| url.scheme() == "http") && !config.follow_redirects {
        let given = [("ca", config.ca.is_some()), ("client_certificate", config.client_certificate.is_some()), ("insecure", config.insecure)];
        for (key, _) in given.into_iter().filter(|(_, given)| *given) {
            all.add(&[key], format!("`{key}` has no meaning for an http:// address"), "write https://, or leave it away");
        }
    }
    if let Some(text) = &config.resolve
        && pinned(text, 1).is_none()
    {
        all.add(&["resolve"], format!("\"{text}\" is no address"), "write an IP address, with a port if it differs: \"192.0.2.7:8443\"");
    }
    let Some(proxy) = &config.proxy else { return };
    let direct = matches!(proxy, SecretRef::Literal(text) if text.expose() == "none");
    if config.resolve.is_some() && !direct {
        all.add(&["resolve"], "through a proxy the proxy resolves names", "keep `proxy` or `resolve`");
    }
    if let SecretRef::Literal(text) = proxy {
        let text = text.expose();
        let any = Uri::from_static("http://endpoint.example/");
        if text != "none" && !(text.contains("://") && configured_proxy(text, &any).is_some()) {
            all.add(&["proxy"], format!("\"{}\" is no proxy", without_user(text)), "write \"http://proxy.example:3128\", \"socks5://…\" or \"none\"");
        }
    }
}

fn check_counts(config: &Config, all: &mut Complaints) {
    for (key, count) in [("failures", config.failures), ("successes", config.successes)] {
        if count == Some(0) {
            all.add(&[key], format!("`{key}` counts from 1"), "write 1 to judge each probe by itself");
        }
    }
    if config.retry_every.is_some_and(|every| every.get().is_zero()) {
        all.add(&["retry_every"], "an interval of nothing", "write at least \"1s\"");
    }
}

fn check_expectations(config: &Config, url: Option<&Url>, all: &mut Complaints) {
    let expect = &config.expect;
    if expect.status.as_ref().is_some_and(|status| status.0.is_empty()) {
        all.add(&["expect", "status"], "no status would ever be right", "write [200] or [\"2xx\"], or leave it away");
    }
    check_limits("latency", expect.latency, |warning, critical| warning < critical, "the warning comes before the critical limit", all);
    check_limits("certificate", expect.certificate, |warning, critical| warning > critical, "the warning comes earlier: it is the longer one", all);
    for (key, text) in [("body", &expect.body), ("not_body", &expect.not_body)] {
        if let Some(Err(error)) = text.as_deref().map(expression) {
            all.add(&["expect", key], reason(&error), "it is a regular expression; write a literal '.' or '(' as '\\.' and '\\('");
        }
    }
    for (name, text) in &expect.header {
        let path = ["expect", "header", name.as_str()];
        if HeaderName::from_str(name).is_err() {
            all.add(&path, format!("\"{name}\" is no name of a header"), "use letters, digits and '-'");
        }
        if let Err(error) = expression(text) {
            all.add(&path, reason(&error), "it is the value itself or a regular expression");
        }
    }
    for pointer in expect.json.keys() {
        if !is_pointer(pointer) {
            let path = ["expect", "json", pointer.as_str()];
            all.add(&path, format!("\"{pointer}\" is no JSON pointer"), "begin it with '/': \"/status\", \"/checks/0/state\"");
        }
    }
    if let (Some(text), Some(url)) = (&expect.redirect, url)
        && url.join(text).is_err()
    {
        all.add(&["expect", "redirect"], format!("\"{text}\" is not an address"), "write it whole, or as a path that begins with '/'");
    }
    if config.method.as_deref() == Some("HEAD") && (expect.body.is_some() || expect.not_body.is_some() || !expect.json.is_empty()) {
        all.add(&["method"], "an answer to HEAD has no body to look at", "use GET, or leave the expectations of the body away");
    }
    if expect.certificate.is_some() && url.is_some_and(|url| url.scheme() == "http") && !config.follow_redirects {
        all.add(&["expect", "certificate"], "an http:// address shows no certificate", "write https://, or leave it away");
    }
}

fn check_limits(key: &str, limits: Option<Limits>, right: impl Fn(Dur, Dur) -> bool, help: &str, all: &mut Complaints) {
    let Some(limits) = limits else { return };
    match (limits.warning, limits.critical) {
        (None, None) => all.add(&["expect", key], "no limit is given", "write `warning`, `critical` or both"),
        (Some(warning), Some(critical)) if !right(warning, critical) => {
            all.add(&["expect", key], format!("`warning` is {warning} and `critical` is {critical}"), help);
        }
        _ => {}
    }
    for (name, limit) in [("warning", limits.warning), ("critical", limits.critical)] {
        if limit.is_some_and(|limit| limit.get().is_zero()) {
            all.add(&["expect", key, name], "a limit of nothing", "write a duration, or leave it away");
        }
    }
}

/// RFC 6901, section 3: empty, or parts that begin with '/', where '~' is followed by 0 or 1.
fn is_pointer(text: &str) -> bool {
    (text.is_empty() || text.starts_with('/')) && text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// The last line of an expression's error says what is wrong; the lines before draw it.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    format!("not a regular expression: {}", last.trim_start_matches("error: "))
}

#[cfg(test)]
mod tests {
    use super::super::super::SourceConfig;
    use super::*;

    fn complaints(text: &str) -> Vec<(String, String)> {
        let config: Config = toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        config.check().into_iter().map(|c| (c.path.join("."), c.message)).collect()
    }

    #[test]
    fn right_keys_raise_nothing() {
        for text in [
            "url = \"https://shop.example.com/health/\"",
            "url = \"http://[::1]:8080/?deep=1\"\nexpect.status = [200, \"3xx\"]\nexpect.latency = { warning = \"500ms\", critical = \"2s\" }",
            "url = \"https://a.example\"\nexpect.certificate.warning = \"5d\"\nexpect.json = { \"/a/0\" = 1, \"\" = {} }\nexpect.header.content-type = \"text/html; charset=utf-8\"",
            "url = \"https://a.example\"\nresolve = \"192.0.2.1\"\nproxy = \"none\"",
            "url = \"https://a.example\"\nresolve = \"2001:db8::1\"\nuser = \"me\"\npassword = { env = \"PW\" }\nexpect.redirect = \"/login/\"",
            "url = \"https://a.example\"\nproxy = \"socks5://127.0.0.1:1080\"\nexpect.status = \"2xx\"",
            "url = \"https://a.example\"\nproxy = \"none\"\nheaders = { X-Key = { file = \"k\" }, Accept = \"*/*\" }\nexpect.status = 204",
        ] {
            assert_eq!(complaints(text), [], "{text}");
        }
    }

    #[test]
    fn each_wrong_value_is_told_at_its_place() {
        let https = "url = \"https://a.example/\"\n";
        for (text, place, part) in [
            ("url = \"shop.example.com\"", "url", "is not an address"),
            ("url = \"ftp://a.example/\"", "url", "is not served"),
            ("url = \"https://me:hush@a.example/\"", "url", "holds a user or a password"),
            ("url = \"http://a.example/\"\nca = \"x.pem\"", "ca", "no meaning"),
            ("url = \"http://a.example/\"\nexpect.certificate.warning = \"5d\"", "expect.certificate", "no certificate"),
            (&format!("{https}method = \"get\""), "method", "capitals"),
            (&format!("{https}method = \"G T\""), "method", "no HTTP method"),
            (&format!("{https}method = \"HEAD\"\nexpect.body = \"x\""), "method", "no body"),
            (&format!("{https}headers = {{ \"a b\" = \"x\" }}"), "headers.a b", "no name of a header"),
            (&format!("{https}headers = {{ Connection = \"close\" }}"), "headers.Connection", "rounds itself"),
            (&format!("{https}headers = {{ A = \"x\\ny\" }}"), "headers.A", "cannot carry"),
            (&format!("{https}bearer = {{ env = \"T\" }}\nuser = \"me\""), "bearer", "both"),
            (&format!("{https}password = {{ env = \"T\" }}"), "password", "without a user"),
            (&format!("{https}client_key = \"k\""), "client_key", "without a certificate"),
            (&format!("{https}insecure = true\nca = \"x\""), "insecure", "mean nothing"),
            (&format!("{https}resolve = \"a.example\""), "resolve", "no address"),
            (&format!("{https}proxy = \"ftp://a.example\""), "proxy", "no proxy"),
            (&format!("{https}proxy = \"http://p.example\"\nresolve = \"192.0.2.1\""), "resolve", "the proxy resolves"),
            (&format!("{https}failures = 0"), "failures", "from 1"),
            (&format!("{https}expect.status = []"), "expect.status", "ever be right"),
            (&format!("{https}expect.latency = {{ warning = \"2s\", critical = \"1s\" }}"), "expect.latency", "`warning` is 2s"),
            (&format!("{https}expect.certificate = {{ warning = \"1d\", critical = \"7d\" }}"), "expect.certificate", "`warning` is 1d"),
            (&format!("{https}expect.latency = {{}}"), "expect.latency", "no limit"),
            (&format!("{https}expect.body = \"(\""), "expect.body", "not a regular expression: unclosed group"),
            (&format!("{https}expect.header.x = \"[\""), "expect.header.x", "not a regular expression"),
            (&format!("{https}expect.json = {{ status = \"ok\" }}"), "expect.json.status", "no JSON pointer"),
            (&format!("{https}expect.json = {{ \"/a~2\" = \"ok\" }}"), "expect.json./a~2", "no JSON pointer"),
            (&format!("{https}expect.redirect = \"https://[\""), "expect.redirect", "is not an address"),
        ] {
            let found = complaints(text);
            assert!(found.len() == 1 && found[0].0 == place && found[0].1.contains(part), "{text}: {found:?}");
            assert!(!found[0].1.contains("hush"), "{found:?}");
        }
    }

    #[test]
    fn wrong_types_are_told_by_the_reader() {
        for (text, part) in [
            ("url = 5", "string"),
            ("url = \"https://a\"\nexpect.status = [700]", "no HTTP status"),
            ("url = \"https://a\"\nexpect.status = true", "HTTP status"),
            ("url = \"https://a\"\nfollow = true", "unknown field `follow`"),
            ("method = \"GET\"", "missing field `url`"),
        ] {
            let message = toml::from_str::<Config>(text).unwrap_err().message().to_owned();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn a_proxy_password_is_not_repeated() {
        let found = complaints("url = \"https://a.example\"\nproxy = \"ftp://me:hush@p.example\"");
        assert!(found[0].1.contains("***@p.example") && !found[0].1.contains("hush"), "{found:?}");
        let config: Config = toml::from_str("url = \"https://a.example\"\nproxy = \"http://me:hush@p.example\"\npassword = \"hush\"").unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
