//! The machine: what any server needs, and what authors of adapters need beside it.

use std::path::Path;
use std::process::Command;

use uuk_plugin_host::{Engine, EngineConfig};

use super::Report;

/// Enough for a server with a hundred adapters.
const MEMORY_KIB_LEAST: u64 = 512 << 10;
const DISK_KIB_LEAST: u64 = 1 << 20;
/// What adapters in Rust are built for.
const GUEST_TARGET: &str = "wasm32-wasip2";
/// What builds adapters in the other languages, what it says that it is there, and what installs it.
const BUILDERS: [(&str, &str, &str, &str); 4] = [
    ("javascript", "componentize-qjs", "--help", "npm install --global componentize-qjs@0.4"),
    ("python", "componentize-py", "--help", "pip install componentize-py==0.25.*"),
    ("go", "go", "version", "install Go 1.24 or later: https://go.dev/dl"),
    // Clang's linker for WebAssembly, which comes with none of the others.
    ("c", "wasm-ld", "--version", "apt-get install clang lld wasi-libc libclang-rt-dev-wasm32"),
];

pub(super) fn check(report: &mut Report<'_>, folder: &Path) {
    processors(report);
    encryption(report);
    memory(report);
    disk(report, folder);
    clock(report);
    match Engine::new(EngineConfig::default()) {
        Ok(_) => report.ok("engine", "WebAssembly runs"),
        Err(error) => {
            report.fail("engine", error.to_string(), "lift limits on virtual memory: ulimit -v unlimited");
        }
    }
}

pub(super) fn check_author(report: &mut Report<'_>) {
    check_rust(report);
    for (language, program, argument, remedy) in BUILDERS {
        match said(program, &[argument]) {
            Some(_) => report.ok(language, program),
            None => report.warn(language, format!("{program} is not installed"), remedy),
        }
    }
}

fn check_rust(report: &mut Report<'_>) {
    let Some(cargo) = said("cargo", &["--version"]) else {
        return report.fail("cargo", "is not installed", "install Rust by rustup: https://rustup.rs");
    };
    report.ok("cargo", cargo.trim());
    let targets = said("rustup", &["target", "list", "--installed"]);
    let remedy = format!("rustup target add {GUEST_TARGET}");
    match targets {
        Some(targets) if targets.lines().any(|target| target == GUEST_TARGET) => {
            report.ok("target", GUEST_TARGET);
        }
        Some(_) => report.fail("target", format!("{GUEST_TARGET} is not installed"), remedy),
        None => report.warn("target", format!("rustup does not say whether {GUEST_TARGET} is there"), remedy),
    }
}

fn processors(report: &mut Report<'_>) {
    match std::thread::available_parallelism() {
        Ok(count) if count.get() > 1 => report.ok("processors", count.to_string()),
        Ok(count) => {
            report.warn(
                "processors",
                count.to_string(),
                "give it two: a bundle is compiled beside the calls that are served",
            );
        }
        Err(error) => report.warn("processors", error.to_string(), "nothing, if the server is fast enough"),
    }
}

/// Every byte between servers is encrypted, with AES by most of them.
fn encryption(report: &mut Report<'_>) {
    match std::fs::read_to_string("/proc/cpuinfo") {
        Ok(cpuinfo) if has_aes(&cpuinfo) => report.ok("encryption", "the processor has instructions for AES"),
        Ok(_) => report.warn(
            "encryption",
            "the processor has no instructions for AES",
            "switch them on for the virtual machine, if large messages are to be fast",
        ),
        Err(_) => report.warn(
            "encryption",
            "not known: there is no /proc/cpuinfo",
            "look for AES in what the processor has",
        ),
    }
}

/// x86 lists what a processor has as `flags`, ARM as `Features`.
fn has_aes(cpuinfo: &str) -> bool {
    let lists = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    lists
        .filter(|(name, _)| matches!(name.trim(), "flags" | "Features"))
        .any(|(_, list)| list.split_whitespace().any(|feature| feature == "aes"))
}

