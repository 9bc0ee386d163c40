// From the cards in etcd to the models that can be asked for.
//
//   put     decode → same model as the set at that endpoint?  yes: one more member
//                                                             none yet: load files, then serve
//                                                             no: wait until that set is gone
//   delete  one member less; the last one takes the set away, and a waiting card takes its place
//
// A card that cannot be read or loaded is logged and left out; nobody else notices.
// I1  Files are loaded one model at a time, off the path of requests; models with the same files share them.
// I2  A set appears with its text loaded or not at all.
// I3  Models of one endpoint share what is known of its workers (endpoint-workers.ts), as long as one of them is served.
// I4  Of cards that contradict each other at one endpoint, the first one counts while it has members (Dynamo ≥ 1.4).
import {
  type AppError,
  type CardEntry,
  cardPrefix,
  decodeCardEntry,
  dynAddressOf,
  type EndpointAddress,
  type InstanceId,
  type ModelCard,
  modelTypesOf,
  toAppError,
} from "@mm-router/protocol";
import { Backoff, type Clock, type Discovery, type EndpointClient, type Logger, Lru, type Watch } from "@mm-router/runtime";
import type { TextModel } from "../text/index.ts";
import { cardSum, textKey } from "./card-sum.ts";
import { EndpointWorkers } from "./endpoint-workers.ts";
import { isNamespaceWanted, type NamespaceFilter } from "./namespace-filter.ts";
import type { ModelSet } from "./model-set.ts";
import type { InstanceMode } from "./instance-choice.ts";
import type { KvRouting } from "./kv-routing.ts";
import type { AffinityOptions } from "./session-bindings.ts";
import { kindOf, loraNameOf, WorkerSet } from "./worker-set.ts";

export interface ModelWatcherOptions {
  /** Which namespaces are looked at. */
  readonly namespaces: NamespaceFilter;
  readonly mode: InstanceMode;
  readonly affinity: AffinityOptions;
  readonly setAsideMs: number;
}

export interface ModelWatcherDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly models: ModelSet;
  readonly discovery: Pick<Discovery, "watch">;
  /** A client of the endpoint; the watcher closes it when no model is served there any more. */
  readonly clientOf: (address: EndpointAddress) => EndpointClient;
  readonly loadText: (entry: CardEntry) => Promise<TextModel>;
  /** KV routing for a model's workers; undefined where other rules choose. */
  readonly kvOf: (address: EndpointAddress, card: ModelCard) => KvRouting | undefined;
  readonly isBusy: (id: InstanceId, model: string, card: ModelCard) => boolean;
  /** Told about every set that begins to serve. */
  readonly served: (set: WorkerSet) => void;
}

/** Cards of one model at one endpoint that agree. */
interface CardGroup {
  readonly sum: string;
  /** Card keys, in the order they came. */
  readonly entries: Map<string, CardEntry>;
  /** Between attempts to load: a file may lie on a disk or server that comes back. */
  readonly backoff: Backoff;
}

/** All cards of one model at one endpoint; the first group is the one that is served. */
interface Place {
  readonly groups: CardGroup[];
  serving: { readonly group: CardGroup; readonly set: WorkerSet } | undefined;
  loading: CardGroup | undefined;
}

/** Text sides of models that have gone: a worker that restarts does not cost a load. */
const keptTextModels = 4;
const firstRetryMs = 1_000;
const lastRetryMs = 60_000;

export class ModelWatcher {
  readonly #options: ModelWatcherOptions;
  readonly #deps: ModelWatcherDeps;
  readonly #places = new Map<string, Place>();
  readonly #placeOfKey = new Map<string, string>();
  readonly #endpoints = new Map<string, { readonly workers: EndpointWorkers; sets: number }>();
  readonly #texts = new Lru<string, Promise<TextModel>>({ weightMax: keptTextModels });
  readonly #watch: Watch;
  #lastLoad: Promise<unknown> = Promise.resolve();
  #closed = false;

