// An endpoint of a connected runtime: puts the two sides together out of what the runtime has.
import type { EndpointAddress } from "@mm-router/protocol";
import type { Discovery } from "./discovery/index.ts";
import type { Endpoint, ServedEndpoint, ServeOptions } from "./endpoint.ts";
import { WatchedEndpointClient } from "./endpoint-client.ts";
import type { RequestClient } from "./request-plane/request-client.ts";
import type { RequestPlaneConfig } from "./request-plane/request-plane-config.ts";
import type { QuestionListener, RequestListener } from "./request-plane/request-transport.ts";
import { ServedHandler } from "./request-plane/served-handler.ts";
import type { ServedRequestMetrics } from "./request-plane/served-request-metrics.ts";
import { RegisteredEndpoint, type RegisteredEndpointDeps } from "./served-endpoint.ts";
import type { Logger } from "./service/index.ts";
import type { Tracer } from "./tracing/index.ts";

/** What a runtime has that its endpoints need. */
export interface EndpointParts {
  readonly config: RequestPlaneConfig;
  readonly discovery: Discovery;
  readonly client: RequestClient;
  readonly listener: RequestListener;
  readonly questions: QuestionListener;
  readonly metricsOf: (address: EndpointAddress) => ServedRequestMetrics;
  readonly log: Logger;
  readonly tracer: Tracer;
  /** Told about each served endpoint, so that the runtime can end it. */
  readonly onServed: (served: ServedEndpoint) => void;
}

export function connectedEndpoint(address: EndpointAddress, parts: EndpointParts): Endpoint {
  const { config, discovery, client, listener, questions, metricsOf, log, tracer } = parts;
  const register = async (
    options: ServeOptions,
    taking: Pick<RegisteredEndpointDeps, "listen" | "drainTaken">,
  ): Promise<ServedEndpoint> => {
    const served = await RegisteredEndpoint.serve(address, options, { discovery, log, ...taking });
    parts.onServed(served);
    return served;
  };
  return {
    address,
    serve(handler, options = {}) {
      const requests = new ServedHandler(handler, { address, config, log, metrics: metricsOf(address), tracer });
      return register(options, {
        listen: (instanceId) => listener.listen(address, instanceId, requests.take),
        drainTaken: (deadlineMs) => requests.drain(deadlineMs),
      });
    },
    serveAnswers(answerer) {
      return register({}, { listen: (instanceId) => questions.answer(address, instanceId, answerer), drainTaken: async () => {} });
    },
    client: () => new WatchedEndpointClient(address, { discovery, caller: client, setAsideMs: config.setAsideMs, log }),
  };
}
