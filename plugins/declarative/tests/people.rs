//! What the README of the people look-up says an integrator writes for `get` is what stands in the files, and is little.

const README: &str = include_str!("../../../examples/people-mapping/README.md");
const FILES: [&str; 3] = [
    include_str!("../../../examples/people-mapping/map.toml"),
    include_str!("../../../examples/people-mapping/plugin.toml"),
    include_str!("../../../examples/people-mapping/sql/find-person.sql"),
];
const LINES_MAX: usize = 20;

#[test]
fn the_lines_shown_for_get_are_the_ones_in_the_files() {
    for line in shown() {
        assert!(
            FILES.iter().any(|file| file.lines().any(|other| other == line)),
            "no file has the line `{line}`"
        );
    }
}

#[test]
fn get_takes_an_integrator_at_most_twenty_lines() {
    let count = shown().len();
    assert!(count <= LINES_MAX, "{count} lines");
    assert!(README.contains(&format!("`get` are these {count},")), "README does not say {count}");
}

/// The lines of TOML and SQL in README that are neither blank nor comments.
fn shown() -> Vec<&'static str> {
    let mut is_code = false;
    let mut lines = Vec::new();
    for line in README.lines() {
        match line {
            "```toml" | "```sql" => is_code = true,
            "```" => is_code = false,
            line if is_code && !line.is_empty() && !line.starts_with('#') => lines.push(line),
            _ => {}
        }
    }
    lines
}
