//! Who sent a message, as the transport knows it.

use crate::service::Caller;
use axum::http::request::Parts;
use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde::{Deserialize, Serialize};

/// Whoever sent a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Who {
    /// What they may see.
    pub caller: Caller,
    /// Whose turn it is when several wait for the worker: one word for each that counts as one.
    pub turn: String,
}

impl Who {
    /// The one client at the other end of stdin and stdout.
    fn on_stdio() -> Who {
        Who {
            caller: Caller::neighbour(),
            turn: String::new(),
        }
    }

    /// Who sent this request. HTTP's guard has noted it beside the request; one that passed no guard sees nothing of its own.
    pub fn sent(context: &RequestContext<RoleServer>) -> Who {
        match context.extensions.get::<Parts>() {
            None => Who::on_stdio(),
            Some(parts) => parts.extensions.get::<Who>().cloned().unwrap_or_else(|| Who {
                caller: Caller::neighbour().without_paths(),
                turn: String::new(),
            }),
        }
    }
}
