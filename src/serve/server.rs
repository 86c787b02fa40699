//! The handler: which message goes to whom, and how it is answered.

use super::beat::Beat;
use super::desk::Desk;
use super::follow::Followed;
use super::hints::{Hinted, Keep};
use super::runs::Runs;
use super::subscriptions::{Looks, MOST, Subscriptions};
use super::who::Who;
use super::{Options, arguments, completions, icons, prompts, reply, resources, skill, tools};
use crate::anatomy::ListRequest;
use crate::service::{Code, Detail, Fault, MeasureRequest, SegmentAnswer, SegmentRequest, page};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
    GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams, GetSkillResult, Implementation, JsonObject,
    ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListSkillsResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceDirectoryRequestParams, ReadResourceDirectoryResult, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, ServerCapabilities, ServerConfig, SubscribeRequestParams,
    SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// What a client reads before anything else.
const INSTRUCTIONS: &str = include_str!("instructions.md");

/// Images and masks that may be held in memory at once, besides those of the queue.
const HEAVY_AT_ONCE: usize = 4;

/// One server, whatever carries its messages. A copy is the same server: HTTP takes one a session.
pub(super) struct Server<D> {
    pub(super) desk: Arc<D>,
    pub(super) runs: Arc<Runs<Arc<SegmentAnswer>>>,
    pub(super) options: Options,
    pub(super) followed: Followed,
    pub(super) looks: Looks,
    pub(super) subscriptions: Subscriptions,
    heavy: Arc<Semaphore>,
}

impl<D> Clone for Server<D> {
    fn clone(&self) -> Server<D> {
        Server {
            desk: self.desk.clone(),
            runs: self.runs.clone(),
            options: self.options.clone(),
            followed: self.followed.clone(),
            looks: self.looks.clone(),
            // A copy is for another session, which has subscribed to nothing.
            subscriptions: Subscriptions::default(),
            heavy: self.heavy.clone(),
        }
    }
}

impl<D: Desk> Server<D> {
    pub(super) fn new(desk: Arc<D>, options: Options) -> std::io::Result<Server<D>> {
        let runs = Arc::new(Runs::new(options.queue)?);
        Ok(Server {
            desk,
            runs,
            options,
            followed: Followed::default(),
            looks: Looks::default(),
            subscriptions: Subscriptions::default(),
            heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)),
        })
    }

    /// Work that reads images, off the async threads and few at a time.
    pub(super) async fn heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce(&D) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        // The semaphore is never closed.
        let permit = self.heavy.clone().acquire_owned().await.ok();
        self.aside(move |desk| {
            let _held = permit;
            work(desk)
        })
        .await
    }

    /// Blocking work, off the async threads.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce(&D) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let desk = self.desk.clone();
        tokio::task::spawn_blocking(move || work(&desk))
            .await
            .unwrap_or_else(|_| {
                Err(
                    Fault::new(Code::Internal, "The call broke off by a fault of sat-mcp's own.")
                        .hint("The server's log on stderr says where; please report it."),
                )
            })
    }

    async fn call(
        &self,
        tool: &Tool,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, Fault> {
        match tool.name.as_ref() {
            tools::LIST_ANATOMY => {
                let request: ListRequest = parse(tool, arguments)?;
                let asked = request.clone();
                let answer = self.aside(move |desk| desk.list_anatomy(&asked)).await?;
                Ok(reply::answer(&page(&answer, &request), answer.text()))
            }
            tools::SEGMENT => {
                let request: SegmentRequest = parse(tool, arguments)?;
                let detail = request.detail.unwrap_or_default();
                let answer = self.segment(request, context).await?;
                let text = answer.text();
                let result = match detail {
                    Detail::Full => reply::answer(&answer, text),
                    Detail::Summary => reply::answer(&answer.summary(), text),
                };
                Ok(reply::with_files(result, &answer, context))
            }
            _ => {
                let request: MeasureRequest = parse(tool, arguments)?;
                let detail = request.detail.unwrap_or_default();
                let caller = Who::sent(context).caller;
                let measuring = self.heavy(move |desk| desk.measure_volume(&caller, &request));
                let answer = Beat::new(context, self.options.beat_every)
                    .during("measuring", measuring)
                    .await?;
                let text = answer.text();
                Ok(match detail {
                    Detail::Full => reply::answer(&answer, text),
                    Detail::Summary => reply::answer(&answer.summary(), text),
                })
            }
        }
    }
}

