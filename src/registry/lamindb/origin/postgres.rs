//! An instance in PostgreSQL: read in one transaction that sees one moment and may write nothing.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use tokio::runtime::Handle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::tls::Tls;
use super::{Origin, blocking};
use crate::error::{Error, Result};
use crate::registry::lamindb::InstanceOptions;
use crate::registry::lamindb::mirror::Mirror;
use crate::registry::lamindb::tables::{self, Record, Tables};

/// Longest wait for a connection, where the URL names none.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest time for one question about the state, and for reading everything.
const STATE: Duration = Duration::from_secs(60);
const READ: Duration = Duration::from_secs(1800);

/// What a session is told first. Nothing can be written after it, whatever the role may do.
const SESSION: &str = "SET default_transaction_read_only = on; SET TIME ZONE 'UTC'; SET datestyle = 'ISO'";

/// Begins a view of one moment.
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A database of LaminDB in PostgreSQL.
pub(super) struct Postgres {
    config: Config,
    tls: Option<Tls>,
    options: Arc<InstanceOptions>,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Postgres({})", self.options.shown())
    }
}

impl Postgres {
    /// Reads the URL.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL or option that is not understood; its text is not shown, it may hold a password.
    pub(super) fn new(options: Arc<InstanceOptions>) -> Result<Self> {
        let Parameters { url, authorities } = Parameters::of(&options.url)?;
        let mut config: Config = url.parse().map_err(|_| {
            Error::invalid(format!("{}: expected postgresql://user@host/database with known options", options.shown()))
        })?;
        config.application_name("sliceflight");
        config.connect_timeout(config.get_connect_timeout().copied().unwrap_or(CONNECT));
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(Tls::new(authorities.as_deref())?),
        };
        Ok(Self { config, tls, options })
    }

    /// A new connection, served until the client is dropped.
    async fn connect(&self) -> Result<Client> {
        let failed = |error| failure(error, &self.options.shown());
        let client = match &self.tls {
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await.map_err(failed)?;
                drop(tokio::spawn(connection));
                client
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(failed)?;
                drop(tokio::spawn(connection));
                client
            }
        };
        client.batch_execute(SESSION).await.map_err(failed)?;
        client.batch_execute(BEGIN).await.map_err(failed)?;
        Ok(client)
    }

    async fn state_now(&self) -> Result<String> {
        let client = self.connect().await?;
        state(&client).await.map_err(|error| failure(error, &self.options.shown()))
    }
}

#[async_trait]
impl Origin for Postgres {
    async fn state(&self) -> Result<String> {
        within(STATE, &self.options, self.state_now()).await
    }

    async fn mirror(&self) -> Result<(String, Mirror)> {
        let client = within(STATE, &self.options, self.connect()).await?;
        let options = Arc::clone(&self.options);
        let runtime = Handle::current();
        blocking(move || {
            let shown = options.shown();
            let read = async { state(&client).await.map_err(|error| failure(error, &shown)) };
            let state = runtime.block_on(within(STATE, &options, read))?;
            let mut tables = PostgresTables { client: &client, runtime: &runtime, shown: &shown };
            let mirror = Mirror::of(&mut tables, &options.naming, &options.scratch, options.database_bytes);
            Ok((state, mirror.map_err(|error| error.context(format!("the database {shown}")))?))
        })
        .await
    }
}

/// What tells the rows of a moment from others: of each table how many rows it has, and by which transactions they
/// were written.
async fn state(client: &Client) -> std::result::Result<String, tokio_postgres::Error> {
    let mut state = String::new();
    for table in tables::all() {
        if !columns(client, table.name).await?.is_empty() {
            let sql = format!("SELECT count(*)::text, coalesce(sum(xmin::text::bigint), 0)::text FROM {}", table.name);
            let row = client.query_one(&sql, &[]).await?;
            state.push_str(&format!("{}/{} ", row.try_get::<_, String>(0)?, row.try_get::<_, String>(1)?));
        }
    }
    Ok(state)
}

