{{/* What a schema cannot say: values that contradict each other. All problems are reported at once. */}}
{{- define "durable-functions-exporter.checks" -}}
{{- $problems := concat
  (include "durable-functions-exporter.nameProblems" . | fromJsonArray)
  (include "durable-functions-exporter.hubProblems" . | fromJsonArray)
  (include "durable-functions-exporter.renamingProblems" . | fromJsonArray)
  (include "durable-functions-exporter.stateProblems" . | fromJsonArray)
  (include "durable-functions-exporter.accessProblems" . | fromJsonArray)
  (include "durable-functions-exporter.serviceProblems" . | fromJsonArray)
  (include "durable-functions-exporter.alertProblems" . | fromJsonArray)
  (include "durable-functions-exporter.podProblems" . | fromJsonArray)
  (include "durable-functions-exporter.variableProblems" . | fromJsonArray) -}}
{{- if $problems -}}
{{- fail (printf "\n\n%s\n" (join "\n" $problems)) -}}
{{- end -}}
{{- end -}}

{{- define "durable-functions-exporter.nameProblems" -}}
{{- $problems := list -}}
{{- $name := include "durable-functions-exporter.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
{{- $problems = append $problems (printf "objects would be called %s, which Kubernetes refuses: set fullnameOverride to lower-case letters, digits and hyphens, a letter first" $name) -}}
{{- end -}}
{{- if not .Values.enabled -}}
{{- $problems = append $problems "enabled is false, but no condition of a parent chart asks for it: name it in the condition of the dependency, or uninstall the release" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "durable-functions-exporter.hubProblems" -}}
{{- $context := . -}}
{{- $problems := list -}}
{{- $names := dict -}}
{{- $variables := dict -}}
{{- range $key, $hub := .Values.hubs -}}
{{- $where := printf "hubs.%s" $key -}}
{{- $name := include "durable-functions-exporter.hubName" (list $key $hub) -}}
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
{{- if and (include "durable-functions-exporter.keySources" .) .Values.settings.keys_dir -}}
{{- $problems = append $problems "settings.keys_dir cannot be combined with keys from Secrets, which are mounted elsewhere: set keys_dir or key_file of those hubs that need it" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "durable-functions-exporter.renamingProblems" -}}
{{- $problems := list -}}
{{- range include "durable-functions-exporter.formerNames" . | fromJsonArray -}}
{{- if .both -}}
{{- $problems = append $problems (printf "%s is the former name of %s, which is set too: keep the latter" .former .today) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "durable-functions-exporter.stateProblems" -}}
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

{{- define "durable-functions-exporter.serviceProblems" -}}
{{- $problems := list -}}
{{- if not .Values.service.port -}}
{{- $problems = append $problems "service.port is null: set a port, or remove the line for the default" -}}
{{- end -}}
{{- $service := .Values.service -}}
{{- if and $service.nodePort (eq $service.type "ClusterIP") -}}
{{- $problems = append $problems "service.nodePort is not used with service.type ClusterIP: set it to NodePort, or leave the port out" -}}
{{- end -}}
{{- if and (eq $service.clusterIP "None") (ne $service.type "ClusterIP") -}}
{{- $problems = append $problems (printf "service.clusterIP None cannot be combined with service.type %s: leave one of them out" $service.type) -}}
{{- end -}}
{{- if and (eq .Values.dnsPolicy "None") (not (default (dict) .Values.dnsConfig).nameservers) -}}
{{- $problems = append $problems "dnsPolicy None needs a name server: set dnsConfig.nameservers" -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{/* Those of a list that are in it twice or more, as JSON. */}}
{{- define "durable-functions-exporter.repeated" -}}
{{- $once := dict -}}
{{- $repeated := list -}}
{{- range . -}}
{{- if hasKey $once . -}}
{{- $repeated = append $repeated . -}}
{{- end -}}
{{- $_ := set $once . true -}}
{{- end -}}
{{- toJson (uniq $repeated) -}}
{{- end -}}

{{/* What the server refuses of a pod: two volumes, mounts, containers or handlers where there may be one. */}}
{{- define "durable-functions-exporter.podProblems" -}}
{{- $problems := list -}}
{{- $volumes := list -}}
{{- range concat (include "durable-functions-exporter.volumes" . | fromYamlArray) (include "durable-functions-exporter.ownVolumes" . | fromYamlArray) -}}
{{- $volumes = append $volumes .name -}}
{{- end -}}
{{- if and (eq .Values.state.type "claim") (gt (int .Values.shards) 1) -}}
{{- $volumes = append $volumes "state" -}}
{{- end -}}
{{- range include "durable-functions-exporter.repeated" $volumes | fromJsonArray -}}
{{- $problems = append $problems (printf "extraVolumes: there is another volume called %s: rename it" .) -}}
{{- end -}}
{{- $paths := list -}}
{{- range concat (include "durable-functions-exporter.volumeMounts" . | fromYamlArray) (include "durable-functions-exporter.ownVolumeMounts" . | fromYamlArray) -}}
{{- $paths = append $paths .mountPath -}}
{{- if not (has .name $volumes) -}}
{{- $problems = append $problems (printf "extraVolumeMounts: there is no volume called %s: add it to extraVolumes" .name) -}}
{{- end -}}
{{- end -}}
{{- range include "durable-functions-exporter.repeated" $paths | fromJsonArray -}}
{{- $problems = append $problems (printf "extraVolumeMounts: something else is mounted at %s: choose another mountPath" .) -}}
{{- end -}}
{{- $containers := list "exporter" -}}
{{- range concat .Values.initContainers .Values.extraContainers -}}
{{- $containers = append $containers .name -}}
{{- end -}}
{{- range include "durable-functions-exporter.repeated" $containers | fromJsonArray -}}
{{- $problems = append $problems (printf "initContainers and extraContainers: there is another container called %s: rename it" .) -}}
{{- end -}}
{{- range $field := list "livenessProbe" "readinessProbe" "startupProbe" -}}
{{- $handlers := include "durable-functions-exporter.handlers" (index $.Values $field) | fromJsonArray -}}
{{- if gt (len $handlers) 1 -}}
{{- $problems = append $problems (printf "%s has %s: keep one of them" $field (join " and " $handlers)) -}}
{{- end -}}
{{- end -}}
{{- range $field := list "deploymentStrategy" "statefulSetStrategy" -}}
{{- $strategy := default (dict) (index $.Values $field) -}}
{{- $rolling := default (dict) $strategy.rollingUpdate -}}
{{- if and $rolling $strategy.type (ne $strategy.type "RollingUpdate") -}}
{{- $problems = append $problems (printf "%s.rollingUpdate is not used with type %s: set it to RollingUpdate, or leave rollingUpdate out" $field $strategy.type) -}}
{{- end -}}
{{- if and (has (toString $rolling.maxUnavailable) (list "0" "0%")) (or (eq $field "statefulSetStrategy") (has (toString $rolling.maxSurge) (list "0" "0%"))) -}}
{{- $problems = append $problems (printf "%s.rollingUpdate allows no pod to be replaced: raise maxUnavailable%s" $field (ternary " or maxSurge" "" (eq $field "deploymentStrategy"))) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{- define "durable-functions-exporter.accessProblems" -}}
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
{{- $endpoint := include "durable-functions-exporter.endpoint" (list $ $values) | fromYaml -}}
{{- $tls := default (dict) $endpoint.tlsConfig -}}
{{- if and $values.enabled $web.config.basic_auth_users (not $endpoint.basicAuth) -}}
{{- $problems = append $problems (printf "%s.basicAuth is missing, but web.config.basic_auth_users requires a password" $monitor) -}}
{{- end -}}
{{- if and $values.enabled (include "durable-functions-exporter.asksForCertificates" $) (not $tls.cert) (not $tls.certFile) -}}
{{- $problems = append $problems (printf "%s.tlsConfig.cert is missing, but web requires a client certificate" $monitor) -}}
{{- end -}}
{{- if and $values.enabled $tls (ne (include "durable-functions-exporter.scheme" $) "https") -}}
{{- $problems = append $problems (printf "%s.tlsConfig is not used, as the exporter speaks no TLS: set web.config, or web.scheme to https" $monitor) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{/* `ALERTS` has these labels: what fires would no longer be found there. */}}
{{- define "durable-functions-exporter.alertProblems" -}}
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
{{- $groups := list -}}
{{- range concat (.Files.Get "files/rules.yaml" | fromYaml).groups .Values.prometheusRule.extraGroups -}}
{{- $groups = append $groups .name -}}
{{- end -}}
{{- range include "durable-functions-exporter.repeated" $groups | fromJsonArray -}}
{{- $problems = append $problems (printf "prometheusRule.extraGroups: there is another group called %s: rename it" .) -}}
{{- end -}}
{{- range $label, $_ := .Values.prometheusRule.alertLabels -}}
{{- if has $label (concat $own (list "alertname" "alertstate" "task_hub" "orchestrator" "entity" "category" "waiting_on" "target")) -}}
{{- $problems = append $problems (printf "prometheusRule.alertLabels has %s, by which the rules distinguish alerts: choose another name" $label) -}}
{{- end -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}

{{/* Variables of the chart's own: of two that are called the same, Kubernetes takes either. */}}
{{- define "durable-functions-exporter.variableProblems" -}}
{{- $problems := list -}}
{{- $own := dict
  "DURABLE_EXPORTER_CONFIG_FILE" "settings and hubs"
  "DURABLE_EXPORTER_LISTEN_ADDRESS" "listenAddress"
  "DURABLE_EXPORTER_SHARD" "shards"
  "DURABLE_EXPORTER_STATE_DIR" "state"
  "DURABLE_EXPORTER_WEB_CONFIG_FILE" "web"
  "DURABLE_EXPORTER_GRACE_PERIOD" "settings.grace_period" -}}
{{- range $name, $_ := include "durable-functions-exporter.secretEnvironment" . | fromYaml -}}
{{- $_ := set $own $name "settings and hubs" -}}
{{- end -}}
{{- $names := list -}}
{{- range .Values.extraEnv -}}
{{- $names = append $names .name -}}
{{- if hasKey $own .name -}}
{{- $problems = append $problems (printf "extraEnv has %s, which the chart sets itself: use %s" .name (get $own .name)) -}}
{{- end -}}
{{- end -}}
{{- range include "durable-functions-exporter.repeated" $names | fromJsonArray -}}
{{- $problems = append $problems (printf "extraEnv has %s twice: keep one of them" .) -}}
{{- end -}}
{{- toJson $problems -}}
{{- end -}}
