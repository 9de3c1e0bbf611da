import { type Bus, canaryKey, connectBus, instanceKey } from '@spectrum/bus'
import { RouterDefinition } from '@spectrum/messages'
import { busCounter, type RunningService, type ServiceContext } from '@spectrum/service-kit'
import { Component, type Element, escapeAttribute, LifeProbe, namespaces, prepareDomain } from '@spectrum/xmpp'
import { Addresses, bareOf } from './addresses.ts'
import { announceStream } from './announcement.ts'
import { AwaitedPeople, awaitedMs } from './awaited-people.ts'
import { Canary } from './canary.ts'
import { DeadEnds } from './dead-ends.ts'
import { Dispatch } from './dispatch.ts'
import { EventFeed } from './event-feed.ts'
import { Gateway } from './gateway.ts'
import { InstanceKey } from './instance-key.ts'
import type { Link, Origin } from './link.ts'
import { ManifestWatch } from './manifest.ts'
import { defineFrontendMetrics } from './metrics.ts'
import { Outbox } from './outbox.ts'
import { Peers } from './peers.ts'
import { Placements } from './placements.ts'
import { RecentLines } from './recent-lines.ts'
import { RecentPrivateLines } from './recent-private-lines.ts'
import { ResourceTrust } from './resource-trust.ts'
import { ReturnedLines } from './returned-lines.ts'
import { SharedLink } from './shared-link.ts'
import { SingleLink } from './single-link.ts'
import { StanzaGate } from './stanza-gate.ts'
import { StreamGap } from './stream-gap.ts'
import { xeps } from './xeps/index.ts'

