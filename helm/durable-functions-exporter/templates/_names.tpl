{{- define "exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/* At most 52 characters: Kubernetes adds 11 to a StatefulSet's name in a label, and "-headless" is a host name. */}}
{{- define "exporter.fullname" -}}
{{- $name := include "exporter.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $both .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "exporter.instanceLabels" -}}
app.kubernetes.io/name: {{ include "exporter.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* The pods that poll: not that of `helm test`. */}}
{{- define "exporter.selectorLabels" -}}
{{ include "exporter.instanceLabels" . }}
app.kubernetes.io/component: exporter
{{- end -}}

{{/* Labels of an object: (list $ component labels-of-its-own). The chart's own come last, since selectors rest on them. */}}
{{- define "exporter.labels" -}}
{{- $context := index . 0 -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" $context.Chart.AppVersion
  "app.kubernetes.io/managed-by" $context.Release.Service
  "app.kubernetes.io/component" (index . 1) -}}
{{- $labels := merge (include "exporter.instanceLabels" $context | fromYaml) $own (index . 2) $context.Values.commonLabels -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* Name, namespace, labels and annotations of an object: a dict with "context", and what differs from object to object. */}}
{{- define "exporter.metadata" -}}
{{- $context := .context -}}
name: {{ include "exporter.fullname" $context }}{{ .suffix }}
namespace: {{ default $context.Release.Namespace .namespace }}
labels:
  {{- include "exporter.labels" (list $context (default "exporter" .component) (default (dict) .labels)) | nindent 2 }}
{{- with merge (dict) (default (dict) .annotations) $context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "exporter.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "exporter.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "exporter.port" -}}
{{- splitList ":" .Values.listenAddress | last -}}
{{- end -}}
