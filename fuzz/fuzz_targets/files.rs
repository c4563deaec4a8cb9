#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    rounds::sources::files::fuzz(bytes);
});
