//! The command line: one file per command.
//!
//! Commands work on a registry file, or on a running server with `--server`; both go the way of the
//! server's actions, so the answers are the same. Results go to stdout, progress and errors to
//! stderr. Exit codes: 0 done, 1 failed (`error: …`), 2 wrong usage.

mod collection;
mod explain;
mod filters;
mod get;
#[cfg(feature = "libhdf5")]
mod hdf5_worker;
mod index;
mod inspect;
mod label;
mod labels;
mod list;
mod location;
mod output;
mod print;
mod progress;
mod register;
mod remove;
mod search;
mod serve;
mod slice_options;
mod source;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod trash;
mod tree;
mod update;
mod urls;

use std::error::Error as _;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Kind, Result};

/// Streams slices of HDF5, zarr, AnnData and parquet data over Arrow Flight.
#[derive(Debug, Parser)]
#[command(name = "sliceflight", version, about)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
struct Common {
    /// Configuration file; see the commented sliceflight.toml.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The registry's SQLite file.
    #[arg(long, global = true, value_name = "FILE")]
    registry: Option<String>,
    /// Work through a running server instead of a registry file.
    #[arg(long, global = true, value_name = "grpc://HOST:PORT", conflicts_with = "registry")]
    server: Option<String>,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a registry over Arrow Flight.
    Serve(serve::Serve),
    /// Add files, folders of shards and zarr stores to the registry.
    Register(register::Register),
    /// Ordered sets of artifacts.
    #[command(subcommand)]
    Collection(collection::Collection),
    /// Attach labels to an artifact, or take them off.
    Label(label::Label),
    /// Change the description of an artifact or collection.
    Update(update::Update),
    /// Hide artifacts until they are restored or removed; never data.
    Trash(trash::Trash),
    /// Take artifacts out of the trash.
    Restore(trash::Trash),
    /// Remove records from the registry, also from the trash; never data.
    Rm(remove::Remove),
    /// List artifacts and collections.
    Ls(list::List),
    /// Search keys, descriptions and labels; the best come first.
    Search(search::Search),
    /// List labels.
    Labels(labels::Labels),
    /// Show what an artifact or collection holds.
    Inspect(inspect::Inspect),
    /// Show all nodes of a hierarchy or all files of a folder.
    Tree(tree::Tree),
    /// Get a slice: as a table on the terminal, or as a file.
    Get(get::Get),
    /// Show which ranges of which objects a slice would read.
    Explain(explain::Explain),
    /// Build the column index of a sparse matrix, which makes a few genes of all cells quick.
    Index(index::Index),
    /// Read HDF5 with libhdf5 for a server, which starts this by itself.
    #[cfg(feature = "libhdf5")]
    Hdf5Worker(hdf5_worker::Hdf5Worker),
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    #[cfg(feature = "libhdf5")]
    if let Command::Hdf5Worker(command) = &cli.command {
        // Before there are threads: the C library holds to one, and its process is confined.
        return ended(command.run());
    }
    let result = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(dispatch(cli));
            // Work that nobody waits for any more must not hold the process.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Error::internal("the runtime could not be started").with_source(error)),
    };
    ended(result)
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output went away: nobody is left to tell.
        Err(error) if error.kind() == Kind::Cancelled => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(cli: Cli) -> Result<()> {
    let common = &cli.common;
    match cli.command {
        Command::Serve(command) => command.run(common).await,
        Command::Register(command) => command.run(common).await,
        Command::Collection(command) => command.run(common).await,
        Command::Label(command) => command.run(common).await,
        Command::Update(command) => command.run(common).await,
        Command::Trash(command) => command.trash(common).await,
        Command::Restore(command) => command.restore(common).await,
        Command::Rm(command) => command.run(common).await,
        Command::Ls(command) => command.run(common).await,
        Command::Search(command) => command.run(common).await,
        Command::Labels(command) => command.run(common).await,
        Command::Inspect(command) => command.run(common).await,
        Command::Tree(command) => command.run(common).await,
        Command::Get(command) => command.run(common).await,
        Command::Explain(command) => command.run(common).await,
        Command::Index(command) => command.run(common).await,
        #[cfg(feature = "libhdf5")]
        Command::Hdf5Worker(command) => command.run(),
    }
}

fn report(error: &Error) {
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(&format!("  caused by: {source}\n"));
        cause = source.source();
    }
    // When stderr is closed there is nowhere left to report to.
    drop(std::io::stderr().write_all(text.as_bytes()));
}
