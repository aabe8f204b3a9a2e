//! The type in which elements of a type can be given exactly, made of little-endian numbers of 1, 2, 4 and 8
//! bytes. libhdf5 converts to it; a type that would lose anything has none.

use std::ffi::{CStr, c_int, c_uint, c_void};

use super::failure::{Failed, Result, check};
use super::ffi;
use super::handle::Handle;

/// Types inside types at most.
const MAX_DEPTH: usize = 32;
/// Dimensions of an array type at most; the library's own bound.
const MAX_RANK: usize = 32;
/// Bytes of one element at most.
const MAX_SIZE: usize = 1 << 30;

/// What a converted type is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To be told: enumerations have their names.
    Describe,
    /// To be read into: enumerations are their integers. The library converts one enumeration to another by
    /// names, and a value without a name would be lost.
    Read,
}

/// The type for elements of `data_type`, without padding between fields.
///
/// # Errors
/// `Unsupported` where there is none.
pub(super) fn converted(data_type: &Handle, purpose: Purpose) -> Result<Handle> {
    nested(data_type, purpose, MAX_DEPTH)
}

fn nested(data_type: &Handle, purpose: Purpose, depth: usize) -> Result<Handle> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Failed::unsupported("types nest too deep"));
    };
    // SAFETY: a valid data type.
    match unsafe { ffi::H5Tget_class(data_type.id()) } {
        ffi::H5T_INTEGER => integer(data_type),
        ffi::H5T_FLOAT => float(data_type),
        ffi::H5T_STRING => fixed_text(data_type),
        ffi::H5T_BITFIELD => bit_field(data_type),
        ffi::H5T_OPAQUE => copy(data_type),
        ffi::H5T_COMPOUND => compound(data_type, purpose, depth),
        ffi::H5T_ENUM => enumeration(data_type, purpose),
        ffi::H5T_ARRAY => array(data_type, purpose, depth),
        ffi::H5T_COMPLEX => {
            let base = nested(&base(data_type)?, purpose, depth)?;
            // SAFETY: a valid data type; the library refuses what is no float.
            Handle::new(unsafe { ffi::H5Tcomplex_create(base.id()) }, "complex type")
        }
        ffi::H5T_VLEN => Err(Failed::unsupported("parts of variable length are not given by it")),
        ffi::H5T_REFERENCE => Err(Failed::unsupported("references are not given by it")),
        ffi::H5T_TIME => Err(Failed::unsupported("it does not convert the time class")),
        class if class < 0 => Err(Failed::last("data type")),
        class => Err(Failed::unsupported(format!("its datatype class {class} has no exact type"))),
    }
}

fn integer(data_type: &Handle) -> Result<Handle> {
    // SAFETY: a valid integer type.
    let (size, bits, sign) = unsafe {
        (ffi::H5Tget_size(data_type.id()), ffi::H5Tget_precision(data_type.id()), ffi::H5Tget_sign(data_type.id()))
    };
    let of = |signed: ffi::Id, unsigned: ffi::Id| if sign == ffi::H5T_SGN_NONE { unsigned } else { signed };
    // SAFETY: data types of the library, set when it started.
    let wide = unsafe {
        match size {
            1 => of(ffi::H5T_STD_I8LE_g, ffi::H5T_STD_U8LE_g),
            2 => of(ffi::H5T_STD_I16LE_g, ffi::H5T_STD_U16LE_g),
            3 | 4 => of(ffi::H5T_STD_I32LE_g, ffi::H5T_STD_U32LE_g),
            _ if (1..=64).contains(&bits) => of(ffi::H5T_STD_I64LE_g, ffi::H5T_STD_U64LE_g),
            _ => return Err(Failed::unsupported(format!("no integer type holds {bits} bits exactly"))),
        }
    };
    copy_of(wide)
}

/// Sizes and places in bits, as `H5Tget_fields` gives them.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    sign: usize,
    exponent: usize,
    exponent_bits: usize,
    mantissa: usize,
    mantissa_bits: usize,
    bias: usize,
}

impl Fields {
    /// Whether a float with `bits` bits of mantissa and finite values below 2^`most` holds every value.
    fn fit(&self, bits: usize, most: i64) -> bool {
        if self.exponent_bits == 0 || self.exponent_bits > 16 || self.mantissa_bits > bits {
            return false;
        }
        let number = |value: usize| i64::try_from(value).unwrap_or(i64::MAX / 4);
        let largest = (1_i64 << self.exponent_bits) - 2 - number(self.bias);
        let least = 1 - number(self.bias) - number(self.mantissa_bits);
        largest < most && least >= 2 - most - number(bits)
    }

