{{/*
Names and labels. Everything the chart makes begins with soundquarry.fullname, so that two releases in one namespace
share nothing.
*/}}

{{/*
The name of the release's objects: a DNS-1035 label of at most 34 characters.
A release "talks" has "talks-soundquarry", one called "soundquarry" has just that. What cannot stay as it is (too long,
a dot, a digit in front) keeps 23 characters and gets 10 of its hash, so that two long names stay two names.
Why 34: KubeRay allows a RayJob 47 characters, and the longest one here is <fullname>-<10 digits of a CronJob's run>-r.
*/}}
{{- define "soundquarry.fullname" -}}
{{- $word := default .Chart.Name .Values.nameOverride -}}
{{- $usual := eq .Release.Name $word | ternary $word (printf "%s-%s" .Release.Name $word) -}}
{{- $wanted := default $usual .Values.fullnameOverride -}}
{{- $name := regexReplaceAll "^([0-9])" (replace "." "-" $wanted) "sq-${1}" -}}
{{- if or (ne $name $wanted) (gt (len $name) 34) -}}
{{- $name = printf "%s-%s" (trunc 23 $name | trimSuffix "-") (sha256sum $wanted | trunc 10) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* What tells one job of the chart's own from another: 10 hex digits over its files. */}}
{{- define "soundquarry.jobHash" -}}
{{- sha256sum (include "soundquarry.jobFiles" .) | trunc 10 -}}
{{- end -}}

{{/*
The one-shot run: named by its job and its image, so that an upgrade with another one makes another run. Whatever else an upgrade
changes leaves a run that is under way, or over, as it is.
*/}}
{{- define "soundquarry.runName" -}}
{{- $work := printf "%s\n%s" (include "soundquarry.image" .) (include "soundquarry.jobFiles" .) -}}
{{- printf "%s-%s" (include "soundquarry.fullname" .) (sha256sum $work | trunc 10) -}}
{{- end -}}

{{/* The account of head and workers. */}}
{{- define "soundquarry.serviceAccountName" -}}
{{- $own := .Values.serviceAccount.create | ternary (include "soundquarry.fullname" .) "default" -}}
{{- default $own .Values.serviceAccount.name -}}
{{- end -}}

{{/* What selects the release's pods. */}}
{{- define "soundquarry.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "soundquarry.labels" -}}
{{ include "soundquarry.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels of a pod, given (dict "root" $ "component" NAME "more" LABELS): ours count before those of the values. */}}
{{- define "soundquarry.podLabels" -}}
{{- $own := include "soundquarry.selectorLabels" .root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/component" .component -}}
{{- merge $own (deepCopy (default dict .more)) | toYaml -}}
{{- end -}}

{{/* repository, then the tag, or the digest where one is given. */}}
{{- define "soundquarry.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A CronJob is batch/v1beta1 where the API server is older than 1.21. */}}
{{- define "soundquarry.cronJobApiVersion" -}}
{{- semverCompare ">=1.21-0" .Capabilities.KubeVersion.Version | ternary "batch/v1" "batch/v1beta1" -}}
{{- end -}}

{{/* The port of a URL: what is written, else that of its scheme. */}}
{{- define "soundquarry.portOfUrl" -}}
{{- $written := regexFind ":[0-9]+$" (urlParse .).host | trimPrefix ":" -}}
{{- $usual := hasPrefix "https:" . | ternary "443" "80" -}}
{{- default $usual $written -}}
{{- end -}}
