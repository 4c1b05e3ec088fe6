//! A short run of what `cargo xtask chaos` does at length.

use std::process::Command;

use anyhow::{Context, Result};

#[test]
fn evidence_is_whole_after_a_few_failures() -> Result<()> {
    if uuk_testkit::databases::PostgreSql::shared().is_none() {
        return Ok(());
    }
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_uuk-chaos"));
    let output = chaos.args(["--seed", "3", "--events", "3", "--json"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).context(said)?;
    assert!(output.status.success(), "{report:#}");
    assert_eq!(report["events"], 3);
    assert_eq!(report["violations"], serde_json::json!([]));
    assert!(report["answered"].as_u64() > Some(0), "{report:#}");
    for log in ["client's", "provider's"] {
        assert!(
            report["records"][log].as_u64() >= report["answered"].as_u64().map(|calls| 2 * calls),
            "{report:#}"
        );
    }
    Ok(())
}
