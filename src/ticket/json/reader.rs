//! Typed access to JSON values, with errors that name the field, the expected and the found.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// An object whose fields are taken one by one; what is left over is unknown.
pub(super) struct Object {
    path: String,
    fields: Map<String, Value>,
    known: Vec<&'static str>,
}

/// A value with the path that names it in messages.
pub(super) struct Item {
    pub(super) path: String,
    pub(super) value: Value,
}

impl Object {
    /// Takes the field `name` by its snake_case or lowerCamelCase name; null counts as absent.
    pub(super) fn take(&mut self, name: &'static str) -> Result<Option<Item>> {
        self.known.push(name);
        let camel = camel_case(name);
        let snake = self.fields.shift_remove(name);
        let other = if camel == name { None } else { self.fields.shift_remove(&camel) };
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        match (snake, other) {
            (Some(_), Some(_)) => Err(Error::invalid(format!("'{path}' is given twice, also as '{camel}'"))),
            (Some(Value::Null), None) | (None, Some(Value::Null)) | (None, None) => Ok(None),
            (Some(value), None) | (None, Some(value)) => Ok(Some(Item { path, value })),
        }
    }

    /// Refuses the fields that nobody took.
    pub(super) fn finish(self) -> Result<()> {
        let Some(name) = self.fields.keys().next() else { return Ok(()) };
        let place = if self.path.is_empty() { String::new() } else { format!(" in '{}'", self.path) };
        Err(Error::invalid(format!("unknown field '{name}'{place}; known fields are {}", self.known.join(", "))))
    }
}

impl Item {
    pub(super) fn object(self) -> Result<Object> {
        match self.value {
            Value::Object(fields) => Ok(Object { path: self.path, fields, known: Vec::new() }),
            _ => Err(self.wrong("an object")),
        }
    }

    pub(super) fn text(self) -> Result<String> {
        match self.value {
            Value::String(text) => Ok(text),
            _ => Err(self.wrong("a text")),
        }
    }

    pub(super) fn boolean(self) -> Result<bool> {
        match self.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A whole number in `minimum..=maximum`, as a number or as a text of one.
    pub(super) fn integer(self, minimum: i128, maximum: i128) -> Result<i128> {
        /// Whole numbers up to here are exact in a double.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let number = match &self.value {
            Value::String(text) => text.parse::<i128>().ok(),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(value), _, _) => Some(value.into()),
                (None, Some(value), _) => Some(value.into()),
                (None, None, Some(value)) if value.fract() == 0.0 && value.abs() <= EXACT => Some(value as i128),
                _ => None,
            },
            _ => None,
        };
        match number {
            Some(number) if (minimum..=maximum).contains(&number) => Ok(number),
            _ if minimum == 0 => Err(self.wrong("a whole number of at least 0")),
            _ => Err(self.wrong("a whole number")),
        }
    }

    pub(super) fn unsigned(self) -> Result<u64> {
        let path = self.path.clone();
        let number = self.integer(0, u64::MAX.into())?;
        u64::try_from(number).map_err(|_| Error::invalid(format!("'{path}' is out of range")))
    }

    pub(super) fn signed(self) -> Result<i64> {
        let path = self.path.clone();
        let number = self.integer(i64::MIN.into(), i64::MAX.into())?;
        i64::try_from(number).map_err(|_| Error::invalid(format!("'{path}' is out of range")))
    }

    /// Bytes as base64, standard or url-safe, with or without padding.
    pub(super) fn bytes(self) -> Result<Vec<u8>> {
        let path = self.path.clone();
        let text = match self.value {
            Value::String(text) => text,
            _ => return Err(self.wrong("bytes as base64 text")),
        };
        let url_safe = text.contains(['-', '_']);
        let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let alphabet = if url_safe { alphabet::URL_SAFE } else { alphabet::STANDARD };
        GeneralPurpose::new(&alphabet, config)
            .decode(text)
            .map_err(|error| Error::invalid(format!("'{path}' is not base64: {error}")))
    }

    /// The items of a list, or of the list in `values` of an object.
    pub(super) fn list(self) -> Result<Vec<Item>> {
        match self.value {
            Value::Array(values) => Ok(items(&self.path, values)),
            Value::Object(_) => {
                let path = self.path.clone();
                let mut object = self.object()?;
                let values = object.take("values")?;
                object.finish()?;
                match values {
                    None => Ok(Vec::new()),
                    Some(Item { value: Value::Array(values), .. }) => Ok(items(&path, values)),
                    Some(other) => Err(other.wrong("a list")),
                }
            }
            _ => Err(self.wrong("a list")),
        }
    }

    pub(super) fn texts(self) -> Result<Vec<String>> {
        self.list()?.into_iter().map(Item::text).collect()
    }

    /// The error for a value of another type.
    pub(super) fn wrong(&self, expected: &str) -> Error {
        Error::invalid(format!("'{}': expected {expected}, found {}", self.path, describe(&self.value)))
    }
}

fn items(path: &str, values: Vec<Value>) -> Vec<Item> {
    values.into_iter().enumerate().map(|(number, value)| Item { path: format!("{path}[{number}]"), value }).collect()
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for character in name.chars() {
        match character {
            '_' => upper = true,
            other if upper => {
                camel.push(other.to_ascii_uppercase());
                upper = false;
            }
            other => camel.push(other),
        }
    }
    camel
}

fn describe(value: &Value) -> String {
    const SHOWN: usize = 60;
    match value {
        Value::Null => "null".into(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) => format!("the text '{}'", text.chars().take(SHOWN).collect::<String>()),
        Value::Array(values) => format!("a list of {}", values.len()),
        Value::Object(_) => "an object".into(),
    }
}
