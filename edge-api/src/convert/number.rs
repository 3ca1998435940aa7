//! Single values: read in any type that files hold, written in those that jobs take.

use std::fmt;

use half::f16;
use wire::DType;

/// A value of any type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Float(f64),
    /// Wide enough for 64 bits with a sign and without.
    Int(i128),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Many digits are no help, and `f64`'s own text may have hundreds.
            Self::Float(value) if value.is_finite() && !(1e-4..1e16).contains(&value.abs()) && *value != 0.0 => {
                write!(f, "{value:e}")
            }
            Self::Float(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
        }
    }
}

/// A type of values, as files have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Uint,
    Float,
}

/// How one value lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    pub kind: Kind,
    pub bytes: usize,
    pub big_endian: bool,
}

impl Stored {
    /// As numpy calls it.
    pub fn name(self) -> String {
        let bits = self.bytes * 8;
        match self.kind {
            Kind::Bool => "bool".to_owned(),
            Kind::Int => format!("int{bits}"),
            Kind::Uint => format!("uint{bits}"),
            Kind::Float => format!("float{bits}"),
        }
    }

    /// The value whose bytes these are: as many as it has.
    pub fn read(self, bytes: &[u8]) -> Number {
        let mut wide = [0; 8];
        wide[..self.bytes].copy_from_slice(bytes);
        if self.big_endian {
            wide[..self.bytes].reverse();
        }
        let raw = u64::from_le_bytes(wide);
        match (self.kind, self.bytes) {
            (Kind::Float, 8) => Number::Float(f64::from_bits(raw)),
            (Kind::Float, 4) => Number::Float(f32::from_le_bytes([wide[0], wide[1], wide[2], wide[3]]).into()),
            (Kind::Float, _) => Number::Float(f16::from_le_bytes([wide[0], wide[1]]).into()),
            (Kind::Int, bytes) => {
                let unused = 64 - 8 * bytes;
                Number::Int((raw.cast_signed() << unused >> unused).into())
            }
            (Kind::Uint, _) => Number::Int(raw.into()),
            (Kind::Bool, _) => Number::Int((raw != 0).into()),
        }
    }
}

/// The type does not hold the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misfit;

impl Number {
    /// Appends the value in a job's type. Floats are rounded to the nearest, as numpy does it; integers and truths are exact
    /// or do not fit, and what is finite stays finite.
    pub fn write(self, dtype: DType, out: &mut Vec<u8>) -> Result<(), Misfit> {
        match dtype {
            DType::Float32 => {
                let value = self.single();
                if value.is_infinite() && !self.is_infinite() {
                    return Err(Misfit);
                }
                out.extend(value.to_le_bytes());
            }
            DType::Float16 => {
                let value = self.half();
                if value.is_infinite() && !self.is_infinite() {
                    return Err(Misfit);
                }
                out.extend(value.to_le_bytes());
            }
            DType::Int64 => out.extend(self.whole::<i64>()?.to_le_bytes()),
            DType::Int32 => out.extend(self.whole::<i32>()?.to_le_bytes()),
            DType::Int16 => out.extend(self.whole::<i16>()?.to_le_bytes()),
            DType::Int8 => out.extend(self.whole::<i8>()?.to_le_bytes()),
            DType::Uint32 => out.extend(self.whole::<u32>()?.to_le_bytes()),
            DType::Uint16 => out.extend(self.whole::<u16>()?.to_le_bytes()),
            DType::Uint8 => out.extend(self.whole::<u8>()?.to_le_bytes()),
            DType::Bool => match self.whole::<u8>()? {
                value @ (0 | 1) => out.push(value),
                _ => return Err(Misfit),
            },
        }
        Ok(())
    }

    fn is_infinite(self) -> bool {
        matches!(self, Self::Float(value) if value.is_infinite())
    }

    #[expect(clippy::cast_precision_loss, reason = "floats are rounded to the nearest, at once from what they are of")]
    fn single(self) -> f32 {
        match self {
            Self::Float(value) => narrow(value),
            Self::Int(value) => value as f32,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "integers that this type holds are exact in a float64")]
    fn half(self) -> f16 {
        let value = match self {
            Self::Float(value) => value,
            Self::Int(value) => value as f64,
        };
        f16::from_f32(narrow_to_odd(value))
    }

