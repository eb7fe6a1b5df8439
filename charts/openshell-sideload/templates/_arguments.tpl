{{/*
The webhook's command line, as a list. A value has its flag's name, in camel case; one that is null has no flag.
A Kubernetes container reads $(NAME) as a variable, and $$ as a dollar.
*/}}
{{- define "openshell-sideload.arguments" -}}
{{- $arguments := list -}}
{{- $flags := list "port" "supervisor-image" "supervisor-image-pull-policy" "supervisor-image-layout" "supervisor-sideload-method"
      "allowed-sideload-methods" "supervisor-capabilities" "supervisor-apparmor-profile" "trusted-supervisor-images" "missing-command"
      "entrypoint" "inspect-images" "pin-resolved-images" "registry-hosts" "registry-plain-http" "registry-mirrors"
      "upstream-proxy-auth-secret" "policy" "policy-rules" "policy-mode" "missing-policy" "unreachable-probes" "neighbours"
      "sandbox-uid" "sandbox-gid" "sandbox-workdir" "bind-address" "ca-lifetime" "serving-cert-lifetime" "ca-settle-time" "preflight"
      "count-unguarded" "owner-events" "tls-min-version" "max-connections" "max-connections-per-peer" "shutdown-delay" "log-level" -}}
{{- range $flag := $flags -}}
  {{- $value := index $.Values ($flag | replace "-" "_" | camelcase | untitle) -}}
  {{- if kindIs "slice" $value -}}{{- $value = join "," $value -}}{{- end -}}
  {{- if kindIs "float64" $value -}}{{- $value = int64 $value -}}{{- end -}}
  {{- if not (kindIs "invalid" $value) -}}{{- $arguments = append $arguments (printf "--%s=%v" $flag $value) -}}{{- end -}}
{{- end -}}
{{- if ne (int .Values.adminPort) 8081 -}}{{- $arguments = append $arguments (printf "--admin-port=%d" (int .Values.adminPort)) -}}{{- end -}}
{{- range include "openshell-sideload.files" . | fromYamlArray -}}
  {{- $arguments = append $arguments (printf "--%s=/%s/%s" .option .volume .path) -}}
{{- end -}}
{{- range .Values.pinnedEnv -}}{{- $arguments = append $arguments (printf "--pinned-env=%s=%s" .name .value) -}}{{- end -}}
{{- range .Values.supervisorArg -}}{{- $arguments = append $arguments (printf "--supervisor-arg=%s" .) -}}{{- end -}}
{{- range .Values.supervisorEnv -}}{{- $arguments = append $arguments (printf "--supervisor-env=%s=%s" .name .value) -}}{{- end -}}
{{- $name := include "openshell-sideload.fullname" . -}}
{{- if ne $name "openshell-sideload" -}}
  {{- $arguments = append $arguments (printf "--service-name=%s" $name) -}}
  {{- if eq .Values.certificates.source "selfManaged" -}}
    {{- $arguments = concat $arguments (list (printf "--webhook-configuration=%s" $name) (printf "--ca-secret=%s-ca" $name)) -}}
  {{- end -}}
{{- end -}}
{{- $own := concat $flags (list "admin-port" "pinned-env" "supervisor-arg" "supervisor-env" "require-client-cert" "entrypoint-map" "registry-ca"
      "registry-config" "certificates" "tls-cert-dir" "namespace" "service-name" "webhook-configuration" "ca-secret") -}}
{{- range .Values.extraArgs -}}
  {{- $flag := regexFind "^--[^=]+" . | trimPrefix "--" -}}
  {{- if has $flag $own -}}{{- fail (printf "extraArgs has %q: --%s follows from the chart's values, set those" . $flag) -}}{{- end -}}
  {{- $arguments = append $arguments . -}}
{{- end -}}
{{- range $arguments }}
- {{ replace "$" "$$" . | quote }}
{{- end -}}
{{- end }}
