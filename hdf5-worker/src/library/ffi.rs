//! Declarations of the C library, after the headers of HDF5 2.2: `H5FDdevelop.h`, `H5Epublic.h` and
//! the public headers of each function.

use std::ffi::{c_char, c_double, c_int, c_uint, c_ulong, c_void};

// Builds and links the C library.
use hdf5_metno_sys as _;

/// `hid_t`.
pub(super) type Id = i64;
/// `herr_t`: negative is a failure.
pub(super) type Status = c_int;
/// `haddr_t`.
pub(super) type Address = u64;
/// `hsize_t`.
pub(super) type Size = u64;

pub(super) const H5P_DEFAULT: Id = 0;
pub(super) const H5E_DEFAULT: Id = 0;
pub(super) const H5S_ALL: Id = 0;
pub(super) const H5E_WALK_UPWARD: c_int = 0;
pub(super) const H5F_ACC_RDONLY: c_uint = 0;
pub(super) const H5F_CLOSE_WEAK: c_int = 1;
pub(super) const H5S_SELECT_SET: c_int = 0;
pub(super) const H5S_NULL: c_int = 2;
pub(super) const H5D_CONTIGUOUS: c_int = 1;
pub(super) const H5D_CHUNKED: c_int = 2;
pub(super) const H5T_INTEGER: c_int = 0;
pub(super) const H5T_FLOAT: c_int = 1;
pub(super) const H5T_TIME: c_int = 2;
pub(super) const H5T_STRING: c_int = 3;
pub(super) const H5T_BITFIELD: c_int = 4;
pub(super) const H5T_OPAQUE: c_int = 5;
pub(super) const H5T_COMPOUND: c_int = 6;
pub(super) const H5T_REFERENCE: c_int = 7;
pub(super) const H5T_ENUM: c_int = 8;
pub(super) const H5T_VLEN: c_int = 9;
pub(super) const H5T_ARRAY: c_int = 10;
pub(super) const H5T_COMPLEX: c_int = 11;
pub(super) const H5T_ORDER_LE: c_int = 0;
pub(super) const H5T_ORDER_VAX: c_int = 2;
pub(super) const H5T_SGN_NONE: c_int = 0;
pub(super) const H5T_NORM_IMPLIED: c_int = 0;
/// `H5T_VARIABLE`.
pub(super) const VARIABLE: usize = usize::MAX;
/// `HADDR_UNDEF`.
pub(super) const UNDEFINED: Address = Address::MAX;
/// `H5FD_CLASS_VERSION`, which `H5FDregister` checks.
pub(super) const DRIVER_CLASS_VERSION: c_uint = 1;
/// `H5FD_MEM_NTYPES`.
pub(super) const MEMORY_TYPES: usize = 7;

/// `H5E_error2_t`.
#[repr(C)]
pub(super) struct ErrorEntry {
    pub(super) class: Id,
    pub(super) major: Id,
    pub(super) minor: Id,
    pub(super) line: c_uint,
    pub(super) function: *const c_char,
    pub(super) file: *const c_char,
    pub(super) description: *const c_char,
}

/// `H5FD_t`: what the library keeps at the start of every open file of a driver.
#[repr(C)]
pub(super) struct DriverFile {
    pub(super) driver: Id,
    pub(super) class: *const DriverClass,
    pub(super) serial: c_ulong,
    pub(super) access_flags: c_uint,
    pub(super) feature_flags: c_ulong,
    pub(super) greatest_address: Address,
    pub(super) base_address: Address,
    pub(super) threshold: Size,
    pub(super) alignment: Size,
    pub(super) paged_aggregation: bool,
}

/// A callback that this driver leaves out.
pub(super) type Unused = Option<unsafe extern "C" fn()>;