  constructor(options: ModelWatcherOptions, deps: ModelWatcherDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#watch = deps.discovery.watch(cardPrefix(), {
      put: (key, value) => this.#put(key, value),
      delete: (key) => this.#delete(key),
    });
  }

  /** Resolves when all cards that stood at the start were seen (not: loaded). */
  get ready(): Promise<void> {
    return this.#watch.ready;
  }

  close(): void {
    this.#closed = true;
    this.#watch.close();
    for (const place of this.#places.values()) this.#stopServing(place);
  }

  #put(key: string, value: string): void {
    this.#delete(key); // a card that changes is another card
    const entry = this.#decoded(key, value);
    if (entry === undefined) return;
    const name = placeName(entry);
    const place = this.#places.get(name) ?? { groups: [], serving: undefined, loading: undefined };
    this.#places.set(name, place);
    this.#placeOfKey.set(key, name);
    const sum = cardSum(entry.card);
    let group = place.groups.find((each) => each.sum === sum);
    if (group === undefined) {
      group = { sum, entries: new Map(), backoff: new Backoff({ firstMs: firstRetryMs, maxMs: lastRetryMs }) };
      place.groups.push(group);
      if (place.groups.length > 1) this.#warn("model card differs from the one that is served; it waits", key, entry);
    }
    group.entries.set(key, entry);
    if (place.serving?.group === group) place.serving.set.members.add(entry.instanceId);
    else this.#serveFirst(place);
  }

  #delete(key: string): void {
    const name = this.#placeOfKey.get(key);
    const place = name === undefined ? undefined : this.#places.get(name);
    if (name === undefined || place === undefined) return;
    this.#placeOfKey.delete(key);
    const group = place.groups.find((each) => each.entries.has(key))!;
    const entry = group.entries.get(key)!;
    group.entries.delete(key);
    if (place.serving?.group === group) place.serving.set.members.delete(entry.instanceId);
    if (group.entries.size > 0) return;
    place.groups.splice(place.groups.indexOf(group), 1);
    if (place.serving?.group === group) this.#stopServing(place);
    if (place.groups.length === 0) this.#places.delete(name);
    else this.#serveFirst(place);
  }

  /** Loads and serves the first group of a place that serves nothing. */
  #serveFirst(place: Place): void {
    const [group] = place.groups;
    if (group === undefined || place.serving !== undefined || place.loading === group) return;
    place.loading = group;
    this.#textOf(firstOf(group)).then(
      (text) => this.#serve(place, group, text),
      (error: unknown) => this.#retryLater(place, group, toAppError(error)),
    );
  }

  #retryLater(place: Place, group: CardGroup, error: AppError): void {
    const [key, entry] = group.entries.entries().next().value ?? [];
    if (this.#closed || key === undefined || entry === undefined) return;
    this.#warn("model cannot be loaded", key, entry, error);
    const again = () => {
      if (place.loading === group) place.loading = undefined;
      this.#serveFirst(place);
    };
    setTimeout(again, group.backoff.next()).unref();
  }

  /** Begins to serve, unless the cards went while their files were loaded. */
  #serve(place: Place, group: CardGroup, text: TextModel | undefined): void {
    if (place.loading === group) place.loading = undefined;
    if (this.#closed || place.serving !== undefined || place.groups[0] !== group) return this.#serveFirst(place);
    const { address, card } = firstOf(group);
    const { kvOf, models, served, log } = this.#deps;
    const name = card.display_name;
    const isBusy = (id: InstanceId) => this.#deps.isBusy(id, name, card);
    const endpoint = this.#endpointAt(address);
    const set = new WorkerSet({ name, address, card, sum: group.sum, text, endpoint, kv: kvOf(address, card), isBusy });
    for (const entry of group.entries.values()) set.members.add(entry.instanceId);
    place.serving = { group, set };
    models.add(set);
    served(set);
    log.info("model served", {
      model: card.display_name,
      endpoint: dynAddressOf(address),
      input: card.model_input,
      types: card.model_type,
    });
  }

  #stopServing(place: Place): void {
    if (place.serving === undefined) return;
    const { set } = place.serving;
    place.serving = undefined;
    this.#deps.models.remove(set);
    set.close();
    this.#leaveEndpoint(set.address);
    this.#deps.log.info("model gone", { model: set.name, endpoint: dynAddressOf(set.address) });
  }

  /** What is known of an endpoint's workers (I3). */
  #endpointAt(address: EndpointAddress): EndpointWorkers {
    const name = dynAddressOf(address);
    let shared = this.#endpoints.get(name);
    if (shared === undefined) {
      const { mode, affinity, setAsideMs } = this.#options;
      const { clock, clientOf } = this.#deps;
      const workers = new EndpointWorkers({ client: clientOf(address), mode, affinity, setAsideMs, clock, random: Math.random });
      shared = { workers, sets: 0 };
      this.#endpoints.set(name, shared);
    }
    shared.sets++;
    return shared.workers;
  }

  #leaveEndpoint(address: EndpointAddress): void {
    const name = dynAddressOf(address);
    const shared = this.#endpoints.get(name)!;
    shared.sets--;
    if (shared.sets > 0) return;
    this.#endpoints.delete(name);
    shared.workers.close();
  }

  #textOf(entry: CardEntry): Promise<TextModel | undefined> {
    if (!needsText(entry)) return Promise.resolve(undefined);
    const key = textKey(entry.card);
    const known = this.#texts.get(key);
    if (known !== undefined) return known;
    // I1: a load parses megabytes; one after the other, requests in between
    const text = this.#lastLoad.then(() => this.#deps.loadText(entry));
    this.#lastLoad = text.catch(() => this.#texts.delete(key)); // told where the model is added; another card may try again
    this.#texts.set(key, text);
    return text;
  }

  #decoded(key: string, value: string): CardEntry | undefined {
    try {
      const entry = decodeCardEntry(key, value);
      return this.#isWanted(entry) ? entry : undefined;
    } catch (error) {
      this.#deps.log.warn("model card ignored", { key, error: toAppError(error).message });
      return undefined;
    }
  }

  #isWanted({ address, suffix, card }: CardEntry): boolean {
    if (!isNamespaceWanted(this.#options.namespaces, address.namespace)) return false;
    // A part of a disaggregated deployment, and an adapter that does not say its name: neither can be asked for.
    return (suffix === undefined || loraNameOf(card) !== undefined) && (card.needs ?? []).length === 0;
  }

  #warn(what: string, key: string, { address, card }: CardEntry, error?: AppError): void {
    this.#deps.log.warn(what, { key, model: card.display_name, endpoint: dynAddressOf(address), ...(error && { error: error.message }) });
  }
}

function firstOf(group: CardGroup): CardEntry {
  return group.entries.values().next().value!;
}

function placeName({ address, card }: CardEntry): string {
  return `${dynAddressOf(address)} ${card.display_name}`;
}

/** Whether this process turns the model's messages into tokens. */
function needsText({ card }: CardEntry): boolean {
  return card.model_input === "Tokens" && modelTypesOf(card).some((type) => kindOf(type) !== "other");
}
