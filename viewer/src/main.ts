/** Shows the result that is in the page, or the one that the host tells of. */

import { z } from "zod";
import { connect } from "./host.js";
import { Page, words } from "./page.js";
import { embedded } from "./source.js";

// Hosts forbid making code from strings, which zod would try for speed.
z.config({ jitless: true });

const page = new Page();
const own = embedded(document);
if (own) {
  document.documentElement.classList.add("alone");
  void page.show(own);
} else if (window.parent === window) {
  page.say("This page shows results inside a chat. `sat-mcp view RESULT_ID` makes one that shows a result by itself.");
} else {
  connect(page).catch((error: unknown) => page.fault(`The host cannot be reached. ${words(error)}`));
}
