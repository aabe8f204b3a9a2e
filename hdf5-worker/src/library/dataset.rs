//! One dataset: its shape, its type, its elements, its chunks.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use super::failure::{Failed, Result, check};
use super::ffi;
use super::handle::Handle;
use crate::protocol::{MAX_ELEMENT_BYTES, MAX_PAYLOAD_BYTES};

/// Types inside types at most.
const MAX_DEPTH: usize = 32;

/// An open dataset.
pub(crate) struct Dataset {
    pub(super) handle: Handle,
    pub(super) data_type: Handle,
}

/// Elements that were read.
pub(crate) enum Read {
    /// In C order, of the dataset's own type.
    Elements(Vec<u8>),
    /// Per text a `u32` length and the bytes.
    Texts(Vec<u8>),
}

impl Dataset {
    pub(super) fn new(handle: Handle) -> Result<Self> {
        // SAFETY: a valid dataset.
        let data_type = Handle::new(unsafe { ffi::H5Dget_type(handle.id()) }, "data type")?;
        Ok(Self { handle, data_type })
    }

    /// Its shape now; none for a null dataspace.
    pub(crate) fn shape(&self) -> Result<Option<Vec<u64>>> {
        let space = self.space()?;
        // SAFETY: a valid dataspace.
        let (kind, rank) =
            unsafe { (ffi::H5Sget_simple_extent_type(space.id()), ffi::H5Sget_simple_extent_ndims(space.id())) };
        let rank = usize::try_from(rank).map_err(|_| Failed::last("dataspace"))?;
        if kind == ffi::H5S_NULL {
            return Ok(None);
        }
        let mut shape = vec![0; rank];
        if rank > 0 {
            // SAFETY: room for as many numbers as the space has dimensions; the greatest shape is not asked for.
            let found = unsafe { ffi::H5Sget_simple_extent_dims(space.id(), shape.as_mut_ptr(), std::ptr::null_mut()) };
            check(found, "dataspace")?;
        }
        Ok(Some(shape))
    }

    /// Its type as `H5Tencode` gives it.
    pub(crate) fn encoded_type(&self) -> Result<Vec<u8>> {
        encoded(&self.data_type)
    }

    /// The box of `count` elements from `start` on, of the dataset's own type or, where they are to be
    /// `converted`, of the type that is offered.
    pub(crate) fn read(&self, start: &[u64], count: &[u64], converted: bool) -> Result<Read> {
        let shape = self.shape()?.ok_or_else(|| Failed::misused("a null dataspace has no elements"))?;
        let inside = |((start, count), length): ((&u64, &u64), &u64)| {
            start.checked_add(*count).is_some_and(|end| end <= *length) && *count > 0
        };
        let same_rank = start.len() == shape.len() && count.len() == shape.len();
        if !same_rank || !start.iter().zip(count).zip(&shape).all(inside) {
            return Err(Failed::misused(format!("{count:?} elements from {start:?} on, found the shape {shape:?}")));
        }
        let spaces = Spaces::new(self.space()?, start, count)?;
        // SAFETY: a valid data type.
        let texts = unsafe { ffi::H5Tis_variable_str(self.data_type.id()) };
        check(texts, "data type")?;
        if texts != 0 {
            let bytes = bytes_of(count, size_of::<*const u8>())?;
            return self.read_texts(&spaces, bytes / size_of::<*const u8>());
        }
        let converted = if converted { Some(self.memory_type()?) } else { None };
        let memory_type = converted.as_ref().unwrap_or(&self.data_type);
        if holds_pointers(memory_type, MAX_DEPTH)? {
            return Err(Failed::unsupported("elements with parts of variable length or references are not read"));
        }
        // SAFETY: a valid data type.
        let bytes = bytes_of(count, unsafe { ffi::H5Tget_size(memory_type.id()) })?;
        self.read_elements(&spaces, memory_type, bytes)
    }

    fn read_elements(&self, spaces: &Spaces, memory_type: &Handle, bytes: usize) -> Result<Read> {
        let mut buffer = vec![0_u8; bytes];
        // SAFETY: room for every selected element in the type asked for, which holds no pointers.
        let result = unsafe {
            ffi::H5Dread(
                self.handle.id(),
                memory_type.id(),
                spaces.memory,
                spaces.file,
                ffi::H5P_DEFAULT,
                buffer.as_mut_ptr().cast::<c_void>(),
            )
        };
        check(result, "read")?;
        Ok(Read::Elements(buffer))
    }

