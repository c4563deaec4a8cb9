#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    rounds::packages::life::fuzz(bytes);
});
