//! Messages that h5py does not write, by hand from the format specification.

use bytes::Bytes;
use proptest::prelude::*;

use super::parse;
use crate::error::{Kind, Result};
use crate::format::hdf5::stored_type::{Narrow, StoredType, Swap};
use crate::model::data_type::DataType;

/// Head of a message: class, version, flags, size.
fn head(class: u8, version: u8, flags: u32, size: u32) -> Vec<u8> {
    let first = u32::from(class) | u32::from(version) << 4 | flags << 8;
    [first.to_le_bytes(), size.to_le_bytes()].concat()
}

fn integer(size: u32, big_endian: bool, offset: u16, precision: u16) -> Vec<u8> {
    let mut message = head(0, 1, 8 | u32::from(big_endian), size);
    message.extend_from_slice(&offset.to_le_bytes());
    message.extend_from_slice(&precision.to_le_bytes());
    message
}

fn double(flags: u32, fields: [u8; 4], bias: u32) -> Vec<u8> {
    let mut message = head(1, 1, flags, 8);
    message.extend_from_slice(&[0, 0, 64, 0]);
    message.extend_from_slice(&fields);
    message.extend_from_slice(&bias.to_le_bytes());
    message
}

fn parsed(message: Vec<u8>) -> Result<DataType> {
    parse(Bytes::from(message)).map(|stored| stored.data_type())
}

fn description(message: Vec<u8>) -> String {
    match parsed(message) {
        Ok(DataType::Unsupported { description, .. }) => description,
        other => panic!("{other:?}"),
    }
}

#[test]
fn numbers_of_other_layouts_are_refused() {
    assert_eq!(parsed(integer(4, false, 0, 32)).unwrap(), DataType::Int32);
    let packed = parse(Bytes::from(integer(4, false, 3, 29))).unwrap();
    assert_eq!(packed.data_type(), DataType::Int32);
    let narrow = Narrow { offset: 0, width: 4, count: 1, shift: 3, bits: 29, signed: true };
    assert_eq!(packed.narrows().unwrap(), [narrow]);
    assert_eq!(description(integer(4, false, 4, 29)), "integer of 29 bits at bit 4 of 4 bytes");
    assert_eq!(parsed(integer(3, true, 0, 24)).unwrap(), DataType::Int32);
    assert_eq!(parsed(integer(6, true, 5, 40)).unwrap(), DataType::Int64);
    assert_eq!(description(integer(3, true, 5, 20)), "integer of 20 bits at bit 5 of 3 bytes");
    let array = [head(10, 3, 0, 6), vec![1, 2, 0, 0, 0], integer(3, true, 0, 24)].concat();
    assert_eq!(description(array), "integer of 24 bits at bit 0 of 3 bytes in another type");
    assert_eq!(description(integer(16, false, 0, 128)), "integer of 128 bits at bit 0 of 16 bytes");
    let (ieee, sign) = ([52, 11, 0, 52], 63 << 8);
    assert_eq!(parsed(double(0x20 | sign, ieee, 1023)).unwrap(), DataType::Float64);
    for other in [
        double(0x20 | sign, ieee, 1024),
        double(sign, ieee, 1023),
        double(0x61 | sign, ieee, 1023),
        double(0x20, ieee, 1023),
        double(0x20 | sign, [50, 13, 0, 50], 1023),
    ] {
        assert!(description(other).starts_with("float of 8 bytes"));
    }
    let bits = |precision: u8| [head(4, 1, 1, 2), vec![0, 0, precision, 0]].concat();
    assert_eq!(parsed(bits(16)).unwrap(), DataType::UInt16);
    assert_eq!(parsed(bits(9)).unwrap(), DataType::UInt16);
    assert_eq!(description(bits(17)), "bit field of 17 bits at bit 0 of 2 bytes");
    assert_eq!(description([head(2, 1, 0, 4), vec![0; 2]].concat()), "time");
    assert_eq!(description(head(7, 1, 1, 12)), "region reference");
    assert_eq!(description([head(12, 5, 0, 16), vec![0; 20]].concat()), "datatype class 12");
}

/// As HDF5 2.0.0 encodes them.
#[test]
fn complex_numbers_are_two_floats() {
    let (ieee, sign) = ([52, 11, 0, 52], 63 << 8);
    let base = double(0x21 | sign, ieee, 1023);
    let complex = |flags, size| [head(11, 5, flags, size), base.clone()].concat();
    let stored = parse(Bytes::from(complex(1, 16))).unwrap();
    assert_eq!(stored.data_type().name(), "complex128");
    let swap = |offset| Swap { offset, width: 8, count: 1 };
    assert_eq!(stored.swaps().unwrap(), [swap(0), swap(8)]);
    assert_eq!(description(complex(3, 16)), "complex number of float64");
    assert_eq!(description(complex(1, 24)), "complex number of float64");
    let of_integers = [head(11, 5, 1, 8), integer(4, false, 0, 32)].concat();
    assert_eq!(description(of_integers), "complex number of int32");
}

