//! The types that XML Schema brings along.

/// A built-in type with a single value (XML Schema 1.0 part 2 §3). Lists such as `NMTOKENS`, and names with prefixes
/// (`QName`, `NOTATION`), which mean nothing outside their document, are not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "camelCase")]
pub(crate) enum Builtin {
    String,
    NormalizedString,
    Token,
    Language,
    #[strum(serialize = "Name")]
    Name,
    #[strum(serialize = "NCName")]
    NcName,
    #[strum(serialize = "ID")]
    Id,
    #[strum(serialize = "IDREF")]
    IdRef,
    #[strum(serialize = "NMTOKEN")]
    NmToken,
    #[strum(serialize = "anyURI")]
    AnyUri,
    Boolean,
    Decimal,
    Integer,
    NonNegativeInteger,
    PositiveInteger,
    NonPositiveInteger,
    NegativeInteger,
    Long,
    Int,
    Short,
    Byte,
    UnsignedLong,
    UnsignedInt,
    UnsignedShort,
    UnsignedByte,
    Float,
    Double,
    Duration,
    DateTime,
    Time,
    Date,
    GYearMonth,
    GYear,
    GMonthDay,
    GDay,
    GMonth,
    HexBinary,
    #[strum(serialize = "base64Binary")]
    Base64Binary,
}

/// What a value is in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonKind {
    Text,
    Boolean,
    Integer,
    Number,
}

/// What happens to white space before a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhiteSpace {
    Preserve,
    Replace,
    Collapse,
}

impl Builtin {
    /// Its local name.
    pub(crate) fn name(self) -> &'static str {
        self.into()
    }

    pub(crate) fn json_kind(self) -> JsonKind {
        match self {
            Self::Boolean => JsonKind::Boolean,
            Self::Float | Self::Double => JsonKind::Number,
            _ if self.is_integer() => JsonKind::Integer,
            _ => JsonKind::Text,
        }
    }

    pub(crate) fn is_integer(self) -> bool {
        matches!(
            self,
            Self::Integer
                | Self::NonNegativeInteger
                | Self::PositiveInteger
                | Self::NonPositiveInteger
                | Self::NegativeInteger
                | Self::Long
                | Self::Int
                | Self::Short
                | Self::Byte
                | Self::UnsignedLong
                | Self::UnsignedInt
                | Self::UnsignedShort
                | Self::UnsignedByte
        )
    }

    pub(crate) fn is_binary(self) -> bool {
        matches!(self, Self::HexBinary | Self::Base64Binary)
    }

    /// The least and the greatest integer of the type, as far as 64 bits go.
    pub(crate) fn integer_bounds(self) -> (Option<i64>, Option<i64>) {
        match self {
            Self::NonNegativeInteger | Self::UnsignedLong => (Some(0), None),
            Self::PositiveInteger => (Some(1), None),
            Self::NonPositiveInteger => (None, Some(0)),
            Self::NegativeInteger => (None, Some(-1)),
            Self::Int => (Some(i32::MIN.into()), Some(i32::MAX.into())),
            Self::Short => (Some(i16::MIN.into()), Some(i16::MAX.into())),
            Self::Byte => (Some(i8::MIN.into()), Some(i8::MAX.into())),
            Self::UnsignedInt => (Some(0), Some(u32::MAX.into())),
            Self::UnsignedShort => (Some(0), Some(u16::MAX.into())),
            Self::UnsignedByte => (Some(0), Some(u8::MAX.into())),
            _ => (None, None),
        }
    }

    pub(crate) fn white_space(self) -> WhiteSpace {
        match self {
            Self::String => WhiteSpace::Preserve,
            Self::NormalizedString => WhiteSpace::Replace,
            _ => WhiteSpace::Collapse,
        }
    }
}

impl WhiteSpace {
    /// `text` as a reader of the type sees it.
    pub(crate) fn apply(self, text: &str) -> String {
        match self {
            Self::Preserve => text.to_owned(),
            Self::Replace => text.replace(['\t', '\n', '\r'], " "),
            Self::Collapse => {
                let words = text.split([' ', '\t', '\n', '\r']).filter(|word| !word.is_empty());
                words.collect::<Vec<_>>().join(" ")
            }
        }
    }
}
