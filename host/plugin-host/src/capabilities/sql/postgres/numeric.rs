use bytes::{Buf, BufMut};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::{Postgres, Type};

/// PostgreSQL's `numeric` in its binary form, read and written digit by digit: the decimal types at hand hold 28
/// digits, it holds thousands.
///
/// # Source
/// `numeric_send` in PostgreSQL's `numeric.c`: count of digits, weight of the first, sign, digits after the point,
/// then the digits to the base of 10 000.
pub(super) struct Numeric;

/// Decimal digits in a digit of the wire.
const GROUP: usize = 4;

const NEGATIVE: u16 = 0x4000;

impl Numeric {
    pub(super) fn type_info() -> PgTypeInfo {
        <rust_decimal::Decimal as Type<Postgres>>::type_info()
    }

    /// Writes a decimal that was checked to be one.
    pub(super) fn write(decimal: &str, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(&Self::encode(decimal)?);
        Ok(IsNull::No)
    }

    fn encode(decimal: &str) -> Result<Vec<u8>, BoxDynError> {
        let (sign, digits) = decimal.strip_prefix('-').map_or((0, decimal), |digits| (NEGATIVE, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        // Groups are counted from the point, so both sides are filled up to whole groups.
        let whole_groups = whole.len().div_ceil(GROUP);
        let fraction_groups = fraction.len().div_ceil(GROUP);
        let padded = format!("{whole:0>0$}{fraction:0<1$}", whole_groups * GROUP, fraction_groups * GROUP);
        let mut wire = Vec::with_capacity(8 + padded.len() / 2);
        wire.put_u16(u16::try_from(whole_groups + fraction_groups)?);
        wire.put_i16(i16::try_from(whole_groups)? - 1);
        wire.put_u16(sign);
        wire.put_u16(u16::try_from(fraction.len())?);
        for group in padded.as_bytes().chunks(GROUP) {
            wire.put_u16(std::str::from_utf8(group)?.parse()?);
        }
        Ok(wire)
    }

    /// Reads what the server sent: all digits, and as many after the point as the server counts.
    ///
    /// # Errors
    /// `NaN` and the infinities are not decimals; neither is a truncated message.
    pub(super) fn read(mut wire: &[u8]) -> Result<String, BoxDynError> {
        let count = wire.try_get_u16()?;
        let weight = wire.try_get_i16()?;
        let sign = wire.try_get_u16()?;
        let scale = usize::from(wire.try_get_u16()?);
        let groups = (0..count).map(|_| wire.try_get_u16()).collect::<Result<Vec<_>, _>>()?;
        let minus = match sign {
            0 => "",
            NEGATIVE => "-",
            _ => return Err("not a number".into()),
        };
        // A group that is not sent is zero; group `weight` is the one before the point.
        let group = |power: i32| {
            let index = usize::try_from(i32::from(weight) - power).ok();
            let value = index.and_then(|index| groups.get(index)).copied().unwrap_or_default();
            format!("{value:04}")
        };
        let whole: String = (0..=i32::from(weight)).rev().map(group).collect();
        let whole = whole.trim_start_matches('0');
        let whole = if whole.is_empty() { "0" } else { whole };
        let fraction_groups = i32::try_from(scale.div_ceil(GROUP))?;
        let mut fraction: String = (1..=fraction_groups).map(|power| group(-power)).collect();
        fraction.truncate(scale);
        let point = if scale == 0 { "" } else { "." };
        Ok(format!("{minus}{whole}{point}{fraction}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for decimal in [
            "0",
            "-1",
            "10000",
            "1.50",
            "0.0001",
            "0.00001",
            "-123456789.000100",
            "99999999999999999999999999999999999999.12345678901234567890",
        ] {
            assert_eq!(Numeric::read(&Numeric::encode(decimal).unwrap()).unwrap(), decimal);
        }
    }

    #[test]
    fn reads_the_servers_shortened_forms() {
        // 100000000 as one group of weight 2, and 0.00000012 as one group of weight -2.
        assert_eq!(Numeric::read(&[0, 1, 0, 2, 0, 0, 0, 0, 0, 1]).unwrap(), "100000000");
        assert_eq!(Numeric::read(&[0, 1, 0xff, 0xfe, 0, 0, 0, 8, 0, 12]).unwrap(), "0.00000012");
        assert_eq!(Numeric::read(&[0, 0, 0, 0, 0, 0, 0, 2]).unwrap(), "0.00");
    }

    #[test]
    fn refuses_what_is_no_decimal() {
        assert!(Numeric::read(&[0, 0, 0, 0, 0xc0, 0, 0, 0]).is_err(), "NaN");
        assert!(Numeric::read(&[0, 0, 0, 0, 0xd0, 0, 0, 0x20]).is_err(), "infinity");
        assert!(Numeric::read(&[0, 2, 0, 0, 0, 0, 0, 0, 0, 1]).is_err(), "truncated");
        assert!(Numeric::read(&[]).is_err(), "empty");
    }
}
