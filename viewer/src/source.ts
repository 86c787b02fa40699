/** Where the page has its data from: the host that shows it, or itself. */

import type { App } from "@modelcontextprotocol/ext-apps";
import type { SegmentAnswer } from "./result.js";

export interface Source {
  result(): Promise<SegmentAnswer>;
  /** The label map, gzipped. */
  labels(): Promise<Uint8Array>;
  /** Its colours, as ITK-SNAP's table. */
  colours(): Promise<string>;
  /** The scan in grey, gzipped. Fails with a sentence that says why it can't be shown. */
  image(): Promise<Uint8Array>;
}

/** What `sat-mcp view` writes into the page. */
interface Embedded {
  result: SegmentAnswer;
  labels: string;
  colours: string;
  image?: string;
  imageFault?: string;
}

/** The result within the page, if it has one. */
export function embedded(document: Document): Source | undefined {
  const json = document.getElementById("result")?.textContent;
  if (!json) return undefined;
  const data = JSON.parse(json) as Embedded;
  return {
    result: async () => data.result,
    labels: async () => bytes(data.labels),
    colours: async () => data.colours,
    image: async () => {
      if (data.image === undefined) throw new Error(data.imageFault);
      return bytes(data.image);
    },
  };
}

/** A large scan is read, hashed and averaged before it comes. */
const PATIENCE = { timeout: 10 * 60_000 };

/** A result's files through the host, which asks the server. */
export function throughHost(app: App, id: string): Source {
  async function read(file: string) {
    const { contents } = await app.readServerResource({ uri: `sat://results/${id}/${file}` }, PATIENCE);
    const [content] = contents;
    if (!content) throw new Error(`The host sent nothing for ${file}.`);
    return content;
  }
  async function text(file: string): Promise<string> {
    const content = await read(file);
    return "text" in content ? content.text : new TextDecoder().decode(bytes(content.blob));
  }
  async function blob(file: string): Promise<Uint8Array> {
    const content = await read(file);
    if (!("blob" in content)) throw new Error(`The host sent ${file} as text.`);
    return bytes(content.blob);
  }
  return {
    result: async () => JSON.parse(await text("result.json")) as SegmentAnswer,
    labels: () => blob("labelmap.nii.gz"),
    colours: () => text("labelmap.itksnap.txt"),
    image: () => blob("display/image.nii.gz"),
  };
}

function bytes(base64: string): Uint8Array {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}