    /// Whether the parts lie side by side in `size` bytes.
    fn are_in(&self, size: usize) -> bool {
        let end = |start: usize, bits: usize| start.saturating_add(bits);
        let (exponent, mantissa) = (
            self.exponent..end(self.exponent, self.exponent_bits),
            self.mantissa..end(self.mantissa, self.mantissa_bits),
        );
        let apart = exponent.end <= mantissa.start || mantissa.end <= exponent.start;
        let inside = exponent.end.max(mantissa.end).max(end(self.sign, 1)) <= size.saturating_mul(8);
        apart && inside && !exponent.contains(&self.sign) && !mantissa.contains(&self.sign)
    }

    /// Whether they are those of IEEE 754's float of 2 bytes.
    fn are_half(&self) -> bool {
        (self.sign, self.exponent, self.exponent_bits, self.mantissa, self.mantissa_bits, self.bias)
            == (15, 10, 5, 0, 10, 15)
    }
}

fn float(data_type: &Handle) -> Result<Handle> {
    let mut fields = Fields::default();
    // SAFETY: a valid float type and places for five numbers.
    let (size, order, norm) = unsafe {
        let found = ffi::H5Tget_fields(
            data_type.id(),
            &raw mut fields.sign,
            &raw mut fields.exponent,
            &raw mut fields.exponent_bits,
            &raw mut fields.mantissa,
            &raw mut fields.mantissa_bits,
        );
        check(found, "float type")?;
        fields.bias = ffi::H5Tget_ebias(data_type.id());
        let (order, norm) = (ffi::H5Tget_order(data_type.id()), ffi::H5Tget_norm(data_type.id()));
        (ffi::H5Tget_size(data_type.id()), order, norm)
    };
    // Floats of one byte have several meanings for the same fields; those of other machines have others for
    // the greatest exponent.
    let known = size > 1 && fields.are_in(size) && order != ffi::H5T_ORDER_VAX && norm == ffi::H5T_NORM_IMPLIED;
    // SAFETY: data types of the library, set when it started.
    let wide = unsafe {
        match size {
            2 if known && fields.are_half() => ffi::H5T_IEEE_F16LE_g,
            _ if known && fields.fit(23, 128) => ffi::H5T_IEEE_F32LE_g,
            _ if known && fields.fit(52, 1024) => ffi::H5T_IEEE_F64LE_g,
            _ => {
                let Fields { exponent_bits, mantissa_bits, .. } = fields;
                return Err(Failed::unsupported(format!(
                    "no float type holds {size} bytes with {exponent_bits} exponent and {mantissa_bits} mantissa bits \
                     exactly"
                )));
            }
        }
    };
    copy_of(wide)
}

fn fixed_text(data_type: &Handle) -> Result<Handle> {
    // SAFETY: a valid data type.
    let variable = unsafe { ffi::H5Tis_variable_str(data_type.id()) };
    check(variable, "text type")?;
    if variable != 0 {
        return Err(Failed::unsupported("parts of variable length are not given by it"));
    }
    copy(data_type)
}

/// The library converts bit fields between byte orders only.
fn bit_field(data_type: &Handle) -> Result<Handle> {
    let copy = copy(data_type)?;
    // SAFETY: a copy of our own.
    check(unsafe { ffi::H5Tset_order(copy.id(), ffi::H5T_ORDER_LE) }, "bit field")?;
    Ok(copy)
}

fn compound(data_type: &Handle, purpose: Purpose, depth: usize) -> Result<Handle> {
    let mut fields = Vec::new();
    let mut size = 0_usize;
    for member in 0..member_count(data_type)? {
        // SAFETY: a valid compound; members are counted from 0.
        let inner = Handle::new(unsafe { ffi::H5Tget_member_type(data_type.id(), member) }, "member")?;
        let inner = nested(&inner, purpose, depth)?;
        fields.push((size, member, inner));
        // SAFETY: a valid data type.
        let bytes = fields.last().map_or(0, |(_, _, inner)| unsafe { ffi::H5Tget_size(inner.id()) });
        size = size.checked_add(bytes).filter(|size| bytes > 0 && *size <= MAX_SIZE).ok_or_else(too_large)?;
    }
    // SAFETY: a class and a size; the library refuses a size of 0.
    let compound = Handle::new(unsafe { ffi::H5Tcreate(ffi::H5T_COMPOUND, size) }, "compound")?;
    for (offset, member, inner) in &fields {
        let name = Name::of(data_type, *member)?;
        // SAFETY: valid data types and a text that ends with a null byte.
        check(unsafe { ffi::H5Tinsert(compound.id(), name.text().as_ptr(), *offset, inner.id()) }, "compound")?;
    }
    Ok(compound)
}

