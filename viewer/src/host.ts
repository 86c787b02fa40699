/** The page as an MCP App: what the host says of the call that it belongs to, and how the host looks. */

import { App, applyDocumentTheme, applyHostStyleVariables, type McpUiHostContext } from "@modelcontextprotocol/ext-apps";
import { get, words, type Page } from "./page.js";
import type { SegmentAnswer } from "./result.js";
import { throughHost } from "./source.js";

type ToolResult = Parameters<NonNullable<App["ontoolresult"]>>[0];

/** Room for what surrounds the pictures, where the host limits the height. */
const AROUND = 120;
const SMALLEST = 240;

export async function connect(page: Page): Promise<void> {
  const app = new App({ name: "sat-mcp-viewer", version: "1" }, { availableDisplayModes: ["inline", "fullscreen"] });
  app.ontoolresult = (result) => answered(app, page, result);
  app.ontoolcancelled = () => page.say("The segmentation was cancelled: there is nothing to show.");
  app.onhostcontextchanged = () => dress(app.getHostContext());
  app.onteardown = () => {
    page.close();
    return {};
  };
  page.say("Waiting for the segmentation…");
  await app.connect();
  dress(app.getHostContext());
  const button = get("fullscreen", HTMLButtonElement);
  button.onclick = async () => {
    const full = app.getHostContext()?.displayMode === "fullscreen";
    await app.requestDisplayMode({ mode: full ? "inline" : "fullscreen" }).catch((error) => page.fault(words(error)));
  };
}

function answered(app: App, page: Page, result: ToolResult): void {
  const id = idOf(result);
  if (result.isError) page.fault(textOf(result));
  else if (!id) page.fault("The answer names no result, so that there is nothing to show.");
  else if (!app.getHostCapabilities()?.serverResources) {
    page.fault("This host lets pages read no resources, so that the scan and the masks cannot be fetched. `sat-mcp view` shows them.");
  } else if ((result.structuredContent as Partial<SegmentAnswer> | undefined)?.status === "running") {
    running(app, page, id, (result.structuredContent as Partial<SegmentAnswer>).eta_s);
  } else void page.show(throughHost(app, id));
}

/** The run goes on without anybody asking; its result is there when it is done. */
function running(app: App, page: Page, id: string, eta?: number): void {
  const left = eta === undefined ? "" : ` It may take another ${Math.max(1, Math.round(eta))} s.`;
  const again = async () => {
    page.say("Looking…");
    const source = throughHost(app, id);
    const done = await source.result().then(
      () => true,
      () => false,
    );
    if (done) await page.show(source);
    else page.say("The segmentation is still running.", { label: "Look again", press: again });
  };
  page.say(`The segmentation is still running.${left}`, { label: "Look again", press: again });
}

/** Older hosts hand on the text and the links alone. */
function idOf(result: ToolResult): string | undefined {
  const structured = result.structuredContent as Partial<SegmentAnswer> | undefined;
  return structured?.result_id ?? JSON.stringify(result.content ?? []).match(/sat:\/\/results\/([0-9a-f]+)\//)?.[1];
}

function textOf(result: ToolResult): string {
  const texts = (result.content ?? []).map((block) => (block.type === "text" ? block.text : ""));
  return texts.filter(Boolean).join(" ") || "The segmentation failed, and the host does not say why.";
}

function dress(context: McpUiHostContext | undefined): void {
  if (context?.theme) applyDocumentTheme(context.theme);
  if (context?.styles?.variables) applyHostStyleVariables(context.styles.variables);
  const size = context?.containerDimensions ?? {};
  const height = "height" in size ? size.height : "maxHeight" in size ? size.maxHeight : undefined;
  const tallest = height === undefined ? "" : `${Math.max(SMALLEST, height - AROUND)}px`;
  document.documentElement.style.setProperty("--tallest", tallest);
  const button = get("fullscreen", HTMLButtonElement);
  button.hidden = !context?.availableDisplayModes?.includes("fullscreen");
  button.textContent = context?.displayMode === "fullscreen" ? "Back to the chat" : "Full screen";
}
