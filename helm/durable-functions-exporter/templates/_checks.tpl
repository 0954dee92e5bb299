{{/* What a schema cannot say: values that contradict each other. All problems are reported at once. */}}
{{- define "exporter.checks" -}}
{{- $problems := concat
  (include "exporter.hubProblems" . | fromJsonArray)
  (include "exporter.renamingProblems" . | fromJsonArray)
  (include "exporter.stateProblems" . | fromJsonArray)
  (include "exporter.accessProblems" . | fromJsonArray)
  (include "exporter.alertProblems" . | fromJsonArray)
  (include "exporter.variableProblems" . | fromJsonArray) -}}
{{- if $problems -}}
{{- fail (printf "\n\n%s\n" (join "\n" $problems)) -}}
{{- end -}}
{{- end -}}

{{- define "exporter.hubProblems" -}}
{{- $context := . -}}
{{- $problems := list -}}
{{- $names := dict -}}
{{- $variables := dict -}}
{{- range $key, $hub := .Values.hubs -}}
{{- $where := printf "hubs.%s" $key -}}
{{- $name := include "exporter.hubName" (list $key $hub) -}}
{{- $given := list -}}
{{- range $source := list "key" "keySecret" "externalKey" "key_file" -}}
{{- if hasKey $hub $source -}}
{{- $given = append $given $source -}}
{{- end -}}
{{- end -}}
{{- if gt (len $given) 1 -}}
{{- $problems = append $problems (printf "%s has %s: keep one of them" $where (join " and " $given)) -}}
{{- end -}}
{{- if and $hub.externalKey (not $context.Values.keys.externalSecret.secretStoreRef.name) -}}
{{- $problems = append $problems (printf "%s.externalKey needs a store: set keys.externalSecret.secretStoreRef.name" $where) -}}
{{- end -}}
{{- $fromSecret := or $hub.key $hub.keySecret $hub.externalKey -}}
{{- if and $fromSecret $hub.keys_dir -}}
{{- $problems = append $problems (printf "%s.keys_dir cannot be combined with a key from a Secret: keep one of them" $where) -}}
{{- end -}}
{{- if and (or $fromSecret $context.Values.keys.existingSecret) (contains "/" $name) -}}
{{- $problems = append $problems (printf "%s.name has a slash in it, so no file can be called so: mount its key yourself and set key_file" $where) -}}
{{- end -}}
{{- if hasKey $names $name -}}
{{- $problems = append $problems (printf "%s is called %s, as hubs.%s is: give one of them another name" $where $name (get $names $name)) -}}
{{- end -}}
{{- $_ := set $names $name $key -}}
{{- if hasKey $variables (lower $key) -}}
{{- $problems = append $problems (printf "%s differs from hubs.%s only in case: call one of them otherwise, and spell it with name" $where (get $variables (lower $key))) -}}
{{- end -}}
{{- $_ := set $variables (lower $key) $key -}}
{{- $insecure := ternary $hub.allow_insecure $context.Values.settings.allow_insecure (hasKey $hub "allow_insecure") -}}
{{- if and (regexMatch "^http://" (default "" $hub.url)) (not $insecure) (not (regexMatch "^http://(localhost|127[.0-9]+|\\[::1\\])(:|/|$)" $hub.url)) -}}
{{- $problems = append $problems (printf "%s.url is not encrypted: use https://, or set allow_insecure to true" $where) -}}
{{- end -}}
{{- end -}}
{{- if and (include "exporter.keySources" .) .Values.settings.keys_dir -}}
{{- $problems = append $problems "settings.keys_dir cannot be combined with keys from Secrets, which are mounted elsewhere: set keys_dir or key_file of those hubs that need it" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "exporter.renamingProblems" -}}
{{- $problems := list -}}
{{- range include "exporter.formerNames" . | fromJsonArray -}}
{{- if .both -}}
{{- $problems = append $problems (printf "%s is the former name of %s, which is set too: keep the latter" .former .today) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "exporter.stateProblems" -}}
{{- $problems := list -}}
{{- $state := .Values.state -}}
{{- if and $state.existingClaim (ne $state.type "claim") -}}
{{- $problems = append $problems (printf "state.existingClaim is not used with state.type %s: set it to claim" $state.type) -}}
{{- end -}}
{{- if and $state.existingClaim (gt (int .Values.shards) 1) -}}
{{- $problems = append $problems "state.existingClaim is of one pod only, and there are several shards: leave it out, and each gets a claim of its own" -}}
{{- end -}}
{{- if and (eq $state.type "claim") (le (int .Values.shards) 1) (ne .Values.deploymentStrategy.type "Recreate") -}}
{{- $problems = append $problems (printf "deploymentStrategy.type %s makes two pods share one state: with state.type claim it must be Recreate" .Values.deploymentStrategy.type) -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "exporter.accessProblems" -}}
{{- $problems := list -}}
{{- $budget := .Values.podDisruptionBudget -}}
{{- $web := .Values.web -}}
{{- if and .Values.serviceMonitor.enabled .Values.podMonitor.enabled -}}
{{- $problems = append $problems "serviceMonitor and podMonitor are both enabled, so that everything would be scraped twice: keep one of them" -}}
{{- end -}}
{{- if and (not (kindIs "invalid" $budget.minAvailable)) (not (kindIs "invalid" $budget.maxUnavailable)) -}}
{{- $problems = append $problems "podDisruptionBudget has minAvailable and maxUnavailable: keep one of them" -}}
{{- end -}}
{{- $pods := int .Values.shards -}}
{{- $least := $budget.minAvailable -}}
{{- if and $budget.enabled (or (eq (toString $least) "100%") (and (regexMatch "^[0-9]+$" (toString $least)) (ge (int $least) $pods))) -}}
{{- $problems = append $problems (printf "podDisruptionBudget.minAvailable %v of %d blocks every node drain: leave it out, and one pod at a time may go" $least $pods) -}}
{{- end -}}
{{- if and $budget.enabled (has (toString $budget.maxUnavailable) (list "0" "0%")) -}}
{{- $problems = append $problems "podDisruptionBudget.maxUnavailable 0 blocks every node drain: leave it out, and one pod at a time may go" -}}
{{- end -}}
{{- if and $web.config $web.existingSecret -}}
{{- $problems = append $problems "web has config and existingSecret: keep one of them" -}}
{{- end -}}
{{- if and $web.tlsSecret (not (or $web.config $web.existingSecret)) -}}
{{- $problems = append $problems "web.tlsSecret is only mounted: name tls.crt and tls.key in web.config.tls_server_config" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- $problems = append $problems "ingress.enabled needs a host name: set ingress.hosts" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- $problems = append $problems "httpRoute.enabled needs a gateway: set httpRoute.parentRefs" -}}
{{- end -}}
{{- range $monitor := list "serviceMonitor" "podMonitor" -}}
{{- $values := index $.Values $monitor -}}
{{- if and $values.enabled $web.config.basic_auth_users (not $values.basicAuth) -}}
{{- $problems = append $problems (printf "%s.basicAuth is missing, but web.config.basic_auth_users requires a password" $monitor) -}}
{{- end -}}
{{- if and $values.enabled (include "exporter.asksForCertificates" $) (not $values.tlsConfig.cert) (not $values.tlsConfig.certFile) -}}
{{- $problems = append $problems (printf "%s.tlsConfig.cert is missing, but web requires a client certificate" $monitor) -}}
{{- end -}}
{{- if and $values.enabled $values.tlsConfig (ne (include "exporter.scheme" $) "https") -}}
{{- $problems = append $problems (printf "%s.tlsConfig is not used, as the exporter speaks no TLS: set web.config, or web.scheme to https" $monitor) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{/* `ALERTS` has these labels: what fires would no longer be found there. */}}
{{- define "exporter.alertProblems" -}}
{{- $problems := list -}}
{{- $parameters := merge (dict) .Values.prometheusRule.parameters (.Files.Get "files/rules.yaml" | fromYaml).parameters -}}
{{- $own := $parameters.target_labels | replace " " "" | splitList "," -}}
{{- range $name := list "hub_labels" "replica_labels" -}}
{{- range $label := index $parameters $name | replace " " "" | splitList "," -}}
{{- if has $label $own -}}
{{- $problems = append $problems (printf "prometheusRule.parameters.%s has %s, which target_labels has, too: keep it in one of them" $name $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $label, $_ := .Values.prometheusRule.alertLabels -}}
{{- if has $label (concat $own (list "alertname" "alertstate" "task_hub" "orchestrator" "entity" "category" "waiting_on" "target")) -}}
{{- $problems = append $problems (printf "prometheusRule.alertLabels has %s, by which the rules distinguish alerts: choose another name" $label) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{/* Variables of the chart's own: of two that are called the same, Kubernetes takes either. */}}
{{- define "exporter.variableProblems" -}}
{{- $problems := list -}}
{{- $own := dict
  "DURABLE_EXPORTER_CONFIG_FILE" "settings and hubs"
  "DURABLE_EXPORTER_LISTEN_ADDRESS" "listenAddress"
  "DURABLE_EXPORTER_SHARD" "shards"
  "DURABLE_EXPORTER_STATE_DIR" "state"
  "DURABLE_EXPORTER_WEB_CONFIG_FILE" "web"
  "DURABLE_EXPORTER_GRACE_PERIOD" "settings.grace_period" -}}
{{- range $name, $_ := include "exporter.secretEnvironment" . | fromYaml -}}
{{- $_ := set $own $name "settings and hubs" -}}
{{- end -}}
{{- range .Values.extraEnv -}}
{{- if hasKey $own .name -}}
{{- $problems = append $problems (printf "extraEnv has %s, which the chart sets itself: use %s" .name (get $own .name)) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}
