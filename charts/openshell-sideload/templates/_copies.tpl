{{/*
Objects of manifests/components, to which links in files/ lead, under the names and labels of the release. Takes the root, the
file, and a dict of what is replaced in its text.
*/}}
{{- define "openshell-sideload.copies" -}}
{{- $root := index . 0 -}}
{{- $text := $root.Files.Get (index . 1) -}}
{{- range $from, $to := index . 2 -}}{{- $text = replace $from $to $text -}}{{- end -}}
{{- range splitList "\n---\n" $text }}
{{- $object := fromYaml . }}
{{- $_ := set $object.metadata "labels" (include "openshell-sideload.labels" $root | fromYaml) }}
---
{{ toYaml $object }}
{{- end -}}
{{- end }}
