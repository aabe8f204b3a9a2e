//! Names of artifacts that never change: 16 random base62 characters, then 4 that count versions.

use crate::error::{Error, Result};

/// Characters of the random part.
pub(crate) const STEM: usize = 16;
/// Characters of the version.
pub(crate) const SUFFIX: usize = 4;
/// Digits in order of value.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// First version number that has no suffix: 62⁴.
const VERSIONS: u32 = 62 * 62 * 62 * 62;

/// A new random stem.
pub(crate) fn new_stem() -> Result<String> {
    let mut stem = String::with_capacity(STEM);
    while stem.len() < STEM {
        let mut random = [0_u8; 2 * STEM];
        getrandom::fill(&mut random).map_err(|error| Error::internal("no random numbers").with_source(error))?;
        // 248 = 4 · 62: what lies above would make the first digits more likely.
        let digits = random.iter().filter(|byte| **byte < 248).filter_map(|byte| DIGITS.get(usize::from(byte % 62)));
        stem.extend(digits.take(STEM - stem.len()).map(|digit| char::from(*digit)));
    }
    Ok(stem)
}

/// The four characters of a version number, most significant first.
pub(crate) fn suffix_of(version: u32) -> Result<String> {
    if version >= VERSIONS {
        return Err(Error::resource_exhausted(format!("version {version} exceeds the limit of {VERSIONS} versions")));
    }
    let digit = |power: u32| DIGITS.get(((version / 62_u32.pow(power)) % 62) as usize).map_or('0', |d| char::from(*d));
    Ok([digit(3), digit(2), digit(1), digit(0)].iter().collect())
}

/// The version number that a request names: four base62 characters as in a uid, else a decimal number.
pub(crate) fn version_of(text: &str) -> Result<u32> {
    let refuse = || Error::invalid(format!("expected a version as 4 base62 characters or a number, found {text:?}"));
    if text.len() != SUFFIX {
        return text.parse().map_err(|_| refuse());
    }
    text.bytes().try_fold(0_u32, |sum, byte| {
        let digit = DIGITS.iter().position(|digit| *digit == byte).ok_or_else(refuse)?;
        Ok(sum * 62 + u32::try_from(digit).map_err(|_| refuse())?)
    })
}

/// Whether the text can be a uid or the start of one.
pub(crate) fn is_prefix(text: &str) -> bool {
    (1..=STEM + SUFFIX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_suffixes_are_each_others_inverse() {
        let known = [(0, "0000"), (1, "0001"), (9, "0009"), (10, "000A"), (35, "000Z"), (36, "000a"), (61, "000z")];
        for (version, suffix) in known.into_iter().chain([(62, "0010"), (VERSIONS - 1, "zzzz")]) {
            assert_eq!(suffix_of(version).unwrap(), suffix);
            assert_eq!(version_of(suffix).unwrap(), version);
        }
        assert!(suffix_of(VERSIONS).is_err());
        assert_eq!(version_of("12").unwrap(), 12);
        assert!(version_of("00-1").is_err() && version_of("").is_err() && version_of("ä00").is_err());
    }

    #[test]
    fn stems_are_base62_and_differ() {
        let stems: std::collections::HashSet<_> = (0..200).map(|_| new_stem().unwrap()).collect();
        assert_eq!(stems.len(), 200);
        assert!(stems.iter().all(|stem| stem.len() == STEM && is_prefix(stem)));
    }
}
