//! A program that sends its spans to OpenTelemetry. docs/operating.md shows its lines.

use std::error::Error;
use std::process::ExitCode;

use operator_runtime::{App, operator_api};

use opentelemetry::{propagation::TextMapPropagator as _, trace::TracerProvider as _};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{EnvFilter, fmt, prelude::*, registry};

/// Greets a customer. Use it to see the span of its work.
#[operator_api(GET, "/greeting")]
async fn greeting() -> &'static str {
    tracing::info_span!("work").in_scope(|| "Good morning!")
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let exporter = opentelemetry_otlp::SpanExporter::builder().with_http().build()?;
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).build();
    let spans = tracing_opentelemetry::layer().with_tracer(provider.tracer("support-desk"));
    let log = fmt::layer().json().with_writer(std::io::stderr);
    registry().with(EnvFilter::new("info")).with(log).with(spans).init();
    let app = App::new().trace_parent(|span, parent| {
        let caller = std::collections::HashMap::from([("traceparent".to_owned(), parent.to_string())]);
        let _ = span.set_parent(TraceContextPropagator::new().extract(&caller));
    });
    let exit = app.run().await;
    provider.shutdown()?;
    Ok(exit)
}
