{{/* Where things are in the pod. */}}
{{- define "durable-functions-exporter.folder" -}}/etc/durable-functions-exporter{{- end -}}
{{- define "durable-functions-exporter.stateDir" -}}/var/lib/durable-functions-exporter{{- end -}}

{{/*
The configuration file. It holds no secret: keys are files, `proxy` and `headers` variables from a Secret.
`grace_period` is a variable, too: it needs a restart.
*/}}
{{- define "durable-functions-exporter.config" -}}
{{- $config := omit .Values.settings "proxy" "headers" "grace_period" -}}
{{- if include "durable-functions-exporter.keySources" . -}}
{{- $_ := set $config "keys_dir" (printf "%s/keys" (include "durable-functions-exporter.folder" .)) -}}
{{- end -}}
{{- $hubs := dict -}}
{{- range $key, $hub := .Values.hubs -}}
{{- $_ := set $hubs $key (omit $hub "key" "keySecret" "externalKey" "proxy" "headers") -}}
{{- end -}}
{{- if $hubs -}}
{{- $_ := set $config "hubs" $hubs -}}
{{- end -}}
{{- include "durable-functions-exporter.yaml" (dict "value" $config "patterns" false) | trim -}}
{{- end -}}

{{/* Where a setting goes by its former name: `former`, `today`, and whether `both` are set. */}}
{{- define "durable-functions-exporter.formerNames" -}}
{{- $found := list -}}
{{- $places := dict "settings" .Values.settings -}}
{{- range $key, $hub := .Values.hubs -}}
{{- $_ := set $places (printf "hubs.%s" $key) $hub -}}
{{- end -}}
{{- $names := .Files.Get "files/former-names.yaml" | fromYaml -}}
{{- range $place, $settings := $places -}}
{{- range $former, $today := $names -}}
{{- $path := splitList "." $former -}}
{{- $group := $settings -}}
{{- range initial $path -}}
{{- $group = default (dict) (get $group .) -}}
{{- end -}}
{{- if hasKey $group (last $path) -}}
{{- $both := hasKey $group (splitList "." $today | last) -}}
{{- $found = append $found (dict "former" (printf "%s.%s" $place $former) "today" (printf "%s.%s" $place $today) "both" $both) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/*
A mapping as YAML. Values come without their order, and of two patterns of orchestrators the first holds: so
the longer pattern comes first.
*/}}
{{- define "durable-functions-exporter.yaml" -}}
{{- $value := .value -}}
{{- $patterns := .patterns -}}
{{- $ranked := list -}}
{{- range $key := keys $value -}}
{{- $ranked = append $ranked (printf "%06d %s" (ternary (sub 999999 (len $key)) 0 $patterns | int) $key) -}}
{{- end -}}
{{- range sortAlpha $ranked -}}
{{- $key := substr 7 -1 . -}}
{{- $below := get $value $key -}}
{{- $isPlain := and (regexMatch "^[A-Za-z]\\w*$" $key) (not (regexMatch "(?i)^(null|true|false|yes|no|on|off|y|n)$" $key)) -}}
{{- $name := ternary $key (quote $key) $isPlain -}}
{{- if and (kindIs "map" $below) $below }}
{{ $name }}:
  {{- include "durable-functions-exporter.yaml" (dict "value" $below "patterns" (eq $key "orchestrators")) | trim | nindent 2 }}
{{- else }}
{{ $name }}: {{ toRawJson $below }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Whether nothing says what to poll or how: then an emulated app is polled, to see it work. */}}
{{- define "durable-functions-exporter.isDemo" -}}
{{- $values := .Values -}}
{{- if not (or $values.hubs $values.settings $values.extraEnv $values.envFrom $values.extraArgs $values.web.config $values.web.existingSecret (eq (toString $values.web.scheme) "https") (gt (int $values.shards) 1)) -}}
true
{{- end -}}
{{- end -}}

{{/* What a hub is called in metrics: (list key hub). Its key file is called so, too. */}}
{{- define "durable-functions-exporter.hubName" -}}
{{- default (index . 0) (index . 1).name -}}
{{- end -}}

