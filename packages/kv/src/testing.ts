// For tests of other packages only.
export { NaiveIndex } from "./naive-index.ts";
