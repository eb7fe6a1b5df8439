# The rules of a policy: an OpenShell supervisor of the 0.0.x line asks these for every decision.
# They deny all network. They hold each rule that the supervisors of 0.0.110 and 0.0.111 ask for; without one of the first three they do not start.
#
# A policy that allows network uses OpenShell's own rules, of the same version as the supervisor:
#   https://github.com/NVIDIA/OpenShell/blob/v0.0.110/crates/openshell-supervisor-network/data/sandbox-policy.rego
# docs/policy.md says how.

package openshell.sandbox

# Asked once, at the start: the sections of policy.yaml, as they are.

filesystem_policy := data.filesystem_policy

landlock_policy := data.landlock

process_policy := data.process

# Asked for each connection: may it be opened?

network_action := "deny"

allow_network := false

deny_reason := "this policy allows no network"

# The policy that allowed a connection: there is none, so that this is never defined.
matched_network_policy := name if {
	some name
	data.network_policies[name]
	network_action == "allow"
}

# Asked for a connection that was allowed: how is it inspected, and which addresses may it reach?

_matching_endpoint_configs := []

endpoint_credential_guards := []

exact_declared_endpoint_host := false

network_middlewares := {}

# Asked for each request inside an inspected connection.

allow_request := false

request_deny_reason := "this policy allows no network"

# Asked by the supervisor of 0.0.111, in place of some of the rules above.

egress_authorization := {
	"action": network_action,
	"deny_reason": deny_reason,
	"endpoint_configs": _matching_endpoint_configs,
	"exact_declared_endpoint_host": exact_declared_endpoint_host,
}

policy_dns_eligible_endpoint_records := []