    fn read_texts(&self, spaces: &Spaces, count: usize) -> Result<Read> {
        // SAFETY: the constant is a data type of the library; the copy is ours to change.
        let memory_type = Handle::new(unsafe { ffi::H5Tcopy(ffi::H5T_C_S1_g) }, "text type")?;
        // SAFETY: valid data types.
        unsafe {
            check(ffi::H5Tset_size(memory_type.id(), ffi::VARIABLE), "text type")?;
            check(ffi::H5Tset_cset(memory_type.id(), ffi::H5Tget_cset(self.data_type.id())), "text type")?;
        }
        let mut texts: Vec<*const c_char> = vec![std::ptr::null(); count];
        let buffer = texts.as_mut_ptr().cast::<c_void>();
        // SAFETY: room for a pointer per selected element.
        let result = unsafe {
            ffi::H5Dread(self.handle.id(), memory_type.id(), spaces.memory, spaces.file, ffi::H5P_DEFAULT, buffer)
        };
        let payload = check(result, "read").and_then(|()| gather(&texts));
        // SAFETY: frees the texts that the library made; null pointers are left alone. Where the space is
        // that of a single element, it is the dataset's.
        unsafe {
            let whole = self.space()?;
            let space = if spaces.memory == ffi::H5S_ALL { whole.id() } else { spaces.memory };
            ffi::H5Treclaim(memory_type.id(), space, ffi::H5P_DEFAULT, buffer);
        }
        Ok(Read::Texts(payload?))
    }

    /// Its stored chunks: per chunk its offset, address and size as `u64` and its filter mask as `u32`. One
    /// without offset for what is stored in one piece.
    pub(crate) fn chunks(&self) -> Result<(usize, Vec<u8>)> {
        let rank = self.shape()?.map_or(0, |shape| shape.len());
        // SAFETY: a valid dataset.
        let creation = Handle::new(unsafe { ffi::H5Dget_create_plist(self.handle.id()) }, "property list")?;
        // SAFETY: a valid property list.
        let layout = unsafe { ffi::H5Pget_layout(creation.id()) };
        let mut table = Table { rank, rows: Vec::new(), full: false };
        if layout == ffi::H5D_CHUNKED {
            let place = (&raw mut table).cast::<c_void>();
            // SAFETY: `add_chunk` gets the table that lives here, and only during this call.
            let result = unsafe { ffi::H5Dchunk_iter(self.handle.id(), ffi::H5P_DEFAULT, Some(add_chunk), place) };
            check(result, "chunks")?;
        } else if layout == ffi::H5D_CONTIGUOUS {
            // SAFETY: a valid dataset. The address of nothing is not always undefined, its size is 0.
            let (address, size) =
                unsafe { (ffi::H5Dget_offset(self.handle.id()), ffi::H5Dget_storage_size(self.handle.id())) };
            if size > 0 && address != ffi::UNDEFINED {
                table.add(&vec![0; rank], 0, address, size);
            }
        }
        if table.full {
            return Err(Failed::unsupported("the chunk table is too large for one message"));
        }
        Ok((rank, table.rows))
    }

    fn space(&self) -> Result<Handle> {
        // SAFETY: a valid dataset.
        Handle::new(unsafe { ffi::H5Dget_space(self.handle.id()) }, "dataspace")
    }
}

/// A type as `H5Tencode` gives it.
pub(super) fn encoded(data_type: &Handle) -> Result<Vec<u8>> {
    let mut length = 0;
    // SAFETY: without a buffer only the length is set.
    check(unsafe { ffi::H5Tencode(data_type.id(), std::ptr::null_mut(), &raw mut length) }, "data type")?;
    let mut encoded = vec![0_u8; length];
    // SAFETY: room for `length` bytes.
    let result = unsafe { ffi::H5Tencode(data_type.id(), encoded.as_mut_ptr().cast::<c_void>(), &raw mut length) };
    check(result, "data type")?;
    Ok(encoded)
}

/// Bytes of a box of elements of `size` bytes.
fn bytes_of(count: &[u64], size: usize) -> Result<usize> {
    let bytes = count.iter().try_fold(size as u64, |total, length| total.checked_mul(*length));
    let bytes = bytes.filter(|bytes| size > 0 && *bytes <= MAX_ELEMENT_BYTES);
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| {
        Failed::misused(format!("{count:?} elements of {size} bytes, expected at most {MAX_ELEMENT_BYTES} bytes"))
    })
}