/** What the canary said and did not hear within this time is lost. */
const canaryPatienceMs = 30_000

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
  const forwarded = placements.listen()
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
      link.pause(true)
    },
    onRelieved: () => link.pause(gate.isShut),
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
    isInDoubt: () => trust.isInDoubt,
    isOwnUser: stanza => canary?.isFrom(stanza) === true,
    write: xml => {
      if (link.component !== undefined)
        link.component.send({ stanzas: [xml], onPoison: () => deadEnds.answer(xml, link.component) })
      else if (link.successor !== undefined) peers.write(link.successor, xml)
      else metrics.dropped.inc({ kind: 'stanza', reason: 'standing-by' })
    },
  })
  const deadEnds = new DeadEnds({ bus, metrics, log, domain: addresses.domain })
  const recent = new RecentLines()
  const recentPrivate = new RecentPrivateLines()
  const returned = new ReturnedLines({ bus, instance, placements, metrics, log })
  const returnMs = config.frontend.returnSeconds * 1_000
  const trust = new ResourceTrust({
    windowMs: returnMs,
    ping: (fullJid, id) => {
      const from = escapeAttribute(`${addresses.domain}/${bus.processId}`)
      const ping = `<iq type="get" id="${id}" from="${from}" to="${escapeAttribute(fullJid)}"><ping xmlns="${namespaces.ping}"/></iq>`
      // One of an earlier stream is asked anew.
      link.component?.send({ stanzas: [ping], onReopened: () => undefined })
    },
    onLost: fullJid => {
      for (const line of recent.takeUncertain(fullJid)) returned.give(line, 'uncertain', () => undefined)
    },
    onGone: fullJid => {
      returned.leaves(fullJid)
      dispatch.resourceGone(fullJid)
    },
    onOver: () => recent.forgetUncertain(),
    onHeard: fullJid => people.heard(bareOf(fullJid)),
    onHeld: () => onHeld(),
  })
  const people = new AwaitedPeople({ waitMs: Math.min(returnMs, awaitedMs), onHeld: () => onHeld() })
  const onHeld = () => {
    metrics.held.set(trust.heldBytes + people.heldBytes)
    link.feed?.relieved()
  }
  const dispatch = new Dispatch(gateway, xeps, {
    ...{ trust, recent, returned, returnMs },
    onHeard: (user, fullJid, isPresence) => peers.tellHeard(user, fullJid, isPresence),
  })
  const gap = new StreamGap({ metrics, log })
  const peers: Peers = new Peers({
    bus,
    instance,
    domain: addresses.domain,
    maxStanzaBytes: config.frontend.maxStanzaBytes,
    metrics,
    log,
    tellerOf: user => link.tellerOf(user),
  })
  const canary =
    config.canary.interval === 0
      ? undefined
      : new Canary({
          domain: addresses.domain,
          intervalMs: config.canary.interval * 1_000,
          patienceMs: canaryPatienceMs,
          processId: bus.processId,
          router: gateway.parts.router,
          record: { table: bus.table('cursors'), key: canaryKey(instance) },
          metrics,
          log,
          isActive: () => link.component?.isOnline === true,
          write: xml => gateway.parts.write(xml),
        })
  const onStanza = (stanza: Element) => {
    if (canary?.receive(stanza) || link.takes(stanza)) return
    if (!peers.forward(stanza)) dispatch.onStanza(stanza)
  }
  const gate = new StanzaGate({
    mayTake: () => link.mayTake,
    onStanza,
    onRefused: stanza => dispatch.refuse(stanza),
    onShut: isShut => link.pause(isShut || outbox.isCongested),
  })
  // What waited behind a batch when it stood still would leave as soon as that one is acknowledged.
  bus.guardPublishing(() => gate.isOpen)
  const openComponent = (origin: () => Origin, beforeHandshake?: () => Promise<void>) => {
    let streams = 0
    let isServerGone = false
    const component = new Component({
      host: config.service.server,
      port: config.service.port,
      domain: config.service.jid,
      secret: config.service.password,
      resource: bus.processId,
      maxStanzaBytes: config.frontend.maxStanzaBytes,
      log,
      ...(beforeHandshake === undefined ? {} : { beforeHandshake }),
      onStanza: stanza => gate.take(stanza),
      onOnline: failures => {
        metrics.connected.set(1)
        gap.ended()
        const how = streams++ === 0 ? origin() : 'after-death'
        dispatch.departures.opened(how === 'after-death')
        const isRestart = how === 'after-death' && (isServerGone || failures > 0)
        people.opened(isRestart)
        trust.opened(how === 'after-death', isRestart)
        // A server that was not away has handed on what it confirmed.
        const uncertain = recentPrivate.takeUncertain()
        if (isRestart) feed.tellAgain(uncertain)
        isServerGone = false
        link.onStreamOpened()
        if (how !== 'handed-over') announceStream({ bus, instance, log })
      },
      onOffline: () => {
        metrics.connected.set(0)
        metrics.streamsLost.inc()
        metrics.confirmedBeforeLoss.inc(recent.count(1_000) + recentPrivate.count(1_000))
        gap.began()
        const left = dispatch.departures.leftTimes()
        recent.lost(fullJid => left.get(fullJid))
        recentPrivate.lost(jid => left.get(jid))
        trust.lost()
        people.lost()
        isServerGone = dispatch.departures.lost()
        link.onStreamLost()
      },
      onBarrier: latencyMs => metrics.barrierSeconds.observe(latencyMs / 1_000),
      onDiscarded: (reason, stanzas) => metrics.dropped.inc({ kind: 'stanza', reason }, stanzas),
      onUnconfirmed: stanzas => metrics.redelivered.inc({ kind: 'stanza', reason: 'stream-lost' }, stanzas),
    })
    if (outbox.isCongested) component.pause()
    const feed = new EventFeed(component, {
      xeps,
      addresses,
      placements,
      trust,
      people,
      recent,
      recentPrivate,
      returned,
      metrics,
      log,
      setAside: event => deadEnds.event(event),
    })
    return { component, feed }
  }
  let substitutes = 0
  const linkOptions = {
    bus,
    instance,
    partitions: config.frontend.eventPartitions,
    domain: addresses.domain,
    peers,
    log,
    open: openComponent,
    openSubstitute: (beforeHandshake: () => Promise<void>) =>
      new Component({
        host: config.service.server,
        port: config.service.port,
        domain: config.service.jid,
        secret: config.service.password,
        // Another name than ours: what comes back to us belongs to our own stream.
        resource: `${bus.processId}.${++substitutes}`,
        maxStanzaBytes: config.frontend.maxStanzaBytes,
        log,
        beforeHandshake,
        onStanza: stanza => link.component?.receive(stanza),
      }),
    probe: () => new LifeProbe({ host: config.service.server, port: config.service.port, domain: config.service.jid }),
    onSubstitutes: (count: number) => metrics.substitutes.set(count),
    onLostProbes: (count: number) => metrics.lostProbes.set(count),
    onActive: (isActive: boolean) => {
      metrics.active.set(isActive ? 1 : 0)
      if (isActive) outbox.reopen()
      if (!isActive) gap.left()
      else if (link.component?.isOnline !== true) gap.began()
      log.info({}, isActive ? 'this frontend is active' : 'this frontend stands by')
    },
    onLost: () => {
      gate.refuse()
      outbox.abandon()
    },
    onPartitions: (count: number) => metrics.partitions.set(count),
    settleCommands: async (isLast: boolean) => {
      if (link.successor === undefined) outbox.giveUpWaiting()
      // What is read until the end of the stream is none the worse for it.
      if ((await outbox.settled(3_000)) && bus.isConnected && !isLast) return
      outbox.giveUpWaiting()
      await outbox.settled(5_000)
      outbox.abandon()
    },
  }
  const link: Link = config.frontend.connections === 'many' ? new SharedLink(linkOptions) : new SingleLink(linkOptions)
  peers.listen({
    onStanza: stanza => link.component?.receive(stanza),
    onWrite: xml => gateway.parts.write(xml),
    onTakeOver: (from, to) => link.onTakeOver(from, to),
    onJoining: process => link.onJoining(process),
    onLeaving: process => link.onLeaving(process),
    onLeft: process => link.onLeft(process),
    onRoom: (by, isMade) => link.onRoom(by, isMade),
    onReaching: by => link.onReaching(by),
    onHeard: (fullJid, isPresence) => dispatch.heard(fullJid, isPresence),
  })
  await link.start()
  return {
    ready: () => readiness(bus, link),
    [Symbol.asyncDispose]: async () => {
      await canary?.[Symbol.asyncDispose]()
      dispatch.departures.flush()
      await link.stop()
      gate[Symbol.dispose]()
      returned.close()
      trust.close()
      people.close()
      await outbox.settled(5_000)
      peers[Symbol.dispose]()
      forwarded[Symbol.dispose]()
      await manifest[Symbol.asyncDispose]()
      key[Symbol.dispose]()
      await bus[Symbol.asyncDispose]()
    },
  }
}

/** Active, it needs the XMPP server; standing by, only the bus. */
function readiness(bus: Bus, { component }: Link): boolean | string {
  if (!bus.isConnected) return 'NATS is not connected'
  if (component?.isSilent === true) return 'the XMPP server does not answer'
  if (component !== undefined) return component.isOnline || 'the component is not connected'
  // Whoever stops now must know that this one stands by.
  return bus.owners.isInfoTold || 'the other frontends do not know of this one yet'
}
