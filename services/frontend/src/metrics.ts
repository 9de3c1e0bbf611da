import { counter, defineMetrics, deliveryMetrics, gauge, histogram, type Registry } from '@spectrum/service-kit'

/** Every metric of the frontend. What is refused, dropped or discarded is counted here with its reason. */
export function defineFrontendMetrics(registry: Registry) {
  return defineMetrics(registry, {
    ...deliveryMetrics,
    stanzasIn: counter('frontend_stanzas_received_total', 'Stanzas from the XMPP server, by kind.', ['kind']),
    stanzasOut: counter('frontend_stanzas_sent_total', 'Stanzas written for an event, by kind of event.', ['event']),
    commands: counter('frontend_commands_total', 'Commands published to workers, by kind.', ['command']),
    errors: counter('frontend_errors_answered_total', 'Stanzas answered with an error, by condition.', ['condition']),
    repaired: counter(
      'frontend_repaired_total',
      'Texts from the network that had to be changed to be valid, by what was done.',
      ['repair'],
    ),
    logins: counter('frontend_logins_total', 'Logins asked of the router, by outcome.', ['outcome']),
    placementLookups: counter('frontend_placement_lookups_total', 'Placements read, by where they were found.', [
      'found',
    ]),
    barrierSeconds: histogram('frontend_barrier_seconds', 'Time until the XMPP server confirmed what was written.'),
    connected: gauge('frontend_component_connected', '1 while this process holds the component connection.'),
    streamsLost: counter('frontend_streams_lost_total', 'Component streams that were up and ended.'),
    active: gauge('frontend_active', '1 while this process owns the component, 0 while it stands by.'),
    unconfirmed: gauge(
      'frontend_unconfirmed_events',
      'Events written or waiting that the XMPP server has not confirmed.',
    ),
    pending: gauge('frontend_pending_commands', 'Commands that wait for a login or a placement.'),
    returned: counter(
      'frontend_lines_returned_total',
      'Room lines given back to sessions, as their resource was not there (`unverified`), the XMPP server bounced them (`bounced`), or it lost its client right after it had confirmed them (`uncertain`).',
      ['reason'],
    ),
    confirmedBeforeLoss: counter(
      'frontend_lines_confirmed_before_loss_total',
      'Lines that the XMPP server confirmed within the second before its stream ended: returned to the session if their client is gone, and private ones of the last 0.3 s told again if the server was away.',
    ),
    held: gauge('frontend_held_bytes', 'Bytes of events that wait until a resource has answered, or a person is back.'),
    gapSeconds: gauge('frontend_gap_seconds', 'How long the instance had no component stream, the last time.'),
    partitions: gauge('frontend_partitions', 'Event partitions that this process owns.'),
    lostProbes: gauge(
      'frontend_lost_place_probes',
      'Of the last probes of the connections that the XMPP server counts on, so many did not come back: it drops what users say in the same share.',
    ),
    substitutes: gauge(
      'frontend_substitute_connections',
      'Component connections that this process holds in place of frontends that are missing.',
    ),
    poison: counter('frontend_poison_total', 'What was put aside as the XMPP server closes the stream for it.', [
      'kind',
    ]),
    forwarded: counter('frontend_forwarded_total', 'Stanzas passed on to the frontend that they are for.'),
    canarySent: counter('canary_sent_total', 'Lines that the canary said.'),
    canaryLost: counter('canary_lost_total', 'Lines of the canary that did not come back within 30 s.'),
    canaryDoubled: counter('canary_doubled_total', 'Lines of the canary that came back once more.'),
    canaryRefused: counter('canary_refused_total', 'Lines of the canary that were answered with an error.'),
    canaryLatency: histogram('canary_latency_seconds', 'Time until a line of the canary came back.'),
    pauses: counter('frontend_reading_paused_total', 'Times that reading from the XMPP server was paused.'),
  })
}

export type FrontendMetrics = ReturnType<typeof defineFrontendMetrics>
