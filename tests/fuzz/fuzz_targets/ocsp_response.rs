//! Whatever the bytes, reading an OCSP response or request ends, and what was read can be written or judged.
//!
//! Seeds: `tests/fuzz/seeds/ocsp_response`.

#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use uuk_pki::{
    Authorities, Certificate, CertificateProfiles, CertificationAuthority, OcspRequest, OcspResponse,
};

const ERROR_BYTES_MAX: usize = 1024;
const PROFILE: &str = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider";

/// The authority and the certificate that the seeds are about.
const ROOT: &[u8] = include_bytes!("../seeds/ocsp_response/root.der");
const SIGNER: &[u8] = include_bytes!("../seeds/ocsp_response/signer.der");

static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| Certificate::from_der(SIGNER).unwrap());
static AUTHORITIES: LazyLock<Authorities> = LazyLock::new(|| Authorities {
    certification: vec![CertificationAuthority {
        certificate: Certificate::from_der(ROOT).unwrap(),
        ocsp_responders: Vec::new(),
        profile: CertificateProfiles::default().find(PROFILE).unwrap().clone(),
        authentication_only: false,
    }],
    time_stamping: Vec::new(),
    ocsp_freshness: Duration::MAX,
    verify_next_update: false,
});

fuzz_target!(|bytes: &[u8]| {
    match OcspResponse::from_der(bytes) {
        Ok(response) => {
            assert_eq!(response.der(), bytes);
            let issuer = &AUTHORITIES.certification[0];
            // Nothing was valid then, whoever signed it.
            assert!(response.verify(&CERTIFICATE, issuer, &AUTHORITIES, Timestamp::UNIX_EPOCH).is_err());
        }
        Err(error) => assert!(error.to_string().len() <= ERROR_BYTES_MAX, "{}", error.code()),
    }
    if let Ok(request) = OcspRequest::from_der(bytes) {
        let written = request.to_der().unwrap();
        assert_eq!(OcspRequest::from_der(&written).unwrap(), request);
    }
});
