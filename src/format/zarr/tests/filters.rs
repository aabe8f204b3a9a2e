//! Filters of numbers beyond what the fixtures hold: what is refused, and where numpy's answer is not one.

use serde_json::{Map, Value, json};

use crate::error::Kind;
use crate::format::zarr::filter::Filter;
use crate::format::zarr::number::{Number, NumberKind, NumberType};

fn configuration(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn types_are_read_as_numpy_reads_them() {
    let rows = [
        ("<i4", Some((NumberKind::Signed, 4, false))),
        (">u2", Some((NumberKind::Unsigned, 2, true))),
        ("|u1", Some((NumberKind::Unsigned, 1, false))),
        (">i1", Some((NumberKind::Signed, 1, false))),
        ("f8", Some((NumberKind::Float, 8, false))),
        ("float16", Some((NumberKind::Float, 2, false))),
        ("uint64", Some((NumberKind::Unsigned, 8, false))),
        ("<f1", None),
        ("<f16", None),
        ("<c8", None),
        ("bool", None),
        ("<U4", None),
        ("", None),
        ("é4", None),
        ("int99999999999999999999", None),
    ];
    for (text, expected) in rows {
        let found = NumberType::parse(text).ok().map(|kind| (kind.kind, kind.size, kind.big_endian));
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_float_that_is_no_integer_of_the_type_is_an_error() {
    let byte = NumberType::parse("|u1").unwrap();
    let long = NumberType::parse("<i8").unwrap();
    let rows = [
        (byte, 255.9, Some(vec![255])),
        (byte, -0.9, Some(vec![0])),
        (byte, 256.0, None),
        (byte, -1.0, None),
        (byte, f64::NAN, None),
        (byte, f64::INFINITY, None),
        (long, -9.3e18, None),
        (long, 9_223_372_036_854_775_808.0, None),
        (long, -9_223_372_036_854_775_808.0, Some(i64::MIN.to_le_bytes().to_vec())),
    ];
    for (kind, value, expected) in rows {
        let mut bytes = Vec::new();
        match (kind.write(Number::Float(value), &mut bytes), expected) {
            (Ok(()), Some(expected)) => assert_eq!(bytes, expected, "{value}"),
            (Err(error), None) => assert_eq!(error.kind(), Kind::DataLoss, "{value}"),
            (found, expected) => panic!("{value}: {found:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn lengths_that_do_not_fit_are_errors() {
    let astype = Filter::of("astype", &configuration(json!({"encode_dtype": "<i2", "decode_dtype": "<i4"})), "");
    let astype = astype.unwrap().unwrap();
    assert_eq!(astype.decode(&[1, 0, 255, 255], 8).unwrap(), [1, 0, 0, 0, 255, 255, 255, 255]);
    let bits = Filter::of("packbits", &Map::new(), "").unwrap().unwrap();
    assert_eq!(bits.decode(&[6, 0b1010_0000, 0b1100_0000], 10).unwrap(), [1, 0, 1, 0, 0, 0, 0, 0, 1, 1]);
    let rows: [(&Filter, &[u8], u64); 6] = [
        (&astype, &[1, 0, 2], 8),
        (&astype, &[1, 0, 2, 0], 7),
        (&bits, &[], 8),
        (&bits, &[8, 0], 8),
        (&bits, &[1], 8),
        (&bits, &[0, 1, 1], 15),
    ];
    for (filter, bytes, limit) in rows {
        assert_eq!(filter.decode(bytes, limit).unwrap_err().kind(), Kind::DataLoss, "{filter:?} {bytes:?}");
    }
}

#[test]
fn a_delta_of_floats_for_integers_is_refused() {
    let error = Filter::of("delta", &configuration(json!({"dtype": "<i4", "astype": "<f4"})), "").unwrap_err();
    assert_eq!(error.kind(), Kind::Unimplemented);
    assert!(error.message().contains("'delta'"), "{error:?}");
}
