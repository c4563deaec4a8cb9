//! The runner (being furnished).
