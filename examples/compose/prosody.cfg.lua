-- Prosody for docker-compose.yml: one host for users, one component for the gateway. For trying out, on this machine alone.
modules_enabled = { "roster", "saslauth", "disco", "ping", "carbons", "pep", "smacks", "mam" }
authentication = "internal_hashed"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
component_interfaces = { "0.0.0.0" }
-- A new frontend may take over from one that hangs.
component_conflict_resolve = "kick_old"
log = { info = "*console" }

VirtualHost "localhost"

Component "parrot.localhost"
	component_secret = ENV_COMPONENT_PASSWORD
