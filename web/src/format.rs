//! Numbers and times as people read them.

use wire::{Credits, Micros, PricePerCu};

/// In place of what the network does not know.
pub const UNKNOWN: &str = "–";

/// Digits in groups of three.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Credits as people read money, everywhere by this one rule: cents from one credit on (`1,234.57`), below it four digits
/// that count and nothing finer than a micro-credit (`0.0123`, `0.000225`), and `0` for nothing.
pub fn credits(amount: Credits) -> String {
    const CENT: u64 = 10_000;
    let micros = amount.micros().unsigned_abs();
    let sign = if amount.micros() < 0 { "−" } else { "" };
    if micros == 0 {
        return "0".to_owned();
    }
    let finest = if micros >= 1_000_000 { CENT } else { 10u64.pow(micros.ilog10().saturating_sub(3)) };
    let rounded = (micros / finest + u64::from(micros % finest >= finest.div_ceil(2))).saturating_mul(finest);
    let decimals = format!("{:06}", rounded % 1_000_000);
    let (cents, finer) = decimals.split_at(2);
    let finer = if rounded >= 1_000_000 { "" } else { finer.trim_end_matches('0') };
    format!("{sign}{}.{cents}{finer}", count(rounded / 1_000_000))
}

/// A movement of money, with its sign.
pub fn movement(amount: Credits) -> String {
    if amount.micros() > 0 { format!("+{}", credits(amount)) } else { credits(amount) }
}

/// Credits that were worked out and not booked: a forecast, a mean.
#[expect(clippy::cast_possible_truncation, reason = "a float becomes the nearest whole number that there is")]
pub fn about_credits(amount: f64) -> String {
    let micros = (amount * 1e6).round();
    if micros.abs() < 1.0 && amount != 0.0 {
        "< 0.000001".to_owned()
    } else {
        credits(Credits::from_micros(micros as i64))
    }
}

/// Of a million CU, in credits: a single one costs so little that nobody reads it.
pub fn price(price: PricePerCu) -> String {
    // Pico-credits a CU are micro-credits a million of them.
    credits(Credits::from_micros(price.0))
}

/// A number on an axis, as short as it can be.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole, and not below zero")]
pub fn number(value: f64) -> String {
    if value >= 1000.0 {
        return count(value.round() as u64);
    }
    let decimals = format!("{value:.6}");
    decimals.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A value of a result, to six digits that count: all of them are in the download.
pub fn value(text: &str) -> String {
    if text.len() <= 9 || !text.contains('.') {
        return text.to_owned();
    }
    text.parse().map_or_else(|_no_number| text.to_owned(), short_float)
}

/// A float of a result, by the same rule.
pub fn float(value: f32) -> String {
    let text = value.to_string();
    if text.len() <= 9 || !value.is_finite() { text } else { short_float(value.into()) }
}

fn short_float(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) { format!("{value:.4e}") } else { format!("{value:.5}") }
}

/// Two values beside each other: in full where they differ in digits that would not be shown.
pub fn values_apart(one: &str, other: &str) -> (String, String) {
    let shown = (value(one), value(other));
    if shown.0 == shown.1 && one != other { (one.to_owned(), other.to_owned()) } else { shown }
}

/// How far two results are apart.
pub fn difference(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.2e}") }
}

/// Operations with a unit, of floats and of integers: kernels compute with both, and sums are over models and kernels. A dash where there were none, or nobody counted them.
pub fn flops(value: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TOP"), (1_000_000_000, "GOP"), (1_000_000, "MOP"), (1_000, "kOP")];
    if value == 0 {
        return UNKNOWN.to_owned();
    }
    let Some((scale, unit)) = UNITS.iter().find(|(scale, _)| value >= *scale) else {
        return format!("{value} OP");
    };
    let tenths = value / (scale / 10);
    format!("{}.{} {unit}", count(tenths / 10), tenths % 10)
}

/// Bytes with a unit.
pub fn bytes(value: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((scale, unit)) = UNITS.iter().find(|(scale, _)| value >= *scale) else {
        return format!("{value} B");
    };
    let tenths = value / (scale / 10);
    format!("{}.{} {unit}", count(tenths / 10), tenths % 10)
}

/// Operations given in thousands.
pub fn kflop(value: u64) -> String {
    if value >= 1_000_000_000_000 {
        let tenths = value / 100_000_000_000;
        return format!("{}.{} POP", count(tenths / 10), tenths % 10);
    }
    flops(value.saturating_mul(1000))
}

/// Operations a second; a dash where none was measured.
pub fn speed(flops_per_sec: u64) -> String {
    if flops_per_sec == 0 { UNKNOWN.to_owned() } else { format!("{}/s", flops(flops_per_sec)) }
}

/// Operations a second that a challenge proved, none among them.
pub fn ops_per_sec(ops: u64) -> String {
    format!("{}/s", flops(ops))
}

/// Of so many bytes a second.
pub fn bits_per_sec(bytes: u64) -> String {
    let tenths = bytes / 12_500;
    if tenths < 1000 {
        format!("{}.{} Mbit/s", tenths / 10, tenths % 10)
    } else {
        format!("{} Mbit/s", count(tenths / 10))
    }
}

/// Hundredths of a percent.
pub fn percent(bps: u64) -> String {
    format!("{}.{} %", bps / 100, bps % 100 / 10)
}

