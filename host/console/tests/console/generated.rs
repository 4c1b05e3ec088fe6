//! Requests that nobody would think of: Schemathesis makes them of the API's own description, for a while, and the same
//! ones each time.

use std::process::Command;

use http::StatusCode;
use uuk_central::{Invited, Role};

use crate::catalog::PROVIDER;
use crate::vetting::Office;
use crate::world::operator;

/// Where `cargo xtask test` puts it.
const SCHEMATHESIS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/../tools/python/bin/schemathesis");
const EXAMPLES_MAX: &str = "15";
/// For a machine that has other things to do.
const SECONDS_MAX: &str = "300";
/// What it cannot make of a description.
const HOOKS: &str = r#"
import schemathesis
from hypothesis import strategies

for media_type in ["application/vnd.etsi.asic-e+zip", "application/pdf"]:
    schemathesis.openapi.media_type(media_type, strategies.binary(max_size=64))
"#;

/// A token of somebody with every role of a side.
async fn token(office: &Office, is_at_member: bool) -> String {
    use strum::IntoEnumIterator;

    let invited = Invited {
        name: format!("all-{is_at_member}"),
        full_name: "All roles".to_owned(),
        roles: Role::iter().filter(|role| role.is_at_member() == is_at_member).collect(),
        member: is_at_member.then(|| PROVIDER.parse().unwrap()),
        mail: None,
        language: None,
        until: None,
    };
    let central = &office.world.central;
    central.invite(&operator(), &invited).await.unwrap();
    central.issue_token(&operator(), &invited.name, "test", 300).await.unwrap().expose().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_of_the_description_is_a_mistake_of_the_server() {
    if !std::path::Path::new(SCHEMATHESIS).is_file() {
        return uuk_testkit::fixtures::skip("no schemathesis; `cargo xtask test` installs it");
    }
    let office = Office::new().await;
    let world = &office.world;
    world.furnish().await;
    world.publish().await;
    for is_at_member in [false, true] {
        let token = token(&office, is_at_member).await;
        std::fs::write(world.folder.path().join("hooks.py"), HOOKS).unwrap();
        let mut command = Command::new("timeout");
        command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", world.folder.path());
        command.args([
            SECONDS_MAX,
            SCHEMATHESIS,
            "run",
            &format!("http://{}/api/v1/openapi.json", world.address),
        ]);
        command.args(["--checks", "not_a_server_error", "--phases", "examples,coverage,fuzzing"]);
        command.args(["--seed", "1", "--max-examples", EXAMPLES_MAX]);
        command.args(["--warnings", "off", "--header", &format!("Authorization: Bearer {token}")]);
        command.current_dir(world.folder.path());
        let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let told = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
        assert!(told.contains("No issues found"), "{told}");
        assert_eq!(world.get(&token, "/api/v1/me").await.0, StatusCode::OK, "whoever asked is still there");
    }
}
