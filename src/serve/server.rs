//! The handler: which message goes to whom, and how it is answered.

use super::beat::Beat;
use super::comeback::Comebacks;
use super::desk::Desk;
use super::hints::{Hinted, Keep};
use super::listeners::{Followed, Looks, MOST, Subscriptions};
use super::meter::Meter;
use super::runs::{Depth, Runs};
use super::shares::Shares;
use super::shelf::{self, Shelf};
use super::tasks::{self, Tasks};
use super::who::Who;
use super::{
    Options, ServeError, arguments, completions, icons, methods, prompts, reply, resources, skill, tools, trace,
};
use crate::anatomy::ListRequest;
use crate::service::{Detail, Fault, MeasureAnswer, MeasureRequest, SegmentAnswer, SegmentRequest, Stamp, page};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, CompleteRequestParams, CompleteResult, CreateTaskResult,
    CustomRequest, CustomResult, GetPromptRequestParams, GetPromptResponse, GetSkillRequestParams, GetSkillResult,
    GetTaskParams, GetTaskResult, Implementation, JsonObject, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListSkillsResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ReadResourceDirectoryRequestParams, ReadResourceDirectoryResult, ReadResourceRequestParams, ReadResourceResponse,
    ReadResourceResult, ServerCapabilities, ServerConfig, SubscribeRequestParams, SubscriptionFilter, Tool,
    UnsubscribeRequestParams, UpdateTaskParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::Instant;
use tracing::Instrument;

/// What a client reads before anything else.
const INSTRUCTIONS: &str = include_str!("instructions.md");

/// Calls that may read images and masks into memory at once, and how many may wait for that.
const HEAVY_AT_ONCE: usize = 4;
const HEAVY_WAITING: Depth = Depth { all: 256, each: 64 };

/// One server, whatever carries its messages. A copy is the same server: HTTP takes one a session.
pub(super) struct Server<D: Desk> {
    pub(super) desk: Arc<D>,
    pub(super) runs: Arc<Runs<Arc<SegmentAnswer>>>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) options: Options,
    pub(super) meter: Arc<Meter>,
    pub(super) followed: Followed,
    pub(super) looks: Looks,
    pub(super) subscriptions: Subscriptions,
    heavy: Shares,
    /// Scans whose reading took longer than their caller could wait.
    pub(super) read: Shelf<(Option<Stamp>, D::Plan, Option<SegmentAnswer>)>,
    /// Segmentations that are under way, for those who come back.
    pub(super) comeback: Comebacks,
    /// Measurements that did.
    measured: Shelf<MeasureAnswer>,
}

impl<D: Desk> Clone for Server<D> {
    fn clone(&self) -> Server<D> {
        Server {
            desk: self.desk.clone(),
            runs: self.runs.clone(),
            tasks: self.tasks.clone(),
            options: self.options.clone(),
            meter: self.meter.clone(),
            followed: self.followed.clone(),
            looks: self.looks.clone(),
            // A copy is for another session, which has subscribed to nothing.
            subscriptions: Subscriptions::default(),
            heavy: self.heavy.clone(),
            read: self.read.clone(),
            comeback: self.comeback.clone(),
            measured: self.measured.clone(),
        }
    }
}

impl<D: Desk> Server<D> {
    pub(super) fn new(desk: Arc<D>, options: Options) -> Result<Server<D>, ServeError> {
        let runs = Arc::new(Runs::new(options.queue)?);
        let tasks = Arc::new(Tasks::new(desk.tasks()?, options.queue));
        Ok(Server {
            desk,
            runs,
            tasks,
            options,
            meter: Arc::new(Meter::new()),
            followed: Followed::default(),
            looks: Looks::default(),
            subscriptions: Subscriptions::default(),
            heavy: Shares::new(HEAVY_AT_ONCE, HEAVY_WAITING),
            read: Shelf::default(),
            comeback: Comebacks::default(),
            measured: Shelf::default(),
        })
    }

