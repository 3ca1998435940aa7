//! What the model wants: its inputs, as a conversion is told of them.

use serde::{Deserialize, Serialize};
use wire::DType;

use super::error::ConvertError;

/// An input as the model declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    pub name: String,
    pub dtype: DType,
    /// `None` where the model declares no shape; in it, `None` for an axis of any size.
    pub shape: Option<Vec<Option<u64>>>,
}

impl Port {
    /// The sizes of a row. `None` where the model says nothing.
    pub fn row(&self) -> Option<&[Option<u64>]> {
        self.shape.as_deref().map(|shape| shape.get(1..).unwrap_or_default())
    }
}

pub fn names(ports: &[Port]) -> String {
    ports.iter().map(|port| port.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// The inputs that a file is for: the one that was named, or all.
pub fn wanted<'a>(ports: &'a [Port], input: Option<&str>) -> Result<Vec<&'a Port>, ConvertError> {
    if ports.is_empty() {
        return Err(ConvertError::NoInputs);
    }
    let Some(name) = input else { return Ok(ports.iter().collect()) };
    let found = ports.iter().find(|port| port.name == name);
    let unknown = || ConvertError::UnknownInput { name: name.to_owned(), names: names(ports) };
    Ok(vec![found.ok_or_else(unknown)?])
}
