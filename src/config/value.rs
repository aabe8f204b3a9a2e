//! Values of the configuration: sizes, durations, counts, booleans and texts.

use std::time::Duration;

/// A value as its layer gives it: typed in the file, a text in the environment and on the command line.
#[derive(Clone, Debug)]
pub(super) enum Raw {
    Text(String),
    Integer(i64),
    Boolean(bool),
}

const SIZE_UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

const TIME_UNITS: [(&str, u64); 4] = [("MS", 1), ("S", 1_000), ("M", 60_000), ("H", 3_600_000)];

impl Raw {
    /// A number of bytes: `64 MiB`, `2MiB`, `1000000`.
    pub(super) fn size(&self) -> Result<u64, String> {
        let expected = "a size such as '64 MiB' or 1000000";
        match self {
            Self::Integer(number) => u64::try_from(*number).map_err(|_| self.wrong(expected)),
            Self::Text(text) => with_unit(text, &SIZE_UNITS, Some(1)).ok_or_else(|| self.wrong(expected)),
            Self::Boolean(_) => Err(self.wrong(expected)),
        }
    }

    /// A time: `30s`, `100 ms`, `5m`, `1h`. A bare number has no unit and is refused.
    pub(super) fn duration(&self) -> Result<Duration, String> {
        let expected = "a time such as '30s' or '100ms'";
        match self {
            Self::Text(text) => {
                with_unit(text, &TIME_UNITS, None).map(Duration::from_millis).ok_or_else(|| self.wrong(expected))
            }
            _ => Err(self.wrong(expected)),
        }
    }

    /// A whole number of at least `minimum`.
    pub(super) fn count(&self, minimum: u64) -> Result<u64, String> {
        let number = match self {
            Self::Integer(number) => u64::try_from(*number).ok(),
            Self::Text(text) => text.trim().parse().ok(),
            Self::Boolean(_) => None,
        };
        number
            .filter(|number| *number >= minimum)
            .ok_or_else(|| self.wrong(&format!("a whole number of at least {minimum}")))
    }

    pub(super) fn boolean(&self) -> Result<bool, String> {
        match self {
            Self::Boolean(flag) => Ok(*flag),
            Self::Text(text) if text == "true" => Ok(true),
            Self::Text(text) if text == "false" => Ok(false),
            _ => Err(self.wrong("true or false")),
        }
    }

    pub(super) fn text(&self) -> Result<String, String> {
        match self {
            Self::Text(text) if !text.is_empty() => Ok(text.clone()),
            _ => Err(self.wrong("a text that is not empty")),
        }
    }

    fn wrong(&self, expected: &str) -> String {
        match self {
            Self::Text(text) => format!("expected {expected}, found '{text}'"),
            Self::Integer(number) => format!("expected {expected}, found {number}"),
            Self::Boolean(flag) => format!("expected {expected}, found {flag}"),
        }
    }
}

/// A whole number times its unit; a bare number takes `bare`, and is refused without.
fn with_unit(text: &str, units: &[(&str, u64)], bare: Option<u64>) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim().to_ascii_uppercase();
    let factor = match units.iter().find(|(name, _)| *name == unit) {
        Some((_, factor)) => *factor,
        None if unit.is_empty() => bare?,
        None => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
