//! One `[[storage]]` of the configuration.

use std::collections::BTreeMap;
use std::fmt;

use toml::Value;

/// A root that may be read, and the options with which its store is opened.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// URL of a bucket, a folder in one, or a local folder.
    pub root: String,
    /// Options of the object store (`aws_access_key_id`, …), secrets among them.
    pub options: BTreeMap<String, String>,
}

impl fmt::Debug for Storage {
    /// Shows the names of the options, never their values.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options: BTreeMap<_, _> = self.options.keys().map(|name| (name, "<redacted>")).collect();
        formatter.debug_struct("Storage").field("root", &self.root).field("options", &options).finish()
    }
}

/// Reads the value of `storage`; mistakes are added to `errors`, without any option's value.
pub(super) fn storages(value: Value, errors: &mut Vec<String>) -> Vec<Storage> {
    let Value::Array(tables) = value else {
        errors.push("storage: expected a list of tables, [[storage]]".into());
        return Vec::new();
    };
    tables
        .into_iter()
        .enumerate()
        .map(|(number, table)| storage(&format!("storage[{number}]"), table, errors))
        .collect()
}

fn storage(path: &str, value: Value, errors: &mut Vec<String>) -> Storage {
    let mut storage = Storage::default();
    let Value::Table(table) = value else {
        errors.push(format!("{path}: expected a table"));
        return storage;
    };
    for (name, value) in table {
        match (name.as_str(), value) {
            ("root", Value::String(root)) if !root.is_empty() => storage.root = root,
            ("root", _) => errors.push(format!("{path}.root: expected a URL as text")),
            ("options", Value::Table(options)) => {
                for (option, value) in options {
                    match option_text(value) {
                        Some(text) => drop(storage.options.insert(option, text)),
                        None => errors.push(format!(
                            "{path}.options.{option}: expected a text, a number, a boolean or a list of texts"
                        )),
                    }
                }
            }
            ("options", _) => errors.push(format!("{path}.options: expected a table")),
            _ => errors.push(format!("{path}.{name}: unknown key; known keys are root, options")),
        }
    }
    if storage.root.is_empty() && !errors.iter().any(|error| error.starts_with(&format!("{path}.root"))) {
        errors.push(format!("{path}.root: missing"));
    }
    storage
}

/// A value of an option as the text that stores take.
pub(super) fn option_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        // Options that are lists are hosts; none holds a comma.
        Value::Array(values) => {
            let texts: Option<Vec<_>> =
                values.iter().map(|value| value.as_str().filter(|text| !text.contains(','))).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}
