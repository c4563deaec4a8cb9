//! "Did you mean": the nearest of some words.

/// The word of `candidates` nearest to `word`, when it is near enough to be meant.
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let length = lower.chars().count();
    // A bound on what is compared: nobody mistypes a hundred characters.
    if length == 0 || length > 64 {
        return None;
    }
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let other = candidate.to_lowercase();
            let apart = strsim::osa_distance(&lower, &other);
            let allowed = (length.max(other.chars().count()) / 3).max(1);
            // `header` is no typing mistake of `headers` alone: what one begins with the other is near as well.
            let begins = length >= 3 && (other.starts_with(&lower) || lower.starts_with(&other) && other.len() >= 3);
            (apart <= allowed || begins).then_some((apart, candidate))
        })
        .min_by_key(|(apart, _)| *apart)
        .map(|(_, candidate)| candidate)
}

/// `did you mean …?`, or the list of what is possible.
#[must_use]
pub fn help<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str> + Clone) -> String {
    if let Some(candidate) = nearest(word, candidates.clone()) {
        return format!("did you mean `{candidate}`?");
    }
    let all: Vec<String> = candidates.into_iter().map(|candidate| format!("`{candidate}`")).collect();
    match all.as_slice() {
        [] => String::new(),
        [one] => format!("possible is {one}"),
        [first @ .., last] => format!("possible are {} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not() {
        let keys = ["url", "method", "headers", "retry_every", "follow_redirects"];
        for (word, meant) in [
            ("metod", Some("method")),
            ("URL", Some("url")),
            ("header", Some("headers")),
            ("retry_evry", Some("retry_every")),
            ("colour", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
        assert_eq!(help("metod", keys), "did you mean `method`?");
        assert_eq!(help("zzz", ["a", "b", "c"]), "possible are `a`, `b` and `c`");
    }
}
