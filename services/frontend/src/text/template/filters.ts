// All filters by name. An unknown one is an error when it is used, not when the template is read.
import { listFilters } from "./list-filters.ts";
import { orderingFilters } from "./ordering-filters.ts";
import type { Operation } from "./render.ts";
import { textFilters } from "./text-filters.ts";

export const filters: ReadonlyMap<string, Operation> = new Map([...textFilters, ...listFilters, ...orderingFilters]);