/// Other servers find this one by the address that the registry names.
pub(super) fn check_address(report: &mut Report<'_>) {
    let Some(table) = said("ip", &["-oneline", "address", "show", "scope", "global"]) else {
        return report.warn("address", "not known: ip does not say", "make sure that it never changes");
    };
    match fixed_address(&table) {
        Some(address) => report.ok("address", format!("{address} is fixed")),
        None => report.warn(
            "address",
            "none is fixed",
            "give the machine an address that never changes, or have the network reserve one: others find it by that",
        ),
    }
}

/// The first address that neither DHCP nor a router gave for a time: `2: eth0 inet 192.0.2.7/24 … scope global eth0\ …`.
fn fixed_address(table: &str) -> Option<&str> {
    let fixed = table.lines().find(|line| {
        line.split_whitespace().all(|word| !matches!(word.trim_end_matches('\\'), "dynamic" | "temporary"))
    });
    let mut words = fixed?.split_whitespace().skip_while(|word| !word.starts_with("inet"));
    words.nth(1)?.split('/').next()
}

fn memory(report: &mut Report<'_>) {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let available_kib = available.and_then(|text| text.trim().trim_end_matches(" kB").parse::<u64>().ok());
    match available_kib {
        Some(kib) if kib >= MEMORY_KIB_LEAST => report.ok("memory", format!("{} MiB available", kib >> 10)),
        Some(kib) => report.warn(
            "memory",
            format!("{} MiB available", kib >> 10),
            format!("have {} MiB for a server with many adapters", MEMORY_KIB_LEAST >> 10),
        ),
        None => report.warn("memory", "not known: there is no /proc/meminfo", "look at it by other means"),
    }
}

/// `df` by POSIX: the fourth column of the second line is what is available, in KiB.
fn disk(report: &mut Report<'_>, folder: &Path) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let table = said("df", &["-Pk", &folder.to_string_lossy()]).unwrap_or_default();
    let row = table.lines().nth(1).unwrap_or_default();
    match row.split_whitespace().nth(3).and_then(|kib| kib.parse::<u64>().ok()) {
        Some(kib) if kib >= DISK_KIB_LEAST => report.ok("disk", format!("{} MiB free", kib >> 10)),
        Some(kib) => report.warn(
            "disk",
            format!("{} MiB free", kib >> 10),
            "make room: copies of bundles and logs need it",
        ),
        None => report.warn("disk", "not known: df does not say", "look at it by other means"),
    }
}

/// Signatures and certificates are judged by the clock.
fn clock(report: &mut Report<'_>) {
    let synchronised = said("timedatectl", &["show", "--property=NTPSynchronized", "--value"]);
    match synchronised.as_deref().map(str::trim) {
        Some("yes") => report.ok("clock", "synchronised"),
        Some("no") => {
            report.warn("clock", "not synchronised", "install chrony, or switch on systemd-timesyncd");
        }
        _ => report.warn(
            "clock",
            "not known to be synchronised",
            "make sure that the machine keeps time by NTP",
        ),
    }
}

/// What a program prints, if it is there and succeeds.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_instructions_for_aes_on_either_kind_of_processor() {
        assert!(has_aes("model name\t: of x86\nflags\t\t: fpu aes avx\n"));
        assert!(has_aes("Features\t: fp asimd aes pmull\n"));
        for without in ["", "flags\t\t: fpu vaes avx\n", "model name\t: aes\n"] {
            assert!(!has_aes(without), "{without:?}");
        }
    }

    #[test]
    fn an_address_is_fixed_unless_it_was_given_for_a_time() {
        let lent = "2: eth0    inet 192.0.2.7/24 brd 192.0.2.255 scope global dynamic eth0\\       valid_lft 3600sec\n\
                    2: eth0    inet6 2001:db8::7/64 scope global temporary dynamic \\       valid_lft 3600sec\n";
        assert_eq!(fixed_address(lent), None);
        assert_eq!(fixed_address(""), None);
        let own =
            "3: eth1    inet6 2001:db8::8/64 scope global \\       valid_lft forever preferred_lft forever\n";
        assert_eq!(fixed_address(&format!("{lent}{own}")), Some("2001:db8::8"));
    }
}
