use uuk_identifiers::ClientId;

use crate::sample::{private, server, shared, subsystem};
use crate::{PrivateParameters, SharedParameters, Version};

#[test]
fn what_was_written_is_read_back_in_every_version() {
    for version in Version::NEWEST_FIRST {
        let parameters = shared("DEV", version);
        let written = parameters.write().unwrap();
        assert_eq!(SharedParameters::read(written.as_bytes(), version), Ok(parameters), "{written}");
    }
    let parameters = private("DEV");
    assert_eq!(PrivateParameters::read(parameters.write().as_bytes()), Ok(parameters));
}

#[test]
fn older_versions_leave_out_what_they_have_no_place_for() {
    for version in Version::NEWEST_FIRST {
        let mut parameters = shared("DEV", Version::V6);
        parameters.version = version;
        let mut expected = shared("DEV", version);
        if version < Version::V5 {
            // Nobody may call it, and there is no other way to say so.
            expected.security_servers[0].clients.clear();
        }
        let written = parameters.write().unwrap();
        assert_eq!(SharedParameters::read(written.as_bytes(), version), Ok(expected));
        for (element, first) in [
            ("<source>", Version::V3),
            ("<acmeServer>", Version::V3),
            ("<signingCertificateProfileId>", Version::V4),
            ("<subsystemName>", Version::V5),
            ("<inMaintenanceMode>", Version::V5),
            ("<costType>", Version::V6),
            ("<defaultCsrFormat>", Version::V6),
        ] {
            assert_eq!(written.contains(element), version >= first, "{element} in {version}");
        }
    }
}

#[test]
fn does_not_write_a_server_of_nobody() {
    let mut parameters = shared("DEV", Version::V6);
    parameters.members.clear();
    let error = parameters.write().unwrap_err();
    assert_eq!(error.server, server("DEV").code);
    let mut parameters = shared("DEV", Version::V6);
    let stranger = ClientId::Subsystem(subsystem("other"));
    parameters.security_servers[0].clients.push(stranger.clone());
    assert_eq!(parameters.write().unwrap_err().party, stranger.to_string());
}