/// `H5FD_class_t`.
#[repr(C)]
pub(super) struct DriverClass {
    pub(super) version: c_uint,
    pub(super) value: c_int,
    pub(super) name: *const c_char,
    pub(super) greatest_address: Address,
    pub(super) close_degree: c_int,
    pub(super) terminate: Unused,
    pub(super) superblock_size: Unused,
    pub(super) superblock_encode: Unused,
    pub(super) superblock_decode: Unused,
    pub(super) fapl_size: usize,
    pub(super) fapl_get: Unused,
    pub(super) fapl_copy: Unused,
    pub(super) fapl_free: Unused,
    pub(super) dxpl_size: usize,
    pub(super) dxpl_copy: Unused,
    pub(super) dxpl_free: Unused,
    pub(super) open: Option<unsafe extern "C" fn(*const c_char, c_uint, Id, Address) -> *mut DriverFile>,
    pub(super) close: Option<unsafe extern "C" fn(*mut DriverFile) -> Status>,
    pub(super) compare: Option<unsafe extern "C" fn(*const DriverFile, *const DriverFile) -> c_int>,
    pub(super) query: Option<unsafe extern "C" fn(*const DriverFile, *mut c_ulong) -> Status>,
    pub(super) get_type_map: Unused,
    pub(super) allocate: Unused,
    pub(super) free: Unused,
    pub(super) get_end_of_allocated: Option<unsafe extern "C" fn(*const DriverFile, c_int) -> Address>,
    pub(super) set_end_of_allocated: Option<unsafe extern "C" fn(*mut DriverFile, c_int, Address) -> Status>,
    pub(super) get_end_of_file: Option<unsafe extern "C" fn(*const DriverFile, c_int) -> Address>,
    pub(super) get_handle: Unused,
    pub(super) read: Option<unsafe extern "C" fn(*mut DriverFile, c_int, Id, Address, usize, *mut c_void) -> Status>,
    pub(super) write: Option<unsafe extern "C" fn(*mut DriverFile, c_int, Id, Address, usize, *const c_void) -> Status>,
    pub(super) read_vector: Unused,
    pub(super) write_vector: Unused,
    pub(super) read_selection: Unused,
    pub(super) write_selection: Unused,
    pub(super) flush: Unused,
    pub(super) truncate: Unused,
    pub(super) lock: Unused,
    pub(super) unlock: Unused,
    pub(super) delete: Unused,
    pub(super) control: Unused,
    pub(super) free_list_map: [c_int; MEMORY_TYPES],
}

/// `H5E_walk2_t`.
pub(super) type ErrorVisitor = Option<unsafe extern "C" fn(c_uint, *const ErrorEntry, *mut c_void) -> Status>;
/// `H5D_chunk_iter_op_t`.
pub(super) type ChunkVisitor = Option<unsafe extern "C" fn(*const Size, c_uint, Address, Size, *mut c_void) -> c_int>;

