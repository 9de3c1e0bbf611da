import { type Bus, connectBus, instanceKey } from '@spectrum/bus'
import { RouterDefinition } from '@spectrum/messages'
import { busCounter, type RunningService, type ServiceContext } from '@spectrum/service-kit'
import { Component, prepareDomain } from '@spectrum/xmpp'
import { Addresses } from './addresses.ts'
import { ComponentLink } from './component-link.ts'
import { Dispatch } from './dispatch.ts'
import { EventFeed } from './event-feed.ts'
import { Gateway } from './gateway.ts'
import { InstanceKey } from './instance-key.ts'
import { ManifestWatch } from './manifest.ts'
import { defineFrontendMetrics } from './metrics.ts'
import { Outbox } from './outbox.ts'
import { Placements } from './placements.ts'
import { xeps } from './xeps/index.ts'

/** Builds the frontend of one instance; it runs when this fulfils, active or standing by. */
export async function startFrontend({ config, log, registry, stopping }: ServiceContext): Promise<RunningService> {
  const metrics = defineFrontendMetrics(registry)
  const instance = instanceKey(config.service.jid)
  const bus = await connectBus(
    {
      servers: [...config.nats.servers],
      service: 'frontend',
      instance,
      log,
      count: busCounter(metrics),
      ...(config.nats.nkeySeed === undefined ? {} : { nkeySeed: config.nats.nkeySeed }),
      replicas: config.nats.replicas === 3 ? 3 : 1,
      limits: { maxStreamBytes: config.nats.streamBytes },
      ...(config.nats.ca === '' ? {} : { caFile: config.nats.ca }),
    },
    stopping,
  )
  const addresses = new Addresses(
    prepareDomain(config.service.jid) ?? config.service.jid,
    config.service.jidEscaping ? 'escaped' : 'percent',
  )
  const manifest = new ManifestWatch(log, ({ escapesJids, keepsPercent = false }) => {
    if (!escapesJids) addresses.style = 'percent'
    else if (keepsPercent && config.service.jidEscaping) addresses.style = 'exact'
  })
  const key = new InstanceKey()
  await Promise.all([manifest.start(bus, instance), key.start(bus, instance)])
  const placements = new Placements(bus, instance)
  const outbox = new Outbox({
    bus,
    instance,
    placements,
    log,
    metrics,
    isRegistrationNeeded: () =>
      !config.registration.autoRegister && (manifest.current?.registration.isRequired ?? false),
    onCongested: () => {
      metrics.pauses.inc()
      link.component?.pause()
    },
    onRelieved: () => link.component?.resume(),
  })
  const gateway = new Gateway({
    config,
    log,
    metrics,
    addresses,
    manifest,
    placements,
    outbox,
    router: bus.client(RouterDefinition),
    processId: bus.processId,
    seal: plaintext => key.seal(plaintext),
    features: kind => [...new Set(xeps.flatMap(xep => xep.announce?.(kind, manifest.current) ?? []))].sort(),
    write: xml => {
      if (link.component === undefined) metrics.dropped.inc({ kind: 'stanza', reason: 'standing-by' })
      else
        link.component.send({
          stanzas: [xml],
          onPoison: () => log.error({}, 'the XMPP server closes the stream for an answer; it is given up'),
        })
    },
  })
  const dispatch = new Dispatch(gateway, xeps)
  const link = new ComponentLink({
    bus,
    instance,
    partitions: config.frontend.eventPartitions,
    log,
    onActive: isActive => {
      metrics.active.set(isActive ? 1 : 0)
      log.info({ isActive }, isActive ? 'this frontend is active' : 'this frontend stands by')
    },
    open: mayAct => {
      const component = new Component({
        host: config.service.server,
        port: config.service.port,
        domain: config.service.jid,
        secret: config.service.password,
        resource: bus.processId,
        maxStanzaBytes: config.frontend.maxStanzaBytes,
        log,
        onStanza: stanza => dispatch.onStanza(stanza),
        onOnline: () => {
          metrics.connected.set(1)
          dispatch.departures.opened()
        },
        onOffline: () => {
          metrics.connected.set(0)
          metrics.streamsLost.inc()
          dispatch.departures.lost()
        },
        onBarrier: latencyMs => metrics.barrierSeconds.observe(latencyMs / 1_000),
        onDiscarded: (reason, stanzas) => metrics.dropped.inc({ kind: 'stanza', reason }, stanzas),
      })
      if (outbox.isCongested) component.pause()
      return { component, feed: new EventFeed(component, { xeps, addresses, placements, metrics, log, mayAct }) }
    },
  })
  await link.start()
  return {
    ready: () => readiness(bus, link),
    [Symbol.asyncDispose]: async () => {
      dispatch.departures.flush()
      // Who waits for a login can be answered only while there is a stream.
      outbox.giveUpWaiting()
      await outbox.settled(3_000)
      await link.stop()
      await outbox.settled(5_000)
      await manifest[Symbol.asyncDispose]()
      key[Symbol.dispose]()
      await bus[Symbol.asyncDispose]()
    },
  }
}

/** Active, it needs the XMPP server; standing by, only the bus. */
function readiness(bus: Bus, { component }: ComponentLink): boolean | string {
  if (!bus.isConnected) return 'the bus is not connected'
  return component === undefined || component.isOnline || 'the component is not connected'
}
