//! What the README says an integrator writes for `get` is what stands in the files, and is little.

const README: &str = include_str!("../README.md");
const LINES_MAX: usize = 40;

#[test]
fn the_lines_shown_for_get_are_the_ones_in_the_files() {
    let files = [
        // The example also answers `search`.
        ("rust", include_str!("../src/lib.rs").replace(", search", "")),
        ("sql", include_str!("../sql/find-person.sql").to_owned()),
        ("toml", include_str!("../plugin.toml").to_owned()),
    ];
    for (language, file) in files {
        let mut rest = file.lines();
        for line in shown(language) {
            assert!(
                rest.any(|other| other == line),
                "the {language} file has no line `{line}` where README shows it"
            );
        }
    }
}

#[test]
fn get_takes_an_integrator_at_most_forty_lines() {
    let count: usize = ["rust", "sql", "toml"].into_iter().map(|language| shown(language).count()).sum();
    assert!(count <= LINES_MAX, "{count} lines");
    assert!(README.contains(&format!("`get` are these {count}, ")), "README does not say {count}");
}

/// The lines of a language in README that are neither blank nor comments.
fn shown(language: &str) -> impl Iterator<Item = &'static str> {
    let opening = format!("```{language}");
    let lines =
        README.lines().skip_while(move |line| *line != opening).skip(1).take_while(|line| *line != "```");
    lines.filter(|line| !line.is_empty() && !line.trim_start().starts_with("//"))
}
