//! How long an answer may be kept, and by whom: the cache hints of 2026-07-28, which older clients are not sent.

use rmcp::RoleServer;
use rmcp::model::{
    CacheScope, GetSkillResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult,
    ListToolsResult, ProtocolVersion, ReadResourceResult,
};
use rmcp::service::RequestContext;
use std::time::Duration;

/// For how long, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// What the program or its model says of itself: the same for everybody until it is started anew.
    WhileServed,
    /// A result: it never changes, and belongs to its caller.
    Result,
    /// What results there are.
    ResultList,
    /// What may be another thing the next moment.
    Not,
}

impl Keep {
    fn terms(self) -> (Duration, CacheScope) {
        let hour = Duration::from_secs(3600);
        match self {
            Keep::WhileServed => (hour, CacheScope::Public),
            // pruned or deleted sooner or later
            Keep::Result => (24 * hour, CacheScope::Private),
            Keep::ResultList => (Duration::from_secs(5), CacheScope::Private),
            Keep::Not => (Duration::ZERO, CacheScope::Private),
        }
    }
}

/// An answer that clients may keep.
pub(super) trait Hinted: Sized {
    /// The answer with its hint, for a client that knows hints.
    fn kept(self, keep: Keep, context: &RequestContext<RoleServer>) -> Self;
}

macro_rules! hinted {
    ($($answer:ty),*) => {$(
        impl Hinted for $answer {
            fn kept(self, keep: Keep, context: &RequestContext<RoleServer>) -> Self {
                let (time, scope) = keep.terms();
                match context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28) {
                    true => self.with_ttl_ms(time.as_millis() as u64).with_cache_scope(scope),
                    false => self,
                }
            }
        }
    )*};
}

hinted!(
    ListToolsResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListSkillsResult,
    GetSkillResult,
    ReadResourceResult
);
