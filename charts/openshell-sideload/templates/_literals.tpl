{{/*
The operator's choices as the variables of the policies hold them: JSON, by the name of the variable. Those of an injection without
the webhook have no default here: without a value, the literal of manifests/components/admission-policy holds.
*/}}
{{- define "openshell-sideload.literals" -}}
{{- $images := .Values.trustedSupervisorImages | default (list "ghcr.io/nvidia/openshell/supervisor" "ghcr.io/nvidia/openshell-community/supervisor") }}
{{- with .Values.supervisorImage }}{{ $images = append $images . }}{{ end }}
{{- /* src/sideload/image.ts: a name without a registry is Docker Hub's, a digest binds its repository. */}}
{{- $digests := dict }}
{{- range $images }}
  {{- $repository := regexReplaceAll "(:[^/:@]*)?(@.*)?$" . "" }}
  {{- if not (regexMatch "^([^/]*[.:A-Z][^/]*|localhost)/" $repository) }}
    {{- $repository = printf "docker.io/%s%s" (ternary "" "library/" (contains "/" $repository)) $repository }}
  {{- else if regexMatch "^(index[.])?docker[.]io/[^/]*$" $repository }}
    {{- $repository = printf "docker.io/library/%s" (splitList "/" $repository | last) }}
  {{- else if hasPrefix "index.docker.io/" $repository }}
    {{- $repository = trimPrefix "index." $repository }}
  {{- end }}
  {{- $_ := set $digests $repository (append (get $digests $repository | default list) (regexFind "@.*" .) | compact) }}
{{- end }}
{{- $trusted := list }}
{{- range $repository, $found := $digests }}
  {{- range $digest := $found | default (list "") }}{{ $trusted = append $trusted (print $repository $digest) }}{{ end }}
{{- end }}
{{- $words := .Values.supervisorArg | default list }}
{{- if .Values.upstreamProxyAuthSecret }}
  {{- $words = append $words "--upstream-proxy-auth-file=/opt/openshell/upstream-proxy-auth/auth" }}
{{- end }}
{{- $literals := dict
      "trustedSupervisorImages" ($trusted | uniq | toJson)
      "allowedSideloadMethods" (.Values.allowedSideloadMethods | default (list "image-volume" "init-container") | toJson)
      "supervisorArgs" ($words | toJson)
      "operatorPolicy" (.Values.policy | default "none" | toJson)
      "operatorRules" (.Values.policyRules | default "same" | toJson)
      "policyMode" (.Values.policyMode | default "default" | toJson)
      "neighbours" (.Values.neighbours | default "by-method" | toJson)
      "ephemeralContainers" (.Values.backstop.ephemeralContainers | toJson) }}
{{- range $key := list "pinnedEnv" "supervisorEnv" }}
  {{- $lines := list }}
  {{- range index $.Values $key | default list }}{{ $lines = append $lines (printf "%s=%s" .name .value) }}{{ end }}
  {{- $_ := set $literals $key ($lines | toJson) }}
{{- end }}
{{- range $variable, $value := dict
      "supervisorImage" .Values.supervisorImage
      "pullPolicy" .Values.supervisorImagePullPolicy
      "layout" .Values.supervisorImageLayout
      "operatorMethod" .Values.supervisorSideloadMethod
      "capabilities" .Values.supervisorCapabilities
      "appArmorProfile" .Values.supervisorApparmorProfile
      "proxyAuthSecret" .Values.upstreamProxyAuthSecret
      "missingPolicy" .Values.missingPolicy
      "unreachableProbes" .Values.unreachableProbes
      "sandboxUid" .Values.sandboxUid
      "sandboxGid" .Values.sandboxGid
      "sandboxWorkdir" .Values.sandboxWorkdir
      "missingCommand" (ternary "shell" .Values.missingCommand (eq (.Values.missingCommand | toString) "warn")) }}
  {{- if kindIs "float64" $value }}{{ $value = int64 $value }}{{ end }}
  {{- if not (kindIs "invalid" $value) }}{{ $_ := set $literals $variable ($value | toJson) }}{{ end }}
{{- end }}
{{- $literals | toJson }}
{{- end }}
