/// A line that a stranger chose, as people may see it: without characters that move the cursor, turn the direction of
/// writing or are seen by nobody, each of which becomes `\u{fffd}`. A tab becomes a space.
pub fn harmless(line: &str) -> String {
    let one = |character| match character {
        '\t' => ' ',
        character if character.is_control() || is_unseen(character) => '\u{fffd}',
        character => character,
    };
    line.chars().map(one).collect()
}

/// Marks of direction, and characters without width (Unicode 16, general category Cf, as far as texts could hide in them).
fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steers_no_terminal_and_turns_no_line() {
        for (text, expected) in [
            ("SELECT 1\tFROM person", "SELECT 1 FROM person"),
            ("bundle a\nstatus trusted", "bundle a\u{fffd}status trusted"),
            ("кыргыз тили", "кыргыз тили"),
            ("a\u{1b}[2Jb", "a\u{fffd}[2Jb"),
            ("WHERE \u{202e}1 = 1 --\u{2066}", "WHERE \u{fffd}1 = 1 --\u{fffd}"),
            ("pass\u{200b}word\r", "pass\u{fffd}word\u{fffd}"),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }
}