/// The two dataspaces of a read; both stand for everything where the dataset is a scalar.
struct Spaces {
    file: ffi::Id,
    memory: ffi::Id,
    _handles: Vec<Handle>,
}

impl Spaces {
    fn new(file: Handle, start: &[u64], count: &[u64]) -> Result<Self> {
        if start.is_empty() {
            return Ok(Self { file: ffi::H5S_ALL, memory: ffi::H5S_ALL, _handles: Vec::new() });
        }
        let rank = c_int::try_from(count.len()).map_err(|_| Failed::misused("too many dimensions"))?;
        // SAFETY: as many numbers as dimensions, which the caller compared with those of the space; a null
        // stride and a null block stand for ones.
        let memory = unsafe {
            let selected = ffi::H5Sselect_hyperslab(
                file.id(),
                ffi::H5S_SELECT_SET,
                start.as_ptr(),
                std::ptr::null(),
                count.as_ptr(),
                std::ptr::null(),
            );
            check(selected, "selection")?;
            Handle::new(ffi::H5Screate_simple(rank, count.as_ptr(), std::ptr::null()), "dataspace")?
        };
        Ok(Self { file: file.id(), memory: memory.id(), _handles: vec![file, memory] })
    }
}

/// Whether elements in memory would be, or hold, pointers or references.
fn holds_pointers(data_type: &Handle, depth: usize) -> Result<bool> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(Failed::unsupported("types nest too deep"));
    };
    // SAFETY: valid data types; members are counted from 0.
    unsafe {
        Ok(match ffi::H5Tget_class(data_type.id()) {
            ffi::H5T_STRING => ffi::H5Tis_variable_str(data_type.id()) != 0,
            ffi::H5T_REFERENCE | ffi::H5T_VLEN => true,
            ffi::H5T_ARRAY => holds_pointers(&Handle::new(ffi::H5Tget_super(data_type.id()), "data type")?, depth)?,
            ffi::H5T_COMPOUND => {
                let members = c_uint::try_from(ffi::H5Tget_nmembers(data_type.id()));
                for member in 0..members.map_err(|_| Failed::last("data type"))? {
                    let id = ffi::H5Tget_member_type(data_type.id(), member);
                    if holds_pointers(&Handle::new(id, "data type")?, depth)? {
                        return Ok(true);
                    }
                }
                false
            }
            class if class < 0 => return Err(Failed::last("data type")),
            _ => false,
        })
    }
}

/// Texts with their lengths; a null pointer is an empty text.
fn gather(texts: &[*const c_char]) -> Result<Vec<u8>> {
    let mut payload = Vec::new();
    for text in texts {
        // SAFETY: what the library gives is null or ends with a null byte.
        let bytes = if text.is_null() { &[][..] } else { unsafe { CStr::from_ptr(*text) }.to_bytes() };
        let length = u32::try_from(bytes.len()).ok();
        let length = length.filter(|length| payload.len() + 4 + *length as usize <= MAX_PAYLOAD_BYTES as usize);
        let length = length.ok_or_else(|| Failed::unsupported("texts are too long for one message"))?;
        payload.extend_from_slice(&length.to_le_bytes());
        payload.extend_from_slice(bytes);
    }
    Ok(payload)
}

struct Table {
    rank: usize,
    rows: Vec<u8>,
    full: bool,
}

impl Table {
    fn add(&mut self, offset: &[u64], mask: u32, address: u64, size: u64) {
        let row = self.rank * 8 + 20;
        if self.rows.len() + row > MAX_PAYLOAD_BYTES as usize {
            self.full = true;
            return;
        }
        offset.iter().chain([&address, &size]).for_each(|number| self.rows.extend_from_slice(&number.to_le_bytes()));
        self.rows.extend_from_slice(&mask.to_le_bytes());
    }
}

/// Adds one chunk; not 0 ends the walk.
///
/// # Safety
/// `table` is a [`Table`] that nobody else uses; `offset` has one number per dimension.
unsafe extern "C" fn add_chunk(
    offset: *const ffi::Size,
    mask: c_uint,
    address: ffi::Address,
    size: ffi::Size,
    table: *mut c_void,
) -> c_int {
    // SAFETY: see above.
    unsafe {
        let Some(table) = table.cast::<Table>().as_mut() else { return 1 };
        table.add(std::slice::from_raw_parts(offset, table.rank), mask, address, size);
        c_int::from(table.full)
    }
}
