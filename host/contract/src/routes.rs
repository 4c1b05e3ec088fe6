//! From a path to the operations declared for it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::operation::Method;
use crate::percent;

/// Most segments of a path template: as deep as a look-up goes.
const TEMPLATE_SEGMENTS_MAX: usize = 32;

/// A path of the contract, such as `/people/{pin}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathTemplate {
    text: String,
    segments: Vec<TemplateSegment>,
}

/// Literal text, or a variable that fills the whole segment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum TemplateSegment {
    Fixed(String),
    Variable(String),
}

impl PathTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// One clause that says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<PathTemplate, &'static str> {
        let Some(relative) = text.strip_prefix('/') else {
            return Err("does not begin with `/`");
        };
        let segments: Vec<_> = if relative.is_empty() {
            Vec::new()
        } else {
            relative.split('/').map(TemplateSegment::parse).collect::<Result<_, _>>()?
        };
        if segments.len() > TEMPLATE_SEGMENTS_MAX {
            return Err("has more than 32 segments");
        }
        let template = PathTemplate { text: text.to_owned(), segments };
        let mut names: Vec<_> = template.variables().map(|(_, name)| name).collect();
        names.sort_unstable();
        if names.is_sorted_by(|left, right| left < right) {
            Ok(template)
        } else {
            Err("names a variable twice")
        }
    }

    /// As the contract spells it.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The variables with the number of the segment each fills.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (usize, &str)> {
        self.segments.iter().enumerate().filter_map(|(index, segment)| match segment {
            TemplateSegment::Variable(name) => Some((index, name.as_str())),
            TemplateSegment::Fixed(_) => None,
        })
    }

    /// Whether some path fits both templates and neither is the more concrete one in every segment.
    pub(crate) fn is_ambiguous_with(&self, other: &PathTemplate) -> bool {
        if self.segments.len() != other.segments.len() {
            return false;
        }
        let (mut more_concrete, mut less_concrete) = (false, false);
        for pair in self.segments.iter().zip(&other.segments) {
            match pair {
                (TemplateSegment::Fixed(left), TemplateSegment::Fixed(right)) if left != right => {
                    return false;
                }
                (TemplateSegment::Fixed(_), TemplateSegment::Variable(_)) => more_concrete = true,
                (TemplateSegment::Variable(_), TemplateSegment::Fixed(_)) => less_concrete = true,
                _ => {}
            }
        }
        more_concrete == less_concrete
    }
}

impl TemplateSegment {
    fn parse(text: &str) -> Result<TemplateSegment, &'static str> {
        if let Some(name) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            return match name {
                "" => Err("has a variable without a name"),
                name if name.contains(['{', '}']) => Err("has nested braces"),
                name => Ok(TemplateSegment::Variable(name.to_owned())),
            };
        }
        match text {
            "" => Err("has an empty segment or ends with `/`"),
            "." | ".." => Err("has a dot segment"),
            text if text.contains(['{', '}']) => Err("has a variable that does not fill its segment"),
            text if !text.bytes().all(percent::is_plain) || text.contains('?') => {
                Err("has a character that a path cannot hold unencoded")
            }
            text => Ok(TemplateSegment::Fixed(text.to_owned())),
        }
    }
}

/// The operations of one path, by method: an index into the operations of the contract.
pub(crate) type Methods = Vec<(Method, usize)>;

/// All paths of a contract, as a tree of segments.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    fixed: BTreeMap<String, Routes>,
    variable: Option<Box<Routes>>,
    methods: Option<Methods>,
}

impl Routes {
    /// Adds a path that is ambiguous with none added before.
    pub(crate) fn insert(&mut self, template: &PathTemplate, methods: Methods) {
        let leaf = template.segments.iter().fold(self, |routes, segment| match segment {
            TemplateSegment::Fixed(text) => routes.fixed.entry(text.clone()).or_default(),
            TemplateSegment::Variable(_) => routes.variable.get_or_insert_default(),
        });
        leaf.methods = Some(methods);
    }

    /// Finds the most concrete path that fits: a fixed segment goes before a variable (OpenAPI 3.1 §4.8.8.2).
    pub(crate) fn find(&self, segments: &[Cow<'_, str>]) -> Option<&Methods> {
        let Some((first, rest)) = segments.split_first() else {
            return self.methods.as_ref();
        };
        let fixed = self.fixed.get(&**first).and_then(|routes| routes.find(rest));
        fixed.or_else(|| self.variable.as_deref()?.find(rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(text: &str) -> PathTemplate {
        PathTemplate::parse(text).unwrap()
    }

    fn routes(templates: &[&str]) -> Routes {
        let mut routes = Routes::default();
        for (index, text) in templates.iter().enumerate() {
            routes.insert(&template(text), vec![(Method::Get, index)]);
        }
        routes
    }

    #[track_caller]
    fn check_found(routes: &Routes, path: &str, expected: Option<usize>) {
        let found = routes.find(&percent::path_segments(path).unwrap());
        assert_eq!(found.map(|methods| methods[0].1), expected, "{path}");
    }

    #[track_caller]
    fn check_refused(text: &str, reason: &str) {
        let error = PathTemplate::parse(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }

    #[test]
    fn finds_the_concrete_path_before_the_templated_one() {
        let routes = routes(&["/people/{pin}", "/people/mine", "/", "/people/{pin}/cars"]);
        check_found(&routes, "/people/123", Some(0));
        check_found(&routes, "/people/mine", Some(1));
        check_found(&routes, "", Some(2));
        check_found(&routes, "/people/mine/cars", Some(3));
        check_found(&routes, "/people", None);
        check_found(&routes, "/people/1/cars/2", None);
    }

    #[test]
    fn compares_fixed_segments_after_decoding() {
        check_found(&routes(&["/people"]), "/p%65ople", Some(0));
    }

    #[test]
    fn calls_templates_ambiguous_when_neither_is_more_concrete() {
        for (left, right) in [("/a/{b}", "/a/{c}"), ("/{a}/b", "/a/{b}"), ("/a", "/a")] {
            assert!(template(left).is_ambiguous_with(&template(right)), "{left} {right}");
        }
        for (left, right) in
            [("/a/{b}", "/a/b"), ("/a/{b}", "/c/{b}"), ("/a", "/a/b"), ("/a/{b}/c", "/{x}/d/e")]
        {
            assert!(!template(left).is_ambiguous_with(&template(right)), "{left} {right}");
        }
    }

    #[test]
    fn refuses_templates_it_could_only_guess_at() {
        check_refused("people", "does not begin");
        check_refused("/people/", "empty segment");
        check_refused("/people/../x", "dot segment");
        check_refused("/people/{pin}.json", "does not fill");
        check_refused("/people/{}", "without a name");
        check_refused("/people/{a{b}}", "nested braces");
        check_refused("/people/%41", "cannot hold");
        check_refused("/people?x", "cannot hold");
        check_refused("/{a}/{a}", "twice");
        check_refused(&"/a".repeat(33), "more than 32");
    }
}
