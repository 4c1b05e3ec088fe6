use uuk_bundle::Engine;

use super::sql_text::{Notation, Position, SqlTextError};

/// Splits SQL text into tokens, as far as is needed to tell its words, parameters and semicolons from what
/// merely looks like them inside strings, quoted names and comments.
///
/// White space and comments are skipped. It follows the rules of the engine it is told, since the same
/// characters mean different things: `#` starts a comment in MariaDB and is an operator in PostgreSQL.
pub(super) struct Lexer<'a> {
    engine: Engine,
    notation: Notation,
    text: &'a str,
    offset: usize,
}

/// A token and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: TokenKind,
    /// The token as written, quotes and colon included.
    pub(super) text: &'a str,
    /// Offset of its first byte.
    pub(super) offset: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword or plain name.
    Word,
    /// A quoted name or a string.
    Quoted,
    /// `:name`.
    Parameter,
    /// The engine's own notation for a parameter: `?`, `?1`, `$1`, `@name`.
    Placeholder,
    /// `;`.
    Semicolon,
    /// A number, or any other single character or operator.
    Symbol,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(engine: Engine, notation: Notation, text: &'a str) -> Self {
        Self { engine, notation, text, offset: 0 }
    }

    /// Where `offset` is, for people.
    pub(super) fn position(&self, offset: usize) -> Position {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }

    /// The next token; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<Token<'a>>, SqlTextError> {
        self.skip_blanks_and_comments()?;
        let offset = self.offset;
        let Some(kind) = self.token()? else { return Ok(None) };
        let text = self.text.get(offset..self.offset).unwrap_or_default();
        Ok(Some(Token { kind, text, offset }))
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.offset..).unwrap_or_default()
    }

    fn skip_blanks_and_comments(&mut self) -> Result<(), SqlTextError> {
        loop {
            let rest = self.rest();
            // Blanks beyond ASCII are part of a name to every engine.
            let code = rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
            self.offset += rest.len() - code.len();
            if self.starts_line_comment(code) {
                let ends_comment = |c| c == '\n' || (c == '\r' && self.engine == Engine::Postgres);
                self.offset += code.find(ends_comment).unwrap_or(code.len());
            } else if code.starts_with("/*") {
                self.skip_block_comment(code)?;
            } else {
                return Ok(());
            }
        }
    }

    fn starts_line_comment(&self, code: &str) -> bool {
        match self.engine {
            // `5--1` is a subtraction there.
            Engine::Mariadb => {
                code.starts_with('#')
                    || code
                        .strip_prefix("--")
                        .is_some_and(|rest| rest.chars().next().is_none_or(|next| next <= ' '))
            }
            _ => code.starts_with("--"),
        }
    }

    fn skip_block_comment(&mut self, code: &str) -> Result<(), SqlTextError> {
        let at = self.position(self.offset);
        if self.engine == Engine::Mariadb && (code.starts_with("/*!") || code.starts_with("/*M!")) {
            return Err(SqlTextError::ExecutableComment { at });
        }
        let nests = matches!(self.engine, Engine::Postgres | Engine::Sqlserver | Engine::Db2);
        let mut depth = 0usize;
        let mut rest = code;
        while let Some(next) = rest.find(['/', '*']) {
            rest = rest.get(next..).unwrap_or_default();
            let step = if rest.starts_with("/*") && (depth == 0 || nests) {
                depth += 1;
                2
            } else if rest.starts_with("*/") {
                depth -= 1;
                2
            } else {
                1
            };
            rest = rest.get(step..).unwrap_or_default();
            if depth == 0 {
                self.offset += code.len() - rest.len();
                return Ok(());
            }
        }
        Err(SqlTextError::Unterminated { what: "comment", at })
    }

    /// Moves past one token and says what it was.
    fn token(&mut self) -> Result<Option<TokenKind>, SqlTextError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let kind = match (first, self.engine) {
            (';', _) => self.pass(1, TokenKind::Semicolon),
            ('\'', Engine::Mariadb) | ('"', Engine::Mariadb) => self.quoted(first, true, "string")?,
            ('\'', _) => self.quoted(first, false, "string")?,
            ('"', _) | ('`', Engine::Sqlite | Engine::Mariadb) => self.quoted(first, false, "quoted name")?,
            ('[', Engine::Sqlite) => self.bracketed()?,
            // It ends at the first `]` that is not doubled.
            ('[', Engine::Sqlserver) => self.quoted(']', false, "quoted name")?,
            ('q' | 'Q', Engine::Oracle | Engine::Firebird) if rest.get(1..2) == Some("'") => {
                self.alternative_string()?
            }
            ('n' | 'N', Engine::Oracle)
                if rest.get(1..3).is_some_and(|start| start.eq_ignore_ascii_case("q'")) =>
            {
                self.offset += 1;
                self.alternative_string()?
            }
            (':', _) => self.colon(),
            ('$', Engine::Postgres) => self.dollar()?,
            ('?', _) if self.notation == Notation::Odbc || self.engine != Engine::Postgres => {
                self.pass(1 + word_length(rest.get(1..).unwrap_or_default()), TokenKind::Placeholder)
            }
            ('$', Engine::Sqlite) | ('@', Engine::Sqlite | Engine::Sqlserver) => {
                self.pass(1 + word_length(rest.get(1..).unwrap_or_default()), TokenKind::Placeholder)
            }
            ('e' | 'E', Engine::Postgres) if rest.get(1..2) == Some("'") => {
                self.offset += 1;
                self.quoted('\'', true, "string")?
            }
            _ if first.is_ascii_digit() => self.pass(word_length(rest), TokenKind::Symbol),
            _ if is_word_part(first) => self.pass(word_length(rest), TokenKind::Word),
            _ => self.pass(first.len_utf8(), TokenKind::Symbol),
        };
        Ok(Some(kind))
    }

    fn pass(&mut self, length: usize, kind: TokenKind) -> TokenKind {
        self.offset += length;
        kind
    }

    /// Passes a string or quoted name. A doubled quote stands for itself; so does a quote after a backslash, where
    /// `backslash_escapes`.
    fn quoted(
        &mut self,
        quote: char,
        backslash_escapes: bool,
        what: &'static str,
    ) -> Result<TokenKind, SqlTextError> {
        let start = self.offset;
        let mut characters = self.rest().char_indices().skip(1).peekable();
        while let Some((index, character)) = characters.next() {
            if character == '\\' && backslash_escapes {
                characters.next();
            } else if character == quote && characters.next_if(|(_, next)| *next == quote).is_none() {
                return Ok(self.pass(index + 1, TokenKind::Quoted));
            }
        }
        Err(SqlTextError::Unterminated { what, at: self.position(start) })
    }

    /// `q'[it's]'`: the character after the quote, or its counterpart, ends the string together with a quote.
    fn alternative_string(&mut self) -> Result<TokenKind, SqlTextError> {
        let rest = self.rest();
        let body = rest.get(2..).unwrap_or_default();
        let end = body.chars().next().map(|delimiter| match delimiter {
            '[' => "]'".to_owned(),
            '{' => "}'".to_owned(),
            '(' => ")'".to_owned(),
            '<' => ">'".to_owned(),
            other => format!("{other}'"),
        });
        let length = end.and_then(|end| {
            let start = body.chars().next()?.len_utf8();
            Some(2 + start + body.get(start..)?.find(&end)? + end.len())
        });
        match length {
            Some(length) => Ok(self.pass(length, TokenKind::Quoted)),
            None => Err(SqlTextError::Unterminated { what: "string", at: self.position(self.offset) }),
        }
    }

    fn bracketed(&mut self) -> Result<TokenKind, SqlTextError> {
        match self.rest().find(']') {
            Some(end) => Ok(self.pass(end + 1, TokenKind::Quoted)),
            None => Err(SqlTextError::Unterminated { what: "quoted name", at: self.position(self.offset) }),
        }
    }

    /// `:name` is a parameter; `::` is a cast, `:=` an assignment, and `[1:2]` a slice.
    fn colon(&mut self) -> TokenKind {
        let after = self.rest().get(1..).unwrap_or_default();
        match after.chars().next() {
            Some(':' | '=') => self.pass(2, TokenKind::Symbol),
            Some(next) if is_word_part(next) && !next.is_ascii_digit() => {
                self.pass(1 + word_length(after), TokenKind::Parameter)
            }
            _ => self.pass(1, TokenKind::Symbol),
        }
    }

    /// `$1` is a placeholder, `$$…$$` and `$tag$…$tag$` are strings.
    fn dollar(&mut self) -> Result<TokenKind, SqlTextError> {
        let rest = self.rest();
        let after = rest.get(1..).unwrap_or_default();
        // A tag is a word without dollars, so the next dollar ends it.
        let tag_length =
            after.chars().take_while(|c| is_word_part(*c) && *c != '$').map(char::len_utf8).sum();
        let is_number = after.starts_with(|c: char| c.is_ascii_digit());
        if is_number || !after.get(tag_length..).is_some_and(|end| end.starts_with('$')) {
            return Ok(self.pass(1 + tag_length, TokenKind::Placeholder));
        }
        let (tag, body) = rest.split_at(tag_length + 2);
        match body.find(tag) {
            Some(end) => Ok(self.pass(2 * tag.len() + end, TokenKind::Quoted)),
            None => Err(SqlTextError::Unterminated { what: "string", at: self.position(self.offset) }),
        }
    }
}

