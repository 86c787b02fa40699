//! The viewer in the chat: an MCP App (ext-apps, protocol 2026-01-26) that hosts show beside an answer of `segment`.
//!
//! The page asks its host for what it shows, and the host asks us: `result.json`, the label map and its colours, and the
//! scan in grey, which is made when it is asked for. It reaches no other address and wants no permission, so that a host's
//! strictest policy fits it.

use super::desk::Desk;
use super::hints::Keep;
use super::reply::resource;
use crate::service::{Caller, Code, Fault, displayed, viewer};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rmcp::model::{MetaObject, Resource, ResourceContents};
use serde_json::json;

/// Where hosts read the page.
const URI: &str = "ui://sat-mcp/viewer.html";
/// What MCP Apps calls a page.
const MIME: &str = "text/html;profile=mcp-app";
const GZIP: &str = "application/gzip";

/// What a tool says of the page that shows its answers.
pub(super) fn of_tool() -> MetaObject {
    meta(json!({ "resourceUri": URI }))
}

/// The page in a list of resources.
pub(super) fn listed() -> Resource {
    resource(URI, "Viewer of segmentation results")
        .with_description(
            "Planes of the scan with the masks in colour and their volumes; hosts show it beside segment's answer.",
        )
        .with_mime_type(MIME)
        .with_size(viewer().len() as u64)
        .with_meta(of_page())
}

/// The page, or the scan that it shows; nothing where `uri` is neither.
pub(super) fn contents(
    desk: &impl Desk,
    caller: &Caller,
    limit: u64,
    uri: &str,
) -> Option<Result<(ResourceContents, Keep), Fault>> {
    if uri == URI {
        let page = ResourceContents::text(viewer(), uri)
            .with_mime_type(MIME)
            .with_meta(of_page());
        return Some(Ok((page, Keep::WhileServed)));
    }
    let id = displayed(uri)?;
    Some(scan(desk, caller, limit, uri, id).map(|scan| (scan, Keep::Result)))
}

fn scan(desk: &impl Desk, caller: &Caller, limit: u64, uri: &str, id: &str) -> Result<ResourceContents, Fault> {
    let bytes = desk.display(caller, id)?;
    let size = bytes.len() as u64;
    if size > limit {
        let message = format!("{uri} has {size} bytes, more than the {limit} that one message may carry.");
        return Err(Fault::new(Code::InvalidArgument, message).hint("`sat-mcp view` shows it without messages."));
    }
    Ok(ResourceContents::blob(BASE64_STANDARD.encode(bytes), uri).with_mime_type(GZIP))
}

/// No address to connect to, none to load from, no frames, no permissions: an empty list each, since hosts read an absent
/// one in their own way.
fn of_page() -> MetaObject {
    meta(json!({
        "csp": { "connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": [] },
        "permissions": {},
        "prefersBorder": true,
    }))
}

fn meta(ui: serde_json::Value) -> MetaObject {
    let mut meta = MetaObject::new();
    meta.0.insert("ui".into(), ui);
    meta
}
