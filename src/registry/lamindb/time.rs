//! Moments as databases write them, as RFC 3339 in UTC with six digits: texts that sort by time. Pure.

/// `2026-11-22T06:11:58.475000Z` of `2026-11-22 06:11:58.475`, with `T` or a space, up to nine digits of a second
/// or none, and `Z`, `+00`, `+00:00` or nothing at its end; a text of another form stays as it is.
pub(super) fn rfc3339(text: &str) -> String {
    normalized(text.trim()).unwrap_or_else(|| text.to_owned())
}

fn normalized(text: &str) -> Option<String> {
    let plain = ["Z", "+00:00", "+00"].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    let (date, time) = plain.split_at_checked(10)?;
    let time = time.strip_prefix(['T', ' '])?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let shaped = has_shape(date, "0000-00-00") && has_shape(clock, "00:00:00");
    if !shaped || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let micros: String = fraction.chars().chain(std::iter::repeat('0')).take(6).collect();
    Some(format!("{date}T{clock}.{micros}Z"))
}

/// Whether the text has digits where the shape has `0`, and else the same characters.
fn has_shape(text: &str, shape: &str) -> bool {
    let same = |(byte, shape): (u8, u8)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn all_forms_become_one() {
        let rows = [
            ("2026-11-22 06:11:58.475", "2026-11-22T06:11:58.475000Z"),
            ("2026-11-22 06:11:58.475001", "2026-11-22T06:11:58.475001Z"),
            ("2026-11-22 06:11:58+00", "2026-11-22T06:11:58.000000Z"),
            ("2026-11-22T06:11:58.5Z", "2026-11-22T06:11:58.500000Z"),
            ("2026-11-22 06:11:58.475+00:00", "2026-11-22T06:11:58.475000Z"),
            ("2026-11-22 06:11", "2026-11-22 06:11"),
            ("2026-11-22 06:11:58+02", "2026-11-22 06:11:58+02"),
            ("yesterday", "yesterday"),
            ("äääääääääääääääääää", "äääääääääääääääääää"),
        ];
        for (text, expected) in rows {
            assert_eq!(rfc3339(text), expected);
        }
    }
}