fn enumeration(data_type: &Handle, purpose: Purpose) -> Result<Handle> {
    let stored = base(data_type)?;
    let wide = integer(&stored)?;
    if purpose == Purpose::Read {
        return Ok(wide);
    }
    // SAFETY: valid data types.
    let (enumeration, sizes) = unsafe {
        let enumeration = Handle::new(ffi::H5Tenum_create(wide.id()), "enumeration")?;
        (enumeration, [ffi::H5Tget_size(stored.id()), ffi::H5Tget_size(wide.id())])
    };
    let size = sizes.into_iter().max().filter(|size| *size <= MAX_SIZE).ok_or_else(too_large)?;
    for member in 0..member_count(data_type)? {
        let name = Name::of(data_type, member)?;
        let mut value = vec![0_u8; size];
        let place = value.as_mut_ptr().cast::<c_void>();
        // SAFETY: room for the value in either type; members are counted from 0.
        unsafe {
            check(ffi::H5Tget_member_value(data_type.id(), member, place), "enumeration")?;
            let none = std::ptr::null_mut();
            check(ffi::H5Tconvert(stored.id(), wide.id(), 1, place, none, ffi::H5P_DEFAULT), "enumeration")?;
            check(ffi::H5Tenum_insert(enumeration.id(), name.text().as_ptr(), place), "enumeration")?;
        }
    }
    Ok(enumeration)
}

fn array(data_type: &Handle, purpose: Purpose, depth: usize) -> Result<Handle> {
    let element = nested(&base(data_type)?, purpose, depth)?;
    // SAFETY: a valid array type.
    let rank = unsafe { ffi::H5Tget_array_ndims(data_type.id()) };
    let rank = c_uint::try_from(rank).map_err(|_| Failed::last("array type"))?;
    let mut lengths = [0; MAX_RANK];
    if rank as usize > MAX_RANK {
        return Err(Failed::unsupported(format!("an array type of {rank} dimensions")));
    }
    // SAFETY: room for as many numbers as the library allows dimensions.
    unsafe {
        check(ffi::H5Tget_array_dims2(data_type.id(), lengths.as_mut_ptr()), "array type")?;
        Handle::new(ffi::H5Tarray_create2(element.id(), rank, lengths.as_ptr()), "array type")
    }
}

fn base(data_type: &Handle) -> Result<Handle> {
    // SAFETY: a valid data type; the library refuses one without a base.
    Handle::new(unsafe { ffi::H5Tget_super(data_type.id()) }, "data type")
}

fn copy(data_type: &Handle) -> Result<Handle> {
    copy_of(data_type.id())
}

fn copy_of(id: ffi::Id) -> Result<Handle> {
    // SAFETY: a valid data type.
    Handle::new(unsafe { ffi::H5Tcopy(id) }, "data type")
}

fn member_count(data_type: &Handle) -> Result<c_uint> {
    // SAFETY: a valid data type.
    let count: c_int = unsafe { ffi::H5Tget_nmembers(data_type.id()) };
    c_uint::try_from(count).map_err(|_| Failed::last("data type"))
}

fn too_large() -> Failed {
    Failed::unsupported(format!("an element of no bytes, or of more than {MAX_SIZE}"))
}

/// The name of a member, which the library allocated.
struct Name(*mut std::ffi::c_char);

impl Name {
    fn of(data_type: &Handle, member: c_uint) -> Result<Self> {
        // SAFETY: a valid data type; members are counted from 0.
        let name = unsafe { ffi::H5Tget_member_name(data_type.id(), member) };
        if name.is_null() { Err(Failed::last("member")) } else { Ok(Self(name)) }
    }

    fn text(&self) -> &CStr {
        // SAFETY: not null, ends with a null byte, and lives as long as this.
        unsafe { CStr::from_ptr(self.0) }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        // SAFETY: what the library allocated, freed once.
        unsafe { ffi::H5free_memory(self.0.cast::<c_void>()) };
    }
}