#[test]
fn enumerations_keep_names_and_values_in_their_order() {
    let members = |size: usize, names: &[(&str, &[u8])]| {
        let mut message = [head(8, 3, names.len() as u32, size as u32), integer(size as u32, true, 0, size as u16 * 8)];
        names.iter().for_each(|(name, _)| message[1].extend_from_slice(format!("{name}\0").as_bytes()));
        names.iter().for_each(|(_, value)| message[1].extend_from_slice(value));
        message.concat()
    };
    let (zero, one): (&[u8], &[u8]) = (&[0], &[1]);
    let found = parsed(members(2, &[("B", [0xff, 0xfe].as_slice()), ("A", [1, 0].as_slice())])).unwrap();
    assert_eq!(found.name(), "enum{B: -2, A: 256} of int16");
    for names in [[("FALSE", zero), ("TRUE", one)], [("TRUE", one), ("FALSE", zero)]] {
        assert_eq!(parsed(members(1, &names)).unwrap(), DataType::Boolean);
    }
    let turned = parsed(members(1, &[("FALSE", one), ("TRUE", zero)])).unwrap();
    assert_eq!(turned.name(), "enum{FALSE: 1, TRUE: 0} of int8");
}

#[test]
fn a_compound_of_the_first_version_may_hold_arrays() {
    let mut message = head(6, 1, 1, 12);
    message.extend_from_slice(b"field\0\0\0");
    message.extend_from_slice(&4_u32.to_le_bytes());
    message.extend_from_slice(&[1, 0, 0, 0]);
    message.extend_from_slice(&[0; 8]);
    [4_u32, 0, 0, 0].iter().for_each(|length| message.extend_from_slice(&length.to_le_bytes()));
    message.extend_from_slice(&integer(2, true, 0, 16));
    let stored = parse(Bytes::from(message)).unwrap();
    assert_eq!(stored.data_type().name(), "struct{field: int16[4]}");
    assert_eq!(stored.swaps().unwrap(), [Swap { offset: 4, width: 2, count: 4 }]);
}

#[test]
fn impossible_types_are_data_loss() {
    let mut field = b"x\0".to_vec();
    field.push(6);
    field.extend_from_slice(&integer(4, false, 0, 32));
    let outside = [head(6, 3, 1, 8), field].concat();
    for message in [
        head(0, 1, 0, 4),
        head(0, 1, 0, 0),
        outside,
        [head(10, 3, 0, 12), vec![1], 4_u32.to_le_bytes().to_vec(), integer(4, false, 0, 32)].concat(),
        b"\x03\x00\x00\x00\x05\x00".to_vec(),
        [head(3, 1, 9, 4)].concat(),
    ] {
        assert_eq!(parsed(message.clone()).unwrap_err().kind(), Kind::DataLoss, "{message:?}");
    }
}

#[test]
fn types_that_nest_too_deep_are_refused_by_name() {
    let message: Vec<u8> = std::iter::repeat_n([head(10, 3, 0, 1), vec![0]].concat(), 40).flatten().collect();
    assert_eq!(parsed(message).unwrap_err().kind(), Kind::Unimplemented);
}

#[test]
fn too_many_swaps_are_refused() {
    let pair = StoredType::Compound {
        size: 6,
        fields: [("a", 0, 2), ("b", 2, 4)]
            .map(|(name, offset, size)| crate::format::hdf5::stored_type::StoredField {
                name: name.into(),
                offset,
                stored: StoredType::Integer { size, signed: true, big_endian: true },
            })
            .to_vec(),
    };
    let array = |length| StoredType::Array { element: Box::new(pair.clone()), dimensions: vec![length] };
    assert_eq!(array(3).swaps().unwrap()[4], Swap { offset: 12, width: 2, count: 1 });
    assert!(matches!(array(3).data_type(), DataType::FixedArray { .. }));
    assert!(array(100_000).data_type().name().contains("big-endian compound"));
}

proptest! {
    #[test]
    fn noise_is_parsed_or_refused(class in 0_u8..13, flags in 0_u32..600, size in 0_u32..40, rest in proptest::collection::vec(0_u8..40, 0..80)) {
        if let Ok(stored) = parse(Bytes::from([head(class, 1 + (flags % 3) as u8, flags, size), rest].concat())) {
            prop_assert_eq!(stored.size().unwrap(), u64::from(size));
            stored.data_type();
        }
    }
}
