//! Requests that rmcp could not make out: of no method of the protocol, or with parameters that its method has not.

use rmcp::ErrorData;
use rmcp::model::{CustomRequest, ErrorCode};

/// What is served here.
const SERVED: [&str; 20] = [
    "completion/complete",
    "initialize",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/directory/read",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "server/discover",
    "skills/get",
    "skills/list",
    "subscriptions/listen",
    "tasks/cancel",
    "tasks/get",
    "tasks/update",
    "tools/call",
    "tools/list",
];
/// Characters of a method that an error repeats.
const LONGEST: usize = 100;

/// Why nothing was done.
pub(super) fn refused(request: &CustomRequest) -> ErrorData {
    let method: String = request.method.chars().take(LONGEST).collect();
    match SERVED.contains(&request.method.as_str()) {
        true => {
            let why = format!(
                "The parameters of {method} are not what the protocol says: a field is missing or of another type."
            );
            ErrorData::invalid_params(why, None)
        }
        false => ErrorData::new(
            ErrorCode::METHOD_NOT_FOUND,
            format!("There is no method {method} here."),
            None,
        ),
    }
}
