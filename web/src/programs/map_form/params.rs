//! Parameters as they are typed: a number a word of four bytes.

use crate::programs::typed::to_f32;

/// Numbers with a point, an exponent or an `f` at their end are float32; below zero or with an `i` they are int32; all
/// others, `0x…` among them, are uint32. What is between them (spaces, commas, lines) does not matter. The number that
/// is none, where there is one.
pub(super) fn parse(text: &str) -> Result<Vec<u8>, String> {
    let numbers = text.split(|c: char| c.is_whitespace() || c == ',' || c == ';').filter(|number| !number.is_empty());
    let words = numbers.map(|number| word(number).ok_or_else(|| number.to_owned()));
    Ok(words.collect::<Result<Vec<[u8; 4]>, String>>()?.concat())
}

fn word(number: &str) -> Option<[u8; 4]> {
    if let Some(digits) = number.strip_prefix("0x") {
        return Some(u32::from_str_radix(digits.trim_end_matches('u'), 16).ok()?.to_le_bytes());
    }
    if let Some(digits) = number.strip_suffix('u') {
        return Some(digits.parse::<u32>().ok()?.to_le_bytes());
    }
    if let Some(digits) = number.strip_suffix('i') {
        return Some(digits.parse::<i32>().ok()?.to_le_bytes());
    }
    let (digits, is_float) = match number.strip_suffix('f') {
        Some(digits) => (digits, true),
        None => (number, number.contains(['.', 'e', 'E'])),
    };
    if is_float {
        // Parsed as f64, like the calculator's numbers: a second decimal parser would add kilobytes to the bundle.
        let value = to_f32(digits.parse::<f64>().ok()?);
        return value.is_finite().then(|| value.to_le_bytes());
    }
    if digits.starts_with('-') {
        return Some(digits.parse::<i32>().ok()?.to_le_bytes());
    }
    Some(digits.parse::<u32>().ok()?.to_le_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_says_by_its_look_what_it_is() {
        let bytes = parse("1, 2u\n-3 4i 0x1F\t0.5;1e3 7f").unwrap();

        let words: Vec<[u8; 4]> = bytes.as_chunks::<4>().0.to_vec();
        let integers = [1u32, 2].map(u32::to_le_bytes).into_iter().chain([-3i32, 4].map(i32::to_le_bytes));
        let all = integers.chain([31u32.to_le_bytes()]).chain([0.5f32, 1e3, 7.0].map(f32::to_le_bytes));
        assert_eq!(words, all.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_number_is_said() {
        for (text, wrong) in
            [("1 two 3", "two"), ("-1u", "-1u"), ("4294967296", "4294967296"), ("1e99", "1e99"), ("0x", "0x")]
        {
            assert_eq!(parse(text), Err(wrong.to_owned()));
        }
        assert_eq!(parse(" \n"), Ok(Vec::new()));
    }
}
