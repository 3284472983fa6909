#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kfng_fuzz::law(data));
