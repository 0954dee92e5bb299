{{/* Variables of every container that runs the command. */}}
{{- define "durable-functions-exporter.environment" -}}
- name: DURABLE_EXPORTER_CONFIG_FILE
  value: {{ include "durable-functions-exporter.folder" . }}/config/config.yaml
{{- $secret := printf "%s-environment" (include "durable-functions-exporter.fullname" .) }}
{{- range $name, $_ := include "durable-functions-exporter.secretEnvironment" . | fromYaml }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $secret }}
      key: {{ $name }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Variables of the exporter alone. */}}
{{- define "durable-functions-exporter.ownEnvironment" -}}
- name: DURABLE_EXPORTER_LISTEN_ADDRESS
  value: {{ .Values.listenAddress | quote }}
{{- if gt (int .Values.shards) 1 }}
- name: DURABLE_EXPORTER_SHARD
  value: auto/{{ int .Values.shards }}
{{- end }}
{{- if include "durable-functions-exporter.isDemo" . }}
# The demo keeps its accounts in a folder of its own.
- name: TMPDIR
  value: {{ include "durable-functions-exporter.stateDir" . }}
{{- else if ne .Values.state.type "none" }}
- name: DURABLE_EXPORTER_STATE_DIR
  value: {{ include "durable-functions-exporter.stateDir" . }}
{{- end }}
{{- if include "durable-functions-exporter.webSecret" . }}
- name: DURABLE_EXPORTER_WEB_CONFIG_FILE
  value: {{ printf "%s/web/%s" (include "durable-functions-exporter.folder" .) .Values.web.secretKey | quote }}
{{- end }}
{{- if hasKey .Values.settings "grace_period" }}
- name: DURABLE_EXPORTER_GRACE_PERIOD
  value: {{ .Values.settings.grace_period | toString | quote }}
{{- end }}
{{- end -}}

{{/* Volumes of every container that runs the command. */}}
{{- define "durable-functions-exporter.volumes" -}}
- name: config
  configMap:
    name: {{ include "durable-functions-exporter.fullname" . | quote }}
{{- with include "durable-functions-exporter.keySources" . }}
- name: keys
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "durable-functions-exporter.volumeMounts" -}}
- name: config
  mountPath: {{ include "durable-functions-exporter.folder" . }}/config
  readOnly: true
{{- if include "durable-functions-exporter.keySources" . }}
- name: keys
  mountPath: {{ include "durable-functions-exporter.folder" . }}/keys
  readOnly: true
{{- end }}
{{- include "durable-functions-exporter.extraMounts" (list . true) }}
{{- end -}}

{{/* Volumes of the exporter alone. A claim of a shard comes from the StatefulSet. */}}
{{- define "durable-functions-exporter.ownVolumes" -}}
{{- with include "durable-functions-exporter.webSecret" . }}
- name: web
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ . | quote }}
          items:
            - key: {{ $.Values.web.secretKey | quote }}
              path: {{ $.Values.web.secretKey | quote }}
      {{- with $.Values.web.tlsSecret }}
      - secret:
          name: {{ . | quote }}
      {{- end }}
{{- end }}
{{- if or (eq .Values.state.type "emptyDir") (include "durable-functions-exporter.isDemo" .) }}
- name: state
  emptyDir:
    {{- with .Values.state.sizeLimit }}
    sizeLimit: {{ . | quote }}
    {{- else }} {}
    {{- end }}
{{- else if and (eq .Values.state.type "claim") (le (int .Values.shards) 1) }}
- name: state
  persistentVolumeClaim:
    claimName: {{ default (printf "%s-state" (include "durable-functions-exporter.fullname" .)) .Values.state.existingClaim | quote }}
{{- end }}
{{- end -}}

{{- define "durable-functions-exporter.ownVolumeMounts" -}}
{{- if include "durable-functions-exporter.webSecret" . }}
- name: web
  mountPath: {{ include "durable-functions-exporter.folder" . }}/web
  readOnly: true
{{- end }}
{{- if or (ne .Values.state.type "none") (include "durable-functions-exporter.isDemo" .) }}
- name: state
  mountPath: {{ include "durable-functions-exporter.stateDir" . }}
{{- end }}
{{- include "durable-functions-exporter.extraMounts" (list . false) }}
{{- end -}}