    /// Work that reads images, off the async threads, few at a time and by `turn`.
    pub(super) async fn heavy<T: Send + 'static>(
        &self,
        turn: &str,
        work: impl FnOnce(&D) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let share = self.heavy.take(turn).await?;
        self.aside(move |desk| {
            let _held = share;
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
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| work(&desk)))
            .await
            .unwrap_or_else(|_| Err(Fault::broke_off("call")))
    }

    async fn call(
        &self,
        tool: &Tool,
        arguments: JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, Fault> {
        match tool.name.as_ref() {
            tools::LIST_ANATOMY => {
                let request: ListRequest = parse(tool, arguments)?;
                let asked = request.clone();
                let answer = self.aside(move |desk| desk.list_anatomy(&asked)).await?;
                Ok(reply::answer(&page(&answer, &request), answer.text()).into())
            }
            tools::SEGMENT => {
                let request: SegmentRequest = parse(tool, arguments)?;
                let detail = request.detail.unwrap_or_default();
                let (who, links) = (
                    Who::sent(context),
                    reply::knows_links(context.protocol_version().as_ref()),
                );
                // Tasks came with 2026-07-28: clients that shook hands may declare them and cannot read one all the same.
                let knows_tasks = context.protocol_version() >= Some(ProtocolVersion::V_2026_07_28)
                    && context
                        .client_capabilities()
                        .is_some_and(|client| client.supports_tasks());
                if knows_tasks {
                    let task = self.segment_as_task(request, who, links).await?;
                    return Ok(CreateTaskResult::new(tasks::handle(&task)).into());
                }
                let beat = Beat::new(context, self.options.beat_every);
                let answer = self.segment(request, who, beat, context.ct.clone()).await?;
                Ok(reply::segmented(&answer, detail, links).into())
            }
            _ => {
                let request: MeasureRequest = parse(tool, arguments)?;
                let detail = request.detail.unwrap_or_default();
                let Who { caller, turn } = Who::sent(context);
                let silence = tokio::time::sleep(self.options.longest_silence());
                tokio::pin!(silence);
                let asked = shelf::Asked::by(&caller, &turn, &request);
                let server = self.clone();
                let measuring = async move {
                    let measured = server.heavy(&turn, move |desk| desk.measure_volume(&caller, &request));
                    measured.await
                };
                let mut beat = Beat::new(context, self.options.beat_every);
                let measured = self.measured.finish(asked, "measuring", &mut beat, silence, measuring);
                let answer = measured.await?;
                let text = answer.text();
                let result = match detail {
                    Detail::Full => reply::answer(&answer, text),
                    Detail::Summary => reply::answer(&answer.summary(), text),
                };
                Ok(result.into())
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
                .enable_tasks()
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
        Ok(
            ListToolsResult::with_all_items(tools::all(self.desk.reaches_out()).to_vec())
                .kept(Keep::WhileServed, &context),
        )
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools::named(name, self.desk.reaches_out()).cloned()
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = tools::named(&call.name, self.desk.reaches_out()) else {
            let names: Vec<_> = tools::all(false).iter().map(|tool| tool.name.as_ref()).collect();
            let message = format!("Unknown tool: {}. There are {}.", call.name, names.join(", "));
            return Err(ErrorData::invalid_params(message, None));
        };
        let began = Instant::now();
        let span = trace::of_call(&tool.name, &context);
        let answering = self.call(tool, call.arguments.unwrap_or_default(), &context);
        let result = answering.instrument(span.clone()).await;
        // Neither paths nor names of targets: a log must not tell of patients.
        let seconds = began.elapsed().as_secs_f64();
        let code = result.as_ref().err().map(|fault| fault.code);
        trace::ended(&span, code);
        self.meter.called(&tool.name, code, began.elapsed());
        match result {
            Ok(result) => {
                tracing::info!(tool = %tool.name, seconds, "answered");
                Ok(result)
            }
            Err(fault) => {
                tracing::info!(tool = %tool.name, seconds, code = fault.code.as_str(), "refused");
                Ok(reply::fault(&fault).into())
            }
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let record = self.task(Who::sent(&context).caller, request.task_id).await?;
        Ok(GetTaskResult::new(tasks::shown(&record)))
    }

    /// sat-mcp's tasks ask for nothing, so there is nothing that an answer could be for.
    async fn update_task(
        &self,
        request: UpdateTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.task(Who::sent(&context).caller, request.task_id).await.map(drop)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let (caller, tasks) = (Who::sent(&context).caller, self.tasks.clone());
        let cancelled = self.aside(move |_| Ok(tasks.cancel(&caller, &request.task_id)));
        cancelled.await.map_err(reply::protocol_error)?
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
        Ok(filled.await.map_err(reply::protocol_error)??.into())
    }

    async fn list_resources(
        &self,
        page: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let cursor = page.and_then(|page| page.cursor);
        let caller = Who::sent(&context).caller;
        let page = self.aside(move |desk| Ok(resources::page(desk, &caller, cursor.as_deref())));
        let page = page.await.map_err(reply::protocol_error)??;
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
        let Who { caller, turn } = Who::sent(&context);
        let is_light = resources::is_light(&request.uri);
        let read = move |desk: &D| Ok(resources::contents(desk, &caller, limit, &request.uri));
        let read = match is_light {
            true => self.aside(read).await,
            false => self.heavy(&turn, read).await,
        };
        let (contents, keep) = read.map_err(reply::protocol_error)??;
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
            .map_err(reply::protocol_error)?
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

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(methods::refused(&request))
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
