//! The worker's loop: commands in, answers out.

use std::io::{self, Read, Write};
use std::time::Duration;

use crate::library::{self, Dataset, Failed, File, Library, Read as Found, Result, confine};
use crate::protocol::{Command, Message};
use crate::session;

/// Datasets that stay open, with their decoded chunks.
const OPEN_DATASETS: usize = 4;
/// How often the worker looks whether its parent is still there.
const PARENT_CHECK: Duration = Duration::from_secs(1);

/// The worker process: serves its standard input within `memory_bytes` of address space, until it ends
/// or the parent does.
///
/// # Errors
/// Those of setting the limits and of writing; [`io::ErrorKind::Other`] when the library does not start.
pub fn run(memory_bytes: u64) -> io::Result<()> {
    let parent = std::os::unix::process::parent_id();
    let watch = move || {
        while std::os::unix::process::parent_id() == parent {
            std::thread::sleep(PARENT_CHECK);
        }
        std::process::exit(1);
    };
    std::thread::Builder::new().stack_size(128 * 1024).spawn(watch)?;
    confine(memory_bytes)?;
    serve(Box::new(io::stdin()), Box::new(io::stdout()))
}

/// Serves `input` on this thread, until it ends. No other thread of the process may use the library.
///
/// # Errors
/// Those of writing; [`io::ErrorKind::Other`] when the library does not start.
pub fn serve(input: Box<dyn Read>, output: Box<dyn Write>) -> io::Result<()> {
    session::start(input, output);
    let library = Library::start().map_err(|failed| io::Error::other(failed.message))?;
    let mut worker = Worker { library, open: None };
    loop {
        let command = match session::next() {
            Ok(command) => command,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        match worker.execute(command) {
            Ok((message, payload)) => session::answer(&message, &payload)?,
            Err(Failed { kind, message }) => session::answer(&Message::Failed { kind, message }, &[])?,
        }
    }
}

struct Worker {
    library: Library,
    open: Option<Open>,
}

/// The open file with its datasets, which are closed before it.
struct Open {
    datasets: Vec<(String, Dataset)>,
    file: File,
}

impl Worker {
    fn execute(&mut self, command: Command) -> Result<(Message, Vec<u8>)> {
        match command {
            Command::Open { name, size } => {
                self.open = None;
                let failed = |error: io::Error| Failed::misused(error.to_string());
                let name = session::begin(&name, size).map_err(failed)?;
                self.open = Some(Open { datasets: Vec::new(), file: self.library.open(&name)? });
                Ok((Message::Opened, Vec::new()))
            }
            Command::Describe { path } => {
                let dataset = self.dataset(&path)?;
                Ok((Message::Described { shape: dataset.shape()? }, dataset.encoded_type()?))
            }
            Command::Offer { path } => {
                let dataset = self.dataset(&path)?;
                Ok((Message::Offered { shape: dataset.shape()? }, dataset.offered_type()?))
            }
            Command::Read { path, start, count, converted } => {
                Ok(match self.dataset(&path)?.read(&start, &count, converted)? {
                    Found::Elements(elements) => (Message::Elements, elements),
                    Found::Texts(texts) => (Message::Texts, texts),
                })
            }
            Command::Chunks { path } => {
                let (rank, rows) = self.dataset(&path)?.chunks()?;
                Ok((Message::Chunks { rank: u32::try_from(rank).unwrap_or(u32::MAX) }, rows))
            }
        }
    }

    /// The dataset at `path`, opened or still open; the one used last is the last.
    fn dataset(&mut self, path: &str) -> Result<&library::Dataset> {
        let open = self.open.as_mut().ok_or_else(|| Failed::misused("no file is open"))?;
        let dataset = match open.datasets.iter().position(|(name, _)| name == path) {
            Some(at) => open.datasets.remove(at),
            None => (path.to_owned(), open.file.dataset(path)?),
        };
        if open.datasets.len() >= OPEN_DATASETS {
            open.datasets.remove(0);
        }
        open.datasets.push(dataset);
        open.datasets.last().map(|(_, dataset)| dataset).ok_or_else(|| Failed::misused("no dataset is open"))
    }
}