unsafe extern "C" {
    pub(super) static H5P_CLS_FILE_ACCESS_ID_g: Id;
    pub(super) static H5T_C_S1_g: Id;
    pub(super) static H5T_STD_I8LE_g: Id;
    pub(super) static H5T_STD_I16LE_g: Id;
    pub(super) static H5T_STD_I32LE_g: Id;
    pub(super) static H5T_STD_I64LE_g: Id;
    pub(super) static H5T_STD_U8LE_g: Id;
    pub(super) static H5T_STD_U16LE_g: Id;
    pub(super) static H5T_STD_U32LE_g: Id;
    pub(super) static H5T_STD_U64LE_g: Id;
    pub(super) static H5T_IEEE_F16LE_g: Id;
    pub(super) static H5T_IEEE_F32LE_g: Id;
    pub(super) static H5T_IEEE_F64LE_g: Id;

    pub(super) fn H5get_libversion(major: *mut c_uint, minor: *mut c_uint, release: *mut c_uint) -> Status;
    pub(super) fn H5open() -> Status;
    pub(super) fn H5Idec_ref(id: Id) -> c_int;
    pub(super) fn H5Eset_auto2(stack: Id, visitor: ErrorVisitor, data: *mut c_void) -> Status;
    pub(super) fn H5Eclear2(stack: Id) -> Status;
    pub(super) fn H5Ewalk2(stack: Id, direction: c_int, visitor: ErrorVisitor, data: *mut c_void) -> Status;
    pub(super) fn H5PLset_loading_state(mask: c_uint) -> Status;
    pub(super) fn H5FDregister(class: *const DriverClass) -> Id;
    pub(super) fn H5Pcreate(class: Id) -> Id;
    pub(super) fn H5Pset_driver(list: Id, driver: Id, info: *const c_void) -> Status;
    pub(super) fn H5Pset_cache(list: Id, unused: c_int, places: usize, bytes: usize, preemption: c_double) -> Status;
    pub(super) fn H5Pset_fclose_degree(list: Id, degree: c_int) -> Status;
    pub(super) fn H5Pget_nfilters(list: Id) -> c_int;
    pub(super) fn H5Pget_filter2(
        list: Id,
        index: c_uint,
        flags: *mut c_uint,
        parameter_count: *mut usize,
        parameters: *mut c_uint,
        name_length: usize,
        name: *mut c_char,
        configuration: *mut c_uint,
    ) -> c_int;
    pub(super) fn H5Pget_external_count(list: Id) -> c_int;
    pub(super) fn H5Zfilter_avail(filter: c_int) -> c_int;
    pub(super) fn H5free_memory(memory: *mut c_void) -> Status;
    pub(super) fn H5Pset_elink_file_cache_size(list: Id, files: c_uint) -> Status;
    pub(super) fn H5Pget_layout(list: Id) -> c_int;
    pub(super) fn H5Fopen(name: *const c_char, flags: c_uint, access: Id) -> Id;
    pub(super) fn H5Dopen2(location: Id, name: *const c_char, access: Id) -> Id;
    pub(super) fn H5Dget_space(dataset: Id) -> Id;
    pub(super) fn H5Dget_type(dataset: Id) -> Id;
    pub(super) fn H5Dget_create_plist(dataset: Id) -> Id;
    pub(super) fn H5Dget_offset(dataset: Id) -> Address;
    pub(super) fn H5Dget_storage_size(dataset: Id) -> Size;
    pub(super) fn H5Dread(
        dataset: Id,
        memory_type: Id,
        memory_space: Id,
        file_space: Id,
        transfer: Id,
        buffer: *mut c_void,
    ) -> Status;
    pub(super) fn H5Dchunk_iter(dataset: Id, transfer: Id, visitor: ChunkVisitor, data: *mut c_void) -> Status;
    pub(super) fn H5Screate_simple(rank: c_int, shape: *const Size, greatest: *const Size) -> Id;
    pub(super) fn H5Sget_simple_extent_type(space: Id) -> c_int;
    pub(super) fn H5Sget_simple_extent_ndims(space: Id) -> c_int;
    pub(super) fn H5Sget_simple_extent_dims(space: Id, shape: *mut Size, greatest: *mut Size) -> c_int;
    pub(super) fn H5Sselect_hyperslab(
        space: Id,
        operation: c_int,
        start: *const Size,
        stride: *const Size,
        count: *const Size,
        block: *const Size,
    ) -> Status;
    pub(super) fn H5Tcopy(data_type: Id) -> Id;
    pub(super) fn H5Tencode(data_type: Id, buffer: *mut c_void, length: *mut usize) -> Status;
    pub(super) fn H5Tget_class(data_type: Id) -> c_int;
    pub(super) fn H5Tget_size(data_type: Id) -> usize;
    pub(super) fn H5Tset_size(data_type: Id, size: usize) -> Status;
    pub(super) fn H5Tget_cset(data_type: Id) -> c_int;
    pub(super) fn H5Tset_cset(data_type: Id, set: c_int) -> Status;
    pub(super) fn H5Tis_variable_str(data_type: Id) -> c_int;
    pub(super) fn H5Tget_nmembers(data_type: Id) -> c_int;
    pub(super) fn H5Tget_member_type(data_type: Id, member: c_uint) -> Id;
    pub(super) fn H5Tget_order(data_type: Id) -> c_int;
    pub(super) fn H5Tset_order(data_type: Id, order: c_int) -> Status;
    pub(super) fn H5Tget_precision(data_type: Id) -> usize;
    pub(super) fn H5Tget_sign(data_type: Id) -> c_int;
    pub(super) fn H5Tget_fields(
        data_type: Id,
        sign: *mut usize,
        exponent: *mut usize,
        exponent_bits: *mut usize,
        mantissa: *mut usize,
        mantissa_bits: *mut usize,
    ) -> Status;
    pub(super) fn H5Tget_ebias(data_type: Id) -> usize;
    pub(super) fn H5Tget_norm(data_type: Id) -> c_int;
    pub(super) fn H5Tcreate(class: c_int, size: usize) -> Id;
    pub(super) fn H5Tinsert(compound: Id, name: *const c_char, offset: usize, member: Id) -> Status;
    pub(super) fn H5Tget_member_name(data_type: Id, member: c_uint) -> *mut c_char;
    pub(super) fn H5Tget_member_value(data_type: Id, member: c_uint, value: *mut c_void) -> Status;
    pub(super) fn H5Tenum_create(base: Id) -> Id;
    pub(super) fn H5Tenum_insert(data_type: Id, name: *const c_char, value: *const c_void) -> Status;
    pub(super) fn H5Tconvert(
        from: Id,
        to: Id,
        count: usize,
        values: *mut c_void,
        background: *mut c_void,
        transfer: Id,
    ) -> Status;
    pub(super) fn H5Tget_array_ndims(data_type: Id) -> c_int;
    pub(super) fn H5Tget_array_dims2(data_type: Id, lengths: *mut Size) -> c_int;
    pub(super) fn H5Tarray_create2(element: Id, rank: c_uint, lengths: *const Size) -> Id;
    pub(super) fn H5Tcomplex_create(base: Id) -> Id;
    pub(super) fn H5Tget_super(data_type: Id) -> Id;
    pub(super) fn H5Treclaim(data_type: Id, space: Id, transfer: Id, buffer: *mut c_void) -> Status;
}