/// Every engine takes any character beyond ASCII as part of a name.
fn is_word_part(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '$') || !character.is_ascii()
}

fn word_length(text: &str) -> usize {
    text.find(|character| !is_word_part(character)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    fn tokens(engine: Engine, text: &str) -> Vec<(TokenKind, &str)> {
        let mut lexer = Lexer::new(engine, Notation::Own, text);
        std::iter::from_fn(|| lexer.next().unwrap()).map(|token| (token.kind, token.text)).collect()
    }

    /// `parameters` are the words after a colon that the lexer takes for parameters, in order.
    #[track_caller]
    fn check(engine: Engine, text: &str, parameters: &[&str]) {
        let found: Vec<&str> = tokens(engine, text)
            .into_iter()
            .filter(|(kind, _)| *kind == TokenKind::Parameter)
            .map(|(_, text)| text)
            .collect();
        assert_eq!(found, parameters, "{engine}: {text}");
    }

    #[test]
    fn finds_parameters_only_outside_strings_names_and_comments() {
        for engine in [Engine::Sqlite, Engine::Postgres, Engine::Mariadb] {
            check(engine, "a = :a AND b = ':b' AND c = 'it''s :c'", &[":a"]);
            check(engine, r#"SELECT ":a", :b"#, &[":b"]);
            check(engine, "SELECT /* :a */ :b -- :c\n, :d", &[":b", ":d"]);
            check(engine, "SELECT :сан", &[":сан"]);
            check(engine, "x[1:2]:", &[]);
        }
    }

    #[test]
    fn knows_casts_dollar_quotes_and_escape_strings_of_postgresql() {
        let engine = Engine::Postgres;
        check(engine, "SELECT :a::date, x::text", &[":a"]);
        check(engine, "SELECT $$ :a ' $$, $q$ :b $$ $q$, :c", &[":c"]);
        check(engine, r"SELECT E'\' :a', '\', :b", &[":b"]);
        check(engine, "SELECT /* /* :a */ :b */ :c", &[":c"]);
        check(engine, "SELECT f(x := :a), data ? 'b'", &[":a"]);
        check(engine, "SELECT e'x', e, :a", &[":a"]);
    }

    #[test]
    fn knows_backslashes_backticks_and_comments_of_mariadb() {
        let engine = Engine::Mariadb;
        check(engine, r"SELECT '\' :a', `:b\`, :c", &[":c"]);
        check(engine, "SELECT 5--:a\n, :b # :c\n", &[":a", ":b"]);
        check(engine, "SELECT /* /* :a */ :b", &[":b"]);
        check(engine, r#"SELECT "\" :a", :b"#, &[":b"]);
    }

    #[test]
    fn knows_brackets_and_backticks_of_sqlite() {
        check(Engine::Sqlite, r"SELECT [:a'], `:b`, '\', :c", &[":c"]);
    }

    #[test]
    fn knows_brackets_and_nested_comments_of_sql_server() {
        check(Engine::Sqlserver, "SELECT [a]]:b], /* /* :c */ :d */ :e", &[":e"]);
    }

    #[test]
    fn knows_strings_in_other_quotes_of_oracle_and_firebird() {
        check(Engine::Oracle, "SELECT q'[it's :a]', nQ'!:b'!', :c, q, nq", &[":c"]);
        check(Engine::Firebird, "SELECT Q'{:a'}', q'|:b|', :c", &[":c"]);
    }

    #[test]
    fn tells_each_engines_own_placeholders() {
        let placeholders = |engine, text| {
            tokens(engine, text)
                .into_iter()
                .filter(|(kind, _)| *kind == TokenKind::Placeholder)
                .map(|(_, text)| text)
                .collect::<Vec<_>>()
        };
        assert_eq!(placeholders(Engine::Sqlite, "?, ?12, $a, @b"), ["?", "?12", "$a", "@b"]);
        assert_eq!(placeholders(Engine::Mariadb, "?, @b"), ["?"]);
        assert_eq!(placeholders(Engine::Postgres, "a ? b, $12, a$1"), ["$12"]);
    }

    #[test]
    fn never_stops_in_the_middle_of_a_character_and_always_ends() {
        let pieces = [
            "'", "\"", "`", "[", "$", "$$", "/*", "*/", "--", "#", "\\", ":", "?", "ү", "q'", "a", "1", "\n",
        ];
        for &engine in Engine::VARIANTS {
            for first in pieces {
                for second in pieces {
                    for third in pieces {
                        let text = [first, second, third].concat();
                        let mut lexer = Lexer::new(engine, Notation::Own, &text);
                        let mut count = 0;
                        while let Ok(Some(token)) = lexer.next() {
                            assert!(!token.text.is_empty(), "{engine}: {text}");
                            count += 1;
                            assert!(count <= text.len(), "{engine}: {text}");
                        }
                    }
                }
            }
        }
    }
}
