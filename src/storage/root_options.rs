//! Options that every remote root may have: its own patience and its own bound of requests. What is left belongs to
//! the kind of store.

use std::collections::BTreeMap;
use std::time::Duration;

use super::options::StorageOptions;
use crate::error::{Error, Result};

/// Most requests in flight that a root may ask for.
const MOST_IN_FLIGHT: usize = 4096;

/// The options of one root, sorted out.
pub(crate) struct RootOptions {
    /// The bounds of all storages with those that the root has of its own.
    pub(crate) options: StorageOptions,
    /// Most requests to this root in flight, besides the bound of all.
    pub(crate) requests_in_flight: Option<usize>,
    /// The options of the kind of store.
    pub(crate) store: BTreeMap<String, String>,
}

impl RootOptions {
    /// Takes the common options out of those given for the root at `url`.
    ///
    /// # Errors
    /// `InvalidArgument` naming an option with a bad value.
    pub(crate) fn of(given: &BTreeMap<String, String>, url: &str, common: &StorageOptions) -> Result<Self> {
        let mut found = Self { options: common.clone(), requests_in_flight: None, store: BTreeMap::new() };
        for (name, value) in given {
            let refuse = |expected: &str| Error::invalid(format!("storage option {name} of {url} must be {expected}"));
            let time = || duration(value).ok_or_else(|| refuse("a time such as 500ms, 30s or 2m"));
            let number = |most: usize| {
                value
                    .parse::<usize>()
                    .ok()
                    .filter(|number| *number <= most)
                    .ok_or_else(|| refuse(&format!("at most {most}")))
            };
            match name.as_str() {
                "connect_timeout" => found.options.connect_timeout = time()?,
                "request_timeout" => found.options.request_timeout = time()?,
                "retry_timeout" => found.options.retry.total_time = time()?,
                "retry_attempts" => found.options.retry.max_retries = u32::try_from(number(1000)?).unwrap_or(u32::MAX),
                "requests_in_flight" => match number(MOST_IN_FLIGHT)? {
                    0 => return Err(refuse("at least 1")),
                    most => found.requests_in_flight = Some(most),
                },
                _ => drop(found.store.insert(name.clone(), value.clone())),
            }
        }
        Ok(found)
    }
}

/// A time that is not zero, as the configuration writes it.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.trim().parse().ok().filter(|number| *number > 0)?;
    match text.get(digits.len()..)? {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_options_are_taken_and_others_left() {
        let given =
            [("request_timeout", "1500ms"), ("retry_attempts", "2"), ("requests_in_flight", "3"), ("token", "x")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let found = RootOptions::of(&given, "https://host", &StorageOptions::default()).unwrap();
        assert_eq!(found.options.request_timeout, Duration::from_millis(1500));
        assert_eq!((found.options.retry.max_retries, found.requests_in_flight), (2, Some(3)));
        assert_eq!(found.store.into_keys().collect::<Vec<_>>(), ["token"]);
    }

    #[test]
    fn bad_values_are_named_and_not_shown() {
        for (name, value) in [
            ("request_timeout", "0s"),
            ("request_timeout", "10"),
            ("retry_timeout", "1h"),
            ("connect_timeout", "-1s"),
            ("requests_in_flight", "0"),
            ("requests_in_flight", "100000"),
            ("retry_attempts", "many"),
        ] {
            let given = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            let error = RootOptions::of(&given, "s3://b", &StorageOptions::default()).err().unwrap();
            assert!(error.message().contains(name) && !error.message().contains(&format!(" {value}")), "{error}");
        }
    }
}
