//! Moments of time that a request names.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Timelike};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// A moment, counted in microseconds since 1970 in UTC. As JSON an RFC 3339 text with its offset
/// (`2026-11-22T08:00:00Z`), or a date, which means its first moment in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(i64);

impl Moment {
    /// Reads a moment; what is finer than a microsecond counts as the next microsecond.
    ///
    /// # Errors
    /// `InvalidArgument` for anything else than RFC 3339 or a date, and outside the years 0 to 9999.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!("expected a date (2026-11-22) or RFC 3339 (2026-11-22T08:00:00Z), found {text:?}"))
        };
        // The form is fixed: what chrono takes beyond it (signs, one digit) is refused.
        if !text.bytes().take(4).all(|byte| byte.is_ascii_digit()) || text.len() < 10 {
            return Err(wrong());
        }
        let moment = match text.len() {
            10 => NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| wrong())?.and_time(NaiveTime::MIN).and_utc(),
            _ => DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?.to_utc(),
        };
        let finer = i64::from(moment.nanosecond() % 1000 != 0);
        Ok(Self(moment.timestamp_micros() + finer))
    }

    /// Microseconds since 1970 in UTC.
    pub fn microseconds(self) -> i64 {
        self.0
    }

    /// The moment as `2026-11-22T08:00:00.000Z`: what is finer than a millisecond counts as the next
    /// millisecond. Such texts sort as the moments do, and of times that are whole milliseconds just those
    /// from (or before) the moment are from (or before) the text.
    pub fn to_milliseconds(self) -> String {
        self.to_text(self.0.div_euclid(1000) + i64::from(self.0.rem_euclid(1000) != 0), SecondsFormat::Millis)
    }

    fn to_text(self, milliseconds: i64, format: SecondsFormat) -> String {
        let moment = match format {
            SecondsFormat::Millis => DateTime::from_timestamp_millis(milliseconds),
            _ => DateTime::from_timestamp_micros(self.0),
        };
        moment.map(|moment| moment.to_rfc3339_opts(format, true)).unwrap_or_default()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_text(0, SecondsFormat::Micros))
    }
}

impl TryFrom<String> for Moment {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}
