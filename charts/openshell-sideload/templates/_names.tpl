{{/* The release's name, with the chart's, or nameOverride, where it is not in it. */}}
{{- define "openshell-sideload.fullname" -}}
{{- $chart := .Values.nameOverride | default .Chart.Name -}}
{{- $name := .Values.fullnameOverride | default (contains $chart .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $chart)) -}}
{{- /* The longest suffix is 13 characters, a label's value has 63. */ -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* What finds the webhook's pods, and those of no other release. */}}
{{- define "openshell-sideload.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "openshell-sideload.labels" -}}
{{ include "openshell-sideload.selector" . }}
app.kubernetes.io/part-of: openshell
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* metadata of a namespaced object. Takes the root and the object's name; more labels may follow it. */}}
{{- define "openshell-sideload.metadata" -}}
namespace: {{ (index . 0).Release.Namespace }}
{{ include "openshell-sideload.clusterMetadata" . }}
{{- end }}

{{/* metadata of an object of the cluster. Takes the root and the object's name; more labels may follow it. */}}
{{- define "openshell-sideload.clusterMetadata" -}}
name: {{ index . 1 }}
labels:
  {{- include "openshell-sideload.labels" (index . 0) | nindent 2 }}
{{- end }}

{{/* The webhook's own image. The registry of all charts takes the place of the one in its name (src/sideload/image.ts: has a dot or colon). */}}
{{- define "openshell-sideload.image" -}}
{{- with .Values.image -}}
{{- $repository := .repository -}}
{{- with $.Values.global.imageRegistry -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{ $repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* Pull secrets of the webhook's own image, of all charts and of this one; nothing where there are none. */}}
{{- define "openshell-sideload.pullSecrets" -}}
{{- $secrets := list -}}
{{- range concat .Values.global.imagePullSecrets .Values.image.pullSecrets -}}
  {{- $secrets = append $secrets (kindIs "string" . | ternary (dict "name" .) .) -}}
{{- end -}}
{{- with uniq $secrets -}}{{ toYaml . }}{{- end -}}
{{- end }}

{{/* The Secret with the serving certificate; nothing where the webhook makes its own. */}}
{{- define "openshell-sideload.tlsSecret" -}}
{{- if eq .Values.certificates.source "certManager" -}}
{{ include "openshell-sideload.fullname" . }}-tls
{{- else if eq .Values.certificates.source "existingSecret" -}}
{{ .Values.certificates.existingSecret.name }}
{{- end -}}
{{- end }}

{{/* Both ends of a binding to the webhook's service account. Takes the root, the role's kind and its name. */}}
{{- define "openshell-sideload.binding" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ index . 1 }}
  name: {{ index . 2 }}
subjects:
  - kind: ServiceAccount
    name: {{ include "openshell-sideload.fullname" (index . 0) }}
    namespace: {{ (index . 0).Release.Namespace }}
{{- end }}

{{/* Files that options name, each from a ConfigMap or a Secret: a list of option, volume, path, kind, name and key. */}}
{{- define "openshell-sideload.files" -}}
{{- with .Values }}
{{- if .requireClientCert.configMap }}
- { option: require-client-cert, volume: clients, path: ca.crt, configMap: {{ .requireClientCert.configMap }}, key: {{ .requireClientCert.key }} }
{{- end }}
{{- if .entrypointMap.configMap }}
- { option: entrypoint-map, volume: entrypoints, path: map.yaml, configMap: {{ .entrypointMap.configMap }}, key: {{ .entrypointMap.key }} }
{{- end }}
{{- if .registryCa.configMap }}
- { option: registry-ca, volume: registry-ca, path: ca.crt, configMap: {{ .registryCa.configMap }}, key: {{ .registryCa.key }} }
{{- end }}
{{- if .registryConfig.secret }}
- { option: registry-config, volume: registry-config, path: config.json, secret: {{ .registryConfig.secret }}, key: {{ .registryConfig.key }} }
{{- end }}
{{- end }}
{{- end }}
