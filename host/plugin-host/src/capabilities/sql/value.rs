use std::sync::Arc;

/// A value as it passes between a guest and a database: the variant `value` of `uuk:adapter/sql`.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A binary floating-point number.
    Float(f64),
    /// An exact decimal number, written out without exponent: `-12.50`.
    Decimal(String),
    /// UTF-8 text.
    Text(String),
    /// Octets.
    Bytes(Vec<u8>),
    /// `YYYY-MM-DD`.
    Date(String),
    /// `HH:MM:SS[.ffffff]`.
    Time(String),
    /// RFC 3339; what a database gives is always UTC, with `Z`.
    Timestamp(String),
    /// A UUID in its hyphenated form.
    Uuid(String),
    /// A JSON document as text.
    Json(String),
    /// Name of a database type and the value in the database's own text form.
    Other(String, String),
}

impl Value {
    /// What the value counts for against a limit on bytes: its content, and at least one byte.
    pub fn size_bytes(&self) -> u64 {
        let size = match self {
            Self::Null | Self::Boolean(_) => 1,
            Self::Integer(_) | Self::Float(_) => 8,
            Self::Bytes(bytes) => bytes.len(),
            Self::Decimal(text)
            | Self::Text(text)
            | Self::Date(text)
            | Self::Time(text)
            | Self::Timestamp(text)
            | Self::Uuid(text)
            | Self::Json(text) => text.len(),
            Self::Other(name, text) => name.len() + text.len(),
        };
        size.max(1) as u64
    }
}

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name, as the manifest declares it; for free SQL as the database gives it.
    pub name: String,
    /// Type: the manifest's word for it; for free SQL the database's.
    pub db_type: String,
    /// Whether it may be null, if that is known.
    pub nullable: Option<bool>,
}

/// The values of one row, in the order of the columns.
pub type Row = Vec<Value>;

/// A whole result. It is never truncated: what exceeds a limit is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct RowSet {
    /// The columns, in the order that the manifest declares. Free SQL that gives no row gives no columns.
    pub columns: Arc<[Column]>,
    /// The rows, in the order that the database gave them.
    pub rows: Vec<Row>,
}
