//! Chance that repeats: the same number gives the same roll, so the story is the same each time. Pure.

/// A number from a number (the finaliser of splitmix64).
pub fn roll(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A whole number in `from..=to`.
pub fn between(number: u64, from: u32, to: u32) -> u32 {
    let span = u64::from(to.saturating_sub(from)) + 1;
    from + (roll(number) % span) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_roll_stays_within_its_bounds_and_reaches_them() {
        let rolls: Vec<u32> = (0..1_000).map(|number| between(number, 5, 9)).collect();
        assert!((5..=9).all(|n| rolls.contains(&n)) && rolls.iter().all(|n| (5..=9).contains(n)));
        assert_eq!(between(7, 3, 3), 3);
    }
}
