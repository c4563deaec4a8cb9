#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| rounds::sources::sentry::fuzz_event(bytes));