/// A length of time as people say it: `4 s`, `2 min`, `3 h 5 min`.
pub fn duration(secs: u64) -> String {
    match (secs / 3600, secs % 3600 / 60, secs % 60) {
        (0, 0, secs) => format!("{secs} s"),
        (0, minutes, secs) if minutes < 10 && secs > 0 => format!("{minutes} min {secs} s"),
        (0, minutes, _) => format!("{minutes} min"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

/// `2026-11-22 18:40:07 UTC`, by the civil calendar (Hinnant, `civil_from_days`).
pub fn utc(time: Micros) -> String {
    let rest = time.div_euclid(1_000_000).rem_euclid(86_400);
    format!("{} {:02}:{:02}:{:02} UTC", day(time), rest / 3600, rest / 60 % 60, rest % 60)
}

/// `2026-11-22 18:40 UTC`.
pub fn utc_minute(time: Micros) -> String {
    format!("{} {} UTC", day(time), clock(time))
}

/// `18:40`, in UTC.
pub fn clock(time: Micros) -> String {
    let rest = time.div_euclid(60_000_000).rem_euclid(1440);
    format!("{:02}:{:02}", rest / 60, rest % 60)
}

/// `2026-11-22T18:40:07Z`.
pub fn iso8601(time: Micros) -> String {
    iso8601_and_utc(time).0
}

/// A moment as machines and as people read it.
pub fn iso8601_and_utc(time: Micros) -> (String, String) {
    let utc = utc(time);
    (utc.replacen(' ', "T", 1).replace(" UTC", "Z"), utc)
}

/// `2026-11-22`.
pub fn day(time: Micros) -> String {
    let days = time.div_euclid(86_400_000_000);
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Time between two moments: in seconds with one decimal, from a minute on as people say it, below a tenth of a second
/// in milliseconds.
pub fn seconds(from: Micros, to: Micros) -> String {
    if (1..100_000).contains(&(to - from)) {
        return format!("{} ms", ((to - from) / 1000).max(1));
    }
    if to - from >= 60_000_000 {
        return duration((to - from).unsigned_abs() / 1_000_000);
    }
    let tenths = (to - from).max(0) / 100_000;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([count(0), count(999), count(1_797), count(1_000_000)], ["0", "999", "1,797", "1,000,000"]);
        assert_eq!(
            [flops(12), flops(151_000), flops(271_480_000), flops(2_050_000_000_000)],
            ["12 OP", "151.0 kOP", "271.4 MOP", "2.0 TOP"]
        );
        assert_eq!([kflop(0), kflop(2_050), kflop(3_400_000_000_000)], ["–", "2.0 MOP", "3.4 POP"]);
        assert_eq!([number(0.0), number(2.5), number(0.000_02), number(12_000.0)], ["0", "2.5", "0.00002", "12,000"]);
        assert_eq!([speed(0), speed(1_500_000_000), percent(1234)], ["–", "1.5 GOP/s", "12.3 %"]);
    }

    #[test]
    fn values_are_shown_to_digits_that_count_unless_more_tell_two_apart() {
        assert_eq!(["7", "0.5", "123456789012", "NaN"].map(value), ["7", "0.5", "123456789012", "NaN"]);
        assert_eq!(["0.000000000040354473", "0.123456789"].map(value), ["4.0354e-11", "0.12346"]);
        assert_eq!([4.035_447_3e-11, 1e30, 0.25].map(float), ["4.0354e-11", "1.0000e30", "0.25"]);
        assert_eq!(values_apart("0.123456789", "0.123456780").1, "0.123456780");
        assert_eq!(values_apart("0.123456789", "0.133456780").1, "0.13346");
        assert_eq!([0.0, 0.000_123].map(difference), ["0", "1.23e-4"]);
    }

    #[test]
    fn money_is_read_by_one_rule_however_much_it_is() {
        let shown =
            [0, 1, 225, 12_345, 123_456, 999_960, 999_999, 1_000_000, 99_999_775, 1_234_567_890, -225, -2_000_000];

        assert_eq!(
            shown.map(|micros| credits(Credits::from_micros(micros))),
            [
                "0",
                "0.000001",
                "0.000225",
                "0.01235",
                "0.1235",
                "1.00",
                "1.00",
                "1.00",
                "100.00",
                "1,234.57",
                "−0.000225",
                "−2.00"
            ]
        );
        assert_eq!([500_000, 120_000].map(|micros| credits(Credits::from_micros(micros))), ["0.50", "0.12"]);
        assert_eq!([225, -225].map(|micros| movement(Credits::from_micros(micros))), ["+0.000225", "−0.000225"]);
        assert_eq!([0.0, 1e-9, 0.000_225, 2.34567].map(about_credits), ["0", "< 0.000001", "0.000225", "2.35"]);
        assert_eq!([20_000_000, 1].map(|picos| price(PricePerCu(picos))), ["20.00", "0.000001"]);
        assert_eq!(credits(Credits::from_micros(i64::MIN)), "−9,223,372,036,854.78");
    }

    #[test]
    fn moments_read_as_civil_time() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_827_696_000_000), "2000-02-29 12:34:56 UTC");
        assert_eq!(utc(1_795_372_807_000_000), "2026-11-22 18:40:07 UTC");
        assert_eq!(utc_minute(1_795_372_807_000_000), "2026-11-22 18:40 UTC");
        assert_eq!(iso8601(1_795_372_807_000_000), "2026-11-22T18:40:07Z");
        assert_eq!([seconds(1_000_000, 3_450_000), seconds(0, 65_900_000)], ["2.4 s", "1 min 5 s"]);
        assert_eq!([seconds(0, 40_900), seconds(0, 100_000), seconds(5, 5)], ["40 ms", "0.1 s", "0.0 s"]);
        assert_eq!(
            [4, 60, 65, 700, 7_200, 11_100].map(duration),
            ["4 s", "1 min", "1 min 5 s", "11 min", "2 h", "3 h 5 min"]
        );
    }
}
