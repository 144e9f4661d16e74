//! The answer to `conversation.setup`: what the agent knows when a conversation begins.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::problem::Error;

/// What the agent knows when a conversation begins.
///
/// ```
/// use operator_runtime::events::{Context, Customer};
/// use serde_json::json;
///
/// # fn main() -> Result<(), operator_runtime::Error> {
/// let context = Context::new()
///     .customer(Customer { name: Some("Ana".to_owned()), ..Customer::default() })
///     .variable("tier", "gold")
///     .value("orders", &json!([{ "order_id": 1004 }]))?
///     .override_config(json!({ "language": "de" }));
/// let sent = serde_json::to_value(&context)?;
/// assert_eq!(sent["context"]["$customer"]["name"], "Ana");
/// assert_eq!(sent["context"]["$variables"]["tier"], "gold");
/// assert_eq!(sent["context"]["orders"][0]["order_id"], 1004);
/// assert!(Context::new().value("$customer", &"Ana").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Context {
    /// What the agent knows: `$customer`, `$variables`, and values of other names.
    context: Known,
    /// A part of the agent's configuration, which replaces that part in this conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    override_config: Option<Value>,
}

/// The values of a context by name. Two names are reserved.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
struct Known {
    /// The customer.
    #[serde(rename = "$customer", skip_serializing_if = "Option::is_none")]
    customer: Option<Customer>,
    /// The variables of the agent's instructions by name.
    #[serde(rename = "$variables", skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<String, Value>,
    #[serde(flatten)]
    values: BTreeMap<String, Value>,
}

/// The customer of a conversation. Leave out what is not known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Customer {
    /// The name by which the agent addresses the customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The telephone number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_no: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The customer's id in this program's own system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The id of the lead in Salesforce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salesforce_lead_id: Option<String>,
    /// The id of the contact in Salesforce.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub salesforce_contact_id: Option<String>,
    /// The id of the user in Zendesk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zendesk_user_id: Option<String>,
    /// Further facts by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, Value>,
}

/// The names of a context that have methods of their own, and those methods.
const RESERVED: [(&str, &str); 2] = [("$customer", "customer"), ("$variables", "variable")];

impl Context {
    /// A context without any values.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the customer.
    #[must_use]
    pub fn customer(mut self, customer: Customer) -> Self {
        self.context.customer = Some(customer);
        self
    }

    /// Sets a variable of the agent's instructions.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.context.variables.insert(name.into(), value.into());
        self
    }

    /// Sets any other value, which the agent reads as JSON.
    ///
    /// # Errors
    /// 500 if the name is reserved, or if the value cannot be written as JSON. The log says which.
    pub fn value(mut self, name: impl Into<String>, value: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let name = name.into();
        if let Some((_, method)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
            return Err(Error::internal(format!(
                "`{name}` is a reserved name of a context: set it with `Context::{method}`"
            )));
        }
        self.context.values.insert(name, serde_json::to_value(value)?);
        Ok(self)
    }

    /// Replaces a part of the agent's configuration in this conversation: a JSON object, which the agent's system merges
    /// with the configuration.
    #[must_use]
    pub fn override_config(mut self, config: impl Into<Value>) -> Self {
        self.override_config = Some(config.into());
        self
    }
}
