//! What parent and worker say to each other, and how it is framed.
//!
//! A frame is `u32` length of a JSON text, `u32` length of a payload, the text, the payload; numbers
//! are little-endian. The parent sends a [`Command`] and reads [`Message`]s: questions, each of which
//! it answers by a [`Supply`], and at last an answer. Nothing else is ever in flight.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of the JSON text of a frame at most.
const MAX_TEXT_BYTES: u32 = 1 << 20;
/// Bytes of the payload of a frame at most.
pub const MAX_PAYLOAD_BYTES: u32 = 1 << 28;
/// Bytes that the worker asks for at once at most.
pub const MAX_RANGE_BYTES: u64 = 8 << 20;
/// Bytes of elements that one [`Command::Read`] may ask for.
pub const MAX_ELEMENT_BYTES: u64 = 64 << 20;
/// The number of the file that [`Command::Open`] opens.
pub const MAIN_FILE: u32 = 0;

/// What the parent asks of the worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Closes everything and opens a file. Answer: [`Message::Opened`].
    Open {
        /// Name of the file within its folder.
        name: String,
        /// Its size in bytes.
        size: u64,
    },
    /// Shape and type of a dataset. Answer: [`Message::Described`].
    Describe {
        /// Path of the dataset.
        path: String,
    },
    /// A box of elements. Answer: [`Message::Elements`] or, for text of variable length,
    /// [`Message::Texts`].
    Read {
        /// Path of the dataset.
        path: String,
        /// First position, one number per dimension.
        start: Vec<u64>,
        /// Length along each dimension.
        count: Vec<u64>,
        /// Whether elements come as the type that [`Message::Offered`] says, not as the dataset's own.
        converted: bool,
    },
    /// Shape of a dataset, and the type in which its elements can be given exactly. Answer:
    /// [`Message::Offered`]; [`Failure::Unsupported`] where there is none, or it needs a filter that is not here.
    Offer {
        /// Path of the dataset.
        path: String,
    },
    /// Where the stored chunks of a dataset lie. Answer: [`Message::Chunks`].
    Chunks {
        /// Path of the dataset.
        path: String,
    },
}

/// What the worker says: a question, to which it waits for a [`Supply`], or the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Question: `length` bytes at `offset`, inside the file and at most [`MAX_RANGE_BYTES`].
    Range {
        /// Number of the file.
        file: u32,
        /// First byte.
        offset: u64,
        /// Bytes.
        length: u64,
    },
    /// Question: another file, by the name that a file gives, relative to the folder of the first.
    Other {
        /// The name, as found; not to be trusted.
        name: String,
    },
    /// The file is open.
    Opened,
    /// A dataset. The payload is its type as `H5Tencode` gives it: two bytes, then a datatype message.
    Described {
        /// Its shape as libhdf5 sees it now; none for a null dataspace.
        shape: Option<Vec<u64>>,
    },
    /// A dataset that can be read. The payload is the type of its converted elements, as of [`Message::Described`].
    Offered {
        /// Its shape as libhdf5 sees it now; none for a null dataspace.
        shape: Option<Vec<u64>>,
    },
    /// The payload is the elements in C order, of the type that was asked for.
    Elements,
    /// The payload is, per text, a `u32` length and the bytes.
    Texts,
    /// The payload is, per chunk, its offset (`rank` numbers), address and size as `u64`, and its
    /// filter mask as `u32`.
    Chunks {
        /// Dimensions of the dataset.
        rank: u32,
    },
    /// The command failed.
    Failed {
        /// What the caller can do.
        kind: Failure,
        /// What libhdf5 says.
        message: String,
    },
}

/// Kinds of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// libhdf5 cannot read it.
    Corrupt,
    /// This build of libhdf5 lacks what it needs.
    Unsupported,
    /// The command does not fit the file.
    Misused,
}

/// What the parent answers to a question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Supply {
    /// The payload is the bytes asked for.
    Bytes,
    /// The file asked for.
    File {
        /// Its number, under which its ranges are asked for.
        number: u32,
        /// Its size in bytes.
        size: u64,
    },
    /// There is no such file.
    Absent,
    /// It cannot be given; the command fails.
    Refused,
}

/// Writes one frame and flushes it.
///
/// # Errors
/// Those of writing; `InvalidInput` for a frame that is too large.
pub fn send<T: Serialize>(output: &mut impl Write, message: &T, payload: &[u8]) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let lengths = u32::try_from(text.len()).ok().zip(u32::try_from(payload.len()).ok());
    let fits = lengths.filter(|(text, payload)| *text <= MAX_TEXT_BYTES && *payload <= MAX_PAYLOAD_BYTES);
    let (text_bytes, payload_bytes) =
        fits.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a message is too large"))?;
    output.write_all(&text_bytes.to_le_bytes())?;
    output.write_all(&payload_bytes.to_le_bytes())?;
    output.write_all(&text)?;
    output.write_all(payload)?;
    output.flush()
}

/// Reads one frame: the message and its payload.
///
/// # Errors
/// Those of reading; `InvalidData` for what is no frame or too large; `UnexpectedEof` at the end.
pub fn receive<T: DeserializeOwned>(input: &mut impl Read) -> io::Result<(T, Vec<u8>)> {
    let (text, payload) = (length(input, MAX_TEXT_BYTES)?, length(input, MAX_PAYLOAD_BYTES)?);
    let text = bytes(input, text)?;
    let message = serde_json::from_slice(&text)?;
    Ok((message, bytes(input, payload)?))
}

fn length(input: &mut impl Read, most: u32) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    let length = u32::from_le_bytes(bytes);
    if length <= most { Ok(length) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too large")) }
}

/// Reads as it comes, so that a length alone takes no memory.
fn bytes(input: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(u64::from(length)).read_to_end(&mut bytes)?;
    if bytes.len() == length as usize { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were() {
        let mut wire = Vec::new();
        let read = Command::Read { path: "a/b".into(), start: vec![1, 2], count: vec![3, 4], converted: false };
        send(&mut wire, &read, b"").unwrap();
        send(&mut wire, &Supply::Bytes, b"payload").unwrap();
        let mut rest = wire.as_slice();
        assert_eq!(receive::<Command>(&mut rest).unwrap(), (read, Vec::new()));
        assert_eq!(receive::<Supply>(&mut rest).unwrap(), (Supply::Bytes, b"payload".to_vec()));
        assert_eq!(receive::<Supply>(&mut rest).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn frames_that_are_cut_off_or_too_large_are_refused() {
        let mut wire = Vec::new();
        send(&mut wire, &Supply::Bytes, b"payload").unwrap();
        for end in 0..wire.len() {
            let error = receive::<Supply>(&mut &wire[..end]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{end}");
        }
        let mut large = wire.clone();
        large[4..8].copy_from_slice(&(MAX_PAYLOAD_BYTES + 1).to_le_bytes());
        assert_eq!(receive::<Supply>(&mut large.as_slice()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        let mut other = wire;
        other[8] = b'x';
        assert!(receive::<Supply>(&mut other.as_slice()).is_err());
    }
}
