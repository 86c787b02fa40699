/** The list of structures: colour, name, volume, what to know; showing, hiding and going there. */

import { millilitres, type Structure } from "./result.js";

export interface LegendEvents {
  /** Which structures are to be seen has changed. */
  shown(): void;
  /** The crosshair shall go to a structure. */
  chosen(structure: Structure): void;
}

export class Legend {
  private readonly shown = new Set<string>();
  private readonly boxes = new Map<string, HTMLInputElement>();

  constructor(
    private readonly list: HTMLElement,
    private readonly all: HTMLButtonElement,
    readonly structures: Structure[],
    private readonly events: LegendEvents,
  ) {
    for (const { name, voxels } of structures) if (voxels > 0) this.shown.add(name);
    list.replaceChildren(...structures.map((structure) => this.row(structure)));
    all.hidden = this.boxes.size < 2;
    all.onclick = () => this.showAll(this.shown.size === 0);
    this.label();
  }

  /** The structures that are to be seen. */
  get visible(): ReadonlySet<string> {
    return this.shown;
  }

  /** Marks the structure that the crosshair is in. */
  here(label: number): Structure | undefined {
    const found = this.structures.find((structure) => structure.labels.includes(label));
    [...this.list.children].forEach((row, n) => row.classList.toggle("here", this.structures[n] === found));
    return found;
  }

  private row(structure: Structure): HTMLLIElement {
    const { name, asked, voxels, volume, warnings, colour } = structure;
    const row = document.createElement("li");
    row.style.setProperty("--colour", `rgb(${colour.join(" ")})`);

    const box = element("input", { className: "show", type: "checkbox", checked: voxels > 0, disabled: voxels === 0 });
    box.setAttribute("aria-label", `Show ${name}`);
    box.onchange = () => this.show(name, box.checked);
    if (voxels > 0) this.boxes.set(name, box);

    const go = element("button", { className: "name", type: "button", textContent: name, disabled: voxels === 0 });
    go.title = voxels > 0 ? `Go to ${name}` : "";
    if (asked.length) go.append(element("small", { textContent: `asked for as ${asked.join(", ")}` }));
    go.onclick = () => {
      this.show(name, true);
      this.events.chosen(structure);
    };

    const size = element("span", { className: "volume", textContent: voxels > 0 ? millilitres(volume) : "not found" });
    row.append(box, go, size, ...this.warnings(name, warnings));
    return row;
  }

  private warnings(name: string, warnings: string[]): HTMLElement[] {
    if (!warnings.length) return [element("span", { className: "no-mark" })];
    const why = element("div", { className: "why", hidden: true });
    why.append(...warnings.map((warning) => element("p", { textContent: warning })));
    const mark = element("button", { className: "mark", type: "button", textContent: "!", title: warnings.join("\n") });
    mark.setAttribute("aria-label", `Warnings about ${name}`);
    mark.setAttribute("aria-expanded", "false");
    mark.onclick = () => {
      why.hidden = !why.hidden;
      mark.setAttribute("aria-expanded", String(!why.hidden));
    };
    return [mark, why];
  }

  private show(name: string, visible: boolean): void {
    const box = this.boxes.get(name);
    if (!box) return;
    box.checked = visible;
    if (visible) this.shown.add(name);
    else this.shown.delete(name);
    this.label();
    this.events.shown();
  }

  private showAll(visible: boolean): void {
    for (const [name, box] of this.boxes) {
      box.checked = visible;
      if (visible) this.shown.add(name);
      else this.shown.delete(name);
    }
    this.label();
    this.events.shown();
  }

  private label(): void {
    this.all.textContent = this.shown.size === 0 ? "Show all" : "Hide all";
  }
}

function element<K extends keyof HTMLElementTagNameMap>(tag: K, fields: object): HTMLElementTagNameMap[K] {
  return Object.assign(document.createElement(tag), fields);
}
