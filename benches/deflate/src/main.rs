//! Decodes the chunks of each file of a folder (made by `chunks.py`) with each library, in turn and
//! several times, and prints MB of decoded bytes per second of one core: the median of the rounds.
//!
//! ```text
//! python3 chunks.py /tmp/chunks && cargo run --release --features isal-rs -- /tmp/chunks
//! ```
//!
//! Building zlib-ng needs cmake, ISA-L nasm and autotools.

use std::path::Path;
use std::time::Instant;

const ROUNDS: usize = 7;

type Decode = fn(&[u8], &mut [u8]) -> usize;

struct Chunk {
    encoded: Vec<u8>,
    size: usize,
}

fn read(path: &Path) -> Vec<Chunk> {
    let bytes = std::fs::read(path).expect("the file of chunks");
    let mut rest = bytes.as_slice();
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes")) as usize;
        let (length, size) = (number(&rest[..4]), number(&rest[4..8]));
        chunks.push(Chunk { encoded: rest[8..8 + length].to_vec(), size });
        rest = &rest[8 + length..];
    }
    chunks
}

fn libdeflate(encoded: &[u8], decoded: &mut [u8]) -> usize {
    libdeflater::Decompressor::new().zlib_decompress(encoded, decoded).expect("libdeflate decodes")
}

fn zlib_ng(encoded: &[u8], decoded: &mut [u8]) -> usize {
    let mut length = decoded.len();
    // SAFETY: both pointers are valid for the lengths that go with them.
    let code = unsafe { libz_ng_sys::uncompress(decoded.as_mut_ptr(), &mut length, encoded.as_ptr(), encoded.len()) };
    assert_eq!(code, libz_ng_sys::Z_OK);
    length
}

fn zlib_rs(encoded: &[u8], decoded: &mut [u8]) -> usize {
    let mut length = decoded.len() as _;
    // SAFETY: both pointers are valid for the lengths that go with them.
    let code =
        unsafe { libz_rs_sys::uncompress(decoded.as_mut_ptr(), &mut length, encoded.as_ptr(), encoded.len() as _) };
    assert_eq!(code, libz_rs_sys::Z_OK);
    length as usize
}

#[cfg(feature = "isal-rs")]
fn isal(encoded: &[u8], decoded: &mut [u8]) -> usize {
    isal::decompress_into(encoded, decoded, isal::Codec::Zlib).expect("ISA-L decodes")
}

fn libraries() -> Vec<(&'static str, Decode)> {
    vec![
        ("libdeflate", libdeflate),
        ("zlib-ng", zlib_ng),
        ("zlib-rs", zlib_rs),
        #[cfg(feature = "isal-rs")]
        ("isa-l", isal),
    ]
}

fn main() {
    let folder = std::env::args().nth(1).expect("the folder that chunks.py wrote");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        let chunks = read(&path);
        let (plain, encoded): (usize, usize) =
            chunks.iter().fold((0, 0), |(plain, encoded), chunk| (plain + chunk.size, encoded + chunk.encoded.len()));
        println!(
            "{}: {} chunks, {:.2}×",
            path.file_stem().expect("a name").display(),
            chunks.len(),
            plain as f64 / encoded as f64
        );
        let libraries = libraries();
        let mut speeds = vec![Vec::new(); libraries.len()];
        for _ in 0..ROUNDS {
            for ((_, decode), speeds) in libraries.iter().zip(&mut speeds) {
                let started = Instant::now();
                let mut total = 0;
                for chunk in &chunks {
                    let mut decoded = vec![0; chunk.size];
                    total += decode(&chunk.encoded, &mut decoded);
                }
                assert_eq!(total, plain);
                speeds.push(plain as f64 / 1e6 / started.elapsed().as_secs_f64());
            }
        }
        for ((name, _), mut speeds) in libraries.iter().zip(speeds) {
            speeds.sort_by(f64::total_cmp);
            println!("  {name:<12}{:>6.0} MB/s", speeds[ROUNDS / 2]);
        }
    }
}
