// The way out for what this router tells others about its requests: on NATS core or over ZMQ, as the operator chose (DYN_EVENT_PLANE).
//
//   event, dialect of its worker ─▶ publisher of that naming ─┬─▶ subject                      one event to a message
//                                                             └─▶ PUB socket, event channel    from 1.4 on lists of events
//
// Routers beside workers of a release read that release's names and forms, so there is a publisher for each naming that was needed.
import {
  type ActiveSequenceEvent,
  type Dialect,
  encodeActiveSequence,
  encodeActiveSequenceList,
  type EndpointAddress,
  type EventNaming,
  eventScopeOf,
  eventSubject,
  type InstanceId,
  type U64,
} from "@mm-router/protocol";
import { EventPublisher, randomPublisherId, ZmqPublisher, type ZmqPublisherDeps } from "@mm-router/runtime";

export const sequenceTopic = "active_sequences_events";

interface Publishing {
  publish(payload: Uint8Array): void;
  close?(): void;
}

interface Way {
  open(dialect: Dialect): Publishing;
  encode(event: ActiveSequenceEvent, dialect: Dialect): Uint8Array;
}

export class SequencePublishers {
  private readonly way: Way;
  private readonly byNaming = new Map<EventNaming, Publishing>();

  private constructor(way: Way) {
    this.way = way;
  }

  static onNats(
    address: EndpointAddress,
    { discovery, publish }: { discovery: { readonly instanceId: InstanceId }; publish: (subject: string, bytes: Uint8Array) => void },
  ): SequencePublishers {
    return new SequencePublishers({
      open: (dialect) => {
        const publisherId = publisherIdOf(dialect)(discovery.instanceId);
        return new EventPublisher({ publish }, { subject: sequenceSubject(dialect, address), topic: sequenceTopic, publisherId });
      },
      encode: encodeActiveSequence,
    });
  }

  /** @param host IP literal under which others reach this process; default: as for the request plane */
  static onZmq(address: EndpointAddress, host: string | undefined, deps: ZmqPublisherDeps): SequencePublishers {
    return new SequencePublishers({
      open: (dialect) => {
        const naming = dialect.eventNaming;
        const scope = eventScopeOf(naming, address, sequenceTopic);
        return new ZmqPublisher({ naming, scope, topic: sequenceTopic, publisherId: publisherIdOf(dialect), host }, deps);
      },
      encode: (event, { sequenceListsOverZmq }) => (sequenceListsOverZmq ? encodeActiveSequenceList([event]) : encodeActiveSequence(event)),
    });
  }

  tell(event: ActiveSequenceEvent, dialect: Dialect): void {
    this.of(dialect).publish(this.way.encode(event, dialect));
  }

  /** Over ZMQ others need a moment to find a publisher: one that is there early is heard from its first word on. */
  prepare(dialect: Dialect): void {
    this.of(dialect);
  }

  close(): void {
    for (const publisher of this.byNaming.values()) publisher.close?.();
  }

  private of(dialect: Dialect): Publishing {
    const known = this.byNaming.get(dialect.eventNaming);
    if (known !== undefined) return known;
    const publisher = this.way.open(dialect);
    this.byNaming.set(dialect.eventNaming, publisher);
    return publisher;
  }
}

export function sequenceSubject({ eventNaming }: Pick<Dialect, "eventNaming">, address: EndpointAddress): string {
  return eventSubject(eventNaming, eventScopeOf(eventNaming, address, sequenceTopic), sequenceTopic);
}

function publisherIdOf(dialect: Dialect): (instanceId: InstanceId) => U64 {
  if (dialect.publisherId === "instance") return (instanceId) => instanceId;
  const random = randomPublisherId();
  return () => random;
}
