//! What the process says of itself while it works: lines on stderr, and traces to a collector where the environment names one.
//!
//! Neither tells of patients: no path of a scan, no name of a target, no token. Traces go out by OTLP (http/protobuf) when
//! `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set; the other `OTEL_…` variables mean what
//! OpenTelemetry's specification says. Without them there is no exporter, and a span costs a look at a flag.

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use std::str::FromStr;
use std::time::Duration;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// What the service is called where `OTEL_SERVICE_NAME` does not say.
const NAME: &str = "sat-mcp";

/// How long the last spans may take to go out. Clients kill what lives longer than some two seconds after stdin closed.
const LAST_FLUSH: Duration = Duration::from_secs(1);

/// How lines on stderr look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<LogFormat, String> {
        match word {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(format!("{word:?} is no log format; give text or json")),
        }
    }
}

/// Logs and traces of this process. Dropped at its end, it sends what is left.
#[derive(Debug)]
#[must_use]
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        // A collector that does not answer has been told of on stderr, and must not hold up the exit.
        if let Some(provider) = &self.0 {
            let _ = provider.shutdown_with_timeout(LAST_FLUSH);
        }
    }
}

/// Begins to log to stderr, and to trace where the environment wants it. `SAT_MCP_LOG` chooses what is logged, as `RUST_LOG`
/// does elsewhere. rmcp's own lines quote whole messages, and with them file names, so they are only let through where
/// `rmcp` itself is named. What decoders of DICOM have to say of a file is told in our own errors, without its values.
pub fn telemetry(format: LogFormat) -> Telemetry {
    let wanted = std::env::var("SAT_MCP_LOG").unwrap_or_else(|_| "info,ort=warn".into());
    let chosen =
        EnvFilter::builder().parse_lossy(format!("rmcp=error,opentelemetry=warn,dicom=off,jpeg2k=off,{wanted}"));
    // Lines stand for themselves: spans are for traces.
    let lines = chosen.and(filter_fn(|metadata| metadata.is_event()));
    let stderr = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let stderr: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => stderr.with_filter(lines).boxed(),
        LogFormat::Json => {
            std::panic::set_hook(Box::new(panicked));
            let flat = stderr.json().flatten_event(true).with_current_span(false);
            flat.with_span_list(false).with_filter(lines).boxed()
        }
    };
    let exporter = exporter();
    let traces = exporter.as_ref().ok().and_then(Option::as_ref).map(|provider| {
        // Only what is ours, and no lines: those of a warning may name a folder.
        let ours = filter_fn(|metadata| metadata.is_span() && metadata.target().starts_with("sat_mcp"));
        tracing_opentelemetry::layer::<_>()
            .with_tracer::<SdkTracer>(provider.tracer(NAME))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_level(false)
            .with_tracked_inactivity(false)
            .with_filter(ours)
    });
    // A second call changes nothing.
    let _ = tracing_subscriber::registry().with(stderr).with(traces).try_init();
    match exporter {
        Ok(provider) => Telemetry(provider),
        Err(why) => {
            tracing::warn!("no traces are sent: {why}");
            Telemetry(None)
        }
    }
}

/// A panic as a line like the others.
fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(at, "a fault of sat-mcp's own");
}

/// What sends spans, where the environment wants that and it can be done.
fn exporter() -> Result<Option<SdkTracerProvider>, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let either = |of_traces: &str, of_all: &str| set(of_traces).or_else(|| set(of_all));
    let off = set("OTEL_SDK_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true"))
        || set("OTEL_TRACES_EXPORTER").is_some_and(|word| word.eq_ignore_ascii_case("none"));
    if off || either("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT").is_none() {
        return Ok(None);
    }
    let protocol = either("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
    if let Some(other) = protocol.filter(|protocol| protocol != "http/protobuf") {
        return Err(format!(
            "the environment asks for OTLP by {other}; this program speaks http/protobuf"
        ));
    }
    // Whoever was first has installed the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .build()
        .map_err(|error| error.to_string())?;
    let named = set("OTEL_SERVICE_NAME").is_some()
        || set("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|given| given.contains("service.name="));
    let resource = match named {
        true => Resource::builder(),
        false => Resource::builder().with_service_name(NAME),
    };
    let version = opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.with_attribute(version).build())
        .with_batch_exporter(exporter)
        .build();
    Ok(Some(provider))
}
