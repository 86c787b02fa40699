/** The page around the pictures: what is said, pressed and pointed at. */

import { Legend } from "./legend.js";
import { description, gunzip } from "./nifti.js";
import { PLANES, captionOf, rounded, stepOf, tileAt, tilesOf, type Plane, type View } from "./planes.js";
import { coloursOf, generalWarnings, structuresOf, type Millimetres, type SegmentAnswer, type Structure } from "./result.js";
import { Scene, type Look } from "./scene.js";
import type { Source } from "./source.js";

const DEGREES = 5;
const CLOSER = 1.25;

export class Page {
  private scene?: Scene;
  private legend?: Legend;
  private view: View = "all";
  /** The plane that keys go through: the one shown, or the one last pointed at. */
  private plane: Plane = "axial";

  constructor() {
    for (const button of this.viewButtons()) button.onclick = () => this.look(button.dataset.view as View);
    get("opacity", HTMLInputElement).oninput = () => this.paint();
    get("closer").onclick = () => this.zoom(CLOSER);
    get("farther").onclick = () => this.zoom(1 / CLOSER);
    const stage = get("stage");
    // In the capture phase, so that NiiVue's own keys do not act, too.
    stage.addEventListener("keydown", (event) => this.pressed(event), { capture: true });
    stage.addEventListener("keyup", (event) => event.stopPropagation(), { capture: true });
    stage.addEventListener("wheel", (event) => this.wheeled(event), { capture: true, passive: false });
    stage.addEventListener("pointermove", (event) => this.pointed(event));
  }

  /** Loads a result and shows it. What goes wrong is said on the page. */
  async show(source: Source): Promise<void> {
    this.close();
    this.say("Fetching the result…");
    try {
      const result = await source.result();
      const structures = structuresOf(result, coloursOf(await source.colours()));
      this.head(result);
      get("head").hidden = get("result-view").hidden = false;
      this.list(result, structures);
      await this.picture(source, structures);
    } catch (error) {
      this.fault(`The result cannot be shown. ${words(error)}`);
    }
  }

  /** One sentence in place of all earlier ones, with a button where something can be done. */
  say(sentence: string, button?: { label: string; press: () => void }): void {
    const line = this.notice(sentence);
    if (button) {
      const press = Object.assign(document.createElement("button"), { type: "button", textContent: button.label });
      press.onclick = button.press;
      line.append(press);
    }
    get("notices").replaceChildren(line);
  }

  fault(sentence: string): void {
    const line = this.notice(sentence);
    line.className = "fault";
    get("notices").replaceChildren(line);
  }

  /** Gives the graphics card back what it holds. */
  close(): void {
    this.scene?.close();
    if (this.scene) get("canvas").replaceWith(get("canvas").cloneNode());
    this.scene = undefined;
  }

  private async picture(source: Source, structures: Structure[]): Promise<void> {
    this.say("Fetching the masks and the scan…");
    const image = source.image().then(gunzip).then(
      (scan) => ({ scan }),
      (error: unknown) => ({ why: words(error) }),
    );
    const labels = await source.labels().then(gunzip);
    const found = await image;
    const scan = "scan" in found ? found.scan : undefined;
    try {
      this.scene = await Scene.start(get("canvas", HTMLCanvasElement), (mm, label) => this.at(mm, label));
    } catch {
      get("pictures").hidden = true;
      this.fault("This browser draws no WebGL 2, so that there are no pictures; the list of volumes is whole.");
      return;
    }
    await this.scene.load(labels, scan, this.looks());
    this.look(this.view);
    const largest = structures.reduce((a, b) => (b.voxels > a.voxels ? b : a), structures[0] as Structure);
    this.go(largest);
    if (scan) get("kind").textContent = description(scan);
    get("notices").replaceChildren();
    if ("why" in found) this.say(`The masks are shown without the scan. ${found.why}`);
  }

  private head(result: SegmentAnswer): void {
    const file = decodeURIComponent(result.image.uri.split("/").pop() ?? "");
    get("title").textContent = file || "Segmentation";
    get("kind").textContent = result.image.modality.toUpperCase();
    get("model").textContent = `${result.model.name} ${result.model.version}`;
  }

