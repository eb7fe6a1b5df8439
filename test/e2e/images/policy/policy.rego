# The rules of the tests' policy: those that a supervisor asks for when it starts, and no network.
# The last one is asked for from 0.0.111 on.
package openshell.sandbox

default allow_network := false

filesystem_policy := data.filesystem_policy

landlock_policy := data.landlock

process_policy := data.process

policy_dns_eligible_endpoint_records := []
