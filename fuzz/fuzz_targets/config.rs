#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = rounds::config::parse(bytes, None, rounds::config::trust::Standing::Never, &|_| None).map_err(|error| error.render(false, 80));
});