  private list(result: SegmentAnswer, structures: Structure[]): void {
    this.legend = new Legend(get("legend"), get("toggle-all", HTMLButtonElement), structures, {
      shown: () => this.paint(),
      chosen: (structure) => this.go(structure),
    });
    const items = generalWarnings(result).map((warning) =>
      Object.assign(document.createElement("li"), { textContent: warning }),
    );
    get("warnings").replaceChildren(...items);
  }

  private look(view: View): void {
    this.view = view;
    if (PLANES.includes(view as Plane)) this.plane = view as Plane;
    for (const button of this.viewButtons()) {
      button.setAttribute("aria-pressed", String(button.dataset.view === view));
    }
    get("stage").dataset.view = view;
    this.scene?.view(view);
    this.scene?.moved();
  }

  private go(structure: Structure): void {
    const middle = structure.voxels > 0 && this.scene?.middle(structure);
    if (middle) this.scene?.goTo(middle);
    else this.scene?.moved();
  }

  private at(mm: Millimetres, label: number): void {
    const structure = this.legend?.here(label);
    const place = `x ${rounded(mm[0])}, y ${rounded(mm[1])}, z ${rounded(mm[2])} mm`;
    get("where").textContent = structure ? `${place} · ${structure.name}` : place;
    const tiles = tilesOf(this.view).filter((tile) => tile.view !== "render");
    const captions = tiles.map(({ view, place: [left, top, , height] }) => {
      const caption = document.createElement("span");
      caption.textContent = captionOf(view as Plane, mm);
      Object.assign(caption.style, { left: `${100 * left}%`, bottom: `${100 * (1 - top - height)}%` });
      return caption;
    });
    get("captions").replaceChildren(...captions);
    const seen = this.view === "render" ? "3D view" : tiles.map(({ view }) => captionOf(view as Plane, mm)).join("; ");
    get("canvas").setAttribute("aria-label", `Scan with masks: ${seen}`);
  }

  private pressed(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab") return;
    event.stopPropagation();
    if (this.act(event.key)) event.preventDefault();
  }

  private act(key: string): boolean {
    if (key === "+" || key === "=") this.zoom(CLOSER);
    else if (key === "-") this.zoom(1 / CLOSER);
    else if (this.view === "render" && key === "ArrowLeft") this.scene?.turn(-DEGREES, 0);
    else if (this.view === "render" && key === "ArrowRight") this.scene?.turn(DEGREES, 0);
    else if (this.view === "render" && key === "ArrowUp") this.scene?.turn(0, DEGREES);
    else if (this.view === "render" && key === "ArrowDown") this.scene?.turn(0, -DEGREES);
    else {
      const step = stepOf(this.plane, key);
      if (!step) return false;
      this.scene?.step(step);
    }
    return true;
  }

  private wheeled(event: WheelEvent): void {
    if (!event.ctrlKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.zoom(event.deltaY < 0 ? CLOSER : 1 / CLOSER);
  }

  private pointed(event: PointerEvent): void {
    const { left, top, width, height } = get("stage").getBoundingClientRect();
    const tile = tileAt(this.view, (event.clientX - left) / width, (event.clientY - top) / height);
    if (tile && tile.view !== "render") this.plane = tile.view;
  }

  private zoom(factor: number): void {
    if (this.view === "render") this.scene?.enlarge(factor);
    else this.scene?.zoom(factor);
  }

  private paint(): void {
    this.scene?.paint(this.looks());
  }

  private looks(): Look {
    return {
      structures: this.legend?.structures ?? [],
      shown: this.legend?.visible ?? new Set(),
      opacity: get("opacity", HTMLInputElement).valueAsNumber / 100,
    };
  }

  private viewButtons(): HTMLButtonElement[] {
    return [...get("views").querySelectorAll("button")];
  }

  private notice(sentence: string): HTMLParagraphElement {
    return Object.assign(document.createElement("p"), { textContent: sentence });
  }
}

/** The element of this id, which the page has. */
export function get<T extends HTMLElement = HTMLElement>(id: string, type?: new () => T): T {
  const found = document.getElementById(id);
  if (!found || (type && !(found instanceof type))) throw new Error(`The page has no ${id}.`);
  return found as T;
}

/** An error as a sentence for people, without what a protocol puts before it. */
export function words(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/^MCP error -?\d+: /, "");
}
