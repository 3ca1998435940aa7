//! What a file that is downloaded is called.

/// Of a file's name, which may have an ending besides.
const NAME_CHARS_MAX: usize = 80;

/// The name in what every system takes for one; `None` where nothing is left of it.
pub fn plain_name(name: &str) -> Option<String> {
    let is_fine = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '(' | ')' | ' ');
    let name: String = name.chars().map(|c| if is_fine(c) { c } else { '_' }).take(NAME_CHARS_MAX).collect();
    // A hidden file, or one that ends in a dot, is what nobody wants.
    let name = name.trim_matches(|c: char| c == '.' || c == ' ' || c == '_');
    (!name.is_empty()).then(|| name.to_owned())
}

/// `Content-Disposition` of a file to be saved by its name as it is, and for what does not read that, in ASCII (RFC 6266).
pub fn attachment(name: &str) -> String {
    let ascii: String = name.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let plain = format!("attachment; filename=\"{ascii}\"");
    if name.is_ascii() {
        return plain;
    }
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let escape = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    format!("{plain}; filename*=UTF-8''{}", name.bytes().map(escape).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_called_by_its_name() {
        assert_eq!(attachment("Photos of November.npy"), "attachment; filename=\"Photos of November.npy\"");
        assert_eq!(
            attachment("照片 1.csv"),
            "attachment; filename=\"__ 1.csv\"; filename*=UTF-8''%E7%85%A7%E7%89%87%201.csv"
        );
    }

    #[test]
    fn a_name_is_a_files_and_nothing_else() {
        assert_eq!(plain_name("x\"; filename=y\r\n.html").as_deref(), Some("x__ filename_y__.html"));
        assert_eq!(plain_name("../../etc/passwd").as_deref(), Some("etc_passwd"));
        assert_eq!(plain_name("._ ."), None);
        assert_eq!(plain_name(&"é".repeat(100)).map(|name| name.chars().count()), Some(80));
    }
}
