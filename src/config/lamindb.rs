//! One `[[lamindb]]` of the configuration, and what `--lamindb` means.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::storage::option_text;
use super::value::Raw;
use crate::engine::LaminDb;

/// The instance of a flag: its URL, or `NAME=URL`.
pub(super) fn of_flag(text: &str) -> LaminDb {
    let named = text.split_once('=').filter(|(name, _)| !name.is_empty() && name.bytes().all(is_of_name));
    match named {
        Some((name, url)) => LaminDb { name: Some(name.to_owned()), ..LaminDb::new(url) },
        None => LaminDb::new(text),
    }
}

/// Reads the value of `lamindb`; mistakes are added to `errors`, without any value that may hold a secret.
pub(super) fn instances(value: Value, errors: &mut Vec<String>) -> Vec<LaminDb> {
    let Value::Array(tables) = value else {
        errors.push("lamindb: expected a list of tables, [[lamindb]]".into());
        return Vec::new();
    };
    let mut instances = Vec::new();
    for (number, table) in tables.into_iter().enumerate() {
        let path = format!("lamindb[{number}]");
        match table {
            Value::Table(table) => instances.push(instance(&path, table, errors)),
            _ => errors.push(format!("{path}: expected a table")),
        }
    }
    instances
}

fn instance(path: &str, table: Table, errors: &mut Vec<String>) -> LaminDb {
    let mut instance = LaminDb::new("");
    for (name, value) in table {
        if let Err(error) = take(&mut instance, &name, value) {
            errors.push(format!("{path}.{name}: {error}"));
        }
    }
    if instance.url.is_empty() && !errors.iter().any(|error| error.starts_with(&format!("{path}.url"))) {
        errors.push(format!("{path}.url: missing"));
    }
    instance
}

fn take(instance: &mut LaminDb, name: &str, value: Value) -> Result<(), String> {
    match (name, value) {
        ("url", Value::String(url)) if !url.is_empty() => instance.url = url,
        ("url", _) => return Err("expected a URL or a path as text".into()),
        ("name", Value::String(name)) if !name.is_empty() && name.bytes().all(is_of_name) => instance.name = Some(name),
        ("name", _) => return Err("expected letters, digits, '-', '_' and '.'".into()),
        ("remap", Value::Table(roots)) => instance.remap = texts(roots)?,
        ("options", Value::Table(options)) => instance.options = texts(options)?,
        ("remap" | "options", _) => return Err("expected a table".into()),
        ("refresh", Value::String(time)) => {
            instance.refresh = Raw::Text(time).duration()?;
            if instance.refresh.is_zero() {
                return Err("expected a time above 0".into());
            }
        }
        ("refresh", _) => return Err("expected a time such as '30s'".into()),
        ("database_bytes", Value::String(size)) => instance.database_bytes = Raw::Text(size).size()?,
        ("database_bytes", Value::Integer(size)) => instance.database_bytes = Raw::Integer(size).size()?,
        ("database_bytes", _) => return Err("expected a size such as '4 GiB'".into()),
        ("check_hashes", Value::Boolean(check)) => instance.check_hashes = check,
        ("check_hashes", _) => return Err("expected true or false".into()),
        _ => {
            return Err(
                "unknown key; known keys are url, name, remap, options, refresh, database_bytes, check_hashes".into()
            );
        }
    }
    Ok(())
}

fn texts(table: Table) -> Result<BTreeMap<String, String>, String> {
    let text = |(name, value)| match option_text(value) {
        Some(text) => Ok((name, text)),
        None => Err(format!("{name}: expected a text, a number or a boolean")),
    };
    table.into_iter().map(text).collect()
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn flags_may_name_an_instance() {
        let rows = [
            ("lab=s3://bucket/prefix", Some("lab"), "s3://bucket/prefix"),
            ("s3://bucket/prefix?endpoint_url=http://h", None, "s3://bucket/prefix?endpoint_url=http://h"),
            ("/data/a=b", None, "/data/a=b"),
            ("pg-1=postgresql://u:p@h/db?sslmode=disable", Some("pg-1"), "postgresql://u:p@h/db?sslmode=disable"),
            ("=x", None, "=x"),
        ];
        for (text, name, url) in rows {
            let instance = of_flag(text);
            assert_eq!((instance.name.as_deref(), instance.url.as_str()), (name, url), "{text}");
        }
    }

    fn read(text: &str) -> (Vec<LaminDb>, Vec<String>) {
        let mut errors = Vec::new();
        let mut table: Table = text.parse().unwrap();
        (instances(table.remove("lamindb").unwrap(), &mut errors), errors)
    }

    #[test]
    fn every_key_is_taken() {
        let (found, errors) = read(
            "[[lamindb]]\nurl = \"/data/x\"\nname = \"lab\"\nremap = { \"/data\" = \"s3://b\" }\nrefresh = \"2s\"\n\
             options = { region = \"eu\", allow_http = true }\ndatabase_bytes = \"1 GiB\"\ncheck_hashes = false",
        );
        assert!(errors.is_empty(), "{errors:?}");
        let expected = LaminDb {
            name: Some("lab".into()),
            remap: [("/data".to_owned(), "s3://b".to_owned())].into(),
            options: [("region", "eu"), ("allow_http", "true")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
            refresh: Duration::from_secs(2),
            database_bytes: 1 << 30,
            check_hashes: false,
            ..LaminDb::new("/data/x")
        };
        assert_eq!(found, [expected]);
    }

    #[test]
    fn mistakes_are_named_without_values() {
        let (_, errors) = read("[[lamindb]]\nname = \"a/b\"\nrefresh = 3\npassword = \"hunter2\"\nremap = []");
        let text = errors.join("\n");
        for part in
            ["lamindb[0].name", "lamindb[0].refresh", "lamindb[0].password: unknown key", ".remap", ".url: missing"]
        {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("hunter2"));
    }
}
