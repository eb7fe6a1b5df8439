{{/*
Objects of manifests/components, to which links in files/ lead, under the names and labels of the release. Takes the root, the
file, a dict of what is replaced in its text, and one of the expressions of a policy's variables.
*/}}
{{- define "openshell-sideload.copies" -}}
{{- $root := index . 0 -}}
{{- $text := $root.Files.Get (index . 1) -}}
{{- range $from, $to := index . 2 -}}{{- $text = replace $from $to $text -}}{{- end -}}
{{- range splitList "\n---\n" $text }}
{{- $object := fromYaml . }}
{{- range ($object.spec).variables }}
  {{- if hasKey (index $ 3) .name }}{{ $_ := set . "expression" (index $ 3 .name) }}{{ end }}
{{- end }}
{{- $_ := set $object.metadata "labels" (include "openshell-sideload.labels" $root | fromYaml) }}
---
{{ toYaml $object }}
{{- end -}}
{{- end }}
