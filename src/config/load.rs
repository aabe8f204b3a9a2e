//! Puts the layers over each other and gathers every mistake.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::Config;
use super::key::KEYS;
use super::lamindb::{instances, of_flag};
use super::storage::storages;
use super::value::Raw;
use crate::error::{Error, Result};

/// What a variable of the environment begins with: `SLICEFLIGHT_` and the key in upper case, `_`
/// for the dot (`SLICEFLIGHT_LIMITS_MEMORY_BUDGET`).
pub const ENVIRONMENT_PREFIX: &str = "SLICEFLIGHT_";

/// The variable that names the configuration file, when no flag does.
const FILE_VARIABLE: &str = "SLICEFLIGHT_CONFIG";

/// The flag that adds an instance of LaminDB to those of the file.
pub const INSTANCE_FLAG: &str = "lamindb";

/// Where values come from, weakest first.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// Path and text of the file.
    pub file: Option<(PathBuf, String)>,
    /// Variables; those without the prefix do not count.
    pub environment: Vec<(String, String)>,
    /// Keys and values of flags.
    pub flags: Vec<(&'static str, String)>,
}

impl Config {
    /// The configuration of this process: the file at `path` (or named by `SLICEFLIGHT_CONFIG`), its
    /// environment, and `flags` (keys and values).
    ///
    /// # Errors
    /// `InvalidArgument` with all mistakes, `NotFound` for a file that cannot be read.
    pub fn from_process(path: Option<&Path>, flags: Vec<(&'static str, String)>) -> Result<Self> {
        let environment: Vec<_> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.to_string_lossy().into_owned())))
            .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
            .collect();
        let named = environment.iter().find(|(name, _)| name == FILE_VARIABLE).map(|(_, value)| PathBuf::from(value));
        let file = match path.map(Path::to_owned).or(named) {
            None => None,
            Some(path) => {
                let text = std::fs::read_to_string(&path).map_err(|error| {
                    Error::not_found(format!("configuration file '{}': {error}", path.display())).with_source(error)
                })?;
                Some((path, text))
            }
        };
        Self::load(Layers { file, environment, flags })
    }

    /// Puts `layers` over the defaults.
    ///
    /// # Errors
    /// `InvalidArgument` with all mistakes of all layers, one a line.
    pub fn load(layers: Layers) -> Result<Self> {
        let mut config = Self::default();
        let mut errors = Vec::new();
        if let Some((path, text)) = layers.file {
            let mut found = Vec::new();
            config.take_file(&text, &mut found);
            errors.extend(found.into_iter().map(|error| format!("{}: {error}", path.display())));
        }
        for (name, value) in layers.environment {
            config.take_variable(&name, value, &mut errors);
        }
        for (name, value) in layers.flags {
            if name == INSTANCE_FLAG {
                config.instances.push(of_flag(&value));
                continue;
            }
            if let Some(Err(error)) = config.set(name, &Raw::Text(value)) {
                errors.push(format!("--{}: {error}", name.rsplit('.').next().unwrap_or(name).replace('_', "-")));
            }
        }
        config.check(&mut errors);
        if errors.is_empty() {
            return Ok(config);
        }
        Err(Error::invalid(format!("bad configuration:\n  {}", errors.join("\n  "))))
    }

    fn set(&mut self, name: &str, raw: &Raw) -> Option<std::result::Result<(), String>> {
        KEYS.iter().find(|key| key.name == name).map(|key| (key.set)(self, raw))
    }

    fn take_file(&mut self, text: &str, errors: &mut Vec<String>) {
        let mut table = match text.parse::<Table>() {
            Ok(table) => table,
            // The rendered error quotes the line, which may hold a secret.
            Err(error) => {
                let line =
                    error.span().map_or(0, |span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1);
                return errors.push(format!("line {line}: {}", error.message()));
            }
        };
        if let Some(value) = table.remove("storage") {
            self.storages = storages(value, errors);
        }
        if let Some(value) = table.remove("lamindb") {
            self.instances = instances(value, errors);
        }
        self.take_table("", table, errors);
    }

    fn take_table(&mut self, section: &str, table: Table, errors: &mut Vec<String>) {
        for (name, value) in table {
            let name = if section.is_empty() { name } else { format!("{section}.{name}") };
            let raw = match value {
                Value::Table(inner) if KEYS.iter().any(|key| key.name.starts_with(&format!("{name}."))) => {
                    self.take_table(&name, inner, errors);
                    continue;
                }
                Value::String(text) => Some(Raw::Text(text)),
                Value::Integer(number) => Some(Raw::Integer(number)),
                Value::Boolean(flag) => Some(Raw::Boolean(flag)),
                _ => None,
            };
            let known = KEYS.iter().any(|key| key.name == name);
            match (known, raw) {
                (false, _) => errors.push(format!("{name}: unknown key")),
                (true, None) => errors.push(format!("{name}: expected a text, a whole number or a boolean")),
                (true, Some(raw)) => {
                    if let Some(Err(error)) = self.set(&name, &raw) {
                        errors.push(format!("{name}: {error}"));
                    }
                }
            }
        }
    }

    fn take_variable(&mut self, name: &str, value: String, errors: &mut Vec<String>) {
        let Some(rest) = name.strip_prefix(ENVIRONMENT_PREFIX) else { return };
        if name == FILE_VARIABLE {
            return;
        }
        match KEYS.iter().find(|key| key.name.replace('.', "_").to_ascii_uppercase() == rest) {
            None => errors.push(format!("{name}: no such key")),
            Some(key) => {
                if let Err(error) = (key.set)(self, &Raw::Text(value)) {
                    errors.push(format!("{name}: {error}"));
                }
            }
        }
    }

    /// What the values must hold together.
    fn check(&self, errors: &mut Vec<String>) {
        let limits = &self.limits;
        if limits.stream_memory > limits.memory_budget {
            errors.push(format!(
                "limits.stream_memory: {} bytes is over limits.memory_budget of {}",
                limits.stream_memory, limits.memory_budget
            ));
        }
        if limits.requests_in_flight_per_stream > limits.requests_in_flight {
            errors.push(format!(
                "limits.requests_in_flight_per_stream: {} is over limits.requests_in_flight of {}",
                limits.requests_in_flight_per_stream, limits.requests_in_flight
            ));
        }
        if limits.retry_initial_backoff > limits.retry_max_backoff {
            errors.push("retry.initial_backoff: longer than retry.max_backoff".into());
        }
    }
}
