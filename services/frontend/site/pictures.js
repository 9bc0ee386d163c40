// The pictures of the playground: files, or drawn here so that there is one without a network.
import { byId, element } from "./dom.js";

/** @typedef {{ readonly url: string, readonly name: string }} Picture */

const picturesMax = 8;
const side = 336;

export class Pictures {
  /** @type {readonly Picture[]} */
  #pictures = [];
  #drawn = 0;

  /** As data URLs, in the order shown. */
  get urls() {
    return this.#pictures.map(({ url }) => url);
  }

  /** @param {FileList} files */
  async addFiles(files) {
    for (const file of files) this.#add({ url: await dataUrlOf(file), name: file.name });
  }

  draw() {
    this.#drawn++;
    this.#add({ url: drawn(this.#drawn), name: `drawn ${this.#drawn}` });
  }

  /**
   * Marks each picture by what became of its blocks; without states the marks go.
   *
   * @param {readonly { readonly state: string, readonly text: string }[]} states
   */
  mark(states) {
    for (const [n, item] of [...byId("chat-pictures").children].entries()) {
      const { state, text } = states[n] ?? { state: "", text: "" };
      /** @type {HTMLElement} */ (item).dataset["held"] = state;
      const label = item.querySelector(".badge");
      if (label !== null) {
        label.className = `badge ${state}`;
        label.textContent = text;
      }
    }
  }

  /** @param {Picture} picture */
  #add(picture) {
    this.#pictures = [...this.#pictures, picture].slice(-picturesMax);
    this.#show();
  }

  #show() {
    byId("chat-pictures").replaceChildren(
      ...this.#pictures.map((picture) => {
        const remove = element("button", { type: "button", "aria-label": `Remove ${picture.name}` }, "remove");
        remove.addEventListener("click", () => {
          this.#pictures = this.#pictures.filter((each) => each !== picture);
          this.#show();
        });
        return element("li", {}, element("img", { src: picture.url, alt: picture.name }), element("span", { class: "badge" }), remove);
      }),
    );
  }
}

/**
 * @param {File} file
 * @returns {Promise<string>}
 */
function dataUrlOf(file) {
  const reader = new FileReader();
  return new Promise((resolve, reject) => {
    reader.onload = () => resolve(String(reader.result));
    reader.onerror = () => reject(reader.error ?? new Error("the file cannot be read"));
    reader.readAsDataURL(file);
  });
}

/**
 * A picture of its own per number: hills under a sky.
 *
 * @param {number} number
 */
function drawn(number) {
  const canvas = element("canvas", { width: String(side), height: String(side) });
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const hue = (number * 67 + Date.now()) % 360;
  pen.fillStyle = `hsl(${hue} 60% 82%)`;
  pen.fillRect(0, 0, side, side);
  pen.fillStyle = `hsl(${(hue + 40) % 360} 90% 65%)`;
  pen.beginPath();
  pen.arc(60 + ((number * 83) % 220), 80, 34, 0, 7);
  pen.fill();
  for (const layer of [0, 1, 2]) {
    pen.fillStyle = `hsl(${(hue + 140) % 360} 35% ${58 - 14 * layer}%)`;
    pen.beginPath();
    pen.moveTo(0, side);
    for (let x = 0; x <= side; x += 8) pen.lineTo(x, 170 + 50 * layer + 34 * Math.sin(x / (70 - 12 * layer) + number + layer));
    pen.lineTo(side, side);
    pen.fill();
  }
  return canvas.toDataURL("image/png");
}