{{/*
Mounts of the values: (list $ of-all). Those of volumes that every container has, or of those that the exporter has
alone: the pod of `helm test` has no other.
*/}}
{{- define "durable-functions-exporter.extraMounts" -}}
{{- $context := index . 0 -}}
{{- $ofAll := index . 1 -}}
{{- $shared := list -}}
{{- range include "durable-functions-exporter.volumes" $context | fromYamlArray -}}
{{- $shared = append $shared .name -}}
{{- end -}}
{{- range $context.Values.extraVolumeMounts -}}
{{- if eq (has .name $shared) $ofAll }}
{{ list . | toYaml }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A probe, if it is on: (list $ field path). One with a handler of its own does not get the chart's. */}}
{{- define "durable-functions-exporter.probe" -}}
{{- $context := index . 0 -}}
{{- $probe := index $context.Values (index . 1) -}}
{{- if and $probe $probe.enabled -}}
{{- $own := omit $probe "enabled" -}}
{{ index . 1 }}:
  {{- if include "durable-functions-exporter.handlers" $probe | fromJsonArray }}
  {{- else if include "durable-functions-exporter.asksForCertificates" $context }}
  tcpSocket:
    port: {{ include "durable-functions-exporter.scheme" $context }}
  {{- else }}
  httpGet:
    path: {{ index . 2 }}
    port: {{ include "durable-functions-exporter.scheme" $context }}
    scheme: {{ include "durable-functions-exporter.scheme" $context | upper }}
  {{- end }}
  {{- with $own }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* The handlers that a probe has itself. */}}
{{- define "durable-functions-exporter.handlers" -}}
{{- $found := list -}}
{{- range $handler := list "exec" "grpc" "httpGet" "tcpSocket" -}}
{{- if hasKey (default dict $) $handler -}}
{{- $found = append $found $handler -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/*
How a workload is updated. Without the `null`, what Kubernetes filled in for a rolling update would stay where it is
refused, and there would be no way back from one.
*/}}
{{- define "durable-functions-exporter.strategy" -}}
{{- toYaml . }}
{{- if and .type (ne .type "RollingUpdate") }}
rollingUpdate: null
{{- end }}
{{- end -}}

{{/* What decides where a pod runs, and with which rights. */}}
{{- define "durable-functions-exporter.scheduling" -}}
serviceAccountName: {{ include "durable-functions-exporter.serviceAccountName" . | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $field := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "hostAliases" "dnsConfig" }}
{{- with index $.Values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $field := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
{{- with index $.Values $field }}
{{ $field }}: {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "durable-functions-exporter.spreading" -}}
{{- $selector := include "durable-functions-exporter.selectorLabels" . | fromYaml -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $constraints = append $constraints (merge (dict) . (dict "labelSelector" (dict "matchLabels" $selector))) -}}
{{- end -}}
{{- if $constraints -}}
topologySpreadConstraints:
  {{- toYaml $constraints | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* What changes pods without changing their specification. */}}
{{- define "durable-functions-exporter.podAnnotations" -}}
{{- $checksums := dict -}}
{{- if eq .Values.onConfigChange "restart" -}}
{{- $_ := set $checksums "checksum/config" (include "durable-functions-exporter.config" . | sha256sum) -}}
{{- end -}}
{{- $environment := include "durable-functions-exporter.secretEnvironment" . | fromYaml -}}
{{- if $environment -}}
{{- $_ := set $checksums "checksum/environment" (toYaml $environment | sha256sum) -}}
{{- end -}}
{{- with merge (dict) $checksums .Values.podAnnotations .Values.commonAnnotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "durable-functions-exporter.container" -}}
name: exporter
image: {{ include "durable-functions-exporter.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  {{- if include "durable-functions-exporter.isDemo" . }}
  {{- toYaml (list "demo" "--listen-address" .Values.listenAddress) | nindent 2 }}
  {{- else }}
  {{- toYaml (concat (list "serve") .Values.extraArgs) | nindent 2 }}
  {{- end }}
env:
  {{- include "durable-functions-exporter.ownEnvironment" . | nindent 2 }}
  {{- include "durable-functions-exporter.environment" . | nindent 2 }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: {{ include "durable-functions-exporter.scheme" . }}
    containerPort: {{ include "durable-functions-exporter.port" . }}
    protocol: TCP
{{- range $field, $path := dict "startupProbe" "/-/healthy" "livenessProbe" "/-/healthy" "readinessProbe" "/-/ready" }}
{{- with include "durable-functions-exporter.probe" (list $ $field $path) }}
{{ . }}
{{- end }}
{{- end }}
{{- range $field := list "lifecycle" "resources" "securityContext" }}
{{- with index $.Values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
volumeMounts:
  {{- include "durable-functions-exporter.volumeMounts" . | nindent 2 }}
  {{- with include "durable-functions-exporter.ownVolumeMounts" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The template of the pods. */}}
{{- define "durable-functions-exporter.pod" -}}
metadata:
  labels:
    {{- include "durable-functions-exporter.podLabels" . | nindent 4 }}
  {{- with include "durable-functions-exporter.podAnnotations" . }}
  {{- . | nindent 2 }}
  {{- end }}
spec:
  {{- include "durable-functions-exporter.scheduling" . | nindent 2 }}
  {{- with include "durable-functions-exporter.spreading" . }}
  {{- . | nindent 2 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "durable-functions-exporter.container" . | nindent 6 | trim }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "durable-functions-exporter.volumes" . | nindent 4 }}
    {{- with include "durable-functions-exporter.ownVolumes" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}