    fn whole<T: TryFrom<i128>>(self) -> Result<T, Misfit> {
        let value = match self {
            Self::Int(value) => value,
            Self::Float(value) if value.fract() == 0.0 => truncate(value),
            Self::Float(_) => return Err(Misfit),
        };
        T::try_from(value).map_err(|_wide| Misfit)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "to the nearest float32; what becomes infinite is looked at")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// A float32 that rounds to the float16 to which the value itself rounds: where it is not exact, its last bit says that
/// there is more. Rounded to the nearest twice, a value just beyond the middle of two would become one in the middle.
fn narrow_to_odd(value: f64) -> f32 {
    let nearest = narrow(value);
    let back = f64::from(nearest);
    if back.to_bits() == value.to_bits() || !nearest.is_finite() {
        return nearest;
    }
    let bits = nearest.to_bits();
    let towards_zero = if back.abs() > value.abs() { bits - 1 } else { bits };
    f32::from_bits(towards_zero | 1)
}

#[expect(clippy::cast_possible_truncation, reason = "it saturates far outside of every type that is written")]
fn truncate(value: f64) -> i128 {
    value as i128
}

/// A number as tables have it as text: decimal, `nan`, `inf`, or a truth.
pub fn parse(text: &str) -> Option<Number> {
    let text = text.trim();
    if let Ok(value) = text.parse::<i64>() {
        return Some(Number::Int(value.into()));
    }
    if let Ok(value) = text.parse::<f64>() {
        return Some(Number::Float(value));
    }
    match text {
        "true" | "True" | "TRUE" => Some(Number::Int(1)),
        "false" | "False" | "FALSE" => Some(Number::Int(0)),
        _ => None,
    }
}

/// A value that nobody knew, as pandas, R and spreadsheets write it.
pub fn is_missing(text: &str) -> bool {
    matches!(text.trim(), "" | "NA" | "N/A" | "n/a" | "null" | "NULL" | "None" | "<NA>" | "#N/A" | "NaN" | "nan")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(dtype: DType) -> Stored {
        let kind = match dtype {
            DType::Float32 | DType::Float16 => Kind::Float,
            DType::Int64 | DType::Int32 | DType::Int16 | DType::Int8 => Kind::Int,
            DType::Uint32 | DType::Uint16 | DType::Uint8 => Kind::Uint,
            DType::Bool => Kind::Bool,
        };
        Stored { kind, bytes: wire::number::to(dtype.bytes()), big_endian: false }
    }

    fn written(number: Number, dtype: DType) -> Result<Vec<u8>, Misfit> {
        let mut out = Vec::new();
        number.write(dtype, &mut out).map(|()| out)
    }

    #[test]
    fn what_a_type_holds_reads_back_as_it_was() {
        let cases = [
            (DType::Int8, Number::Int(-128)),
            (DType::Uint8, Number::Int(255)),
            (DType::Int64, Number::Int(i64::MIN.into())),
            (DType::Uint32, Number::Int(u32::MAX.into())),
            (DType::Bool, Number::Int(1)),
            (DType::Float32, Number::Float(-1.5)),
            (DType::Float16, Number::Float(0.25)),
        ];
        for (dtype, number) in cases {
            let stored = stored(dtype);
            let bytes = written(number, dtype).unwrap();
            assert_eq!(stored.read(&bytes), number, "{}", stored.name());
            let turned: Vec<u8> = bytes.into_iter().rev().collect();
            assert_eq!(Stored { big_endian: true, ..stored }.read(&turned), number, "{} turned", stored.name());
        }
        let wide = Stored { kind: Kind::Uint, bytes: 8, big_endian: false };
        assert_eq!(wide.read(&[255; 8]), Number::Int(u64::MAX.into()));
    }

    #[test]
    fn floats_are_rounded_and_never_become_infinite() {
        assert_eq!(written(Number::Float(0.1), DType::Float32), Ok(0.1f32.to_le_bytes().to_vec()));
        assert_eq!(written(Number::Float(1e39), DType::Float32), Err(Misfit));
        assert_eq!(written(Number::Float(70_000.0), DType::Float16), Err(Misfit));
        assert_eq!(written(Number::Float(f64::INFINITY), DType::Float32), Ok(f32::INFINITY.to_le_bytes().to_vec()));
        let nan = written(Number::Float(f64::NAN), DType::Float32).unwrap();
        assert!(f32::from_le_bytes(nan.try_into().unwrap()).is_nan());
    }

    #[test]
    fn a_value_is_rounded_once_as_numpy_rounds_it() {
        let half = |value: f64| written(Number::Float(value), DType::Float16).unwrap();
        let middle = 1.0 + 2f64.powi(-11);
        for (value, numpy) in [
            (middle, 1.0),
            (middle + 2f64.powi(-40), 1.0 + 2f32.powi(-10)),
            (middle - 2f64.powi(-40), 1.0),
            (-middle - 2f64.powi(-40), -1.0 - 2f32.powi(-10)),
            (1e-40, 0.0),
            (2f64.powi(-25) + 2f64.powi(-60), 2f32.powi(-24)),
            (65_519.999_999_999, 65_504.0),
        ] {
            assert_eq!(half(value), f16::from_f32(numpy).to_le_bytes().to_vec(), "{value:e}");
        }
        assert_eq!(written(Number::Float(65_520.0), DType::Float16), Err(Misfit));
        assert_eq!(written(Number::Int(65_520), DType::Float16), Err(Misfit));
        assert_eq!(half(f64::NEG_INFINITY), f16::NEG_INFINITY.to_le_bytes().to_vec());

        let int = (1i128 << 54) + (1 << 30) + 1;
        let numpy = 18_014_400_656_965_632f32;
        assert_eq!(numpy.to_bits(), 2f32.powi(54).to_bits() + 1);
        assert_eq!(written(Number::Int(int), DType::Float32), Ok(numpy.to_le_bytes().to_vec()));
    }

    #[test]
    fn integers_are_exact_or_do_not_fit() {
        assert_eq!(written(Number::Float(3.0), DType::Int64), Ok(3i64.to_le_bytes().to_vec()));
        for (number, dtype) in [
            (Number::Float(3.5), DType::Int64),
            (Number::Float(f64::NAN), DType::Int32),
            (Number::Float(1e300), DType::Int64),
            (Number::Int(1 << 31), DType::Int32),
            (Number::Int(-1), DType::Uint8),
            (Number::Int(2), DType::Bool),
        ] {
            assert_eq!(written(number, dtype), Err(Misfit), "{number} as {}", dtype.name());
        }
    }

    #[test]
    fn text_is_a_number_where_a_table_means_one() {
        assert_eq!(parse(" 12 "), Some(Number::Int(12)));
        assert_eq!(parse("-1.5e3"), Some(Number::Float(-1500.0)));
        assert_eq!(parse("True"), Some(Number::Int(1)));
        assert!(parse("1,5").is_none() && parse("cat").is_none() && parse("").is_none());
        assert!(is_missing(" ") && is_missing("NA") && !is_missing("0"));
        assert_eq!(Number::Float(1e300).to_string(), "1e300");
    }
}
