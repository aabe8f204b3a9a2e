//! A label that an artifact has or must have.

use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A label by name, maybe as the value of one feature. As JSON a name, or `{"name": …, "feature": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FeatureLabel {
    /// Name of the label.
    pub name: String,
    /// Name of the feature of which it is the value; none: with any feature, or without.
    pub feature: Option<String>,
}

impl Serialize for FeatureLabel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(feature) = &self.feature else { return serializer.serialize_str(&self.name) };
        let mut fields = serializer.serialize_struct("label", 2)?;
        fields.serialize_field("name", &self.name)?;
        fields.serialize_field("feature", feature)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for FeatureLabel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LabelVisitor)
    }
}

struct LabelVisitor;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: String,
    #[serde(default)]
    feature: Option<String>,
}

impl<'de> Visitor<'de> for LabelVisitor {
    type Value = FeatureLabel;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the name of a label, or {\"name\": …, \"feature\": …}")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<FeatureLabel, E> {
        Ok(FeatureLabel { name: name.to_owned(), feature: None })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FeatureLabel, A::Error> {
        let Fields { name, feature } = Fields::deserialize(de::value::MapAccessDeserializer::new(map))?;
        Ok(FeatureLabel { name, feature })
    }
}
