/** What one source says about one option, not yet understood. */
export interface Given {
  /** As in the `.cfg`: `service.users_per_backend`. */
  readonly option: string
  readonly value: string
  /** For people: `gateway.cfg:12`, `SPECTRUM_SERVICE_JID`, `--service.jid`. */
  readonly where: string
}
