//! Numbers and times as people read them.

use wire::{Credits, Micros, PricePerCu};

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

/// Credits without zeros that say nothing: `99.999775`, `100`.
pub fn credits(amount: Credits) -> String {
    without_zeros(&amount.to_string())
}

/// Of a CU, in credits, as precisely as needed.
pub fn price(price: PricePerCu) -> String {
    without_zeros(&price.to_string())
}

fn without_zeros(decimal: &str) -> String {
    decimal.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Floating-point operations with a unit.
pub fn flops(value: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TFLOP"), (1_000_000_000, "GFLOP"), (1_000_000, "MFLOP"), (1_000, "kFLOP")];
    let Some((scale, unit)) = UNITS.iter().find(|(scale, _)| value >= *scale) else {
        return format!("{value} FLOP");
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
        return format!("{}.{} PFLOP", count(tenths / 10), tenths % 10);
    }
    flops(value.saturating_mul(1000))
}

/// Operations of a receipt, in thousands; a dash where none were settled.
pub fn work(kflop_settled: u64) -> String {
    if kflop_settled == 0 { "–".to_owned() } else { kflop(kflop_settled) }
}

/// Operations a second; a dash where none was measured.
pub fn speed(flops_per_sec: u64) -> String {
    if flops_per_sec == 0 { "–".to_owned() } else { format!("{}/s", flops(flops_per_sec)) }
}

/// Integer operations a second, which are no `FLOP`.
pub fn ops_per_sec(ops: u64) -> String {
    format!("{}/s", flops(ops).replace("FLOP", "OP"))
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

/// `2026-11-22T18:40:07Z`.
pub fn iso8601(time: Micros) -> String {
    utc(time).replacen(' ', "T", 1).replace(" UTC", "Z")
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

/// Time between two moments, in seconds with one decimal.
pub fn seconds(from: Micros, to: Micros) -> String {
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
            [0, 225, 99_999_775, 100_000_000].map(|micros| credits(Credits::from_micros(micros))),
            ["0", "0.000225", "99.999775", "100"]
        );
        assert_eq!(
            [flops(12), flops(151_000), flops(271_480_000), flops(2_050_000_000_000)],
            ["12 FLOP", "151.0 kFLOP", "271.4 MFLOP", "2.0 TFLOP"]
        );
        assert_eq!([work(0), work(2_050)], ["–", "2.0 MFLOP"], "a receipt that is not settled has done no zero work");
        assert_eq!([kflop(0), kflop(2_050), kflop(3_400_000_000_000)], ["0 FLOP", "2.0 MFLOP", "3.4 PFLOP"]);
        assert_eq!([speed(0), speed(1_500_000_000), percent(1234)], ["–", "1.5 GFLOP/s", "12.3 %"]);
    }

    #[test]
    fn moments_read_as_civil_time() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_827_696_000_000), "2000-02-29 12:34:56 UTC");
        assert_eq!(utc(1_795_372_807_000_000), "2026-11-22 18:40:07 UTC");
        assert_eq!(iso8601(1_795_372_807_000_000), "2026-11-22T18:40:07Z");
        assert_eq!(seconds(1_000_000, 3_450_000), "2.4 s");
        assert_eq!(
            [4, 60, 65, 700, 7_200, 11_100].map(duration),
            ["4 s", "1 min", "1 min 5 s", "11 min", "2 h", "3 h 5 min"]
        );
    }
}
