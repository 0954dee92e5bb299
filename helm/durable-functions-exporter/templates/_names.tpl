{{/* Templates of all charts of a release share their names: hence the chart's own before each. */}}
{{- define "durable-functions-exporter.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{/*
At most 52 characters: Kubernetes adds 11 to a StatefulSet's name in a label, and "-headless" is a host name. The
name of a Service starts with a letter, that of a release may start with a digit.
*/}}
{{- define "durable-functions-exporter.fullname" -}}
{{- $name := include "durable-functions-exporter.name" . -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- if regexMatch "^[0-9]" $both -}}
{{- $both = printf "%s-%s" $name .Release.Name -}}
{{- end -}}
{{- default $both .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end -}}

{{- define "durable-functions-exporter.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "durable-functions-exporter.instanceLabels" -}}
app.kubernetes.io/name: {{ include "durable-functions-exporter.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The pods that poll: not that of `helm test`. */}}
{{- define "durable-functions-exporter.selectorLabels" -}}
{{ include "durable-functions-exporter.instanceLabels" . }}
app.kubernetes.io/component: exporter
{{- end -}}

{{/* Labels of an object: (list $ component labels-of-its-own). The chart's own come last, since selectors rest on them. */}}
{{- define "durable-functions-exporter.labels" -}}
{{- $context := index . 0 -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/version" $context.Chart.AppVersion
  "app.kubernetes.io/managed-by" $context.Release.Service
  "app.kubernetes.io/component" (index . 1) -}}
{{- $labels := merge (include "durable-functions-exporter.instanceLabels" $context | fromYaml) $own (index . 2) $context.Values.commonLabels -}}
{{- toYaml $labels -}}
{{- end -}}

{{/* Labels of the pods. None names a version: a release of the chart that changes nothing else replaces no pod. */}}
{{- define "durable-functions-exporter.podLabels" -}}
{{- toYaml (merge (include "durable-functions-exporter.selectorLabels" . | fromYaml) .Values.podLabels .Values.commonLabels) -}}
{{- end -}}

{{/* Name, namespace, labels and annotations of an object: a dict with "context", and what differs from object to object. */}}
{{- define "durable-functions-exporter.metadata" -}}
{{- $context := .context -}}
name: {{ printf "%s%s" (include "durable-functions-exporter.fullname" $context) (default "" .suffix) | quote }}
namespace: {{ default (include "durable-functions-exporter.namespace" $context) .namespace | quote }}
labels:
  {{- include "durable-functions-exporter.labels" (list $context (default "exporter" .component) (default (dict) .labels)) | nindent 2 }}
{{- with merge (dict) (default (dict) .annotations) $context.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "durable-functions-exporter.image" -}}
{{- $image := .Values.image -}}
{{- with $image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "durable-functions-exporter.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "durable-functions-exporter.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "durable-functions-exporter.port" -}}
{{- splitList ":" .Values.listenAddress | last -}}
{{- end -}}
