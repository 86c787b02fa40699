/**
 * A host for tests: ext-apps' own side of the protocol, so that the viewer is not held against ours. The frame is sandboxed,
 * and what it is served with is the test's business. The page that drives it answers what the app asks of the server.
 */

import { AppBridge, PostMessageTransport } from "@modelcontextprotocol/ext-apps/app-bridge";

interface Driver {
  /** Asks the MCP server for a resource; resolves to a result or to {fault}. */
  readResource(params: { uri: string }): Promise<Record<string, unknown>>;
}

type Result = Parameters<AppBridge["sendToolResult"]>[0];
const driver = window as unknown as Driver;

async function open(url: string, theme: "light" | "dark", input: Record<string, unknown>, result: Result) {
  const frame = document.createElement("iframe");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.style.cssText = "border: 0; width: 100%; height: 900px";
  document.body.replaceChildren(frame);
  const inside = frame.contentWindow as Window;

  const bridge = new AppBridge(
    null,
    { name: "test-host", version: "1" },
    { serverResources: {} },
    { hostContext: { theme, displayMode: "inline", availableDisplayModes: ["inline", "fullscreen"] } },
  );
  const heard = { heights: [] as number[], modes: [] as string[] };
  bridge.onreadresource = async (params) => {
    const answer = await driver.readResource({ uri: params.uri });
    if (answer.fault) throw new Error(String(answer.fault));
    return answer as Awaited<ReturnType<NonNullable<AppBridge["onreadresource"]>>>;
  };
  bridge.onsizechange = ({ height }) => {
    if (height) heard.heights.push(height);
  };
  bridge.onrequestdisplaymode = async ({ mode }) => {
    heard.modes.push(mode);
    bridge.setHostContext({ theme, displayMode: mode, availableDisplayModes: ["inline", "fullscreen"] });
    return { mode };
  };
  const ready = new Promise<void>((resolve) => {
    bridge.oninitialized = () => resolve();
  });
  await bridge.connect(new PostMessageTransport(inside, inside));
  frame.src = url;
  await ready;
  await bridge.sendToolInput({ arguments: input });
  await bridge.sendToolResult(result);
  Object.assign(window, {
    heard,
    retheme: (other: "light" | "dark") => bridge.setHostContext({ theme: other }),
    tearDown: () => bridge.teardownResource({}),
  });
}

Object.assign(window, { open_app: open });
