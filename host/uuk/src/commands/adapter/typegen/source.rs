//! Source in the making: lines, indented by the blocks they stand in.

use std::fmt::Display;

#[derive(Debug, Default)]
pub(super) struct Source {
    text: String,
    depth: usize,
}

impl Source {
    pub(super) fn line(&mut self, line: impl Display) {
        let line = line.to_string();
        if !line.is_empty() {
            self.text.push_str(&"    ".repeat(self.depth));
            self.text.push_str(&line);
        }
        self.text.push('\n');
    }

    pub(super) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// A doc line, if there is something to say.
    pub(super) fn doc(&mut self, doc: Option<&str>) {
        if let Some(doc) = doc {
            self.line(format_args!("/// {doc}"));
        }
    }

    /// `opening {`, what `inside` writes, `}`.
    pub(super) fn block(&mut self, opening: impl Display, inside: impl FnOnce(&mut Self)) {
        self.lines(format_args!("{opening} {{"), "}", inside);
    }

    /// `opening`, what `inside` writes, `closing`.
    pub(super) fn lines(&mut self, opening: impl Display, closing: &str, inside: impl FnOnce(&mut Self)) {
        self.line(opening);
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line(closing);
    }

    /// `opening`, and what `inside` writes, one step in.
    pub(super) fn indented(&mut self, opening: impl Display, inside: impl FnOnce(&mut Self)) {
        self.line(opening);
        self.depth += 1;
        inside(self);
        self.depth -= 1;
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}
