//! Steps of time in which moments and durations are counted (numpy's `datetime64`, `timedelta64`).

use serde::{Deserialize, Serialize};

/// A number of units: `10us` counts in steps of ten microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeStep {
    /// Units of one step, at least 1.
    pub count: u32,
    /// The unit.
    pub unit: TimeUnit,
}

/// Units of fixed length. Years and months have none; shorter units than nanoseconds have no Arrow type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Seven days.
    Week,
    /// 24 hours.
    Day,
    /// 60 minutes.
    Hour,
    /// 60 seconds.
    Minute,
    /// One second.
    Second,
    /// 10⁻³ s.
    Millisecond,
    /// 10⁻⁶ s.
    Microsecond,
    /// 10⁻⁹ s.
    Nanosecond,
}

/// What stands for no moment and no duration (numpy's NaT).
pub const NOT_A_TIME: i64 = i64::MIN;

const UNITS: [(&str, TimeUnit); 8] = [
    ("W", TimeUnit::Week),
    ("D", TimeUnit::Day),
    ("h", TimeUnit::Hour),
    ("m", TimeUnit::Minute),
    ("s", TimeUnit::Second),
    ("ms", TimeUnit::Millisecond),
    ("us", TimeUnit::Microsecond),
    ("ns", TimeUnit::Nanosecond),
];

impl TimeStep {
    /// `count` of the unit that numpy calls `unit`; `None` for a unit that is not served.
    pub fn new(count: u64, unit: &str) -> Option<Self> {
        let count = u32::try_from(count).ok().filter(|count| *count > 0)?;
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == unit)?;
        Some(Self { count, unit: *unit })
    }

    /// The step in numpy's brackets: `ns`, `10us`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (count, unit) = text.split_at_checked(digits)?;
        Self::new(if count.is_empty() { 1 } else { count.parse().ok()? }, unit)
    }

    /// The step as numpy writes it.
    pub fn name(&self) -> String {
        let unit = UNITS.iter().find(|(_, unit)| *unit == self.unit).map_or("", |(name, _)| *name);
        if self.count == 1 { unit.to_owned() } else { format!("{}{unit}", self.count) }
    }
}

#[cfg(test)]
mod tests {
    use super::{TimeStep, TimeUnit};

    #[test]
    fn steps_are_read_as_numpy_writes_them() {
        let step = |count, unit| Some(TimeStep { count, unit });
        let rows = [
            ("ns", step(1, TimeUnit::Nanosecond)),
            ("10us", step(10, TimeUnit::Microsecond)),
            ("W", step(1, TimeUnit::Week)),
            ("M", None),
            ("ps", None),
            ("0s", None),
            ("", None),
            ("99999999999s", None),
        ];
        for (text, expected) in rows {
            assert_eq!(TimeStep::parse(text), expected, "{text}");
            if let Some(step) = expected {
                assert_eq!(step.name(), text);
            }
        }
    }
}