{{/*
Secrets with the keys of hubs, as sources of a projected volume; empty without any.

Where all hubs share one, and its entries are called as they are, it is mounted as a whole: then a hub more is
no change of the pod. Beside another it might hide that one's entries.
*/}}
{{- define "durable-functions-exporter.keySources" -}}
{{- $context := . -}}
{{- $optional := not .Values.keys.required -}}
{{- $fullname := include "durable-functions-exporter.fullname" . -}}
{{- $sources := list -}}
{{- $shared := dict -}}
{{- range $key, $hub := .Values.hubs -}}
{{- $path := include "durable-functions-exporter.hubName" (list $key $hub) -}}
{{- if $hub.keySecret -}}
{{- $item := dict "key" (default "key" $hub.keySecret.key) "path" $path -}}
{{- $secret := dict "name" $hub.keySecret.name "items" (list $item) "optional" $optional -}}
{{- $sources = append $sources (dict "secret" $secret) -}}
{{- else -}}
{{- $name := "" -}}
{{- if $hub.key -}}
{{- $name = printf "%s-keys" $fullname -}}
{{- else if $hub.externalKey -}}
{{- $name = printf "%s-external-keys" $fullname -}}
{{- else if not (or $hub.key_file $hub.keys_dir) -}}
{{- $name = $context.Values.keys.existingSecret -}}
{{- end -}}
{{- if $name -}}
{{- $item := dict "key" $key "path" $path -}}
{{- $_ := set $shared $name (append (default (list) (get $shared $name)) $item) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $isAlone := and $optional (empty $sources) (eq (len $shared) 1) -}}
{{- range $name, $items := $shared -}}
{{- $secret := dict "name" $name "optional" $optional -}}
{{- $isWhole := $isAlone -}}
{{- range $items -}}
{{- $isWhole = and $isWhole (eq .key .path) -}}
{{- end -}}
{{- if not $isWhole -}}
{{- $_ := set $secret "items" $items -}}
{{- end -}}
{{- $sources = append $sources (dict "secret" $secret) -}}
{{- end -}}
{{- if $sources -}}
{{- toYaml $sources -}}
{{- end -}}
{{- end -}}

{{/* Keys given as values, by hub. */}}
{{- define "durable-functions-exporter.givenKeys" -}}
{{- $given := dict -}}
{{- range $key, $hub := .Values.hubs -}}
{{- if $hub.key -}}
{{- $_ := set $given $key $hub.key -}}
{{- end -}}
{{- end -}}
{{- toYaml $given -}}
{{- end -}}

{{/* Settings that may hold credentials, by variable. */}}
{{- define "durable-functions-exporter.secretEnvironment" -}}
{{- $variables := dict -}}
{{- $places := dict "DURABLE_EXPORTER_" .Values.settings -}}
{{- range $key, $hub := .Values.hubs -}}
{{- $_ := set $places (printf "DURABLE_EXPORTER_HUBS__%s__" (upper $key)) $hub -}}
{{- end -}}
{{- range $prefix, $place := $places -}}
{{- if $place.proxy -}}
{{- $_ := set $variables (printf "%sPROXY" $prefix) $place.proxy -}}
{{- end -}}
{{- if $place.headers -}}
{{- $_ := set $variables (printf "%sHEADERS" $prefix) (toRawJson $place.headers) -}}
{{- end -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end -}}

{{/* "https" or "http": how the exporter is spoken to. */}}
{{- define "durable-functions-exporter.scheme" -}}
{{- $web := .Values.web -}}
{{- if has $web.scheme (list "http" "https") -}}
{{- $web.scheme -}}
{{- else -}}
{{- ternary "https" "http" (not (not (or $web.tlsSecret $web.config.tls_server_config))) -}}
{{- end -}}
{{- end -}}

{{/* Whether a client without a certificate is turned away. */}}
{{- define "durable-functions-exporter.asksForCertificates" -}}
{{- $tls := default (dict) .Values.web.config.tls_server_config -}}
{{- if or .Values.web.clientCertificates (eq (toString $tls.client_auth_type) "RequireAndVerifyClientCert") -}}
true
{{- end -}}
{{- end -}}

{{/* Secret with the web configuration; empty without one. */}}
{{- define "durable-functions-exporter.webSecret" -}}
{{- if .Values.web.config -}}
{{ include "durable-functions-exporter.fullname" . }}-web
{{- else -}}
{{ .Values.web.existingSecret }}
{{- end -}}
{{- end -}}
