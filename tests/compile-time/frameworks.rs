//! The same app, written for each framework. It has N endpoints, each with three inputs and a struct as its output.

/// How to write the app in one framework, or without any.
pub(crate) struct Framework {
    /// The name in the printed table.
    pub(crate) name: &'static str,
    /// The dependencies in `Cargo.toml`.
    pub(crate) dependencies: &'static str,
    /// The imports at the start of every module.
    pub(crate) module: &'static str,
    /// One endpoint and its types. `@` stands for the endpoint's number.
    pub(crate) endpoint: &'static str,
    /// The code before and after the calls that register a module's endpoints.
    pub(crate) register: (&'static str, &'static str),
    /// The call that registers one endpoint.
    pub(crate) registration: &'static str,
    /// The end of the crate's root, after the modules. `$` stands for the calls that register all modules.
    pub(crate) root: &'static str,
    /// The call that registers one module. `%` stands for the module's number.
    pub(crate) merge: &'static str,
}

/// The frameworks. The first is plain axum with serde, with which the others are compared.
pub(crate) const FRAMEWORKS: [Framework; 6] = [PLAIN, OPERATOR, UTOIPA, AIDE, DROPSHOT, POEM];

const PLAIN: Framework = Framework {
    name: "axum + serde (plain)",
    dependencies: r#"axum = { version = "0.8.9", default-features = false, features = ["json", "query", "tokio", "http1"] }
serde = { version = "1.0.229", features = ["derive"] }
tokio = { version = "1.54.1", features = ["rt-multi-thread", "net"] }"#,
    module: "use axum::{Json, Router, extract::Query, routing::get};\nuse serde::{Deserialize, Serialize};\n",
    endpoint: r#"
#[derive(Deserialize)]
pub struct Inputs@ {
    pub order_id: u64,
    pub email: String,
    pub limit: Option<u8>,
}

#[derive(Serialize)]
pub struct Output@ {
    pub order_id: u64,
    pub email: String,
    pub limit: u8,
}

pub async fn endpoint_@(Query(inputs): Query<Inputs@>) -> Result<Json<Output@>, String> {
    let limit = inputs.limit.unwrap_or(5);
    Ok(Json(Output@ { order_id: inputs.order_id, email: inputs.email, limit }))
}
"#,
    register: ("pub fn router() -> Router {\n    Router::new()\n", "}\n"),
    registration: "        .route(\"/endpoint/@\", get(endpoint_@))\n",
    root: "pub fn app() -> axum::Router {\n    axum::Router::new()$\n}\n",
    merge: ".merge(module_%::router())",
};

const OPERATOR: Framework = Framework {
    name: "operator-runtime",
    dependencies: r#"operator-runtime = { path = "{runtime}", default-features = false }
schemars = "1.2.3"
serde = { version = "1.0.229", features = ["derive"] }"#,
    module: "use operator_runtime::{Error, operator_api};\nuse schemars::JsonSchema;\nuse serde::Serialize;\n",
    endpoint: r#"
/// What the endpoint answers.
#[derive(Serialize, JsonSchema)]
pub struct Output@ {
    /// The order's number.
    pub order_id: u64,
    /// The customer's address.
    pub email: String,
    /// How many there are.
    pub limit: u8,
}

/// Lists a customer's orders. Use it when one asks where an order is.
#[operator_api(GET, "/endpoint/@")]
pub async fn endpoint_@(
    /// The order's number, as printed on the receipt.
    order_id: u64,
    /// The e-mail address the customer orders with.
    email: String,
    /// How many to return.
    limit: Option<u8>,
) -> Result<Output@, Error> {
    let limit = limit.unwrap_or(5);
    Ok(Output@ { order_id, email, limit })
}
"#,
    register: ("", ""),
    registration: "",
    root: "pub fn app() -> operator_runtime::App {\n    operator_runtime::App::new()\n}\n",
    merge: "",
};

const UTOIPA: Framework = Framework {
    name: "axum + utoipa",
    dependencies: r#"axum = { version = "0.8.9", default-features = false, features = ["json", "query", "tokio", "http1"] }
serde = { version = "1.0.229", features = ["derive"] }
tokio = { version = "1.54.1", features = ["rt-multi-thread", "net"] }
utoipa = "6.0.0"
utoipa-axum = "0.3.0""#,
    module: "use axum::{Json, extract::Query};\nuse serde::{Deserialize, Serialize};\nuse utoipa::{IntoParams, ToSchema};\nuse utoipa_axum::{router::OpenApiRouter, routes};\n",
    endpoint: r#"
#[derive(Deserialize, IntoParams)]
pub struct Inputs@ {
    /// The order's number, as printed on the receipt.
    pub order_id: u64,
    /// The e-mail address the customer orders with.
    pub email: String,
    /// How many to return.
    pub limit: Option<u8>,
}

/// What the endpoint answers.
#[derive(Serialize, ToSchema)]
pub struct Output@ {
    /// The order's number.
    pub order_id: u64,
    /// The customer's address.
    pub email: String,
    /// How many there are.
    pub limit: u8,
}

/// Lists a customer's orders. Use it when one asks where an order is.
#[utoipa::path(get, path = "/endpoint/@", params(Inputs@), responses((status = 200, body = Output@)))]
pub async fn endpoint_@(Query(inputs): Query<Inputs@>) -> Result<Json<Output@>, String> {
    let limit = inputs.limit.unwrap_or(5);
    Ok(Json(Output@ { order_id: inputs.order_id, email: inputs.email, limit }))
}
"#,
    register: ("pub fn router() -> OpenApiRouter {\n    OpenApiRouter::new()\n", "}\n"),
    registration: "        .routes(routes!(endpoint_@))\n",
    root: "pub fn app() -> utoipa_axum::router::OpenApiRouter {\n    utoipa_axum::router::OpenApiRouter::new()$\n}\n",
    merge: ".merge(module_%::router())",
};

