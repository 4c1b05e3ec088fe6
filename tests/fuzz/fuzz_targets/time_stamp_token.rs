//! Whatever the bytes, reading a time-stamp token, response or request ends, and what was read can be written, read
//! again and judged.
//!
//! Seeds: `tests/fuzz/seeds/time_stamp_token`.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use uuk_pki::{Authorities, Certificate, TimeStampRequest, TimeStampToken};

const ERROR_BYTES_MAX: usize = 1024;

/// The authority that made the seeds.
const STAMPER: &[u8] = include_bytes!("../seeds/time_stamp_token/stamper.der");

static AUTHORITIES: LazyLock<Authorities> = LazyLock::new(|| Authorities {
    certification: Vec::new(),
    time_stamping: vec![Certificate::from_der(STAMPER).unwrap()],
    ocsp_freshness: Duration::ZERO,
    verify_next_update: true,
});

fuzz_target!(|bytes: &[u8]| {
    for read in [TimeStampToken::from_der(bytes), TimeStampToken::from_response(bytes)] {
        match read {
            Ok(token) => check(token),
            Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
        }
    }
    if let Ok(request) = TimeStampRequest::from_der(bytes) {
        let written = request.to_der().unwrap();
        assert_eq!(TimeStampRequest::from_der(&written).unwrap(), request);
    }
});

fn check(mut token: TimeStampToken) {
    let authority = &AUTHORITIES.time_stamping[0];
    if let Ok(stamp) = token.verify(&token.imprint().clone(), &AUTHORITIES) {
        assert_eq!((stamp.time, stamp.authority), (token.time(), authority));
    }
    token.enclose(authority).unwrap();
    let written = token.to_der().unwrap();
    assert_eq!(TimeStampToken::from_der(&written).unwrap(), token);
}
