//! The digest that LaminDB recorded, against the ETag that the store gives. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::model::artifact::Recorded;

/// The digest that the ETag stands for, when it differs from the recorded one; none when they agree or say
/// different things: only the ETags of S3 are digests, of one upload or of its parts.
pub(super) fn other_digest(recorded: &Recorded, url: &str, etag: &str) -> Option<String> {
    let (hash, made) = (recorded.hash.as_deref()?, recorded.hash_type.as_deref()?);
    let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"');
    let (hexadecimal, parts) = etag.split_once('-').map_or((etag, None), |(digest, parts)| (digest, Some(parts)));
    let same_making = match made.strip_prefix("md5") {
        Some("") => parts.is_none(),
        Some(end) => parts.is_some_and(|parts| end.strip_prefix('-') == Some(parts)),
        None => false,
    };
    if !url.starts_with("s3://") || !same_making {
        return None;
    }
    let found = URL_SAFE_NO_PAD.encode(bytes_of(hexadecimal)?);
    (found != hash.trim_end_matches('=')).then_some(found)
}

fn bytes_of(hexadecimal: &str) -> Option<Vec<u8>> {
    if hexadecimal.len() != 32 || !hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..16).map(|at| u8::from_str_radix(hexadecimal.get(2 * at..2 * at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lamindb 2.12.1 recorded for the notebook's file, and the MD5 of its bytes.
    const HASH: &str = "8wRXf-S7ryyoLmrNTImo6Q";
    const MD5: &str = "f304577fe4bbaf2ca82e6acd4c89a8e9";

    #[test]
    fn digests_are_compared_where_they_are_the_same_thing() {
        let zeros = "00000000000000000000000000000000";
        let rows = [
            ("md5", format!("\"{MD5}\""), None),
            ("md5", format!("\"{zeros}\""), Some("AAAAAAAAAAAAAAAAAAAAAA")),
            // An upload in parts has no digest of its bytes.
            ("md5", format!("\"{zeros}-3\""), None),
            ("md5-3", format!("\"{MD5}-3\""), None),
            ("md5-3", format!("\"{zeros}-3\""), Some("AAAAAAAAAAAAAAAAAAAAAA")),
            ("md5-3", format!("\"{zeros}-2\""), None),
            ("md5-d", format!("\"{zeros}\""), None),
            ("sha1-fl", format!("\"{zeros}\""), None),
            ("md5", "\"5b-1a2\"".to_owned(), None),
        ];
        for (made, etag, expected) in rows {
            let recorded = Recorded { hash: Some(HASH.into()), hash_type: Some(made.into()), ..Recorded::default() };
            assert_eq!(other_digest(&recorded, "s3://b/k", &etag).as_deref(), expected, "{made} {etag}");
            assert_eq!(other_digest(&recorded, "file:///k", &etag), None);
        }
    }
}
