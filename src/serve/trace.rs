//! Where a call stands in its caller's trace. Where nothing is traced, all of this does nothing.

use crate::service::Code;
use axum::http::request::Parts;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use std::collections::HashMap;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The span of one tool call, which continues the caller's trace: that of the message (SEP-414), else that of the HTTP request
/// which brought it.
pub(super) fn of_call(tool: &str, context: &RequestContext<RoleServer>) -> Span {
    let span = tracing::info_span!(
        "tools/call",
        otel.name = %format_args!("tools/call {tool}"),
        otel.kind = "server",
        otel.status_code = Empty,
        mcp.method.name = "tools/call",
        gen_ai.tool.name = tool,
        error.type = Empty,
    );
    if !span.is_disabled() {
        // A span that cannot be continued begins a trace of its own.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&carried(context)));
    }
    span
}

/// Notes how a call ended.
pub(super) fn ended(span: &Span, code: Option<Code>) {
    let Some(code) = code else { return };
    span.record("error.type", code.as_str());
    // The others are a caller's mistakes, which the server has dealt with as it should.
    if matches!(code, Code::Internal | Code::ProviderUnavailable) {
        span.record("otel.status_code", "ERROR");
    }
}

/// A place in a trace that work elsewhere can go on from, also after the call has been answered.
#[derive(Clone)]
pub(super) struct Place(Context);

impl Place {
    /// Where this thread is now.
    pub fn here() -> Place {
        Place(Span::current().context())
    }

    /// A span for the time until it is dropped. The call's own span does not wait for it.
    pub fn waiting(&self) -> Span {
        let span = tracing::info_span!(parent: None, "wait in the queue");
        let _ = span.set_parent(self.0.clone());
        span
    }

    /// Does `work` so that its spans belong here.
    pub fn go_on<T>(self, work: impl FnOnce() -> T) -> T {
        let _at = self.0.attach();
        work()
    }
}

fn carried(context: &RequestContext<RoleServer>) -> HashMap<String, String> {
    let of_message = [
        ("traceparent", context.meta.get_traceparent()),
        ("tracestate", context.meta.get_tracestate()),
    ];
    let headers = context.extensions.get::<Parts>().map(|parts| &parts.headers);
    let of_request = ["traceparent", "tracestate"].map(|name| {
        let value = headers.and_then(|headers| headers.get(name));
        (name, value.and_then(|value| value.to_str().ok()))
    });
    let chosen = match of_message[0].1 {
        Some(_) => of_message,
        None => of_request,
    };
    chosen
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect()
}