fn parse<T: DeserializeOwned>(tool: &Tool, arguments: JsonObject) -> Result<T, Fault> {
    arguments::parse(&tool.name, &tool.input_schema, arguments)
}

impl<D: Desk> ServerHandler for Server<D> {
    fn get_info(&self) -> ServerConfig {
        let name = Implementation::new("sat-mcp", env!("CARGO_PKG_VERSION"))
            .with_title("SAT: radiology segmentation by names")
            .with_description(env!("CARGO_PKG_DESCRIPTION"))
            .with_icons(icons::server());
        ServerConfig::new(
            ServerCapabilities::builder()
                .enable_tools()
                .enable_resources()
                .enable_resources_subscribe()
                .enable_prompts()
                .enable_completions()
                .enable_skills_with_directory_read()
                .build(),
        )
        .with_server_info(name)
        .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all().to_vec()).kept(Keep::WhileServed, &context))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::named(name).cloned()
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = tools::named(&call.name) else {
            let names: Vec<_> = tools::all().iter().map(|tool| tool.name.as_ref()).collect();
            let message = format!("Unknown tool: {}. There are {}.", call.name, names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let began = Instant::now();
        let result = self.call(tool, call.arguments.unwrap_or_default(), &context).await;
        // Neither paths nor names of targets: a log must not tell of patients.
        let seconds = began.elapsed().as_secs_f64();
        match result {
            Ok(result) => {
                tracing::info!(tool = %tool.name, seconds, "answered");
                Ok(result.into())
            }
            Err(fault) => {
                tracing::info!(tool = %tool.name, seconds, code = ?fault.code, "refused");
                Ok(reply::fault(&fault).into())
            }
        }
    }

    async fn list_prompts(
        &self,
        _page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(ListPromptsResult::with_all_items(prompts::all()).kept(Keep::WhileServed, &context))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let caller = Who::sent(&context).caller;
        let filled = self.aside(move |desk| {
            let arguments = request.arguments.unwrap_or_default();
            Ok(prompts::filled(desk, &caller, &request.name, &arguments))
        });
        Ok(filled.await.map_err(resources::protocol_error)??.into())
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = page.and_then(|page| page.cursor);
        let caller = Who::sent(&context).caller;
        let page = self.aside(move |desk| Ok(resources::page(desk, &caller, cursor.as_deref())));
        let page = page.await.map_err(resources::protocol_error)??;
        Ok(page.kept(Keep::ResultList, &context))
    }

    async fn list_resource_templates(
        &self,
        _page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let templates = ListResourceTemplatesResult::with_all_items(resources::templates());
        Ok(templates.kept(Keep::WhileServed, &context))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let limit = self.options.resource_limit;
        let caller = Who::sent(&context).caller;
        let read = self.heavy(move |desk| Ok(resources::contents(desk, &caller, limit, &request.uri)));
        let (contents, keep) = read.await.map_err(resources::protocol_error)??;
        Ok(ReadResourceResult::new(vec![contents]).kept(keep, &context).into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let caller = Who::sent(&context).caller;
        self.aside(move |desk| Ok(completions::complete(desk, &caller, &request)))
            .await
            .map_err(resources::protocol_error)?
    }

    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.begin(request.uri, context).await
    }

    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.end(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(&self, requested: &SubscriptionFilter) -> Option<SubscriptionFilter> {
        let mut accepted = requested.supported_by(&self.get_info().capabilities);
        if let Some(uris) = &mut accepted.resource_subscriptions {
            uris.truncate(MOST);
        }
        Some(accepted)
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.tell(context).await
    }

    async fn list_skills(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListSkillsResult, ErrorData> {
        let cursor = page.and_then(|page| page.cursor);
        Ok(skill::list(cursor.as_deref())?.kept(skill::KEEP, &context))
    }

    async fn get_skill(
        &self,
        request: GetSkillRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetSkillResult, ErrorData> {
        Ok(skill::get(&request.uri)?.kept(skill::KEEP, &context))
    }

    async fn read_resource_directory(
        &self,
        request: ReadResourceDirectoryRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceDirectoryResult, ErrorData> {
        Ok(skill::directory(&request.uri, request.cursor.as_deref())?.kept(skill::KEEP, &context))
    }
}
