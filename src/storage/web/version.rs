//! What tells versions of an object at a web server apart, as one text: its ETag; without one
//! `last-modified: <date>`; without that, and only where the option `pin_by_size` says so, `size: <bytes>`.
//!
//! The text is compared with that of every answer. What a server can compare goes with the request too: a strong ETag as
//! If-Match (RFC 9110, 13.1.1: a weak one never matches), a date as If-Unmodified-Since.

use chrono::{DateTime, Utc};
use http::header::{DATE, ETAG, IF_MATCH, IF_UNMODIFIED_SINCE, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue};

const MODIFIED: &str = "last-modified: ";
const SIZE: &str = "size: ";

/// The version of the object of `size` bytes that an answer with these headers is of.
pub(crate) fn of(headers: &HeaderMap, size: u64, pin_by_size: bool) -> Option<String> {
    if let Some(tag) = text(headers, &ETAG) {
        return Some(tag.to_owned());
    }
    if let Some(date) = text(headers, &LAST_MODIFIED)
        && date_of(date).is_some()
    {
        return Some(format!("{MODIFIED}{date}"));
    }
    pin_by_size.then(|| format!("{SIZE}{size}"))
}

/// The condition that the object still is `version`, for servers that can tell.
pub(crate) fn condition(version: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = match version.strip_prefix(MODIFIED) {
        Some(date) => (IF_UNMODIFIED_SINCE, date),
        None if version.starts_with(SIZE) || version.starts_with("W/") => return None,
        None => (IF_MATCH, version),
    };
    Some((name, HeaderValue::from_str(value).ok()?))
}

/// Whether the version is a date so fresh that the object may still change within the same second, unnoticed
/// (RFC 9110, 8.8.2.2).
pub(crate) fn is_fresh(version: &str, headers: &HeaderMap) -> bool {
    let modified = version.strip_prefix(MODIFIED).and_then(date_of);
    let now = text(headers, &DATE).and_then(date_of);
    matches!((modified, now), (Some(modified), Some(now)) if (now - modified).num_seconds() < 1)
}

/// When the object was modified; the beginning of time where the server does not say.
pub(crate) fn modified(headers: &HeaderMap) -> DateTime<Utc> {
    text(headers, &LAST_MODIFIED).and_then(date_of).unwrap_or_default()
}

/// A header as text, when it is there and not empty.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())
}

fn date_of(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text).ok().map(|date| date.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    #[test]
    fn the_best_that_a_server_gives_is_the_version() {
        let modified = format!("last-modified: {DAY}");
        for (given, by_size, expected) in [
            (headers(&[(ETAG, "\"a\""), (LAST_MODIFIED, DAY)]), false, Some("\"a\"")),
            (headers(&[(ETAG, "W/\"a\"")]), false, Some("W/\"a\"")),
            (headers(&[(ETAG, ""), (LAST_MODIFIED, DAY)]), true, Some(modified.as_str())),
            (headers(&[(LAST_MODIFIED, "yesterday")]), false, None),
            (headers(&[(LAST_MODIFIED, "yesterday")]), true, Some("size: 7")),
            (headers(&[]), false, None),
        ] {
            assert_eq!(of(&given, 7, by_size).as_deref(), expected, "{given:?}");
        }
    }

    #[test]
    fn only_what_a_server_can_compare_is_sent() {
        let sent = |version: &str| condition(version).map(|(name, value)| (name, value.to_str().unwrap().to_owned()));
        assert_eq!(sent("\"a\""), Some((IF_MATCH, "\"a\"".to_owned())));
        assert_eq!(sent(&format!("last-modified: {DAY}")), Some((IF_UNMODIFIED_SINCE, DAY.to_owned())));
        assert_eq!((sent("W/\"a\""), sent("size: 7")), (None, None));
    }

    #[test]
    fn a_date_of_this_very_second_is_no_version_yet() {
        let version = format!("last-modified: {DAY}");
        let at = |date: &str| is_fresh(&version, &headers(&[(DATE, date)]));
        assert!(at(DAY) && at("Sun, 06 Nov 1994 08:49:36 GMT"));
        assert!(
            !at("Sun, 06 Nov 1994 08:49:38 GMT")
                && !is_fresh(&version, &headers(&[]))
                && !is_fresh("\"a\"", &headers(&[(DATE, DAY)]))
        );
    }
}
