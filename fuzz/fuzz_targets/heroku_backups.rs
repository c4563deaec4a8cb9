#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    rounds::sources::heroku_backups::fuzz(bytes);
});
