//! What is looked at before anything is made: which copy, and whether the disk has room for what becomes of it.

use std::path::Path;

use super::{Broken, Order, place};
use crate::backups::DrillConfig;
use crate::backups::judge::is_ahead;
use crate::domain::{Copy, Timestamp, size_text};

/// Room that is left on the disk whatever happens.
pub(super) const RESERVE: u64 = 256 << 20;
/// A restored copy against what its tool tells of its size: names, blocks that are not full.
const FILES: f64 = 1.2;
/// The same where it is loaded into a database: the dump, its tables and their indexes.
const LOADED: f64 = 3.5;
/// And where the copy is packed.
const PACKED: f64 = 8.0;
/// Copies named where one is not found.
const NAMED: usize = 5;

/// The copy that is meant, and how many there are.
pub(super) fn choose(copies: &[Copy], wanted: Option<&str>, now: Timestamp) -> Result<Copy, Broken> {
    let mut good: Vec<&Copy> = copies.iter().filter(|copy| copy.complete != Some(false)).collect();
    good.sort_by_key(|copy| copy.at);
    let Some(wanted) = wanted else {
        // One from the future would be the newest for ever, and those that come after it were never tried.
        return good
            .iter()
            .rfind(|copy| !is_ahead(copy.at, now))
            .or(good.last())
            .map(|copy| (*copy).clone())
            .ok_or_else(|| Broken::Refused("there is no good copy".to_owned(), "the source's own row says what is wrong".to_owned()));
    };
    let exact: Vec<&&Copy> = good.iter().filter(|copy| copy.name == wanted).collect();
    let meant = if exact.is_empty() { good.iter().filter(|copy| copy.name.starts_with(wanted)).collect() } else { exact };
    match meant.as_slice() {
        [one] => Ok((**one).clone()),
        [] => {
            let newest: Vec<&str> = good.iter().rev().take(NAMED).map(|copy| copy.name.as_str()).collect();
            Err(Broken::Refused(format!("there is no good copy \"{wanted}\""), format!("the newest are: {}", newest.join(", "))))
        }
        several => Err(Broken::Refused(format!("{} copies begin with \"{wanted}\"", several.len()), "write the whole name".to_owned())),
    }
}

/// How much room a copy needs, in bytes; `None`: its size is not known.
pub(super) fn needs(copy: &Copy, config: &DrillConfig) -> Option<u64> {
    let size = copy.size_bytes? as f64;
    let packed = [".gz", ".zst", ".xz", ".bz2", ".lz4", ".tgz"].iter().any(|end| copy.name.to_ascii_lowercase().ends_with(end));
    let assert = &config.assert;
    let loaded = config.into.is_some_and(|into| into != crate::backups::DrillInto::Files)
        || !(assert.tables.is_empty() && assert.rows.is_empty() && assert.newest.is_empty());
    Some((size * if packed { PACKED } else { 1.0 } * if loaded { LOADED } else { FILES }) as u64)
}

/// Whether there is room for it where it will be. Blocks.
pub(super) fn room(order: &Order, copy: &Copy, config: &DrillConfig, place: &Path) -> Result<(), Broken> {
    let Some(free) = place::free(place) else { return Ok(()) };
    let wanted = needs(copy, config).unwrap_or(0).saturating_add(RESERVE);
    if free >= wanted {
        return Ok(());
    }
    let what =
        format!("{} has {} left, and a drill of {} may need {}", place.parent().unwrap_or(place).display(), size_text(free), order.source, size_text(wanted));
    Err(Broken::Refused(what, "make room, or let `drill.scratch` name a larger disk".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backups::DrillInto;

    fn copy(name: &str, hours: i64) -> Copy {
        Copy { name: name.into(), at: chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(hours), size_bytes: Some(100), ..Copy::default() }
    }

    #[test]
    fn the_newest_good_one_or_the_one_that_is_named() {
        let bad = Copy { complete: Some(false), ..copy("d4", 9) };
        let copies = [copy("a1", 3), copy("b2", 5), bad, copy("b3", 4)];
        let now = chrono::DateTime::UNIX_EPOCH + chrono::TimeDelta::hours(10);
        let name = |wanted: Option<&str>| choose(&copies, wanted, now).map(|copy| copy.name).map_err(|broken| broken.to_string());
        assert_eq!(name(None).unwrap(), "b2");
        assert_eq!(name(Some("a")).unwrap(), "a1");
        assert_eq!(name(Some("b3")).unwrap(), "b3");
        assert!(name(Some("b")).unwrap_err().contains("2 copies begin"));
        assert_eq!(name(Some("d4")).unwrap_err(), "there is no good copy \"d4\"; the newest are: b2, b3, a1");
        // One from the future is tried only by its name, or where there is no other.
        let ahead = [copy("a1", 3), copy("z9", 99)];
        assert_eq!(choose(&ahead, None, now).unwrap().name, "a1");
        assert_eq!(choose(&ahead, Some("z"), now).unwrap().name, "z9");
        assert_eq!(choose(&ahead[1..], None, now).unwrap().name, "z9");
        assert!(choose(&[], None, now).unwrap_err().to_string().contains("no good copy"));
    }

    #[test]
    fn what_is_packed_or_loaded_needs_more() {
        let (plain, loaded) = (DrillConfig::default(), DrillConfig { into: Some(DrillInto::Sqlite), ..DrillConfig::default() });
        let of = |name: &str, config: &DrillConfig| needs(&copy(name, 1), config).unwrap();
        assert_eq!((of("a.sql", &plain), of("a.sql", &loaded), of("a.SQL.gz", &loaded)), (120, 350, 2_800));
        assert_eq!(needs(&Copy::default(), &plain), None);
    }
}