const AIDE: Framework = Framework {
    name: "aide",
    dependencies: r#"aide = { version = "0.15.1", features = ["axum", "axum-json", "axum-query"] }
axum = { version = "0.8.9", default-features = false, features = ["json", "query", "tokio", "http1"] }
schemars = "0.9"
serde = { version = "1.0.229", features = ["derive"] }
tokio = { version = "1.54.1", features = ["rt-multi-thread", "net"] }"#,
    module: "use aide::axum::{ApiRouter, routing::get};\nuse axum::{Json, extract::Query};\nuse schemars::JsonSchema;\nuse serde::{Deserialize, Serialize};\n",
    endpoint: r#"
#[derive(Deserialize, JsonSchema)]
pub struct Inputs@ {
    /// The order's number, as printed on the receipt.
    pub order_id: u64,
    /// The e-mail address the customer orders with.
    pub email: String,
    /// How many to return.
    pub limit: Option<u8>,
}

/// What the endpoint answers.
#[derive(Serialize, JsonSchema)]
pub struct Output@ {
    /// The order's number.
    pub order_id: u64,
    /// The customer's address.
    pub email: String,
    /// How many there are.
    pub limit: u8,
}

pub async fn endpoint_@(Query(inputs): Query<Inputs@>) -> Result<Json<Output@>, String> {
    let limit = inputs.limit.unwrap_or(5);
    Ok(Json(Output@ { order_id: inputs.order_id, email: inputs.email, limit }))
}
"#,
    register: ("pub fn router() -> ApiRouter {\n    ApiRouter::new()\n", "}\n"),
    registration: "        .api_route(\"/endpoint/@\", get(endpoint_@))\n",
    root: "pub fn app() -> aide::axum::ApiRouter {\n    aide::axum::ApiRouter::new()$\n}\n",
    merge: ".merge(module_%::router())",
};

const DROPSHOT: Framework = Framework {
    name: "dropshot",
    dependencies: r#"dropshot = "0.18.0"
schemars = "0.8.22"
serde = { version = "1.0.229", features = ["derive"] }"#,
    module: "use dropshot::{ApiDescription, HttpError, HttpResponseOk, Query, RequestContext, endpoint};\nuse schemars::JsonSchema;\nuse serde::{Deserialize, Serialize};\n",
    endpoint: r#"
#[derive(Deserialize, JsonSchema)]
pub struct Inputs@ {
    /// The order's number, as printed on the receipt.
    pub order_id: u64,
    /// The e-mail address the customer orders with.
    pub email: String,
    /// How many to return.
    pub limit: Option<u8>,
}

/// What the endpoint answers.
#[derive(Serialize, JsonSchema)]
pub struct Output@ {
    /// The order's number.
    pub order_id: u64,
    /// The customer's address.
    pub email: String,
    /// How many there are.
    pub limit: u8,
}

/// Lists a customer's orders. Use it when one asks where an order is.
#[endpoint { method = GET, path = "/endpoint/@" }]
pub async fn endpoint_@(_: RequestContext<()>, inputs: Query<Inputs@>) -> Result<HttpResponseOk<Output@>, HttpError> {
    let inputs = inputs.into_inner();
    let limit = inputs.limit.unwrap_or(5);
    Ok(HttpResponseOk(Output@ { order_id: inputs.order_id, email: inputs.email, limit }))
}
"#,
    register: ("pub fn register(api: &mut ApiDescription<()>) {\n", "}\n"),
    registration: "    api.register(endpoint_@).unwrap();\n",
    root: "pub fn app() -> dropshot::ApiDescription<()> {\n    let mut api = dropshot::ApiDescription::new();\n    $\n    api\n}\n",
    merge: "module_%::register(&mut api);",
};

const POEM: Framework = Framework {
    name: "poem-openapi",
    dependencies: r#"poem = "3.1.12"
poem-openapi = "5.1.16""#,
    module: "use poem_openapi::{Object, OpenApi, param::Query, payload::Json};\n\npub struct Api;\n",
    endpoint: r#"
/// What the endpoint answers.
#[derive(Object)]
pub struct Output@ {
    /// The order's number.
    pub order_id: u64,
    /// The customer's address.
    pub email: String,
    /// How many there are.
    pub limit: u8,
}
"#,
    register: ("#[OpenApi]\nimpl Api {\n", "}\n"),
    registration: r#"
    /// Lists a customer's orders. Use it when one asks where an order is.
    #[oai(path = "/endpoint/@", method = "get")]
    async fn endpoint_@(
        &self,
        /// The order's number, as printed on the receipt.
        order_id: Query<u64>,
        /// The e-mail address the customer orders with.
        email: Query<String>,
        /// How many to return.
        limit: Query<Option<u8>>,
    ) -> poem::Result<Json<Output@>> {
        let limit = limit.0.unwrap_or(5);
        Ok(Json(Output@ { order_id: order_id.0, email: email.0, limit }))
    }
"#,
    root: "pub fn app() -> impl poem_openapi::OpenApi {\n    ($)\n}\n",
    merge: "module_%::Api,",
};
