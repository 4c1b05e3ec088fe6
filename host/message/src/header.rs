/// A header of a message or of a part, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name, in the case it was written in. Names are compared without it.
    pub name: String,
    /// Its value, without the line's end.
    pub value: String,
}

impl Header {
    /// A header of this name and value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into() }
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// The headers of one part of a multipart message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartHeaders {
    /// Its media type with parameters, if it says one.
    pub content_type: Option<String>,
    /// The others, in their order.
    pub others: Vec<Header>,
}

impl PartHeaders {
    /// Headers that say a media type and nothing else.
    pub fn of_type(content_type: impl Into<String>) -> Self {
        Self { content_type: Some(content_type.into()), others: Vec::new() }
    }
}
