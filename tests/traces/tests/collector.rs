//! The lines in docs/operating.md send the spans of calls to a collector, as children of the caller's spans.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tests::caller::{now, send, sign};
use tests::process::Server;
use tokio::net::TcpListener;

/// Starts a collector on a free port. It keeps the spans that it gets.
async fn collector() -> (String, Arc<Mutex<Vec<Span>>>) {
    let spans = Arc::<Mutex<Vec<Span>>>::default();
    let kept = Arc::clone(&spans);
    let keep = async move |body: Bytes| {
        let request = ExportTraceServiceRequest::decode(body).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|of| of.scope_spans);
        kept.lock().unwrap().extend(scopes.flat_map(|scope| scope.spans));
    };
    let router = Router::new().route("/v1/traces", post(keep));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, spans)
}

fn call(port: u16, traceparent: Option<&str>) {
    let (path, stamp) = ("/greeting", now());
    let signature = sign(path, "k", stamp, "{}");
    let trace = traceparent.map(|value| format!("traceparent: {value}\r\n"));
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Idempotency-Key: k\r\nX-Timestamp: {stamp}\r\n\
         X-Signature: {signature}\r\n{}\r\n",
        trace.unwrap_or_default()
    );
    let answer = send(port, &request).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_span_of_a_call_is_a_child_of_the_callers_span() {
    let (address, spans) = collector().await;
    let folder = tempfile::tempdir().unwrap();
    let calls = move || {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_traces"));
        serve.arg("serve");
        let (mut server, log) =
            Server::start_with_log(serve, folder.path(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]);
        call(
            server.port,
            Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        );
        call(
            server.port,
            Some("00-ffffffffffffffffffffffffffffffff-b7ad6b7169203331-00"),
        );
        call(server.port, Some("00-wrong"));
        call(server.port, None);
        server.terminate();
        let log: Vec<String> = log.map(Result::unwrap).collect();
        assert_eq!(server.exit_code(), Some(0), "{log:#?}");
        log
    };
    let log = tokio::task::spawn_blocking(calls).await.unwrap();
    let spans = spans.lock().unwrap();
    let of_calls: Vec<&Span> = spans.iter().filter(|span| span.name == "call").collect();
    let [child, roots @ ..] = of_calls.as_slice() else {
        panic!("no span of a call has arrived: {log:#?}");
    };
    assert_eq!(
        child.trace_id,
        0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()
    );
    assert_eq!(child.parent_span_id, 0xb7ad_6b71_6920_3331_u64.to_be_bytes());
    let works: Vec<&Span> = spans.iter().filter(|span| span.name == "work").collect();
    let work = works.iter().find(|work| work.parent_span_id == child.span_id).unwrap();
    assert_eq!(
        work.trace_id, child.trace_id,
        "the handler's own span is in the same trace"
    );
    // The caller of the second call does not record its trace, so this program does not either.
    assert_eq!((roots.len(), works.len()), (2, 3), "{spans:#?}");
    for root in roots {
        assert_eq!(root.parent_span_id, [0_u8; 0]);
        assert_ne!(root.trace_id, child.trace_id);
    }
    let is_logged = |line: &String| line.contains("0af7651916cd43dd8448eb211c80319c");
    assert!(log.iter().any(is_logged), "the log names the trace: {log:#?}");
}

#[test]
fn the_page_shows_the_lines_of_this_program() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("../../docs/operating.md")).unwrap();
    let section = page.split("\n### Spans in OpenTelemetry\n").nth(1).unwrap();
    let shown = |language: &str| {
        let fence = format!("```{language}\n");
        let block = section.split(&fence).nth(1).unwrap().split("```").next().unwrap();
        assert!(block.lines().count() > 3, "{block}");
        block.to_owned()
    };
    let program = fs::read_to_string(root.join("src/main.rs")).unwrap();
    let program: String = program.lines().map(|line| format!("{}\n", line.trim())).collect();
    for part in shown("rust").split("\n\n") {
        let part: String = part.lines().map(|line| format!("{}\n", line.trim())).collect();
        assert!(program.contains(&part), "the program does not contain:\n{part}");
    }
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for line in shown("toml").lines() {
        assert!(manifest.contains(line), "{line}");
    }
}
