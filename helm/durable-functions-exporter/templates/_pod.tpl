{{/* Variables of every container that runs the command. */}}
{{- define "exporter.environment" -}}
- name: DURABLE_EXPORTER_CONFIG_FILE
  value: {{ include "exporter.folder" . }}/config/config.yaml
{{- $secret := printf "%s-environment" (include "exporter.fullname" .) }}
{{- range $name, $_ := include "exporter.secretEnvironment" . | fromYaml }}
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
{{- define "exporter.ownEnvironment" -}}
- name: DURABLE_EXPORTER_LISTEN_ADDRESS
  value: {{ .Values.listenAddress | quote }}
{{- if gt (int .Values.shards) 1 }}
- name: DURABLE_EXPORTER_SHARD
  value: auto/{{ int .Values.shards }}
{{- end }}
{{- if ne .Values.state.type "none" }}
- name: DURABLE_EXPORTER_STATE_DIR
  value: {{ include "exporter.stateDir" . }}
{{- end }}
{{- if include "exporter.webSecret" . }}
- name: DURABLE_EXPORTER_WEB_CONFIG_FILE
  value: {{ include "exporter.folder" . }}/web/{{ .Values.web.secretKey }}
{{- end }}
{{- if hasKey .Values.settings "grace_period" }}
- name: DURABLE_EXPORTER_GRACE_PERIOD
  value: {{ .Values.settings.grace_period | toString | quote }}
{{- end }}
{{- end -}}

{{/* Volumes of every container that runs the command. */}}
{{- define "exporter.volumes" -}}
- name: config
  configMap:
    name: {{ include "exporter.fullname" . }}
{{- with include "exporter.keySources" . }}
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

{{- define "exporter.volumeMounts" -}}
- name: config
  mountPath: {{ include "exporter.folder" . }}/config
  readOnly: true
{{- if include "exporter.keySources" . }}
- name: keys
  mountPath: {{ include "exporter.folder" . }}/keys
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Volumes of the exporter alone. A claim of a shard comes from the StatefulSet. */}}
{{- define "exporter.ownVolumes" -}}
{{- with include "exporter.webSecret" . }}
- name: web
  projected:
    defaultMode: 0440
    sources:
      - secret:
          name: {{ . }}
          items:
            - key: {{ $.Values.web.secretKey }}
              path: {{ $.Values.web.secretKey }}
      {{- with $.Values.web.tlsSecret }}
      - secret:
          name: {{ . }}
      {{- end }}
{{- end }}
{{- if eq .Values.state.type "emptyDir" }}
- name: state
  emptyDir:
    sizeLimit: {{ .Values.state.sizeLimit }}
{{- else if and (eq .Values.state.type "claim") (le (int .Values.shards) 1) }}
- name: state
  persistentVolumeClaim:
    claimName: {{ default (printf "%s-state" (include "exporter.fullname" .)) .Values.state.existingClaim }}
{{- end }}
{{- end -}}

{{- define "exporter.ownVolumeMounts" -}}
{{- if include "exporter.webSecret" . }}
- name: web
  mountPath: {{ include "exporter.folder" . }}/web
  readOnly: true
{{- end }}
{{- if ne .Values.state.type "none" }}
- name: state
  mountPath: {{ include "exporter.stateDir" . }}
{{- end }}
{{- end -}}

{{/* A probe: (list $ path timing). */}}
{{- define "exporter.probe" -}}
{{- $context := index . 0 -}}
{{- if include "exporter.asksForCertificates" $context -}}
tcpSocket:
  port: http
{{- else -}}
httpGet:
  path: {{ index . 1 }}
  port: http
  scheme: {{ include "exporter.scheme" $context | upper }}
{{- end }}
{{ toYaml (index . 2) }}
{{- end -}}

{{/* What decides where a pod runs, and with which rights. */}}
{{- define "exporter.scheduling" -}}
serviceAccountName: {{ include "exporter.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- range $field := list "imagePullSecrets" "nodeSelector" "tolerations" "affinity" "hostAliases" "dnsConfig" }}
{{- with index $.Values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- range $field := list "priorityClassName" "runtimeClassName" "schedulerName" "dnsPolicy" }}
{{- with index $.Values $field }}
{{ $field }}: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "exporter.spreading" -}}
{{- $selector := include "exporter.selectorLabels" . | fromYaml -}}
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
{{- define "exporter.podAnnotations" -}}
{{- $checksums := dict -}}
{{- if eq .Values.onConfigChange "restart" -}}
{{- $_ := set $checksums "checksum/config" (include "exporter.config" . | sha256sum) -}}
{{- end -}}
{{- $environment := include "exporter.secretEnvironment" . | fromYaml -}}
{{- if $environment -}}
{{- $_ := set $checksums "checksum/environment" (toYaml $environment | sha256sum) -}}
{{- end -}}
{{- with merge (dict) $checksums .Values.podAnnotations .Values.commonAnnotations -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "exporter.container" -}}
name: exporter
image: {{ include "exporter.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  {{- toYaml (concat (list "serve") .Values.extraArgs) | nindent 2 }}
env:
  {{- include "exporter.ownEnvironment" . | nindent 2 }}
  {{- include "exporter.environment" . | nindent 2 }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: http
    containerPort: {{ include "exporter.port" . }}
    protocol: TCP
startupProbe:
  {{- include "exporter.probe" (list . "/-/healthy" .Values.startupProbe) | nindent 2 }}
livenessProbe:
  {{- include "exporter.probe" (list . "/-/healthy" .Values.livenessProbe) | nindent 2 }}
readinessProbe:
  {{- include "exporter.probe" (list . "/-/ready" .Values.readinessProbe) | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
volumeMounts:
  {{- include "exporter.volumeMounts" . | nindent 2 }}
  {{- with include "exporter.ownVolumeMounts" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* The template of the pods. */}}
{{- define "exporter.pod" -}}
metadata:
  labels:
    {{- include "exporter.labels" (list . "exporter" .Values.podLabels) | nindent 4 }}
  {{- with include "exporter.podAnnotations" . }}
  {{- . | nindent 2 }}
  {{- end }}
spec:
  {{- include "exporter.scheduling" . | nindent 2 }}
  {{- with include "exporter.spreading" . }}
  {{- . | nindent 2 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
  {{- with .Values.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - {{ include "exporter.container" . | nindent 6 | trim }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "exporter.volumes" . | nindent 4 }}
    {{- with include "exporter.ownVolumes" . | trim }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}