async fn columns(client: &Client, table: &str) -> std::result::Result<HashSet<String>, tokio_postgres::Error> {
    let sql = "SELECT column_name::text FROM information_schema.columns \
        WHERE table_schema = ANY (current_schemas(false)) AND table_name = $1";
    client.query(sql, &[&table]).await?.iter().map(|row| row.try_get(0)).collect()
}

/// The tables as one transaction sees them; used away from the runtime.
struct PostgresTables<'a> {
    client: &'a Client,
    runtime: &'a Handle,
    shown: &'a str,
}

impl Tables for PostgresTables<'_> {
    fn columns(&mut self, table: &str) -> Result<HashSet<String>> {
        self.runtime.block_on(columns(self.client, table)).map_err(|error| failure(error, self.shown))
    }

    fn rows(&mut self, sql: &str, each: &mut dyn FnMut(&Record) -> Result<()>) -> Result<()> {
        let failed = |error| failure(error, self.shown);
        self.runtime.block_on(async {
            let rows = self.client.query_raw(sql, std::iter::empty::<&str>()).await.map_err(failed)?;
            let mut rows = std::pin::pin!(rows);
            let mut record = Record::default();
            loop {
                let next = tokio::time::timeout(READ, rows.try_next()).await;
                let next = next.map_err(|_| Error::unavailable(format!("{} sends nothing", self.shown)))?;
                let Some(row) = next.map_err(failed)? else { return Ok(()) };
                record.0.clear();
                for column in 0..row.len() {
                    record.0.push(row.try_get(column).map_err(failed)?);
                }
                each(&record)?;
            }
        })
    }
}

/// What of a URL is ours to read, and the rest.
#[derive(Debug)]
struct Parameters {
    url: String,
    authorities: Option<PathBuf>,
}

impl Parameters {
    /// `sslrootcert` and the strict values of `sslmode`, which the client library does not know.
    fn of(url: &str) -> Result<Self> {
        let (plain, query) = url.split_once('?').unwrap_or((url, ""));
        let mut authorities = None;
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslrootcert", _)) => {
                    let path = url::form_urlencoded::parse(pair.as_bytes()).next();
                    authorities = path.map(|(_, path)| PathBuf::from(path.into_owned()));
                }
                // Certificates and names are always checked: this is what `require` means here.
                Some(("sslmode", "verify-full")) => kept.push("sslmode=require"),
                Some(("sslmode", "verify-ca" | "allow")) => {
                    return Err(Error::unimplemented(
                        "sslmode verify-ca and allow are not supported; disable, prefer, require and verify-full are",
                    ));
                }
                _ => kept.push(pair),
            }
        }
        let query = kept.join("&");
        let url = if query.is_empty() { plain.to_owned() } else { format!("{plain}?{query}") };
        Ok(Self { url, authorities })
    }
}

async fn within<T>(time: Duration, options: &InstanceOptions, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| Error::unavailable(format!("{} did not answer in {} s", options.shown(), time.as_secs()));
    tokio::time::timeout(time, work).await.map_err(late)?
}

/// The error of ours; by PostgreSQL's code, never by its text.
fn failure(error: tokio_postgres::Error, shown: &str) -> Error {
    let code = error.code().cloned();
    let told = match &code {
        Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => {
            let what = error.as_db_error().map(|error| error.message().to_owned()).unwrap_or_default();
            Error::permission_denied(format!("{shown} refuses: {what}"))
        }
        Some(code) if *code == SqlState::INVALID_PASSWORD || *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
            Error::permission_denied(format!("{shown} refuses the role or its password"))
        }
        Some(code) if *code == SqlState::UNDEFINED_DATABASE => {
            Error::not_found(format!("{shown}: there is no such database"))
        }
        Some(code) => Error::unavailable(format!("{shown} failed with code {}", code.code())).retryable(),
        None => Error::unavailable(format!("{shown} cannot be reached, or its certificate is not trusted")).retryable(),
    };
    told.with_source(error)
}
