//! The endpoint `manifest`, which answers signed calls with the manifest if the app turns it on.

use std::any::TypeId;

use bytes::Bytes;
use schemars::{Schema, json_schema};

use super::Format;
use super::model::Model;
use crate::endpoint::output::AnswerBytes;
use crate::endpoint::state::AppState;
use crate::endpoint::{Endpoint, Source};
use crate::idempotency::effect::Effect;
use crate::input::{Expected, SearchInput, SearchParam, choices, one_of};
use crate::protocol::method::Method;

/// The documents, written once at start-up.
#[derive(Debug)]
pub(crate) struct Documents(Vec<(Format, Bytes)>);

impl Documents {
    pub(crate) fn new(model: &Model) -> Result<Self, serde_json::Error> {
        let write = |format: Format| Ok((format, format.write(model)?.into()));
        Format::ALL.into_iter().map(write).collect::<Result<_, _>>().map(Self)
    }

    fn get(&self, format: Format) -> Bytes {
        let mut documents = self.0.iter();
        let found = documents.find(|(other, _)| *other == format);
        found.map(|(_, document)| document.clone()).unwrap_or_default()
    }
}

impl SearchParam for Format {
    fn from_text(text: &str) -> Result<Self, Expected> {
        Self::named(text).ok_or_else(|| Expected::new(one_of(Self::ALL.map(Self::name))))
    }

    fn schema() -> Schema {
        choices(&Self::ALL.map(|format| (format.name(), "", false)), "")
    }
}

/// The endpoint that serves the manifest. The manifest does not list this endpoint.
pub(crate) static ENDPOINT: Endpoint = Endpoint {
    name: "manifest",
    description: "Describes every endpoint of this server.\n\nUse it to learn what can be looked up and done here.",
    deprecated: false,
    method: Method::Get,
    path: "/manifest",
    effect: Effect::ReadOnly,
    key: None,
    limits: None,
    timeout: None,
    scope: None,
    tag: None,
    inputs: &[<Format as SearchInput>::INPUT
        .named("format", "The format of the description.")
        .default(|| Format::Operator.name().into())],
    needs: &[<Documents as AppState>::NEED.named("documents")],
    output: || json_schema!({ "type": "object" }),
    problems: &[],
    function: TypeId::of::<Documents>,
    allowed: &[],
    source: Source {
        file: file!(),
        line: line!(),
        module: module_path!(),
    },
    run: |invocation, _| {
        let format = invocation.arguments(|inputs| inputs.search_param_or(0, || Format::Operator))?;
        let document = invocation.borrowed::<Documents>()?.get(format);
        Ok(Box::pin(std::future::ready(Ok(AnswerBytes(document)))))
    },
};
